"""Spans of time, and values compared."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tramontane.testing.durations import seconds_of, span_text
from tramontane.testing.matching import contains, differences, narrowed, same

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (0, 0),
        (90, 90),
        (1.5, 1.5),
        ("90s", 90),
        ("1h30m", 5400),
        ("2d", 172800),
        ("500ms", 0.5),
        ("1 h 5 m", 3900),
    ],
)
def test_spans_are_seconds_or_texts_with_units(given: Any, seconds: float) -> None:
    assert seconds_of(given) == seconds


@pytest.mark.parametrize("given", ["", "5", "h", "5 parsecs", "1h soon", -1, True, None, [], float("inf")])
def test_anything_else_is_no_span(given: Any) -> None:
    assert seconds_of(given) is None


@given(st.integers(0, 10**7))
def test_a_written_span_reads_back(seconds: int) -> None:
    assert seconds_of(span_text(seconds)) == seconds


@given(JSON)
def test_a_value_is_the_same_as_itself_and_contains_itself(value: Any) -> None:
    assert same(value, value) and contains(value, value)
    assert list(differences(value, value)) in ([], ["  …"])


@given(JSON, JSON)
def test_what_is_the_same_is_contained_and_what_differs_shows_a_difference(left: Any, right: Any) -> None:
    if same(left, right):
        assert contains(left, right)
    else:
        assert any(line[0] in "-+" for line in differences(left, right))


def test_true_is_no_number() -> None:
    assert not same(True, 1) and not same(0, False) and same(1, 1.0)
    assert not same([True], [1])


def test_a_map_contains_what_is_expected_of_it_at_any_depth() -> None:
    actual = {"a": {"b": 1, "c": 2}, "d": [{"e": 1, "f": 2}]}
    assert contains({"a": {"b": 1}, "d": [{"e": 1}]}, actual)
    assert not contains({"d": []}, actual)
    assert not contains({"a": {"x": None}}, actual)
    assert narrowed({"a": {"b": 7}}, actual) == {"a": {"b": 1}}
