"""A function as an action: its parameters, and its input checked against their types."""

from __future__ import annotations

import asyncio
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class Function:
    """``types``: of the parameters that say theirs."""

    name: str
    call: Callable[..., Any]
    parameters: list[Any] | None
    types: Mapping[str, Any]

    @classmethod
    def of(cls, name: str, call: Callable[..., Any]) -> Function:
        """Read a function's signature; all its parameters must be such that they can be given by name.

        Raises:
            TypeError: one can't.
        """
        parameters: list[Any] = []
        takes_anything = False
        for each in inspect.signature(call).parameters.values():
            if each.kind is each.VAR_KEYWORD:
                takes_anything = True
            elif each.kind in (each.POSITIONAL_ONLY, each.VAR_POSITIONAL):
                raise TypeError(f"the parameter '{each.name}' of action '{name}' can't be given by name")
            else:
                parameters.append(each.name if each.default is each.empty else {each.name: each.default})
        types = typing.get_type_hints(call)
        types.pop("return", None)
        return cls(name, call, None if takes_anything else parameters, types)

    @property
    def described(self) -> dict[str, Any]:
        """The action as a poll tells it."""
        return {"name": self.name, "parameters": self.parameters}

    async def run(self, given: Mapping[str, Any]) -> Any:
        """Call the function, in a thread if it isn't a coroutine.

        Raises:
            msgspec.ValidationError: the input isn't of the types that the function declares.
        """
        values = {
            name: msgspec.convert(value, self.types[name]) if name in self.types else value
            for name, value in given.items()
        }
        if inspect.iscoroutinefunction(self.call):
            return await self.call(**values)
        return await asyncio.to_thread(self.call, **values)
