"""The list of actions: installed, ad-hoc and dynamic ones and those of workers together (REST
specification, section 5.7).

It is merged, filtered and sorted here, since installed actions are no rows. Unlike other lists it is
never cut unless a limit is asked for, and its marker may be a name.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import orjson
from starlette.responses import Response

from tramontane.actions.registry import Descriptor
from tramontane.api import times
from tramontane.api.context import Api
from tramontane.api.encoding import page
from tramontane.api.kinds import ACTION_LIST
from tramontane.api.listing import (
    next_link,
    positive_limit,
    read_condition,
    sort_order,
    split_operator,
)
from tramontane.api.request import Request, unknown_parameter
from tramontane.api.values_in import flag
from tramontane.auth import Caller
from tramontane.errors import BadRequestError
from tramontane.service.code import Listed
from tramontane.store.reads.listing import Condition, ListQuery
from tramontane.store.reads.objects import Row, read_page
from tramontane.store.reads.resources import ACTIONS, CODE_ACTIONS
from tramontane.store.tenancy import PRIVATE, PUBLIC

Action = dict[str, Any]
"""An action as it is listed; times are still in microseconds."""

_FILTERS: Final = ACTION_LIST.filters
_PARAMETERS: Final = ACTION_LIST.parameters
_LACKED: Final = {
    "installed": ("scope", "created_at", "updated_at"),
    "dynamic": ("created_at", "updated_at"),
    "worker": ("created_at", "updated_at"),
}
"""What actions of a kind don't have: filters by it leave them in."""

_SCOPED: Final = ("project_id", "scope", "namespace")
_SECOND: Final = 1_000_000


def installed(descriptor: Descriptor) -> Action:
    return {
        "kind": "installed",
        "id": descriptor.name,
        "name": descriptor.name,
        "is_system": True,
        "input": descriptor.input_text,
        "description": descriptor.description,
        "tags": None,
        "definition": "",
        "scope": None,
        "project_id": None,
        "created_at": None,
        "updated_at": None,
        "namespace": "",
    }


def installed_data(descriptor: Descriptor) -> Action:
    """An installed action as clients see it: it has no times, which show as empty texts."""
    return _data(installed(descriptor))


def stored(row: Row) -> Action:
    action = dict(zip((item.name for item in ACTIONS.fields), row, strict=True))
    action["kind"] = "ad-hoc"
    action["is_system"] = bool(action["is_system"])
    action["input"] = action["input"] or ""
    action["tags"] = [] if action["tags"] is None else orjson.loads(action["tags"])
    return action


def stored_data(row: Row) -> Action:
    """A stored action as clients see it."""
    return _data(stored(row))


async def dynamic(api: Api, rows: Sequence[Row]) -> list[Action]:
    """Dynamic actions, with what their code says of them."""
    listed = [Listed(*row[:5]) for row in rows]
    described = await api.services.dynamic_actions.described(listed)
    return [
        {
            "kind": "dynamic",
            "id": action.title,
            "name": action.title,
            "is_system": False,
            "input": action.signature.text,
            "description": action.description,
            "tags": None,
            "definition": "",
            "created_at": None,
            "updated_at": None,
            **dict(zip(_SCOPED, row[5:8], strict=True)),
        }
        for action, row in zip(described, rows, strict=True)
    ]


async def brought(api: Api, caller: Caller, names: Collection[str]) -> list[Action]:
    """Actions that workers bring, but for those of ``names``: what is defined or installed comes first."""
    return [
        {
            "kind": "worker",
            "id": action.name,
            "name": action.name,
            "is_system": False,
            "input": action.signature.text,
            "description": None,
            "tags": None,
            "definition": "",
            "scope": PRIVATE if action.project_id else PUBLIC,
            "project_id": action.project_id or None,
            "created_at": None,
            "updated_at": None,
            "namespace": "",
        }
        for action in await api.services.brought.all(caller)
        if action.name not in names
    ]


async def brought_data(api: Api, caller: Caller, name: str) -> Action | None:
    """The action of this name that workers bring, as clients see it: for the caller's project, or for all."""
    found = [action for action in await brought(api, caller, ()) if action["name"] == name]
    found.sort(key=lambda action: (action["project_id"] != caller.project_id, action["project_id"] or ""))
    return _data(found[0]) if found else None


async def dynamic_data(api: Api, row: Row) -> Action:
    """A dynamic action as clients see it: its times show as empty texts here."""
    return _data((await dynamic(api, [row]))[0])


def _data(action: Action) -> Action:
    shown = {name: value for name, value in action.items() if name != "kind"}
    if action["kind"] == "ad-hoc":
        shown["created_at"] = times.shown(action["created_at"])
        shown["updated_at"] = times.shown(action["updated_at"])
    else:
        shown["created_at"] = shown["updated_at"] = ""
    return shown


async def action_page(api: Api, request: Request) -> Response:
    """Answer a request for the list of actions."""
    given = request.query
    for name in given:
        if name not in _PARAMETERS:
            raise BadRequestError(unknown_parameter(name, _PARAMETERS))
    limit = positive_limit(given)
    order = _order(given)
    conditions = [read_condition(ACTIONS.by_name[name], given[name]) for name in _FILTERS if name in given]
    if "namespace" not in given:
        conditions.append(Condition(ACTIONS.by_name["namespace"], "eq", ("",)))
    found = await read_page(api.reader, ACTIONS, ListQuery(ACTIONS.fields), request.caller)
    uploaded = await read_page(api.reader, CODE_ACTIONS, ListQuery(CODE_ACTIONS.fields), request.caller)
    actions = [
        *(installed(item) for item in api.services.registry.all()),
        *(stored(row) for row in found.rows),
        *await dynamic(api, uploaded.rows),
    ]
    actions += await brought(api, request.caller, {action["name"] for action in actions})
    matching = [action for action in actions if all(_matches(item, action) for item in conditions)]
    for name, descending in reversed(order):
        matching.sort(key=lambda action, key=name: _sort_value(action[key]), reverse=descending)  # type: ignore[misc]
    total = len(matching) if flag("total", given.get("total", "")) else None
    shown = _after(matching, given.get("marker"))[:limit]
    link = None
    if limit is not None and len(shown) == limit:
        filters = [(name, ":".join(split_operator(given[name]))) for name in _FILTERS if name in given]
        link = next_link(
            request.base_url, "actions", order, filters, limit, shown[-1]["id"], given.get("fields") or None
        )
    return page("actions", [_data(action) for action in shown], link, total)


def _order(given: Mapping[str, str]) -> list[tuple[str, bool]]:
    order = sort_order(given, "name")
    known = ACTIONS.by_name
    for name, _ in order:
        if name not in known:
            raise BadRequestError(f"Unknown sort key '{name}'. Known ones: {', '.join(sorted(known))}.")
    return order if any(name == "id" for name, _ in order) else [*order, ("id", False)]


def _sort_value(value: Any) -> tuple[bool, Any]:
    """What an action lacks sorts as the lowest value."""
    return (False, "") if value is None else (True, value)


def _after(actions: list[Action], marker: str | None) -> list[Action]:
    """What follows the action with this id or name; everything if there is none."""
    if marker is not None:
        for key in ("id", "name"):
            for place, action in enumerate(actions):
                if action[key] == marker:
                    return actions[place + 1 :]
    return actions


def _matches(condition: Condition, action: Action) -> bool:
    """Apply a filter. Of installed actions those attributes are filtered by that they have."""
    value = action[condition.field.name]
    if condition.field.name in _LACKED.get(action["kind"], ()):
        return True
    if condition.field.kind == "tags":
        return _tags_match(condition.operator, value or (), condition.values)
    if value is None:
        return False
    wanted = condition.values
    if condition.field.kind == "time":
        # Whole seconds are compared, which is all that clients see; a fraction equals no second.
        value -= value % _SECOND
    match condition.operator:
        case "eq" | "in":
            return value in wanted
        case "neq" | "nin":
            return value not in wanted
        case "has":
            return str(wanted[0]) in str(value)
        case _:
            return _COMPARISONS[condition.operator](value, wanted[0])


def _tags_match(how: str, tags: Iterable[str], wanted: tuple[str, ...]) -> bool:
    shared = set(tags).intersection(wanted)
    if how == "has":
        return len(shared) == len(set(wanted))
    return bool(shared) if how == "in" else not shared


_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
