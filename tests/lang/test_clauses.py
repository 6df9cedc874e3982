"""On-clauses (section 4.3), joins (4.4) and the structure of workflows (4.5)."""

from __future__ import annotations

import pytest
from tests.lang.lab import T, W, accept, refuse, spec_of, warn
from tests.lang.test_tasks import constant

from tramontane.lang.spec import OnClause

CLAUSES = ["on-success", "on-error", "on-complete", "on-skip"]
OTHERS = "t2: {action: std.noop}\nt3: {action: std.noop}"


def clause(value: str) -> OnClause:
    return spec_of(accept(T(f"on-success: {value}", OTHERS))).tasks["t"].on_success


def names(value: str) -> list[str]:
    return [target.name for target in clause(value).targets]


@pytest.mark.spec("D109")
@pytest.mark.parametrize("attribute", CLAUSES)
def test_a_target_is_a_task_of_the_workflow_or_a_command(attribute: str) -> None:
    spec = spec_of(accept(T(f"{attribute}: t2", OTHERS)))
    assert spec.start_tasks == ("t", "t3")
    assert spec.inbound == {"t2": ("t",)}
    for command in ("noop", "fail", "succeed", "pause"):
        accept(T(f"{attribute}: {command}"))
    [problem] = refuse(T(f"{attribute}: zzz"), "Task 'zzz' not found.").problems
    assert problem.path == f"wf.tasks.t.{attribute}" and problem.line == 5


def test_the_nearest_task_is_suggested() -> None:
    refuse(T("on-success: [deplyo]", "deploy: {action: a}"), "did you mean 'deploy'?")


@pytest.mark.spec("D110", "D111", "D115", "D116", "D118", "D120", "D123", "D124", "D126", "D127")
@pytest.mark.parametrize("attribute", CLAUSES)
@pytest.mark.parametrize(
    "value",
    [
        "",
        "[]",
        "''",
        "5",
        "{}",
        "[t2, t2]",
        "[[t2]]",
        "[{t2: <% 1 %>, t3: <% 1 %>}]",
        "{t2: <% 1 %>, t3: <% 1 %>}",
        "[{t2: true}]",
        "[{t2: abc}]",
        "[{t2: x <% 1 %>}]",
        "{t2: true}",
        "{next: [], publish: {branch: {a: 1}}}",
        "{next: null}",
        "{next: 5}",
        "{publish: {}}",
        "{publish: {a: 1}}",
        "{publish: {branch: {}}}",
        "{publish: {branch: a}}",
        "{next: t2, foo: 1}",
        "{publish: {branch: {a: 1}}, t2: <% 1 %>}",
        "<% $.x %>",
        "'{{ _.x }}'",
        "fail()",
        "'fail  msg=1'",
        "t2 t3",
        "a-b x=1",
    ],
)
def test_other_shapes_are_refused(attribute: str, value: str) -> None:
    refuse(T(f"{attribute}: {value}", OTHERS), f"wf.tasks.t.{attribute}")


@pytest.mark.spec("D126")
def test_a_command_without_parameters_has_no_parentheses() -> None:
    refuse(T("on-success: fail()"), "Task 'fail()' not found.")


@pytest.mark.spec("D112", "D121")
def test_targets_come_alone_in_lists_and_under_next() -> None:
    targets = clause("[t2, {t3: <% 1 %>}]").targets
    assert [(target.name, target.guard is not None) for target in targets] == [("t2", False), ("t3", True)]
    assert names("{publish: {global: {a: 1}}, next: t2}") == ["t2"]
    assert names("{next: [t2, fail, {t3: '{{ 1 }}'}]}") == ["t2", "fail", "t3"]
    assert names("[t2, {t2: <% 1 %>}]") == ["t2", "t2"]


@pytest.mark.spec("D113")
def test_a_guarded_target_outside_a_list_is_guarded() -> None:
    spec = spec_of(accept(T("on-success: {t2: <% false %>}")))
    [target] = spec.tasks["t"].on_success.targets
    assert target.name == "t2" and target.guard is not None
    assert spec.start_tasks == ("t",)


def test_a_guarded_target_outside_a_list_is_left_out_where_it_would_refuse_the_workflow() -> None:
    upload = warn(T("on-success: {zzz: <% 1 %>}"), "left out: its task doesn't exist")
    assert spec_of(upload).tasks["t"].on_success.targets == ()
    upload = warn(T("on-success: {t: <% 1 %>}", ""), "left out: the workflow would have no start task")
    spec = spec_of(upload)
    assert spec.start_tasks == ("t",) and spec.tasks["t"].on_success.targets == ()
    warn(T("on-success: {t2: <% $. %>}"), "Parse error")


@pytest.mark.spec("D114")
def test_a_guard_under_next_is_kept() -> None:
    [target] = clause("{next: {t2: <% false %>}}").targets
    assert target.name == "t2" and target.guard is not None
    warn(T("on-success: {next: {t2: <% $. %>}}"), "Parse error")


@pytest.mark.spec("D117", "D122")
@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("[{t2: <% $. %>}]", "on-success[0].t2"),
        ("{next: [{t2: <% $. %>}]}", "on-success.next[0].t2"),
        ("{publish: {branch: {a: <% $. %>}}}", "on-success.publish.branch.a"),
    ],
)
def test_guards_and_published_expressions_are_checked(value: str, path: str) -> None:
    assert refuse(T(f"on-success: {value}"), "Parse error").problems[0].path == f"wf.tasks.t.{path}"


@pytest.mark.spec("D119")
def test_a_clause_may_only_publish() -> None:
    found = clause("{publish: {branch: {a: 1}, global: {b: <% 1 %>}}}")
    assert found.targets == ()
    assert found.publish is not None
    assert found.publish.branch == {"a": 1} and found.publish.global_ == {"b": "<% 1 %>"}


def test_the_atomic_scope_is_warned_about() -> None:
    found = spec_of(warn(T("on-success: {publish: {atomic: {a: 1}}}"), "'atomic' does nothing"))
    assert found.tasks["t"].on_success.targets == ()


@pytest.mark.spec("D125")
@pytest.mark.parametrize(
    "value", ["fail msg='a b'", "fail(msg='a b')", "{next: \"fail(msg='a b')\"}", "[\"fail msg='a b'\"]"]
)
def test_commands_have_parameters_in_two_spellings(value: str) -> None:
    quoted = value if value.startswith(("{", "[")) else f'"{value}"'
    [target] = clause(quoted).targets
    assert target.name == "fail" and constant(target.parameters) == {"msg": "a b"}


@pytest.mark.spec("D125")
@pytest.mark.parametrize(
    ("value", "message"), [("fail(msg='a')", "a"), ("pause(msg=1)", 1), ("fail(msg=<%1%>)", None)]
)
def test_parameters_in_parentheses_need_no_space(value: str, message: object) -> None:
    [target] = clause(f'"{value}"').targets
    assert target.is_command and target.parameters is not None
    if message is None:
        assert not target.parameters.constant
    else:
        assert constant(target.parameters) == {"msg": message}


def test_parameters_that_have_no_effect_are_warned_about() -> None:
    warn(T("on-success: t2 x=1"), "parameters of 't2' have no effect")
    warn(T("on-success: fail msg=abc"), "'msg=abc' has no effect")
    warn(T("on-success: fail msg=<% $. %>"), "Parse error")
    refuse(T("on-success: t2(x=1)"), "Task 't2(x=1)' not found.")


@pytest.mark.spec("D129", "D134")
def test_attributes_belong_to_one_type_of_workflow() -> None:
    refuse(T("requires: t2"), "'requires' is for reverse workflows only")
    for attribute in ("on-success: t2", "join: all", "on-skip: t2"):
        text = W(f"type: reverse\ntasks: {{t: {{{attribute}}}, t2: {{action: a}}}}")
        refuse(text, "is for direct workflows only")


def joined(join: str, others: str) -> str:
    return T(f"join: {join}", others)


TWO = "a: {on-success: t}\nb: {on-error: [t]}"


@pytest.mark.spec("D130", "D131")
def test_a_join_needs_inbound_tasks() -> None:
    assert spec_of(accept(joined("all", TWO))).tasks["t"].join == "all"
    assert spec_of(accept(joined("all", TWO))).inbound == {"t": ("a", "b")}
    assert spec_of(accept(joined("2", TWO))).tasks["t"].join == 2
    assert spec_of(accept(joined("one", TWO))).tasks["t"].join == 1
    assert spec_of(accept(joined("1.0", TWO))).tasks["t"].join == 1
    refuse(
        joined("3", TWO),
        "Not enough inbound tasks for task with 'join' [task_name=t, join=3, inbound_tasks=2]",
    )
    refuse(joined("all", "t2: {action: a}"), "No inbound tasks for task with 'join: all' [task_name=t]")
    refuse(joined("one", "t2: {action: a}"), "Not enough inbound tasks")


@pytest.mark.spec("D132")
def test_a_task_counts_once_for_a_join() -> None:
    many = "a: {on-success: t, on-error: t, on-complete: [t]}"
    accept(joined("1", many))
    refuse(joined("2", many), "inbound_tasks=1")
    accept(T("join: 2\non-success: t", "a: {on-success: t}"))


def test_all_failing_joins_are_told() -> None:
    error = refuse(W("tasks: {a: {join: all}, b: {join: 2}, c: {action: a}}"))
    assert [problem.path for problem in error.problems] == ["wf.tasks.a.join", "wf.tasks.b.join"]


@pytest.mark.spec("D133")
@pytest.mark.parametrize("value", ["'2'", "any", "-1", "true", "<% 1 %>", "null", "1.5", "[all]"])
def test_other_joins_are_refused(value: str) -> None:
    refuse(joined(value, TWO), "wf.tasks.t.join: found", "expected 'all', 'one' or a whole number")


def test_join_0_is_no_join() -> None:
    assert spec_of(warn(joined("0", TWO), "'join: 0' joins nothing")).tasks["t"].join is None


@pytest.mark.spec("D135", "D136")
def test_a_direct_workflow_has_a_start_task() -> None:
    refuse(
        W("tasks: {a: {on-success: b}, b: {on-success: a}}"),
        "Failed to find start tasks in direct workflow. There must be at least one task without inbound "
        "transition.[workflow_name=wf]",
    )
    refuse(W("tasks: {a: {on-success: a}}"), "Failed to find start tasks")
    assert spec_of(accept(W("tasks: {a: {on-success: b}, b: {on-success: b}}"))).start_tasks == ("a",)


def test_an_isolated_cycle_is_warned_about() -> None:
    text = W("tasks: {s: {action: a}, a: {on-success: b}, b: {on-success: a}}")
    warn(text, "no route from a start task leads to 'a', 'b'")


def reverse(tasks: str, more: str = "") -> str:
    return W(f"type: reverse\n{more}\ntasks: {{{tasks}}}")


@pytest.mark.spec("D137", "D138")
@pytest.mark.parametrize("value", ["[zz]", "noop", "[]", "[b, b]", "''", "[1]", "{b: 1}"])
def test_requires_names_tasks(value: str) -> None:
    refuse(reverse(f"a: {{requires: {value}}}, b: {{action: x}}"), "wf.tasks.a.requires")


@pytest.mark.spec("D137")
def test_an_unknown_requirement_is_named() -> None:
    text = reverse("a: {requires: [build, biuld]}, build: {action: x}")
    [problem] = refuse(text, "Task 'biuld' not found.", "did you mean 'build'?").problems
    assert problem.path == "wf.tasks.a.requires[1]"


@pytest.mark.spec("D139")
def test_a_task_does_not_require_itself() -> None:
    spec = spec_of(accept(reverse("a: {requires: [a, b]}, b: {requires: b}, c: {requires: a}")))
    assert {name: task.requires for name, task in spec.tasks.items()} == {"a": ("b",), "b": (), "c": ("a",)}
    assert spec.type == "reverse" and spec.start_tasks == ()


@pytest.mark.spec("D140")
def test_tasks_that_require_each_other_are_warned_about() -> None:
    warn(reverse("a: {requires: b}, b: {requires: [a]}, c: {requires: a}"), "a → b → a")
