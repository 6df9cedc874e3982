"""Frozen values: freezing keeps the meaning, and frozen values mix with what expressions build."""

from __future__ import annotations

import copy
import datetime as dt
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yaql.language.utils import FrozenDict as YaqlMap

from tramontane.values import (
    FrozenDict,
    FrozenList,
    UnstorableValueError,
    decode,
    encode,
    freeze,
    size_of,
)

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def _tuples(value: Any) -> Any:
    """Write a value with the containers that YAQL builds."""
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    if isinstance(value, dict):
        return YaqlMap({name: _tuples(item) for name, item in value.items()})
    return value


@given(_json)
def test_a_frozen_value_equals_what_was_frozen_and_is_frozen_already(value: Any) -> None:
    frozen = freeze(value)

    assert frozen == value
    assert freeze(frozen) is frozen


@given(_json)
def test_encoding_and_decoding_gives_the_value_back(value: Any) -> None:
    frozen = freeze(value)

    assert decode(encode(frozen)) == frozen
    assert json.loads(encode(frozen)) == value


@given(_json)
def test_a_frozen_value_is_equal_to_its_twin_made_of_tuples_and_hashes_the_same(value: Any) -> None:
    frozen, twin = freeze(value), _tuples(value)

    assert frozen == twin
    assert twin == frozen
    assert (frozen != twin) is False
    assert hash(frozen) == hash(twin)
    assert freeze(twin) == frozen


@given(_json)
def test_the_size_grows_with_the_json_text(value: Any) -> None:
    assert size_of(freeze(value)) > 0
    assert size_of(freeze([value, "x" * 100])) >= size_of(freeze(value)) + 100


@given(_json)
def test_copies_of_frozen_values_are_the_same_objects_and_pickles_are_equal(value: Any) -> None:
    frozen = freeze([value])

    assert copy.deepcopy(frozen) is frozen
    assert pickle.loads(pickle.dumps(frozen)) == frozen


def test_nothing_changes_a_frozen_value() -> None:
    mapping, sequence = freeze({"a": 1}), freeze([1])
    changes: tuple[Callable[[], Any], ...] = (
        lambda: mapping.update(b=2),
        lambda: mapping.pop("a"),
        lambda: mapping.__setitem__("a", 2),
        lambda: mapping.__ior__({"b": 1}),
        lambda: sequence.append(2),
        lambda: sequence.sort(),
        lambda: sequence.__setitem__(0, 2),
        lambda: sequence.__iadd__([2]),
    )
    for change in changes:
        with pytest.raises(TypeError, match="read-only"):
            change()

    assert (mapping, sequence) == ({"a": 1}, [1])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({2: "a", None: "b", True: "c", 1.5: "d"}, {"2": "a", "true": "c", "null": "b", "1.5": "d"}),
        ((1, (2,)), [1, [2]]),
        ({3, 1, 2}, [1, 2, 3]),
        (dt.datetime(2020, 1, 2, tzinfo=dt.UTC), "2020-01-02T00:00:00+00:00"),
        (dt.date(2020, 1, 2), "2020-01-02"),
        (dt.timedelta(hours=1), 3600.0),
        (b"bytes", "bytes"),
        (range(2), [0, 1]),
        (iter([1]), [1]),
    ],
)
def test_other_types_become_json(value: Any, expected: Any) -> None:
    frozen = freeze(value)

    assert frozen == expected
    assert type(frozen) in (FrozenDict, FrozenList, str, float)


@pytest.mark.parametrize("value", [print, object(), int, {(1, 2): 3}, {object(): 1}])
def test_what_has_no_json_form_is_refused(value: Any) -> None:
    with pytest.raises(UnstorableValueError):
        freeze(value)


def test_huge_integers_have_a_size_and_a_text() -> None:
    huge = 2**10_000

    assert decode(encode(huge)) == huge
    assert 3_000 < size_of(huge) < 3_100
