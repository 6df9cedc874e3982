"""Laws of data on routes (runtime specification, sections 3.2 to 3.4), against a naive model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tramontane.core.context import EMPTY_CONTEXT, Context, _Merger, merge_all, overlay_all
from tramontane.values import FrozenDict, deep_merge, freeze

names = st.sampled_from("abc")
values = st.recursive(
    st.integers(0, 5) | st.just([]) | st.just({}),
    lambda inner: st.dictionaries(names, inner, max_size=3),
    max_leaves=4,
).map(freeze)
publishes = st.dictionaries(names, values, min_size=1, max_size=3).map(freeze)
routes = st.lists(publishes, max_size=12)


class Naive:
    """A route as data and one counter per leaf path, both copied at every step."""

    def __init__(self, data: Any = None, counters: dict[tuple[str, ...], int] | None = None) -> None:
        self.data: dict[str, Any] = dict(data or {})
        self.counters = dict(counters or {})

    def publish(self, variables: Mapping[str, Any]) -> Naive:
        after = Naive({**self.data, **variables}, self.counters)
        for path in leaves(variables):
            after.counters[path] = after.counters.get(path, 0) + 1
        return after

    def merge(self, other: Naive) -> Naive:
        data = self._merged(self.data, other.data, other, ())
        paths = {*self.counters, *other.counters}
        counters = {path: max(self.counters.get(path, 0), other.counters.get(path, 0)) for path in paths}
        return Naive(data, counters)

    def _merged(self, left: Any, right: Any, other: Naive, path: tuple[str, ...]) -> Any:
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            merged = dict(left)
            for name, item in right.items():
                merged[name] = self._merged(left[name], item, other, (*path, name)) if name in left else item
            return merged
        return right if other.counters.get(path, 0) > self.counters.get(path, 0) else left


def leaves(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(value, Mapping):
        return [path]
    return [leaf for name, item in value.items() for leaf in leaves(item, (*path, name))]


def along(route: list[FrozenDict], start: Context = EMPTY_CONTEXT) -> Context:
    for variables in route:
        start = start.publish(variables)
    return start


def naively(route: list[FrozenDict], start: Naive | None = None) -> Naive:
    start = start or Naive()
    for variables in route:
        start = start.publish(variables)
    return start


@given(routes)
def test_a_route_holds_what_was_published_last(route: list[FrozenDict]) -> None:
    assert along(route).to_dict() == naively(route).data


@given(routes, routes, routes, routes)
def test_routes_merge_as_the_model_says(
    common: list[FrozenDict], left: list[FrozenDict], right: list[FrozenDict], after: list[FrozenDict]
) -> None:
    start, naive_start = along(common), naively(common)
    merged = along(after, along(left, start).merge(along(right, start)))
    naive = naively(after, naively(left, naive_start).merge(naively(right, naive_start)))
    assert merged.to_dict() == naive.data
    again = merged.merge(along(right, start))
    assert again.to_dict() == naive.merge(naively(right, naive_start)).data


@given(routes, routes)
def test_a_route_merged_with_where_it_came_from_stays_as_it_is(
    common: list[FrozenDict], route: list[FrozenDict]
) -> None:
    start = along(common)
    end = along(route, start)
    assert end.merge(end).to_dict() == end.to_dict()
    assert end.merge(EMPTY_CONTEXT).to_dict() == end.to_dict()
    assert EMPTY_CONTEXT.merge(end).to_dict() == end.to_dict()


@given(st.lists(routes, min_size=1, max_size=4))
def test_several_routes_merge_into_the_last_one(many: list[list[FrozenDict]]) -> None:
    expected = naively(many[-1])
    for route in many[:-1]:
        expected = expected.merge(naively(route))
    assert merge_all([along(route) for route in many]).to_dict() == expected.data


steps = st.lists(
    st.tuples(st.lists(st.integers(0, 30), min_size=1, max_size=4), st.lists(publishes, max_size=2)),
    max_size=12,
)


@given(steps)
def test_routes_that_part_and_meet_again_and_again_merge_as_the_model_says(
    steps: list[tuple[list[int], list[FrozenDict]]],
) -> None:
    known = [(EMPTY_CONTEXT, Naive())]
    for chosen, further in steps:
        parents = [known[number % len(known)] for number in chosen]
        merged = merge_all([context for context, _ in parents])
        naive = parents[-1][1]
        for _, other in parents[:-1]:
            naive = naive.merge(other)
        known.append((along(further, merged), naively(further, naive)))
        assert known[-1][0].to_dict() == known[-1][1].data


def test_a_join_costs_what_changed_since_its_routes_parted(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = EMPTY_CONTEXT.publish({f"x{number}": number for number in range(1000)})
    routes = [wide.publish({f"y{number}": 1, "x7": number}) for number in range(100)]
    compared: list[str] = []
    compare = _Merger._compare

    def noted(merger: _Merger, context: Context, names: Sequence[str]) -> None:
        compared.extend(names)
        compare(merger, context, names)

    monkeypatch.setattr(_Merger, "_compare", noted)
    merged = merge_all(routes)
    assert len(merged) == 1100
    assert len(compared) < 10 * len(routes)


@given(routes, routes)
def test_variables_of_one_side_alone_are_taken(left: list[FrozenDict], right: list[FrozenDict]) -> None:
    merged = along(left).merge(along(right)).to_dict()
    assert set(merged) == set(along(left)) | set(along(right))


@given(routes)
def test_reading_a_context_is_reading_a_map(route: list[FrozenDict]) -> None:
    context = along(route)
    assert {name: context.get(name) for name in context} == context.to_dict()
    assert len(context) == len(context.to_dict())
    assert context.get("nope", 7) == 7


@given(routes, routes)
def test_publishing_leaves_the_older_context_alone(
    route: list[FrozenDict], further: list[FrozenDict]
) -> None:
    context = along(route)
    before = context.to_dict()
    along(further, context).merge(along(further))
    assert context.to_dict() == before


@given(routes)
def test_merging_strategy_merge_keeps_what_maps_held(route: list[FrozenDict]) -> None:
    context = EMPTY_CONTEXT
    expected = FrozenDict()
    for variables in route:
        context = context.publish(variables, deep=True)
        expected = deep_merge(expected, variables)
    assert context.to_dict() == expected


@given(st.lists(st.tuples(routes, publishes), max_size=3))
def test_without_counters_later_routes_and_then_the_parents_publishes_win(
    ends: list[tuple[list[FrozenDict], FrozenDict]],
) -> None:
    expected = FrozenDict()
    outbound = [along([*route, last]) for route, last in ends]
    for context in outbound:
        expected = deep_merge(expected, context.to_dict())
    for _, last in ends:
        expected = deep_merge(expected, last)
    assert overlay_all(outbound, [last for _, last in ends]).to_dict() == expected
