"""What is drawn of a workflow."""

from __future__ import annotations

import pytest
from tests.drawing.lab import EVERYTHING, arrows, picture

from tramontane.drawing.picture import MAX_GUARD, Node, bare_expression, shortened


def nodes(text: str) -> dict[str, Node]:
    return {node.name: node for node in picture(text).nodes}


def test_tasks_stand_in_the_order_of_the_document_and_starts_are_marked() -> None:
    drawn = picture("wf: {tasks: {b: {on-success: a}, a: {}, c: {}}}")
    assert [(node.name, node.is_start) for node in drawn.nodes] == [("b", True), ("a", False), ("c", True)]
    assert drawn.title == "wf"


def test_a_task_tells_its_action_or_sub_workflow() -> None:
    found = nodes(
        "wf: {tasks: {a: {action: std.echo output=1}, b: {workflow: o x=1}, c: {}, d: {action: <% $.x %>}}}"
    )
    assert {name: (node.kind, node.does) for name, node in found.items()} == {
        "a": ("action", "std.echo"),
        "b": ("workflow", "o"),
        "c": ("action", "std.noop"),
        "d": ("action", "$.x"),
    }


def test_joins_loops_and_policies_are_marked() -> None:
    found = nodes(
        """
        wf:
          task-defaults: {timeout: 7}
          tasks:
            a: {on-success: j}
            j:
              join: all
              with-items: ['x in [1]', 'y in [2]']
              retry: {count: 1, delay: 1}
              wait-before: <% 1 %>
              pause-before: true
            endless: {timeout: 0}
        """
    )
    assert found["j"].marks == (
        "join all",
        "each x",
        "each y",
        "retry",
        "wait",
        "timeout 7 s",
        "pause before",
    )
    assert found["j"].is_join
    assert found["j"].is_repeated
    assert found["endless"].marks == ()


def test_edges_tell_clause_and_condition() -> None:
    drawn = picture(
        """
        wf:
          tasks:
            a: {on-success: [b, {c: <% $.x  =  1 %>}], on-error: c, on-complete: c, on-skip: b}
            b: {}
            c: {}
        """
    )
    assert arrows(drawn) == [
        "a on-success b",
        "a on-success c [$.x = 1]",
        "a on-error c",
        "a on-complete c",
        "a on-skip b",
    ]
    assert drawn.edge_kinds == ("on-success", "on-error", "on-complete", "on-skip")


def test_each_task_has_its_own_commands_and_equal_ones_are_one() -> None:
    drawn = picture(
        """
        wf:
          tasks:
            a: {on-success: fail, on-error: [fail, fail(msg='no')]}
            b: {on-error: [fail, noop]}
        """
    )
    commands = [(node.name, node.does) for node in drawn.nodes if node.is_command]
    assert commands == [("fail", ""), ("fail", "no"), ("fail", ""), ("noop", "")]
    assert len({edge.target for edge in drawn.edges}) == 4


def test_a_reverse_workflow_is_drawn_in_the_order_in_which_things_happen() -> None:
    drawn = picture("wf: {type: reverse, tasks: {b: {requires: a}, a: {}, c: {requires: [a, b]}}}")
    assert arrows(drawn) == ["a requires b", "a requires c", "b requires c"]
    assert drawn.is_reverse
    assert not any(node.is_start for node in drawn.nodes)


def test_few_tasks_have_their_own_arrows_for_a_default_transition() -> None:
    drawn = picture("wf: {task-defaults: {on-error: h}, tasks: {a: {}, b: {on-error: fail}, h: {}}}")
    assert arrows(drawn) == ["a on-error h", "b on-error fail"]


def test_many_tasks_share_one_arrow_for_a_default_transition() -> None:
    tasks = ", ".join(f"t{number}: {{}}" for number in range(6))
    drawn = picture(f"wf: {{task-defaults: {{on-error: [h, fail]}}, tasks: {{{tasks}, h: {{}}}}}}")
    assert arrows(drawn) == ["every task on-error h", "every task on-error fail"]
    own = picture(
        f"wf: {{task-defaults: {{on-error: h}}, tasks: {{{tasks}, h: {{}}, o: {{on-error: noop}}}}}}"
    )
    [others] = [node for node in own.nodes if node.kind == "others"]
    assert others.does == ""
    tasks += ", p: {on-error: h}"
    more = picture(
        f"wf: {{task-defaults: {{on-error: h}}, tasks: {{{tasks}, h: {{}}, o: {{on-error: noop}}}}}}"
    )
    [others] = [node for node in more.nodes if node.kind == "others"]
    assert others.does == "without its own on-error"


def test_a_guarded_target_without_a_list_is_drawn_as_it_runs() -> None:
    assert arrows(picture("wf: {tasks: {a: {on-success: {b: <% $.x %>}}, b: {}}}")) == [
        "a on-success b [$.x]"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<% $.a %>", "$.a"),
        ("{{ _.a\n  == 1 }} ", "_.a == 1"),
        ("<% $.a %> and <% $.b %>", "<% $.a %> and <% $.b %>"),
        ("plain", "plain"),
        ("", ""),
    ],
)
def test_a_condition_is_shown_without_its_delimiters(text: str, expected: str) -> None:
    assert bare_expression(text) == expected


def test_a_long_condition_is_cut_in_its_label_only() -> None:
    long = "$.a = " + "x" * 100
    drawn = picture(f"wf: {{tasks: {{a: {{on-success: [{{b: <% {long} %>}}]}}, b: {{}}}}}}")
    assert drawn.edges[0].guard == long
    assert len(drawn.edges[0].label) == MAX_GUARD
    assert drawn.edges[0].label.endswith("…")
    assert shortened("a  b", 3) == "a b"


def test_everything_is_in_the_picture_of_everything() -> None:
    drawn = picture(EVERYTHING)
    assert {node.kind for node in drawn.nodes} == {
        "action",
        "workflow",
        "others",
        "noop",
        "fail",
        "succeed",
        "pause",
    }
    assert drawn.edge_kinds == ("on-success", "on-error", "on-complete", "on-skip")
