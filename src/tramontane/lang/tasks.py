"""One task of a stored workflow → its typed spec, with ``task-defaults`` applied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from tramontane.expressions import CompiledStructure
from tramontane.lang.clauses import CLAUSES
from tramontane.lang.expression_check import may_hold_expression
from tramontane.lang.graph import Route, required_tasks
from tramontane.lang.oneline import OneLine, OneLineError, parse_command, parse_parameters
from tramontane.lang.shapes import is_whole
from tramontane.lang.spec import (
    Clause,
    OnClause,
    Policies,
    Publish,
    RetrySpec,
    Target,
    TaskSpec,
    WithItems,
)
from tramontane.lang.stored import inline_parameters
from tramontane.lang.withitems import WithItemsError, entries, parse_items
from tramontane.values import EMPTY, FrozenDict, freeze

Compile = Callable[[Any], CompiledStructure]

_NO_ROUTE = Route()
_NO_CLAUSE = OnClause()


def build_task(
    name: str,
    data: Mapping[str, Any],
    defaults: Mapping[str, Any],
    routes: Mapping[Clause, Route],
    compile: Compile,
) -> TaskSpec:
    """Return the spec of a task; never fails on what only a run can judge."""
    action, workflow = _command(data, "action"), _command(data, "workflow")
    if action is not None:
        workflow = None  # unchecked documents may have both; Mistral takes the action then
    clauses = {clause: _clause(routes.get(clause, _NO_ROUTE), compile) for clause in CLAUSES}
    inputs = data.get("input")
    extra = inline_parameters(data.get("action") or data.get("workflow")) if isinstance(inputs, str) else None

    def optional(value: Any) -> CompiledStructure | None:
        return None if value is None else compile(value)

    return TaskSpec(
        name=name,
        data=freeze(data),
        tags=text_tuple(data.get("tags")),
        action=optional(action),
        action_text=None if action is None or may_hold_expression(action) else action,
        workflow=optional(workflow),
        input=compile(inputs if inputs is not None else EMPTY),
        inline_input=compile(freeze(extra)) if extra else None,
        with_items=_with_items(data.get("with-items"), compile),
        policies=_policies(data, defaults, compile),
        publish=_map(data.get("publish")),
        publish_on_error=_map(data.get("publish-on-error")),
        publish_on_skip=_map(data.get("publish-on-skip")),
        on_success=clauses["on-success"],
        on_error=clauses["on-error"],
        on_complete=clauses["on-complete"],
        on_skip=clauses["on-skip"],
        join=_join(data.get("join")),
        requires=required_tasks(name, data, defaults) if data.get("type") == "reverse" else (),
        target=optional(data.get("target")),
        keep_result=optional(data.get("keep-result")),
        safe_rerun=optional(_own_or_default("safe-rerun", data, defaults)),
        dry_run=optional(_own_or_default("dry-run", data, defaults)),
        safe_input=optional(_own_or_default("safe-input", data, defaults)),
        async_heartbeats=optional(data.get("async-heartbeats-enabled")),
    )


def text_tuple(value: Any) -> tuple[str, ...]:
    """Return the texts of a list; nothing for anything else."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def command_name(text: Any) -> str | None:
    """Return the name in a one-line command; None without one."""
    if not isinstance(text, str) or not text:
        return None
    try:
        return parse_command(text).command
    except OneLineError:
        return text


def _command(data: Mapping[str, Any], key: str) -> str | None:
    return command_name(data.get(key))


def _map(value: Any) -> FrozenDict:
    return value if isinstance(value, FrozenDict) else EMPTY


def _own_or_default(key: str, data: Mapping[str, Any], defaults: Mapping[str, Any]) -> Any:
    own = data.get(key)
    return defaults.get(key) if own is None else own


def _join(value: Any) -> Literal["all"] | int | None:
    if value == "all":
        return "all"
    if value == "one":
        return 1
    return int(value) or None if is_whole(value) else None


def _clause(route: Route, compile: Compile) -> OnClause:
    if route is _NO_ROUTE:
        return _NO_CLAUSE
    targets = tuple(
        Target(
            item.name,
            None if item.guard is None else compile(item.guard),
            compile(freeze(item.parameters)) if item.parameters else None,
        )
        for item in route.targets
    )
    return OnClause(targets, _publish(route))


def _publish(route: Route) -> Publish | None:
    if not route.publishes:
        return None
    scopes: dict[str, dict[str, Any]] = {"branch": {}, "global": {}}
    for publish in route.publishes:
        for scope, variables in scopes.items():
            variables.update(_map(publish.get(scope)))
    return Publish(FrozenDict(scopes["branch"]), FrozenDict(scopes["global"]))


def _with_items(value: Any, compile: Compile) -> WithItems | None:
    variables: dict[str, CompiledStructure] = {}
    for text in entries(value):
        try:
            items = parse_items(text)
        except WithItemsError:
            continue
        variables[items.variable] = compile(freeze(items.values))
    return WithItems(tuple(variables.items())) if variables else None


def _policies(data: Mapping[str, Any], defaults: Mapping[str, Any], compile: Compile) -> Policies:
    def policy(key: str) -> CompiledStructure | None:
        value = _own_or_default(key, data, defaults)
        if value is None or value == 0 or value == "":
            return None  # a literal 0 or false switches off what the defaults switch on
        return compile(_whole(value))

    return Policies(
        retry=_retry(_own_or_default("retry", data, defaults), compile),
        wait_before=policy("wait-before"),
        wait_after=policy("wait-after"),
        timeout=policy("timeout"),
        pause_before=policy("pause-before"),
        concurrency=policy("concurrency"),
        fail_on=policy("fail-on"),
    )


def _whole(value: Any) -> Any:
    """``1.0`` counts as an integer in documents, not at run time."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _retry(value: Any, compile: Compile) -> RetrySpec | None:
    parts = _retry_parts(value)
    count = _whole(parts.get("count", 0))
    if count == 0:
        return None
    conditions = [parts.get(key) for key in ("break-on", "continue-on")]
    break_on, continue_on = (None if item is None else compile(item) for item in conditions)
    return RetrySpec(compile(count), compile(_whole(parts.get("delay", 0))), break_on, continue_on)


def _retry_parts(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, str):
        return value if isinstance(value, Mapping) else EMPTY
    try:
        line: OneLine = parse_parameters(value)
    except OneLineError:
        return EMPTY
    return _map(freeze(line.parameters))
