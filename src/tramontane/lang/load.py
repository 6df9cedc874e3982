"""Stored data → typed specs: no YAML, no checks, and each task is built when it is first asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tramontane.expressions import LANGUAGES, CompiledStructure, compile_structure
from tramontane.lang.graph import Routes, find_routes, task_map
from tramontane.lang.spec import REQUIRED, AdhocActionSpec, InputParameter, TaskSpec, WorkflowSpec
from tramontane.lang.stored import inline_parameters
from tramontane.lang.tasks import Compile, build_task, command_name, text_tuple
from tramontane.values import EMPTY, FrozenDict, deep_merge

_NO_ROUTES = Routes({}, {}, ())


class Tasks(Mapping[str, TaskSpec]):
    """The tasks of a workflow, in document order; built one by one, on first use."""

    __slots__ = ("_built", "_compile", "_data", "_defaults", "_routes")

    def __init__(
        self,
        data: Mapping[str, Mapping[str, Any]],
        defaults: Mapping[str, Any],
        routes: Routes,
        compile: Compile,
    ) -> None:
        self._data = data
        self._defaults = defaults
        self._routes = routes
        self._compile = compile
        self._built: dict[str, TaskSpec] = {}

    def __getitem__(self, name: str) -> TaskSpec:
        task = self._built.get(name)
        if task is None:
            data = self._data[name]
            task = build_task(name, data, self._defaults, self._routes.of(name), self._compile)
            self._built[name] = task
        return task

    def __contains__(self, name: object) -> bool:
        return name in self._data

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)


def load_workflow(data: FrozenDict, allowed_languages: frozenset[str] = LANGUAGES) -> WorkflowSpec:
    """Return the spec of a stored workflow (``WorkflowDocument.data``, or the same read from JSON)."""

    def compile(value: Any) -> CompiledStructure:
        return compile_structure(value, allowed_languages)

    def part(key: str) -> CompiledStructure | None:
        value = data.get(key)
        return None if value is None else compile(value)

    tasks = task_map(data)
    defaults = data.get("task-defaults")
    defaults = defaults if isinstance(defaults, Mapping) else EMPTY
    is_direct = data.get("type", "direct") != "reverse"
    routes = find_routes(tasks, defaults) if is_direct else _NO_ROUTES
    return WorkflowSpec(
        name=data["name"],
        type="direct" if is_direct else "reverse",
        data=data,
        tags=text_tuple(data.get("tags")),
        input=parameters(data.get("input")),
        vars=part("vars"),
        output=part("output"),
        output_on_error=part("output-on-error"),
        output_on_error_data=data.get("output-on-error"),
        tasks=Tasks(tasks, defaults, routes, compile),
        start_tasks=routes.start_tasks,
        inbound=routes.inbound,
    )


def load_action(data: FrozenDict, allowed_languages: frozenset[str] = LANGUAGES) -> AdhocActionSpec:
    """Return the spec of a stored ad-hoc action (``ActionDocument.data``)."""
    own = data.get("base-input")
    base_input = deep_merge(own if isinstance(own, Mapping) else EMPTY, inline_parameters(data.get("base")))
    output = data.get("output")
    description = data.get("description")
    return AdhocActionSpec(
        name=data["name"],
        data=data,
        base=command_name(data.get("base")) or "",
        base_input=compile_structure(base_input, allowed_languages),
        input=parameters(data.get("input")),
        output=None if output is None else compile_structure(output, allowed_languages),
        description=description if isinstance(description, str) else None,
        tags=text_tuple(data.get("tags")),
    )


def parameters(value: Any) -> tuple[InputParameter, ...]:
    """Return the declared input; of a name that stands twice the last declaration counts."""
    found: dict[str, InputParameter] = {}
    for item in value if isinstance(value, list) else ():
        if isinstance(item, str):
            found[item] = InputParameter(item, REQUIRED)
        elif isinstance(item, Mapping):
            found.update((name, InputParameter(name, default)) for name, default in item.items())
    return tuple(found.values())
