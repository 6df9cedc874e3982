"""Forks: what is taken over from an ended execution, and what runs again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from tests.core.lab import FAKES, REGISTRY, document

from tramontane.core.decide import create
from tramontane.core.decision import Decision, Key, StartRequest
from tramontane.core.fork import ForkPlan, ForkSource, plan_fork
from tramontane.core.memory import ExecutionState
from tramontane.core.state import HistoryKey
from tramontane.errors import BadRequestError, IllegalStateError, NotFoundError, TramontaneError
from tramontane.rehearsal import Run, World, fails, gives
from tramontane.rehearsal.script import Scripted
from tramontane.values import EMPTY, freeze

CHAIN = """
wf:
  input: [n: 1]
  output: {a: <% $.a %>, b: <% $.b %>, c: <% $.c %>}
  tasks:
    a: {action: job, publish: {a: <% task().result %>}, on-success: b}
    b: {action: job, publish: {b: <% task().result %>}, on-success: c}
    c: {action: job, publish: {c: [<% $.a %>, <% $.b %>, <% task().result %>]}}
"""


def ended(text: str, script: Mapping[str, Scripted] | None = None, **start: Any) -> Run:
    """Run the workflow ``wf`` to its end."""
    world = World(document(text), script=script, registry=REGISTRY, fakes=FAKES, settles=True)
    run = world.start("wf", start.pop("input", {}), **start)
    world.run()
    return run


def source_of(run: Run) -> ForkSource:
    state = run.world.states[run.id]
    return ForkSource(
        state.execution,
        run.world.specs[run.id],
        list(state.tasks.values()),
        list(state.actions.values()),
        list(state.subworkflows.values()),
        list(state.past_runs.values()),
    )


def plan(run: Run, *tasks: str, text: str | None = None) -> ForkPlan:
    """Plan a fork, under a newer definition if a text is given."""
    if text is not None:
        run.world.library.add_workflows(document(text))
    found = run.world.library.workflow("wf")
    assert found is not None
    return plan_fork(source_of(run), found.spec, tasks)


def decided(world: World, request: StartRequest) -> Decision:
    known: dict[Key, Any] = {}
    while True:
        decision = create(request, world.env(known))
        if isinstance(decision, Decision):
            return decision
        for key in decision.keys:
            assert not isinstance(key, HistoryKey), "a new execution has no history"
            known[key] = world.library.answer(key)


def fork(
    run: Run,
    *tasks: str,
    text: str | None = None,
    script: Mapping[str, Scripted] | None = None,
    input: Any = None,
    params: Any = None,
) -> Run:
    """Fork an execution in its world, and run the new one to its end."""
    world = run.world
    planned = plan(run, *tasks, text=text)
    world.script = World(script=script).script
    called = {call: world.states[call].execution for call in planned.calls}
    planned = ForkPlan(**{name: getattr(planned, name) for name in ForkPlan.__slots__} | {"called": called})
    found = world.library.workflow("wf")
    assert found is not None
    request = StartRequest(
        execution_id=f"fork-of-{run.id}",
        project_id="other",
        workflow=found,
        input=run.execution.input if input is None else freeze(input),
        params=run.execution.params if params is None else freeze(params),
        fork=planned,
    )
    decision = decided(world, request)
    new = decision.execution
    world.specs[new.id] = found.spec
    world.states[new.id] = ExecutionState(new, new.params.get("env", EMPTY))
    world._take(new.id, decision)
    world.forget(new.id)
    world.run()
    return Run(world, new.id)


def names(tasks: Any) -> list[str]:
    return [task.name for task in tasks]


def test_what_comes_before_is_taken_over_and_what_follows_runs_again() -> None:
    run = ended(CHAIN, {"a": gives(1), "b": gives(2), "c": fails("no")})
    assert run.state == "ERROR"
    planned = plan(run, "b")
    assert (names(planned.asked), names(planned.follows), names(planned.reused)) == (["b"], ["c"], ["a"])
    new = fork(run, "b", script={"b": gives(20), "c": gives(30)})
    assert (new.state, new.output) == ("SUCCESS", {"a": 1, "b": 20, "c": [1, 20, 30]})
    assert new.states() == {"a": "SUCCESS", "b": "SUCCESS", "c": "SUCCESS"}
    assert len(new.actions("a")) == len(new.actions("b")) == 1
    assert new.result("a") == 1


def test_the_new_execution_shares_no_id_with_its_source() -> None:
    run = ended(CHAIN, {"a": gives(1), "b": gives(2), "c": fails("no")})
    new = fork(run, "c", script={"c": gives(3)})
    ids = {each.id for each in [*run.all_tasks(), *new.all_tasks()]}
    assert len(ids) == 6
    assert {task.execution_id for task in new.all_tasks()} == {new.id}
    assert {task.project_id for task in new.all_tasks()} == {"other"}
    triggers = {
        entry["task_id"] for task in new.all_tasks() for entry in task.runtime_context.get("triggered_by", ())
    }
    assert triggers <= {task.id for task in new.all_tasks()}


def test_a_task_may_be_named_by_its_id() -> None:
    run = ended(CHAIN, {"a": gives(1), "b": gives(2), "c": gives(3)})
    assert names(plan(run, run.task("c").id).asked) == ["c"]


def test_a_corrected_definition_runs_from_the_task_on() -> None:
    run = ended(CHAIN, {"a": gives(1), "b": gives(2), "c": fails("no")})
    better = CHAIN.replace("<% $.b %>, <% task().result %>]", "<% $.b * 100 %>]").replace(
        "c: {action: job", "c: {action: std.noop"
    )
    planned = plan(run, "c", text=better)
    assert planned.changed == ()
    new = fork(run, "c", text=better)
    assert new.output["c"] == [1, 200]


def test_reused_tasks_that_are_defined_differently_now_are_named() -> None:
    run = ended(CHAIN, {"a": gives(1), "b": gives(2), "c": fails("no")})
    assert plan(run, "c", text=CHAIN.replace("b: {action: job", "b: {action: std.noop")).changed == ("b",)
    assert plan(
        run, "c", text=CHAIN.replace("  tasks:", "  task-defaults: {timeout: 9}\n  tasks:")
    ).changed == ("a", "b")


FORKED = """
wf:
  output: {j: <% $.get(j) %>, l: <% $.get(l) %>, r: <% $.get(r) %>}
  tasks:
    s: {action: job, on-success: [l, r]}
    l: {action: job, publish: {l: <% task().result %>}, on-success: j}
    r: {action: job, publish: {r: <% task().result %>}, on-success: j}
    j: {join: all, action: job, publish: {j: [<% $.l %>, <% $.r %>]}}
"""


def test_a_join_waits_for_the_task_that_runs_again_and_merges_what_was_taken_over() -> None:
    run = ended(FORKED, {"s": gives(), "l": gives(1), "r": gives(2), "j": gives()})
    planned = plan(run, "r")
    assert (names(planned.reused), planned.joins) == (["s", "l"], ("j",))
    new = fork(run, "r", script={"r": gives(7)})
    assert (new.state, new.output) == ("SUCCESS", {"j": [1, 7], "l": 1, "r": 7})
    assert len(new.tasks("j")) == 1


def test_a_join_that_failed_because_of_the_task_gets_another_chance() -> None:
    run = ended(FORKED, {"s": gives(), "l": gives(1), "r": fails("no"), "j": gives()})
    assert run.states()["j"] == "ERROR"
    new = fork(run, "r", script={"r": gives(7)})
    assert (new.state, new.output["j"]) == ("SUCCESS", [1, 7])


def test_a_join_behind_a_task_that_never_ran_gets_another_chance() -> None:
    text = FORKED.replace(
        "on-success: j}\n    j", "on-success: m}\n    m: {action: job, on-success: j}\n    j"
    )
    run = ended(text, {"s": gives(), "l": gives(1), "r": fails("no")})
    assert run.states()["j"] == "ERROR"
    new = fork(run, "r", script={"r": gives(7)})
    assert new.states() == dict.fromkeys("slrmj", "SUCCESS")


def test_a_join_fails_again_if_the_task_leads_elsewhere_now() -> None:
    run = ended(FORKED, {"s": gives(), "l": gives(1), "r": gives(2), "j": gives()})
    away = FORKED.replace("publish: {r: <% task().result %>}, on-success: j", "on-success: [j: <% 1 = 2 %>]")
    new = fork(run, "r", text=away)
    assert (new.state, new.states()["j"]) == ("ERROR", "ERROR")
    assert new.task("j").state_info == "Failed by tasks: ['r']"


def test_a_join_itself_can_be_run_again() -> None:
    run = ended(FORKED, {"s": gives(), "l": gives(1), "r": gives(2), "j": fails("no")})
    new = fork(run, "j", script={"j": gives(5)})
    assert (new.state, new.result("j"), new.output["j"]) == ("SUCCESS", 5, [1, 2])


def test_a_join_that_started_without_the_task_is_taken_over() -> None:
    text = FORKED.replace("join: all", "join: one").replace(
        "publish: {j: [<% $.l %>, <% $.r %>]}", "publish: {j: 1}"
    )
    run = ended(text, {"s": gives(), "l": gives(1), "r": gives(2, after=9), "j": gives()})
    planned = plan(run, "r")
    assert "j" in names(planned.reused)
    new = fork(run, "r", script={"r": gives(7)})
    assert (new.state, len(new.actions("j"))) == ("SUCCESS", 1)


def test_other_branches_are_taken_over_with_their_failures() -> None:
    text = "wf: {tasks: {a: {action: job}, b: {action: job}}}"
    run = ended(text, {"a": fails("x"), "b": fails("y")})
    planned = plan(run, "a")
    assert names(planned.failed) == ["b"]
    assert fork(run, "a", script={"a": gives()}).state == "ERROR"
    both = plan(run, "a", "b")
    assert (names(both.asked), both.failed) == (["a", "b"], [])
    assert fork(run, "a", "b", script={"a": gives(), "b": gives()}).state == "SUCCESS"


def test_a_task_that_follows_from_another_chosen_one_just_follows() -> None:
    run = ended(CHAIN, {"a": gives(1), "b": gives(2), "c": gives(3)})
    planned = plan(run, "b", "c")
    assert (names(planned.asked), names(planned.follows)) == (["b"], ["c"])


def test_handlers_of_a_failure_are_left_out_when_the_task_runs_again() -> None:
    text = "wf: {tasks: {a: {action: job, on-error: h, on-success: b}, h: {action: job}, b: {action: job}}}"
    run = ended(text, {"a": fails("x")})
    new = fork(run, "a", script={"a": gives()})
    assert new.states() == {"a": "SUCCESS", "b": "SUCCESS"}


def test_tasks_that_had_not_ended_run_again() -> None:
    text = """
    wf:
      tasks:
        slow: {action: ajob, on-success: after}
        after: {action: job}
        bad: {action: job, on-error: fail}
    """
    run = ended(text, {"bad": fails("x")})
    assert (run.state, run.states()["slow"]) == ("ERROR", "RUNNING")
    planned = plan(run, "bad")
    assert names(planned.unfinished) == ["slow"]
    new = fork(run, "bad", script={"bad": gives()})
    assert (new.state, new.states()) == ("RUNNING", {"slow": "RUNNING", "bad": "SUCCESS"})
    new.report("slow", 1)
    new.world.run()
    assert new.states() == {"slow": "SUCCESS", "after": "SUCCESS", "bad": "SUCCESS"}
    assert new.state == "SUCCESS"


def test_what_should_have_followed_a_task_that_ended_after_the_workflow_follows_now() -> None:
    text = """
    wf:
      tasks:
        slow: {action: job, on-success: [after, fail]}
        after: {action: job}
        bad: {action: job, on-error: fail}
    """
    run = ended(text, {"bad": fails("x"), "slow": gives(1, after=60)})
    assert (run.state, run.task("slow").next_tasks) == ("ERROR", ())
    new = fork(run, "bad", script={"bad": gives()})
    assert new.states() == {"slow": "SUCCESS", "bad": "SUCCESS", "after": "SUCCESS"}
    assert new.state == "SUCCESS"


def test_first_tasks_that_only_the_new_definition_has_run_too() -> None:
    run = ended(FORKED, {"s": gives(), "l": gives(1), "r": gives(2), "j": fails("x")})
    more = FORKED.replace("  tasks:\n", "  tasks:\n    k: {action: job, on-success: j}\n")
    planned = plan(run, "j", text=more)
    assert planned.starts == ("k",)
    new = fork(run, "j", text=more, script={"k": gives(), "j": gives()})
    assert new.state == "SUCCESS"
    assert new.task("j").created_at <= new.task("j").started_at  # type: ignore[operator]  # it has started


def test_results_of_items_and_sub_workflows_are_taken_over() -> None:
    text = """
    wf:
      output: {many: <% task(many).result %>, one: <% task(one).result %>}
      tasks:
        many: {with-items: 'i in [1, 2, 3]', action: job, on-success: one}
        one: {workflow: child x=5, on-success: last}
        last: {action: job}
    child:
      input: [x]
      output: {y: <% $.x + 1 %>}
      tasks: {t: {action: job}}
    """
    run = ended(
        text, {"many[0]": gives("a"), "many[1]": gives("b"), "many[2]": gives("c"), "last": fails("x")}
    )
    new = fork(run, "last", script={"last": gives()})
    assert (new.state, new.output) == ("SUCCESS", {"many": ["a", "b", "c"], "one": {"y": 6}})
    child = new.sub("one")
    assert (child.state, child.output, child.all_tasks()) == ("SUCCESS", {"y": 6}, [])
    assert child.execution.params["source_execution_id"] == run.sub("one").id
    assert (child.execution.root_id, child.execution.parent_task_id) == (new.id, new.task("one").id)


def test_global_variables_are_those_of_the_tasks_taken_over() -> None:
    text = """
    wf:
      vars: {id: <% uuid() %>, g: 0}
      output: {g: <% global(g) %>, h: <% global(h) %>, id: <% $.id %>}
      tasks:
        a: {action: job, on-success: {publish: {global: {g: 1}}, next: b}}
        b: {action: job, on-success: {publish: {global: {g: 2, h: 3}}, next: c}}
        c: {action: job}
    """
    run = ended(text)
    assert run.output["g"] == 2
    new = fork(run, "b", text=text.replace("publish: {global: {g: 2, h: 3}}", "publish: {global: {h: 4}}"))
    assert (new.output["g"], new.output["h"]) == (1, 4)
    assert new.output["id"] == run.output["id"]
    assert new.execution.published_global == {"g": 1, "h": 4}


def test_variables_whose_expression_or_data_changed_are_worked_out_anew() -> None:
    text = (
        "wf: {input: [n: 1], vars: {id: <% uuid() %>}, output: {id: <% $.id %>}, tasks: {a: {action: job}}}"
    )
    run = ended(text)
    assert fork(run, "a", input={"n": 2}).output["id"] != run.output["id"]
    run = ended(text)
    assert fork(run, "a", text=text.replace("uuid()", "$.n")).output["id"] == 1


def test_a_loop_can_be_entered_again_at_any_round() -> None:
    text = """
    wf:
      vars: {i: 0}
      output: {i: <% $.i %>}
      tasks:
        first: {action: job, on-success: step}
        step: {action: job, publish: {i: <% $.i + 1 %>}, on-success: [step: <% $.i < 3 %>]}
    """
    run = ended(text)
    assert len(run.tasks("step")) == 3
    with pytest.raises(BadRequestError, match="executed 3 times; give the id of one of them: id-"):
        plan(run, "step")
    second = run.tasks("step")[1]
    assert names(plan(run, second.id).reused) == ["first", "step"]
    new = fork(run, second.id)
    assert (new.state, new.output, len(new.tasks("step"))) == ("SUCCESS", {"i": 3}, 3)


LOOP = """
wf:
  tasks:
    s: {action: job, publish: {n: 0}, on-success: [x, y]}
    x: {action: job, publish: {n: <% $.n + 1 %>}, on-success: j}
    y: {action: job, on-success: j}
    j: {join: all, action: job, on-success: [x: <% $.n < 2 %>]}
"""


def test_a_loop_through_a_join_is_entered_at_its_first_task() -> None:
    run = ended(LOOP)
    first, second = run.tasks("x")
    assert run.task("j").run == 1
    with pytest.raises(BadRequestError, match="part of a loop through a join"):
        plan(run, second.id)
    for at in (first.id, run.task("j").id, run.task("y").id):
        new = fork(run, at)
        assert (new.state, len(new.tasks("x")), new.task("j").run) == ("SUCCESS", 2, 1)
        del new.world.states[new.id]


def test_a_task_that_was_run_again_by_an_operator_is_taken_over_with_all_its_followers() -> None:
    text = """
    wf:
      tasks:
        a: {action: job, publish-on-error: {e: 1}, on-error: h, on-success: b}
        h: {action: job, publish: {e: <% $.e + 1 %>}, on-success: fail}
        b: {action: job}
    """
    run = ended(text, {"a": [fails("x"), gives()]})
    run.rerun("a")
    run.world.run()
    assert run.states() == {"a": "SUCCESS", "h": "SUCCESS", "b": "SUCCESS"}
    new = fork(run, "b")
    assert new.state == "SUCCESS"
    assert new.world.states[new.id].past_runs
    assert set(new.states()) == {"a", "h", "b"}


def test_reverse_workflows_run_again_what_requires_the_task() -> None:
    text = """
    wf:
      type: reverse
      output: {v: <% $.v %>}
      tasks:
        fetch: {action: job, publish: {v: 1}}
        build: {action: job, requires: [fetch], publish: {v: <% $.v + 1 %>}}
        docs: {action: job, requires: [fetch]}
        ship: {action: job, requires: [build, docs]}
    """
    run = ended(text, {"docs": gives(), "ship": fails("x")}, task_name="ship")
    planned = plan(run, "build")
    assert (names(planned.reused), names(planned.follows)) == (["fetch", "docs"], ["ship"])
    new = fork(run, "build", text=text.replace("$.v + 1", "$.v + 10"))
    assert (new.state, new.output) == ("SUCCESS", {"v": 11})


@pytest.mark.parametrize(
    ("tasks", "text", "kind", "message"),
    [
        (["z"], None, NotFoundError, "The execution has no task 'z'; its tasks: 'a', 'b', 'c'"),
        (
            ["c"],
            CHAIN.replace("c: {", "d: {").replace("on-success: c", "on-success: d"),
            BadRequestError,
            "has no task 'c'",
        ),
        (
            ["c"],
            "wf: {tasks: {b: {action: job, on-success: c}, c: {action: job}}}",
            BadRequestError,
            "lacks tasks whose results would be taken over: 'a'",
        ),
        (["c"], "wf: {type: reverse, tasks: {c: {action: job}}}", BadRequestError, "is a reverse one"),
    ],
)
def test_a_fork_that_makes_no_sense_is_refused(
    tasks: list[str], text: str | None, kind: type[TramontaneError], message: str
) -> None:
    run = ended(CHAIN, {"a": gives(1), "b": gives(2), "c": gives(3)})
    with pytest.raises(kind, match=message):
        plan(run, *tasks, text=text)


def test_an_execution_that_goes_on_can_not_be_forked() -> None:
    run = ended("wf: {tasks: {a: {action: ajob}}}")
    with pytest.raises(IllegalStateError, match="this one is RUNNING: wait for its end, or stop it first"):
        plan(run, "a")
    run.pause()
    with pytest.raises(IllegalStateError, match="this one is PAUSED"):
        plan(run, "a")


def test_a_sub_workflow_execution_can_not_be_forked() -> None:
    run = ended("wf: {tasks: {a: {workflow: child}}}\nchild: {tasks: {t: {action: job}}}")
    child = run.sub("a")
    with pytest.raises(IllegalStateError, match="isn't part of another one"):
        plan_fork(source_of(child), child.world.specs[child.id], ["t"])


def test_a_fork_can_be_forked() -> None:
    run = ended(CHAIN, {"a": gives(1), "b": gives(2), "c": fails("no")})
    once = fork(run, "b", script={"b": gives(20), "c": fails("again")})
    assert once.state == "ERROR"
    twice = fork(once, "c", script={"c": gives(30)})
    assert (twice.state, twice.output) == ("SUCCESS", {"a": 1, "b": 20, "c": [1, 20, 30]})
