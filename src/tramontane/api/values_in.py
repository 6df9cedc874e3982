"""Values of requests: JSON bodies and URL parameters, checked and converted.

Source: REST specification, section 4.1.
"""

# ruff: noqa: ARG001 (converters have one signature)
from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from tramontane import values
from tramontane.api.media import json_type
from tramontane.errors import BadRequestError

T = TypeVar("T", covariant=True)

Converter = Callable[[str, Any], Any]
"""Takes a name (for messages) and a decoded JSON value; gives the value to work with or raises."""


@dataclass(frozen=True)
class Taking(Generic[T]):
    """A converter that says in JSON Schema what it takes; None: nothing, whatever the value."""

    convert: Callable[[str, Any], T]
    schema: Mapping[str, Any] | None = field(default_factory=dict)

    def __call__(self, name: str, value: Any) -> T:
        return self.convert(name, value)


def taking(schema: Mapping[str, Any] | None) -> Callable[[Callable[[str, Any], T]], Taking[T]]:
    """Decorate a converter with the schema of what it takes."""
    return lambda convert: Taking(convert, schema)


def schema_of(converter: Converter) -> Mapping[str, Any] | None:
    """Give the schema of what a converter takes; any value if it doesn't say."""
    return converter.schema if isinstance(converter, Taking) else {}


_LARGEST = 2**31 - 1  # of what the databases call an integer
_TRUE = frozenset({"true", "1", "t", "y", "yes", "on"})
_FALSE = frozenset({"false", "0", "f", "n", "no", "off"})


@taking({"type": ["string", "null"]})
def text(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        if "\0" in value:
            raise BadRequestError(f"'{name}' must not contain the character NUL.")
        return value
    raise BadRequestError(f"'{name}' must be a text, not {json_type(value)}.")


def short_text(limit: int) -> Converter:
    """A text of at most ``limit`` characters."""

    @taking({"type": ["string", "null"], "maxLength": limit})
    def convert(name: str, value: Any) -> str | None:
        taken = text(name, value)
        if taken is not None and len(taken) > limit:
            raise BadRequestError(f"'{name}' has {len(taken)} characters; at most {limit} are allowed.")
        return taken

    return convert


@taking({"anyOf": [{"type": ["boolean", "null"]}, {"enum": sorted(_TRUE | _FALSE)}]})
def boolean(name: str, value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        word = value.strip().lower()
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
    raise BadRequestError(f"'{name}' must be true or false, not {value!r}.")


def flag(name: str, given: str) -> bool:
    """A boolean of the URL; the empty text is false."""
    return bool(boolean(name, given)) if given.strip() else False


@taking({"anyOf": [{"type": "integer", "minimum": 1, "maximum": _LARGEST}, {"type": ["string", "null"]}]})
def positive(name: str, value: Any) -> int | None:
    """A whole number from 1 on, or a text of its digits."""
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(_LARGEST)):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _LARGEST:
        raise BadRequestError(f"'{name}' must be a whole number from 1 to {_LARGEST}, not {value!r}.")
    return value


@taking({"type": ["object", "string", "null"]})
def json_object(name: str, value: Any) -> values.FrozenDict | None:
    """An object, or a text that holds one (which is what clients send)."""
    if value is None:
        return None
    if isinstance(value, str):
        value = _decoded(name, value)
    if not isinstance(value, dict):
        raise BadRequestError(
            f"'{name}' must be a JSON object or a text that holds one, not {json_type(value)}."
        )
    frozen: values.FrozenDict = values.freeze(value)
    return frozen


def json_value(name: str, value: Any) -> Any:
    """Any JSON value, itself or as JSON text."""
    return _decoded(name, value) if isinstance(value, str) else values.freeze(value)


def _decoded(name: str, given: str) -> Any:
    try:
        return values.decode(given)
    except ValueError as error:
        raise BadRequestError(f"'{name}' isn't valid JSON: {error}.") from None


def one_of(*allowed: str) -> Converter:
    @taking({"enum": [*allowed, None]})
    def convert(name: str, value: Any) -> str | None:
        if value is None or (isinstance(value, str) and value in allowed):
            return value
        raise BadRequestError(f"'{name}' must be one of {', '.join(allowed)}, not {value!r}.")

    return convert


def anything(name: str, value: Any) -> Any:
    """For keys that are known but mean nothing in a request."""
    return value


@taking(None)
def read_only(name: str, value: Any) -> Any:
    raise BadRequestError(f"'{name}' can't be set; it is read-only.")


def checked(body: Mapping[str, Any], model: Mapping[str, Converter]) -> dict[str, Any]:
    """Convert the keys of ``body``; absent ones stay absent.

    Raises:
        BadRequestError: for a key that ``model`` doesn't name, or a value that doesn't fit.
    """
    taken = {}
    for name, value in body.items():
        convert = model.get(name)
        if convert is None:
            raise BadRequestError(f"Unknown attribute '{name}'. Known ones: {', '.join(sorted(model))}.")
        taken[name] = convert(name, value)
    return taken


def whole_number(name: str, given: str) -> int:
    """An integer of the URL."""
    try:
        return int(given)
    except ValueError:
        raise BadRequestError(f"'{name}' must be a whole number, not '{given}'.") from None


def require_uuid(name: str, given: str) -> str:
    """Check that a text has the form of a UUID, with or without dashes; it is given back as it is."""
    if not is_uuid(given):
        raise BadRequestError(f"'{name}' must be a UUID, not '{given}'.")
    return given


def is_uuid(given: str) -> bool:
    if len(given) not in (32, 36):
        return False
    try:
        return uuid.UUID(given).hex == given.replace("-", "").lower()
    except ValueError:
        return False
