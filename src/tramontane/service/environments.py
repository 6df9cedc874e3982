"""Environments: named sets of variables that executions can be started with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tramontane.errors import BadRequestError
from tramontane.service.caller import Caller
from tramontane.service.definitions import Surroundings, missing, require_writable
from tramontane.store.again import again_when_busy
from tramontane.store.definition_records import EnvironmentRow
from tramontane.store.tenancy import PRIVATE
from tramontane.values import FrozenDict


@dataclass(frozen=True, slots=True)
class EnvironmentContent:
    """What a request says about an environment; ``given`` names the attributes that it has at all."""

    given: frozenset[str]
    description: str | None = None
    variables: FrozenDict | None = None
    scope: str | None = None

    @classmethod
    def of(cls, attributes: Mapping[str, Any]) -> EnvironmentContent:
        return cls(
            frozenset(attributes),
            attributes.get("description"),
            attributes.get("variables"),
            attributes.get("scope"),
        )


class Environments:
    def __init__(self, around: Surroundings) -> None:
        self._around = around

    @again_when_busy
    async def create(self, caller: Caller, name: str | None, content: EnvironmentContent) -> EnvironmentRow:
        """Store a new environment.

        Raises:
            ConflictError: the project has one of this name.
        """
        row = EnvironmentRow(
            id=self._around.new_id(),
            name=_required(name),
            project_id=caller.project_id,
            scope=content.scope or PRIVATE,
            description=content.description,
            variables=content.variables,
            created_at=self._around.now(),
        )
        async with self._around.definitions.change() as change:
            await change.insert(row)
        self._around.changed()
        return row

    @again_when_busy
    async def update(self, caller: Caller, name: str | None, content: EnvironmentContent) -> EnvironmentRow:
        """Replace the given attributes of an environment; variables are replaced as a whole."""
        name = _required(name)
        async with self._around.definitions.change() as change:
            row = await change.find_environment(name, caller)
            if row is None:
                raise missing("environment", name)
            require_writable(caller, row, "environment")
            row = replace(
                row,
                description=content.description if "description" in content.given else row.description,
                variables=content.variables if "variables" in content.given else row.variables,
                scope=content.scope or row.scope,
                updated_at=self._around.now(),
            )
            await change.update(row)
        self._around.changed()
        return row

    @again_when_busy
    async def delete(self, caller: Caller, name: str) -> None:
        async with self._around.definitions.change() as change:
            row = await change.find_environment(name, caller)
            if row is None:
                raise missing("environment", name)
            require_writable(caller, row, "environment")
            await change.delete(row)
        self._around.changed()


def _required(name: str | None) -> str:
    if not name:
        raise BadRequestError("An environment needs a name.")
    return name
