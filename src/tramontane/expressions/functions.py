"""Functions of the engine (expression specification, section 6) and those that plugins add.

Both languages call them by the same names. A function here takes the :class:`Evaluation` first and
then what the user wrote; :mod:`.yaql_engine` and :mod:`.jinja_engine` make it known to their language.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from tramontane.expressions.documents import json_dump, json_parse, yaml_dump, yaml_parse
from tramontane.expressions.limits import Evaluation

Function = Callable[..., Any]


def _env(evaluation: Evaluation) -> Mapping[str, Any] | None:
    return evaluation.scope.functions.env()


def _execution(evaluation: Evaluation) -> Mapping[str, Any]:
    return evaluation.scope.functions.execution()


def _executions(
    evaluation: Evaluation,
    id: str | None = None,
    root_execution_id: str | None = None,
    state: str | None = None,
    from_time: str | None = None,
    to_time: str | None = None,
) -> list[Mapping[str, Any]]:
    return evaluation.scope.functions.executions(id, root_execution_id, state, from_time, to_time)


def _task(evaluation: Evaluation, name: str | None = None) -> Mapping[str, Any] | None:
    return evaluation.scope.functions.task(name)


def _tasks(
    evaluation: Evaluation,
    workflow_execution_id: str | None = None,
    recursive: bool = False,
    state: str | None = None,
    flat: bool = False,
) -> list[Mapping[str, Any]]:
    return evaluation.scope.functions.tasks(workflow_execution_id, recursive, state, flat)


def _global(evaluation: Evaluation, name: str) -> Any:
    return evaluation.scope.functions.global_(name)


def _uuid(evaluation: Evaluation) -> str:
    return evaluation.scope.functions.uuid()


_BUILT_IN: dict[str, Function] = {
    "env": _env,
    "execution": _execution,
    "executions": _executions,
    "task": _task,
    "tasks": _tasks,
    "global": _global,
    "json_dump": json_dump,
    "json_pp": json_dump,
    "json_parse": json_parse,
    "yaml_dump": yaml_dump,
    "yaml_parse": yaml_parse,
    "uuid": _uuid,
}


class Registry:
    """The functions that expressions can call besides their language's own.

    ``generation`` grows with every change, so that what was compiled with other functions is noticed.
    """

    def __init__(self) -> None:
        self._functions = dict(_BUILT_IN)
        self._custom: frozenset[str] = frozenset()
        self.generation = 0

    @property
    def functions(self) -> Mapping[str, Function]:
        """All functions by name; each takes the evaluation first."""
        return self._functions

    @property
    def custom(self) -> frozenset[str]:
        """Names that plugins added or replaced."""
        return self._custom

    def register(self, name: str, function: Callable[..., Any]) -> None:
        """Add a plugin's function, or replace one of the same name.

        ``function`` is called as ``f(context, *args)`` with the data map as ``context``; when it has no
        parameter of that name in front, it gets the user's arguments alone.
        """
        takes_data = _takes_data(function)

        def call(evaluation: Evaluation, *args: Any, **kwargs: Any) -> Any:
            if takes_data:
                return function(evaluation.scope.data, *args, **kwargs)
            return function(*args, **kwargs)

        self._functions[name] = call
        self._custom |= {name}
        self.generation += 1

    def unregister(self, name: str) -> None:
        """Take a plugin's function away; a built-in one of that name comes back."""
        self._functions.pop(name, None)
        if name in _BUILT_IN:
            self._functions[name] = _BUILT_IN[name]
        self._custom -= {name}
        self.generation += 1


registry = Registry()


def register_function(name: str, function: Callable[..., Any]) -> None:
    """Make ``function`` callable from expressions under ``name``; see :meth:`Registry.register`."""
    registry.register(name, function)


def snake_case(name: str) -> str:
    """Spell a keyword argument the way the functions do: YAQL's users write ``rootExecutionId``."""
    return _CAPITAL.sub(lambda match: "_" + match.group().lower(), name)


_CAPITAL = re.compile(r"(?<!^)[A-Z]")


def _takes_data(function: Callable[..., Any]) -> bool:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return True
    return bool(parameters) and parameters[0].name == "context"
