"""Sub-workflows (runtime checklist, section 7)."""

from __future__ import annotations

import pytest
from tests.core.lab import begin, document, filled, play, world

from tramontane.errors import NotFoundError
from tramontane.rehearsal import gives


@pytest.mark.spec("R213", "R214")
def test_the_output_of_the_sub_workflow_is_the_result() -> None:
    run = play(
        """
        wf: {tasks: {a: {workflow: sub p=1}, b: {workflow: plain}}}
        sub: {input: [p, q: 5], output: {r: <% $.p %>, q: <% $.q %>}, tasks: {t: {}}}
        plain: {tasks: {t: {publish: {k: 1}}}}
        """
    )
    assert (run.result("a"), run.result("b")) == ({"r": 1, "q": 5}, {"k": 1})


SUB = """
wf: {tasks: {a: {workflow: sub @, on-error: b}, b: {}}}
sub: {input: [p: 0], tasks: {t: {}}}
"""


@pytest.mark.spec("R215")
def test_missing_input_is_an_ordinary_error() -> None:
    run = play(
        """
        wf: {tasks: {a: {workflow: sub, on-error: b}, b: {}}}
        sub: {input: [p], tasks: {t: {}}}
        """
    )
    expected = "Invalid input [name=sub, class=DirectWorkflowSpec, missing=['p']]"
    assert (run.task("a").state, run.task("a").state_info) == ("ERROR", expected)
    assert (run.names(), len(run.world.runs())) == (["a", "b"], 1)


@pytest.mark.spec("R216", "R219")
def test_further_input_becomes_params() -> None:
    run = play(filled(SUB, "p=1 zz=2"))
    sub = run.sub("a")
    params = sub.execution.params
    assert sub.execution.input == {"p": 1}
    assert params == {
        "root_execution_id": run.id,
        "task_execution_id": run.task("a").id,
        "index": 0,
        "namespace": "",
        "env": {},
        "zz": 2,
    }
    assert sub.execution.description == "sub-workflow execution"


@pytest.mark.spec("R217")
def test_an_unknown_environment_is_an_ordinary_error() -> None:
    run = play(filled(SUB, "env='abc'"))
    assert run.task("a").state_info == "Environment is not found: abc"
    assert (run.names(), len(run.world.runs())) == (["a", "b"], 1)


@pytest.mark.spec("R218")
def test_the_environment_is_always_the_roots() -> None:
    run = play(
        """
        wf: {tasks: {a: {workflow: sub, input: {env: {Z: 1}}}}}
        sub: {output: {e: <% env() %>}, tasks: {t: {}}}
        """,
        env={"R": 2},
    )
    assert run.result("a") == {"e": {"R": 2}}
    assert run.sub("a").execution.params["env"] == {"Z": 1}


@pytest.mark.spec("R220")
def test_an_unknown_workflow_is_an_ordinary_error() -> None:
    run = play("wf: {tasks: {a: {workflow: nosub, on-error: b}, b: {}}}")
    assert run.task("a").state_info == "Failed to find workflow [name=nosub] [namespace=]"
    assert run.names() == ["a", "b"]


@pytest.mark.spec("R221")
@pytest.mark.parametrize(
    ("name", "state", "tasks"),
    [
        ("<% $.n %>", "SUCCESS", ["a"]),
        ("<% [sub] %>", "SUCCESS", ["a", "b"]),
        ("<% $.nope %>", "ERROR", ["a"]),
    ],
)
def test_the_name_may_be_an_expression(name: str, state: str, tasks: list[str]) -> None:
    run = play(
        f"""
        wf: {{input: [n: sub], tasks: {{a: {{workflow: '{name}', on-error: b}}, b: {{}}}}}}
        sub: {{tasks: {{t: {{}}}}}}
        """
    )
    assert (run.state, run.names()) == (state, tasks)


@pytest.mark.spec("R222")
def test_a_reverse_sub_workflow_needs_its_target() -> None:
    text = """
    wf: {tasks: {a: {workflow: sub @, on-error: b}, b: {}}}
    sub: {type: reverse, tasks: {t: {publish: {x: 1}}}}
    """
    assert play(filled(text, "task_name='t'")).result("a") == {"x": 1}
    run = play(filled(text, ""))
    assert (run.task("a").state_info or "").startswith("Invalid task name")
    assert (run.names(), len(run.world.runs())) == (["a", "b"], 1)


@pytest.mark.spec("R223")
def test_the_error_of_a_sub_workflow_is_the_tasks() -> None:
    run = play(
        """
        wf: {tasks: {a: {workflow: sub}}}
        sub: {tasks: {t: {on-success: ["fail(msg='xx yy')"]}}}
        """
    )
    assert (run.task("a").state, run.task("a").state_info) == ("ERROR", "xx yy")
    assert run.result("a") == {"result": "xx yy"}
    assert f"    [wf_ex_id={run.sub('a').id}, idx=0]: xx yy" in (run.info or "").splitlines()


@pytest.mark.spec("R224")
def test_output_on_error_reaches_the_parent() -> None:
    run = play(
        """
        wf: {tasks: {a: {workflow: sub, publish-on-error: {x: <% task().result.oe %>}, on-error: noop}}}
        sub: {output-on-error: {oe: 1}, tasks: {t: {action: std.fail}}}
        """
    )
    assert run.task("a").published == {"x": 1}


NESTED = """
wf: {tasks: {a: {workflow: sub, on-success: b, on-complete: c}, b: {}, c: {}}}
sub: {tasks: {t: {action: ajob, on-success: u}, u: {}}}
"""


@pytest.mark.spec("R225")
def test_pause_and_resume_go_down() -> None:
    run = begin(NESTED)
    run.pause()
    run.world.settle()
    sub = run.sub("a")
    assert (run.state, run.task("a").state, sub.state) == ("PAUSED", "PAUSED", "PAUSED")
    assert (sub.task("t").state, sub.action("t").state) == ("RUNNING", "RUNNING")
    run.resume()
    run.world.settle()
    assert (run.state, run.task("a").state, sub.state) == ("RUNNING", "RUNNING", "RUNNING")
    sub.report("t")
    run.world.run()
    assert run.state == "SUCCESS"


@pytest.mark.spec("R226")
def test_pause_and_resume_go_up() -> None:
    run = begin(NESTED)
    sub = run.sub("a")
    sub.pause()
    run.world.settle()
    assert (run.state, run.task("a").state, sub.state) == ("PAUSED", "PAUSED", "PAUSED")
    sub.resume()
    run.world.settle()
    assert (run.state, run.task("a").state, sub.state) == ("RUNNING", "RUNNING", "RUNNING")


@pytest.mark.spec("R227")
def test_a_paused_sibling_keeps_the_parent_paused() -> None:
    run = begin(
        """
        wf: {tasks: {a: {with-items: 'i in [1, 2]', workflow: sub}}}
        sub: {tasks: {t: {action: ajob}}}
        """
    )
    first, other = run.sub("a", 0), run.sub("a", 1)
    first.pause()
    run.world.settle()
    assert (first.state, other.state, run.state, run.task("a").state) == ("PAUSED",) * 4
    first.resume()
    run.world.settle()
    assert (first.state, other.state, run.state, run.task("a").state) == (
        "RUNNING",
        "PAUSED",
        "PAUSED",
        "PAUSED",
    )


@pytest.mark.spec("R228")
def test_a_cancel_goes_down() -> None:
    run = begin(NESTED)
    sub = run.sub("a")
    run.stop("CANCELLED", "mm")
    run.world.run()
    assert (run.state, run.info) == ("CANCELLED", "mm")
    assert (sub.state, sub.info) == ("CANCELLED", "mm")
    assert (run.task("a").state, run.task("a").state_info) == ("CANCELLED", "mm")
    assert sub.action("t").state == "RUNNING"
    assert run.names() == ["a"]


@pytest.mark.spec("R229")
def test_a_cancelled_sub_workflow_cancels_the_parent() -> None:
    run = begin(NESTED)
    run.sub("a").stop("CANCELLED")
    run.world.run()
    assert (run.task("a").state, run.state, run.info) == ("CANCELLED", "CANCELLED", "Cancelled tasks: a")
    assert run.names() == ["a"]


@pytest.mark.spec("R230")
@pytest.mark.parametrize("state", ["ERROR", "SUCCESS"])
def test_other_stops_leave_sub_workflows_alone(state: str) -> None:
    run = begin(NESTED)
    run.stop(state)
    run.world.run()
    sub = run.sub("a")
    assert (run.state, sub.state) == (state, "RUNNING")
    sub.report("t")
    run.world.run()
    assert (sub.state, run.task("a").state, run.names()) == ("SUCCESS", "SUCCESS", ["a"])


@pytest.mark.spec("R231")
def test_a_sub_workflow_stopped_with_success_lets_the_parent_go_on() -> None:
    run = begin(NESTED)
    run.sub("a").stop("SUCCESS")
    run.world.run()
    assert (run.names(), run.state) == (["a", "b", "c"], "SUCCESS")


THREE_LEVELS = """
wf: {tasks: {a: {workflow: mid}}}
mid: {tasks: {m: {workflow: leaf}}}
leaf: {output: {e: <% env() %>, root: <% execution().root_execution_id %>}, tasks: {t: {}}}
"""


@pytest.mark.spec("R232", "R323")
def test_every_descendant_knows_its_root_and_its_calling_task() -> None:
    run = play(THREE_LEVELS, env={"k": 1})
    mid = run.sub("a")
    leaf = mid.sub("m")
    assert leaf.execution.root_id == run.id
    assert leaf.execution.params["root_execution_id"] == run.id
    assert leaf.execution.params["task_execution_id"] == mid.task("m").id
    assert leaf.execution.parent_task_id == mid.task("m").id
    assert leaf.output == {"e": {"k": 1}, "root": run.id}


@pytest.mark.spec("R233")
def test_a_workbook_finds_its_own_workflows_first() -> None:
    made = world()
    made.library.add_workbook(
        """
        version: '2.0'
        name: wb
        workflows:
          w1: {tasks: {a: {workflow: w2}}}
          w2: {output: {from: book}, tasks: {t: {action: std.noop}}}
        """
    )
    made.library.add_workflows(document("w2: {output: {from: outside}, tasks: {t: {}}}"))
    run = made.start("wb.w1")
    made.run()
    assert run.result("a") == {"from": "book"}


@pytest.mark.spec("R234")
def test_globals_of_a_sub_workflow_stay_there() -> None:
    run = play(
        """
        wf: {output: {g: <% global(g) %>}, tasks: {a: {workflow: sub}}}
        sub: {tasks: {t: {on-success: {publish: {global: {g: 1}}}}}}
        """
    )
    assert run.output == {"g": None}
    assert run.sub("a").execution.published_global == {"g": 1}


@pytest.mark.spec("R240")
def test_a_paused_action_of_a_sub_workflow_stays_paused_at_the_resume() -> None:
    run = begin(NESTED)
    sub = run.sub("a")
    sub.pause_action("t")
    run.world.settle()
    assert (run.state, sub.state, sub.task("t").state) == ("PAUSED", "PAUSED", "PAUSED")
    run.resume()
    run.world.settle()
    assert (run.state, sub.state, sub.task("t").state) == ("RUNNING", "RUNNING", "PAUSED")
    sub.report("t")
    run.world.run()
    assert run.state == "SUCCESS"


@pytest.mark.spec("R332")
def test_a_sub_workflow_that_failed_in_the_pause_completes_its_task_at_the_resume() -> None:
    run = begin(
        """
        wf: {tasks: {a: {workflow: sub, publish-on-error: {x: 1}, on-error: h}, h: {}}}
        sub: {tasks: {t: {action: ajob}}}
        """
    )
    sub = run.sub("a")
    run.pause()
    run.world.settle()
    sub.report("t", error="bad")
    run.world.settle()
    assert (sub.state, sub.task("t").state) == ("PAUSED", "ERROR")
    run.resume()
    run.world.run()
    assert (run.state, run.names()) == ("SUCCESS", ["a", "h"])
    assert run.task("a").state_info == sub.info
    assert run.task("a").published == {"x": 1}


@pytest.mark.spec("R333")
def test_pause_before_in_a_sub_workflow_pauses_the_tree() -> None:
    run = begin(
        """
        wf: {tasks: {a: {workflow: sub}}}
        sub: {tasks: {t: {pause-before: true}}}
        """
    )
    sub = run.sub("a")
    assert (sub.state, run.task("a").state, run.state) == ("PAUSED", "PAUSED", "PAUSED")
    run.resume()
    run.world.run()
    assert (sub.state, run.state) == ("SUCCESS", "SUCCESS")


@pytest.mark.spec("R341")
@pytest.mark.parametrize("change", ["updated", "deleted"])
def test_an_execution_runs_the_text_it_was_started_with(change: str) -> None:
    made = world(
        "wf: {tasks: {a: {action: job, on-success: b}, b: {publish: {x: old}}}}", {"a": gives(after=1)}
    )
    run = made.start("wf")
    if change == "updated":
        made.library.add_workflows(document("wf: {tasks: {a: {on-success: b}, b: {publish: {x: new}}}}"))
    else:
        made.library.remove_workflow("wf")
    made.run()
    assert run.output == {"x": "old"}


@pytest.mark.spec("R344")
def test_sub_workflows_are_found_in_the_namespace_then_in_the_default_one() -> None:
    made = world("sub: {output: {from: default}, tasks: {t: {}}}")
    made.library.add_workflows(document("wf: {tasks: {a: {workflow: sub}}}"), "n1")
    run = made.start("wf", namespace="n1")
    made.run()
    assert run.result("a") == {"from": "default"}
    made.library.add_workflows(document("sub: {output: {from: n1}, tasks: {t: {}}}"), "n1")
    run = made.start("wf", namespace="n1")
    made.run()
    assert run.result("a") == {"from": "n1"}
    made.library.add_workflows(document("dmain: {tasks: {t: {}}}"))
    with pytest.raises(NotFoundError):
        made.start("dmain", namespace="n1")


@pytest.mark.spec("R346")
def test_sub_workflow_items_go_on_one_by_one_after_a_resume() -> None:
    run = begin(
        """
        wf: {tasks: {a: {with-items: 'i in [1, 2, 3]', concurrency: 1, workflow: sub}}}
        sub: {tasks: {t: {action: ajob}}}
        """
    )
    run.pause()
    run.world.settle()
    assert run.sub("a", 0).state == "PAUSED"
    run.resume()
    run.world.settle()
    for index in range(3):
        assert len(run.calls("a")) == index + 1
        run.sub("a", index).report("t")
        run.world.settle()
    assert run.state == "SUCCESS"
