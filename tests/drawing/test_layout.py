"""Places of boxes and ways of edges: properties that every drawing has."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tramontane.drawing.layers import TooLargeError, crossings, find_layers
from tramontane.drawing.layout import Layout, Size, lay_out, spread


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Size], list[tuple[int, int]], list[Size | None]]:
    count = draw(st.integers(1, 14))
    node = st.integers(0, count - 1)
    edges = draw(st.lists(st.tuples(node, node), max_size=24))
    sizes = draw(st.lists(st.tuples(st.floats(30, 200), st.floats(20, 70)), min_size=count, max_size=count))
    label = st.none() | st.tuples(st.floats(10, 150), st.just(14.0))
    labels = draw(st.lists(label, min_size=len(edges), max_size=len(edges)))
    return sizes, edges, labels


def box(sizes: list[Size], layout: Layout, place: int) -> tuple[float, float, float, float]:
    (x, y), (width, height) = layout.centres[place], sizes[place]
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


@given(graphs())
def test_boxes_never_overlap_and_lie_inside_the_drawing(
    graph: tuple[list[Size], list[tuple[int, int]], list[Size | None]],
) -> None:
    sizes, edges, labels = graph
    layout = lay_out(sizes, edges, labels)
    boxes = [box(sizes, layout, place) for place in range(len(sizes))]
    for one, other in combinations(boxes, 2):
        apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
        assert apart
    for left, top, right, bottom in boxes:
        assert -0.01 <= left <= right <= layout.width + 0.01
        assert -0.01 <= top <= bottom <= layout.height + 0.01


@given(graphs())
def test_edges_lead_from_the_border_of_their_source_to_that_of_their_target(
    graph: tuple[list[Size], list[tuple[int, int]], list[Size | None]],
) -> None:
    sizes, edges, labels = graph
    layout = lay_out(sizes, edges, labels)
    for (source, target), route, label in zip(edges, layout.routes, labels, strict=True):
        if source == target:
            assert route.points == ()
            continue
        for place, (x, y) in ((source, route.points[0]), (target, route.points[-1])):
            left, top, right, bottom = box(sizes, layout, place)
            assert left <= x <= right
            assert y == pytest.approx(top) or y == pytest.approx(bottom)
        assert (route.label is not None) == (label is not None)
        pairs = zip(route.points[::2], route.points[1::2], strict=True)
        assert all(first[0] == second[0] for first, second in pairs)


@given(graphs())
def test_the_same_graph_gives_the_same_drawing(
    graph: tuple[list[Size], list[tuple[int, int]], list[Size | None]],
) -> None:
    assert lay_out(*graph) == lay_out(*graph)


def test_a_chain_is_a_straight_line() -> None:
    layout = lay_out([(50, 20), (120, 20), (80, 20)], [(0, 1), (1, 2)], [None, None])
    assert len({round(x, 3) for x, _ in layout.centres}) == 1
    assert [y for _, y in layout.centres] == sorted({y for _, y in layout.centres})


def test_a_node_stands_below_everything_that_leads_to_it() -> None:
    layers = find_layers(4, [(0, 1), (1, 2), (0, 2), (2, 3)], 1)
    assert layers.layer[:4] == [0, 1, 2, 3]
    assert layers.is_turned == [False] * 4


def test_an_edge_that_closes_a_cycle_points_upwards() -> None:
    layers = find_layers(3, [(0, 1), (1, 2), (2, 1)], 1)
    assert layers.is_turned == [False, False, True]
    layout = lay_out([(50, 20)] * 3, [(0, 1), (1, 2), (2, 1)], [None] * 3)
    back = layout.routes[2].points
    assert back[0][1] > back[-1][1]


def test_crossings_are_sorted_out() -> None:
    assert crossings(find_layers(6, [(0, 5), (1, 4), (2, 3)], 1)) == 0


def test_a_tangle_is_refused() -> None:
    count = 400
    chain = [(node, node + 1) for node in range(count - 1)]
    far = [(node, count - 1) for node in range(count - 2)]
    with pytest.raises(TooLargeError):
        find_layers(count, chain + far, 1)


@given(
    st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(0.1, 10), st.floats(1, 100)), min_size=1, max_size=12)
)
def test_neighbours_keep_their_order_and_distance(rows: list[tuple[float, float, float]]) -> None:
    wanted, weights, gaps = ([row[part] for row in rows] for part in range(3))
    places = spread(wanted, weights, gaps[1:])
    for left, right, gap in zip(places, places[1:], gaps[1:], strict=False):
        assert right - left >= gap - 1e-6


def test_who_has_room_stands_where_it_wants() -> None:
    assert spread([0, 100, 200], [1, 1, 1], [50, 50]) == [0, 100, 200]
    assert spread([0, 0], [1, 1], [50]) == [-25, 25]
    assert spread([0, 0], [3, 1], [40]) == [-10, 30]
