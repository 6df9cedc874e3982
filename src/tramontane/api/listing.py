"""The parameters that all lists share, and the link to the next page (REST specification, section 5)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import orjson

from tramontane.api import times
from tramontane.api.request import unknown_parameter
from tramontane.api.values_in import (
    boolean,
    flag,
    is_uuid,
    json_object,
    positive,
    require_uuid,
    whole_number,
)
from tramontane.errors import BadRequestError
from tramontane.store.reads.fields import Field, Resource
from tramontane.store.reads.listing import OPERATORS, Condition, ListQuery, Operator, SortKey

COMMON: Final = ("limit", "marker", "sort_keys", "sort_dirs", "fields")
_LISTS: Final = ("in", "nin")
_EQUALITIES: Final = ("eq", "neq", "in", "nin")


@dataclass(frozen=True, slots=True)
class ListKind:
    """What a list endpoint takes beside the common parameters.

    ``collection`` is what the items are called in the answer, and where links to further pages point.
    ``switches`` are further boolean parameters. ``guarded`` names parameters whose use wants a rule of
    the policy. ``shown_with`` adds fields to a requested one. ``absent`` fields may be asked for and are
    left out of the items; ``computed`` ones the handler adds itself. ``without`` names fields that
    can't be filtered by here.
    """

    resource: Resource
    collection: str
    switches: tuple[str, ...] = ()
    takes_nulls: bool = False
    guarded: Mapping[str, str] = field(default_factory=dict)
    shown_with: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    computed: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    @property
    def filters(self) -> tuple[str, ...]:
        return tuple(
            item.name for item in self.resource.fields if item.is_filter and item.name not in self.without
        )

    @property
    def parameters(self) -> tuple[str, ...]:
        nulls = ("nulls",) if self.takes_nulls else ()
        return (*COMMON, "total", *self.switches, *nulls, *self.filters)


@dataclass(frozen=True, slots=True)
class ListRequest:
    """A list as asked for. ``computed`` are the requested fields that no column holds; ``link`` are the
    parameters of the next page's link between ``sort_dirs`` and ``limit``."""

    query: ListQuery
    switches: Mapping[str, bool]
    computed: tuple[str, ...]
    requested: str | None
    link: tuple[tuple[str, str], ...]
    wants_total: bool
    used: frozenset[str]


def parse(
    kind: ListKind, given: Mapping[str, str], max_limit: int, fixed: Iterable[Condition] = ()
) -> ListRequest:
    """Read the parameters of a list.

    ``fixed`` conditions come from the path; they show in the link as filters.

    Raises:
        BadRequestError: for any parameter that is unknown or can't be read.
    """
    allowed = kind.parameters
    for name in given:
        if name not in allowed:
            raise BadRequestError(unknown_parameter(name, allowed))
    switches = {name: flag(name, given[name]) for name in kind.switches if name in given}
    conditions = _conditions(kind, given)
    filtered = {condition.field.name for condition in conditions}
    nulls = tuple(item for item in _nulls(kind, given) if item.name not in filtered)
    fields, computed = _fields(kind, given.get("fields", ""), switches)
    query = ListQuery(
        fields,
        (*fixed, *conditions),
        nulls,
        sort_keys(given, "created_at", kind.resource.by_name),
        page_limit(given, max_limit),
        _marker(given),
    )
    return ListRequest(
        query,
        switches,
        computed,
        given.get("fields") or None,
        (*(_link_filter(item) for item in fixed), *_link_filters(kind, given, switches, nulls)),
        flag("total", given.get("total", "")),
        frozenset(given),
    )


def page_limit(given: Mapping[str, str], max_limit: int) -> int:
    """The size of a page: what was asked for, but never more than the server allows."""
    return min(positive_limit(given) or max_limit, max_limit)


def positive_limit(given: Mapping[str, str]) -> int | None:
    if "limit" not in given:
        return None
    limit = whole_number("limit", given["limit"])
    if limit <= 0:
        raise BadRequestError(f"Limit must be positive; it is {limit}.")
    return limit


def _marker(given: Mapping[str, str]) -> str | None:
    return require_uuid("marker", given["marker"]) if "marker" in given else None


def words(given: str) -> list[str]:
    """Split a comma list: trimmed, lower-cased, without empty and repeated items."""
    return list(dict.fromkeys(word for item in given.split(",") if (word := item.strip().lower())))


def sort_order(given: Mapping[str, str], default: str) -> list[tuple[str, bool]]:
    """Read ``sort_keys`` and ``sort_dirs`` into pairs of a key and whether it descends."""
    keys = words(given.get("sort_keys", default))
    directions = [item.strip().lower() for item in given.get("sort_dirs", "asc").split(",")]
    for direction in directions:
        if direction not in ("asc", "desc"):
            raise BadRequestError(f"Unknown sort direction '{direction}', must be 'desc' or 'asc'.")
    if len(directions) > len(keys):
        raise BadRequestError("Length of sort_keys must be equal or greater than sort_dirs.")
    directions += ["asc"] * (len(keys) - len(directions))
    return [(key, direction == "desc") for key, direction in zip(keys, directions, strict=True)]


def sort_keys(given: Mapping[str, str], default: str, fields: Mapping[str, Field]) -> tuple[SortKey, ...]:
    """The order of a list; the id comes last unless it is named, so that the order is total."""
    keys = []
    for name, descending in sort_order(given, default):
        if name not in fields:
            raise BadRequestError(f"Unknown sort key '{name}'. Known ones: {', '.join(sorted(fields))}.")
        keys.append(SortKey(fields[name], descending))
    if all(key.field.name != "id" for key in keys):
        keys.append(SortKey(fields["id"]))
    return tuple(keys)


def _fields(
    kind: ListKind, given: str, switches: Mapping[str, bool]
) -> tuple[tuple[Field, ...], tuple[str, ...]]:
    columns = kind.resource.by_name
    names = words(given)
    if not names:
        shown = kind.resource.list_fields
        if switches.get("include_output"):
            shown = tuple(item for item in kind.resource.fields if item.in_lists or item.name == "output")
        return shown, ()
    allowed = (*columns, *kind.computed, *kind.absent)
    for name in names:
        if name not in allowed:
            raise BadRequestError(f"Unknown field '{name}'. Allowed fields: {', '.join(allowed)}.")
    for name in tuple(names):
        names += [more for more in kind.shown_with.get(name, ()) if more not in names]
    ordered = ["id", *(name for name in names if name != "id")]
    return (
        tuple(columns[name] for name in ordered if name in columns),
        tuple(name for name in names if name in kind.computed),
    )


def _nulls(kind: ListKind, given: Mapping[str, str]) -> list[Field]:
    names = words(given.get("nulls", "")) if kind.takes_nulls else []
    found = []
    for name in names:
        item = kind.resource.by_name.get(name)
        if item is None or name == "id":
            raise BadRequestError(
                f"'nulls' can't name '{name}': there is no such attribute that may be null."
            )
        found.append(item)
    return found


def _conditions(kind: ListKind, given: Mapping[str, str]) -> tuple[Condition, ...]:
    filters = kind.filters
    return tuple(
        read_condition(kind.resource.by_name[name], text)
        for name, text in given.items()
        if name in filters and name not in COMMON
    )


def split_operator(given: str) -> tuple[Operator, str]:
    """Take the operator off a filter's value; without a known one it means equality."""
    prefix, colon, rest = given.partition(":")
    if colon:
        for operator in OPERATORS:
            if prefix == operator:
                return operator, rest
    return "eq", given


def read_condition(item: Field, given: str) -> Condition:
    """Read one filter, as ``value`` or ``operator:value``.

    Raises:
        BadRequestError: when the value isn't of the field's kind, or the operator means nothing for it.
    """
    operator, value = split_operator(given)
    if item.kind == "tags":
        return Condition(item, *_tags_condition(item.name, operator, value))
    texts = value.split(",") if operator in _LISTS else [value]
    if item.kind == "text":
        return Condition(item, operator, tuple(texts))
    allowed, convert = _READERS[item.kind]
    if operator not in allowed:
        raise BadRequestError(f"The operator '{operator}' can't be used on '{item.name}'.")
    values = [found for part in texts for found in convert(item.name, part)]
    return Condition(item, operator, tuple(values))


def _tags_condition(name: str, operator: Operator, value: str) -> tuple[Operator, tuple[str, ...]]:
    tags = tuple(tag for item in value.split(",") if (tag := item.strip()))
    match operator:
        case "eq" | "has":
            return "has", tags
        case "in":
            return "in", tags
        case "neq" | "nin":
            return "nin", tags
        case _:
            raise BadRequestError(f"The operator '{operator}' can't be used on '{name}'.")


def _read_uuid(name: str, given: str) -> tuple[str, ...]:
    """A UUID as written, and in its usual form where that differs."""
    written = given.strip()
    if not is_uuid(written):
        raise BadRequestError(f"'{name}' must be a UUID, not '{given}'.")
    plain = written.replace("-", "").lower()
    usual = f"{plain[:8]}-{plain[8:12]}-{plain[12:16]}-{plain[16:20]}-{plain[20:]}"
    return (written,) if written == usual else (written, usual)


def _read_boolean(name: str, given: str) -> tuple[bool, ...]:
    return (bool(boolean(name, given)) if given.strip() else False,)


def _read_document(name: str, given: str) -> tuple[Any, ...]:
    """A JSON object. What isn't JSON to every database, or can't be compared there, is refused."""
    document = json_object(name, given)
    try:
        json.loads(given, parse_constant=_refuse_constant)
        comparable = b"\\u0000" not in orjson.dumps(document)
    except (TypeError, ValueError):
        comparable = False
    if not comparable:
        raise BadRequestError(f"'{name}' can't be compared with this document.")
    return (document,)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


_Reader = Callable[[str, str], tuple[Any, ...]]
_READERS: Final[dict[str, tuple[tuple[str, ...], _Reader]]] = {
    "uuid": (OPERATORS, _read_uuid),
    "bool": (_EQUALITIES, _read_boolean),
    "int": (
        tuple(item for item in OPERATORS if item != "has"),
        lambda name, text: (positive(name, text),),
    ),
    "time": (
        tuple(item for item in OPERATORS if item != "has"),
        lambda name, text: (times.read(name, text),),
    ),
    "json": (("eq", "neq"), _read_document),
}


def _link_filters(
    kind: ListKind, given: Mapping[str, str], switches: Mapping[str, bool], nulls: tuple[Field, ...]
) -> list[tuple[str, str]]:
    filters = kind.filters
    pairs = [
        (name, ":".join(split_operator(text)))
        for name, text in given.items()
        if name in filters and name not in COMMON
    ]
    pairs += [(name, "true") for name, on in switches.items() if on]
    if nulls:
        pairs.append(("nulls", ",".join(item.name for item in nulls)))
    if flag("total", given.get("total", "")):
        pairs.append(("total", "true"))
    return pairs


def _link_filter(condition: Condition) -> tuple[str, str]:
    return condition.field.name, f"{condition.operator}:{','.join(map(str, condition.values))}"


def next_link(
    base_url: str,
    collection: str,
    order: Iterable[tuple[str, bool]],
    filters: Iterable[tuple[str, str]],
    limit: int,
    marker: str,
    fields: str | None,
) -> str:
    """Write the link to the following page.

    Commas stay as they are and slashes never appear in the query, since clients take the text after
    the last slash and split it by hand.
    """
    keys = list(order)
    parameters = [
        ("sort_keys", ",".join(name for name, _ in keys)),
        ("sort_dirs", ",".join("desc" if descending else "asc" for _, descending in keys)),
        *filters,
        ("limit", str(limit)),
        ("marker", marker),
    ]
    if fields:
        parameters.append(("fields", fields))
    query = "&".join(f"{name}={quote(value, safe=',:')}" for name, value in parameters)
    return f"{base_url}/v2/{collection}?{query}"
