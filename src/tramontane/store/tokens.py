"""Tokens that the service issues itself. Only their hashes are stored, never the tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tramontane.core.state import Micros
from tramontane.store import codec, schema
from tramontane.store.again import again_when_busy
from tramontane.store.database import Database


@dataclass(frozen=True, slots=True)
class TokenRow:
    """What is known of a token. ``hash``: SHA-256 in hexadecimal; ``expires_at`` None: never."""

    id: str
    hash: str
    name: str
    project_id: str
    roles: tuple[str, ...]
    created_at: Micros
    expires_at: Micros | None = None
    revoked_at: Micros | None = None
    last_used_at: Micros | None = None

    def is_valid(self, now: Micros) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


_NAMES = tuple(name for name in TokenRow.__slots__ if isinstance(name, str))


class Tokens:
    """The register of tokens."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @again_when_busy
    async def add(self, row: TokenRow) -> None:
        values = {name: getattr(row, name) for name in _NAMES}
        values["roles"] = codec.json_text(row.roles)
        async with self._database.write() as connection:
            await connection.execute(sa.insert(schema.tokens).values(values))

    async def find(self, hash: str) -> TokenRow | None:
        """Look a token up, valid or not."""
        found = await self._read(schema.tokens.c.hash == hash)
        return found[0] if found else None

    async def get(self, token_id: str) -> TokenRow | None:
        found = await self._read(schema.tokens.c.id == token_id)
        return found[0] if found else None

    async def all(self) -> Sequence[TokenRow]:
        """Every token there ever was, oldest first."""
        return await self._read(sa.true())

    async def revoke(self, token_id: str, now: Micros) -> bool:
        """Make a token worthless from now on; False: it is unknown or revoked already."""
        return await self._set(token_id, schema.tokens.c.revoked_at.is_(None), revoked_at=now)

    async def touch(self, token_id: str, now: Micros) -> None:
        """Note that a token was used."""
        await self._set(token_id, sa.true(), last_used_at=now)

    @again_when_busy
    async def _set(self, token_id: str, where: sa.ColumnElement[bool], **values: Micros) -> bool:
        tokens = schema.tokens
        async with self._database.write() as connection:
            result = await connection.execute(
                sa.update(tokens).where(tokens.c.id == token_id, where).values(values)
            )
        return bool(result.rowcount)

    async def _read(self, where: sa.ColumnElement[bool]) -> list[TokenRow]:
        tokens = schema.tokens
        statement = (
            sa.select(*(tokens.c[name] for name in _NAMES))
            .where(where)
            .order_by(tokens.c.created_at, tokens.c.id)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(statement)).all()
        return [_row(dict(zip(_NAMES, row, strict=True))) for row in rows]


def _row(values: dict[str, Any]) -> TokenRow:
    return TokenRow(**{**values, "roles": tuple(codec.json_value(values["roles"]) or ())})
