"""What executors and workers have ever served: pools, and actions that no node has itself.

A pool that was served once may be served again, so actions wait for it; one that never was is a
mistake. Both lists are rows of ``service_state`` that change rarely.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tramontane.store import schema
from tramontane.store.again import again_when_busy
from tramontane.store.codec import json_text, json_value
from tramontane.store.database import Database

_POOLS: Final = "pools"
_ACTIONS: Final = "worker-actions"


class Served:
    """The memory of what was served."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def pools(self) -> frozenset[str]:
        """Every pool that some process has served."""
        return frozenset(await self._read(_POOLS) or ())

    async def remember_pools(self, pools: Collection[str]) -> None:
        """Note pools that are served now."""
        if not set(pools) <= await self.pools():
            await self._change(_POOLS, lambda known: sorted({*(known or ()), *pools}))

    async def action(self, project_id: str, name: str) -> Any:
        """How a worker described an action, for this project or for all (``""``); None: it is unknown."""
        known = await self._read(_ACTIONS) or {}
        for project in (project_id, ""):
            if name in known.get(project, {}):
                return known[project][name]
        return None

    async def actions(self) -> Mapping[str, Mapping[str, Any]]:
        """Every action that workers have brought: project (``""``: all of them) -> name -> description."""
        return await self._read(_ACTIONS) or {}

    async def remember_actions(self, project_id: str, actions: Mapping[str, Any]) -> bool:
        """Note actions that workers bring, by name; False: all of that was known."""
        known = (await self._read(_ACTIONS) or {}).get(project_id, {})
        if all(known.get(name, _ACTIONS) == described for name, described in actions.items()):
            return False
        await self._change(
            _ACTIONS,
            lambda now: {**(now or {}), project_id: {**(now or {}).get(project_id, {}), **actions}},
            moves_catalog=True,
        )
        return True

    async def _read(self, name: str) -> Any:
        async with self._database.read() as connection:
            return await _value(connection, name)

    @again_when_busy
    async def _change(self, name: str, change: Callable[[Any], Any], *, moves_catalog: bool = False) -> None:
        """Replace a value; two that create it at the same time don't lose either's part."""
        while True:
            try:
                async with self._database.write() as connection:
                    await _replace(connection, name, change, self._database.dialect.now_sql)
                    if moves_catalog:
                        table = schema.catalog
                        await connection.execute(sa.update(table).values(version=table.c.version + 1))
                return
            except IntegrityError:  # somebody else has just created the row
                continue


async def _value(connection: AsyncConnection, name: str, *, lock: bool = False) -> Any:
    table = schema.service_state
    statement = sa.select(table.c.value).where(table.c.name == name)
    text = await connection.scalar(statement.with_for_update() if lock else statement)
    return None if text is None else json_value(text)


async def _replace(connection: AsyncConnection, name: str, change: Callable[[Any], Any], now: str) -> None:
    table = schema.service_state
    known = await _value(connection, name, lock=True)
    values = {"value": json_text(change(known)), "updated_at": sa.literal_column(now, sa.BigInteger())}
    if known is None:
        await connection.execute(sa.insert(table).values(name=name, **values))
    else:
        await connection.execute(sa.update(table).where(table.c.name == name).values(**values))
