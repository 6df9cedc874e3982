"""From what an action returns to a value that can be stored (action specification, sections 6, 15)."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any

from tramontane.results import Result
from tramontane.values import FrozenDict, FrozenList, UnstorableValueError, freeze

_DEEPEST_OBJECT = 3
_NEVER_DATA = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType)


def storable_result(outcome: Any) -> Result:
    """Make a :class:`Result` with frozen content of anything that ``run`` returned.

    Results of other kinds (that of Mistral's own library) are known by their three attributes.

    Raises:
        UnstorableValueError: when the data or the error has no JSON form.
    """
    if isinstance(outcome, Result) or all(hasattr(outcome, name) for name in ("data", "error", "cancel")):
        return Result(storable(outcome.data), storable(outcome.error), bool(outcome.cancel))
    return Result(storable(outcome))


def storable(value: Any) -> Any:
    """Freeze ``value``; unlike :func:`tramontane.values.freeze` it also takes plain objects.

    An object becomes the map of its attributes, three objects deep (null beyond); bytes must be
    UTF-8 text.

    Raises:
        UnstorableValueError: for anything else that has no JSON form.
    """
    try:
        return freeze(_plain(value, _DEEPEST_OBJECT))
    except UnicodeDecodeError as error:
        raise UnstorableValueError(
            f"the result holds bytes that are no UTF-8 text ({error.reason})"
        ) from None
    except RecursionError:
        raise UnstorableValueError("the result is nested too deeply or contains itself") from None


def _plain(value: Any, objects_left: int) -> Any:
    kind = type(value)
    if kind in (str, int, float, bool, type(None), FrozenDict, FrozenList):
        return value
    if isinstance(value, Mapping):
        return {name: _plain(item, objects_left) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, objects_left) for item in value]
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode()
    if isinstance(value, _NEVER_DATA) or hasattr(value, "__iter__") or not hasattr(value, "__dict__"):
        return value
    if objects_left == 0:
        return None
    return {
        name: _plain(item, objects_left - 1) for name, item in vars(value).items() if not name.startswith("_")
    }
