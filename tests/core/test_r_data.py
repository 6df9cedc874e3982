"""Data flow: stores, publish, merges, output, results (runtime checklist, section 3)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.core.lab import begin, play, world

from tramontane.core.decision import CoreSettings
from tramontane.errors import EvaluationError, InvalidInputError, TramontaneError
from tramontane.rehearsal import cancels, gives


@pytest.mark.spec("R70")
def test_vars_hide_input() -> None:
    run = play("wf: {input: [x: in], vars: {x: var}, output: {x: <% $.x %>}, tasks: {a: {}}}")
    assert run.output == {"x": "var"}


@pytest.mark.spec("R71")
def test_vars_do_not_see_each_other() -> None:
    with pytest.raises(EvaluationError):
        play("wf: {vars: {v: 1, w: <% $.v %>}, tasks: {a: {}}}")


@pytest.mark.spec("R72")
def test_vars_see_input_and_environment() -> None:
    run = play(
        "wf: {input: [a], vars: {v: <% $.a %>, e: <% env() %>}, output: {v: <% $.v %>, e: <% $.e "
        "%>}, tasks: {t: {}}}",
        {"a": 4},
        env={"k": 1},
    )
    assert run.output == {"v": 4, "e": {"k": 1}}


@pytest.mark.spec("R73")
def test_input_is_never_evaluated() -> None:
    run = play(
        "wf: {input: [d: <% $.c %>, g: null], output: {d: <% $.d %>, g: <% $.g %>}, tasks: {t: {}}}",
        {"g": "<% 1 + 1 %>"},
    )
    assert run.output == {"d": "<% $.c %>", "g": "<% 1 + 1 %>"}


@pytest.mark.spec("R74")
def test_a_given_null_is_kept() -> None:
    run = play("wf: {input: [d: 5], output: {d: <% $.d %>}, tasks: {t: {}}}", {"d": None})
    assert run.output == {"d": None}


@pytest.mark.spec("R75")
def test_missing_and_unknown_input_is_refused() -> None:
    with pytest.raises(InvalidInputError) as refused:
        play("wf: {input: [b], tasks: {t: {}}}", {"zz": 1})
    assert refused.value.message == (
        "Invalid input [name=wf, class=DirectWorkflowSpec, missing=['b'], unexpected=['zz']]"
    )


@pytest.mark.spec("R76", "R79")
def test_a_branch_variable_hides_the_global_one() -> None:
    run = play(
        """
        wf:
          tasks:
            a:
              on-success:
                publish: {branch: {x: b}, global: {x: g}}
                next: c
            c: {publish: {seen: <% $.x %>, shared: <% global(x) %>, none: <% global(nope) %>}}
        """
    )
    assert run.task("c").published == {"seen": "b", "shared": "g", "none": None}


@pytest.mark.spec("R77", "R78")
def test_globals_replace_vars_and_hide_input() -> None:
    run = play(
        """
        wf:
          input: [i: 1]
          vars: {v: 0}
          tasks:
            a:
              on-success:
                publish: {global: {v: 9, i: 8}}
                next: c
            c: {publish: {v1: <% $.v %>, i1: <% $.i %>}}
        """
    )
    assert run.task("c").published == {"v1": 9, "i1": 8}


@pytest.mark.spec("R80")
def test_globals_are_merged_deeply() -> None:
    run = play(
        """
        wf:
          output: {n: <% global(n) %>}
          tasks:
            a: {on-success: {publish: {global: {n: {q: 1}}}, next: b}}
            b: {on-success: {publish: {global: {n: {r: 1}}}}}
        """
    )
    assert run.output == {"n": {"q": 1, "r": 1}}


REPLACED = """
wf:
  output: {d: <% $.d %>, l: <% $.l %>}
  tasks:
    a: {publish: {d: {k: 1}, l: [1]}, on-success: b}
    b: {publish: {d: {m: 2}, l: [2]}, on-success: c}
    c: {}
"""


@pytest.mark.spec("R81", "R82", "L23")
@pytest.mark.parametrize(("strategy", "d"), [("replace", {"m": 2}), ("merge", {"k": 1, "m": 2})])
def test_publishing_a_map_again_replaces_it_unless_told_to_merge(strategy: str, d: dict[str, int]) -> None:
    run = play(REPLACED, settings=CoreSettings(merge_strategy=strategy))
    assert run.output == {"d": d, "l": [2]}


@pytest.mark.spec("R83")
def test_entries_of_one_publish_see_the_old_values() -> None:
    run = play(
        """
        wf:
          tasks:
            s: {publish: {x: 1}, on-success: a}
            a: {publish: {x: <% $.x + 1 %>, y: <% $.x %>}}
        """
    )
    assert run.task("a").published == {"x": 2, "y": 1}


@pytest.mark.spec("R84")
def test_parallel_branches_do_not_see_each_other() -> None:
    run = play(
        """
        wf:
          tasks:
            a: {publish: {x: 1}, on-success: a1}
            b: {publish: {x: 2}, on-success: b1}
            a1: {publish: {y: <% $.x %>}}
            b1: {publish: {y: <% $.x %>}}
        """
    )
    assert (run.task("a1").published["y"], run.task("b1").published["y"]) == (1, 2)


@pytest.mark.spec("R85", "R86", "R87", "R88", "R89", "R90", "R91")
@pytest.mark.parametrize(
    ("attributes", "branch", "shared"),
    [
        (
            "publish: {p: plain}, on-success: {publish: {branch: {p: s}}}, "
            "on-complete: {publish: {branch: {p: c}}}",
            {"p": "c"},
            {},
        ),
        ("publish: {p: 1}, on-success: {publish: {branch: {p: 2}}}", {"p": 1}, {}),
        ("publish: {d: {x: 1}}, on-success: {publish: {branch: {d: {y: 1}}}}", {"d": {"x": 1, "y": 1}}, {}),
        ("publish: {p: 1}, on-success: {publish: {global: {g: 1}}}", {"p": 1}, {"g": 1}),
        (
            "on-success: {publish: {branch: {p: 1}}}, on-complete: {publish: {global: {g: 1}}}",
            {"p": 1},
            {"g": 1},
        ),
        ("on-success: {publish: {global: {g: 1}}}", {}, {"g": 1}),
        ("on-success: {publish: {branch: {p: 1}, atomic: {b: 1}}}", {"p": 1}, {}),
    ],
    ids=["complete wins", "plain beats clause", "maps merge", "scopes", "clauses", "global only", "atomic"],
)
def test_all_publishes_of_a_task_are_combined(
    attributes: str, branch: dict[str, Any], shared: dict[str, Any]
) -> None:
    run = play(f"wf: {{tasks: {{a: {{{attributes}}}}}}}")
    assert run.task("a").published == branch
    assert run.task("a").published_global == shared
    assert run.execution.published_global == shared


@pytest.mark.spec("R92")
def test_a_failed_task_publishes_by_publish_on_error_alone() -> None:
    run = play(
        "wf: {tasks: {a: {action: std.fail, publish: {x: 1}, publish-on-error: {y: 2}, on-error: noop}}}"
    )
    assert run.task("a").published == {"y": 2}
    assert run.output == {"y": 2}


@pytest.mark.spec("R93")
def test_on_error_publishes_to_branch_and_globals() -> None:
    run = play(
        """
        wf:
          tasks:
            a:
              action: std.fail
              on-error:
                publish: {branch: {b: 1}, global: {g: <% task().state %>}}
                next: c
            c: {publish: {seen: <% $.b %>, shared: <% global(g) %>}}
        """
    )
    assert run.task("c").published == {"seen": 1, "shared": "ERROR"}


@pytest.mark.spec("R94")
def test_a_cancelled_task_publishes_nothing() -> None:
    run = play(
        "wf: {tasks: {a: {action: job, publish: {x: 1}, publish-on-error: {x: 2}, "
        "on-complete: {publish: {branch: {x: 3}}}}}}",
        script={"a": cancels()},
    )
    assert (run.state, run.task("a").published) == ("CANCELLED", {})


@pytest.mark.spec("R95")
def test_a_variable_may_be_named_like_the_task() -> None:
    run = play(
        "wf: {output: {r: <% task(a).result %>, v: <% $.a %>}, tasks: {a: {action: std.echo "
        "output=3, publish: {a: 1}}}}"
    )
    assert run.output == {"r": 3, "v": 1}


@pytest.mark.spec("R96")
def test_a_branch_that_never_touched_a_variable_never_wins() -> None:
    run = play(
        """
        wf:
          output: {x: <% $.x %>}
          tasks:
            s: {publish: {x: 0}, on-success: [a, b]}
            a: {publish: {x: 1}, on-success: j}
            b: {action: job, on-success: j}
            j: {join: all}
        """,
        script={"b": gives(after=1)},
    )
    assert run.output == {"x": 1}


MORE_OFTEN = """
wf:
  output: {x: <% $.x %>}
  tasks:
    s: {publish: {x: 0}, on-success: [a, b]}
    a: {publish: {x: a1}, on-success: a2}
    a2: {publish: {x: a2}, on-success: j}
    b: {action: job, publish: {x: b}, on-success: j}
    j: {join: all}
"""


@pytest.mark.spec("R97")
def test_the_branch_that_published_more_often_wins() -> None:
    assert play(MORE_OFTEN, script={"b": gives(after=1)}).output == {"x": "a2"}


@pytest.mark.spec("R98")
@pytest.mark.parametrize("slow", ["a", "b"])
def test_on_a_tie_the_task_that_finished_later_wins(slow: str) -> None:
    run = play(
        """
        wf:
          output: {x: <% $.x %>}
          tasks:
            s: {on-success: [a, b]}
            a: {action: job, publish: {x: a}, on-success: j}
            b: {action: job, publish: {x: b}, on-success: j}
            j: {join: all}
        """,
        script={slow: gives(after=1)},
    )
    assert run.output == {"x": slow}


@pytest.mark.spec("R99")
def test_maps_of_both_branches_are_merged() -> None:
    run = play(
        """
        wf:
          output: {d: <% $.d %>}
          tasks:
            a: {publish: {d: {k: 1, a: 1}}, on-success: j}
            b: {publish: {d: {k: 2, b: 1}}, on-success: j}
            j: {join: all}
        """
    )
    assert set(run.output["d"]) == {"a", "b", "k"}


@pytest.mark.spec("R100")
def test_bookkeeping_is_not_part_of_the_data() -> None:
    run = play("wf: {output: {k: <% $.keys() %>}, tasks: {a: {publish: {x: 1}}}}")
    assert "__versions" not in run.output["k"]
    assert "x" in run.output["k"]


@pytest.mark.spec("R101")
def test_without_versioning_what_the_immediate_parents_published_wins() -> None:
    run = play(
        """
        wf:
          output: {x: <% $.x %>}
          tasks:
            s: {publish: {x: 0}, on-success: [a, b]}
            a: {publish: {x: a1}, on-success: a2}
            a2: {publish: {x: a2}, on-success: j}
            b: {action: job, on-success: j}
            j: {join: all}
        """,
        script={"b": gives(after=1)},
        settings=CoreSettings(context_versioning=False),
    )
    assert run.output == {"x": "a2"}


@pytest.mark.spec("R102")
def test_input_and_vars_are_no_output() -> None:
    assert play("wf: {input: [i: 1], vars: {v: 2}, tasks: {a: {}}}").output == {}


@pytest.mark.spec("R103")
def test_output_is_evaluated_deeply_and_keeps_null() -> None:
    run = play(
        "wf: {input: [i: 1], output: {r: <% null %>, v: <% $.i %>, n: {l: [<% $.i %>]}}, tasks: {a: {}}}"
    )
    assert run.output == {"r": None, "v": 1, "n": {"l": [1]}}


@pytest.mark.spec("R104")
def test_an_output_that_raises_fails_the_workflow() -> None:
    run = play("wf: {output: {r: <% $.nope %>}, tasks: {a: {}}}")
    assert run.state == "ERROR"
    assert (run.info or "").startswith(f"Failed to check and complete [wf_ex_id={run.id}, wf_name=wf]: ")
    assert run.output["result"] == run.info


@pytest.mark.spec("R105", "R106")
@pytest.mark.parametrize(
    ("clause", "output"), [("{z: 1}", {"result": "m", "z": 1}), ("{result: mine}", {"result": "mine"})]
)
def test_output_on_error_is_laid_over_the_message(clause: str, output: dict[str, Any]) -> None:
    run = play(f"wf: {{output-on-error: {clause}, tasks: {{a: {{on-success: [fail msg='m']}}}}}}")
    assert (run.state, run.info, run.output) == ("ERROR", "m", output)


@pytest.mark.spec("R107")
def test_without_output_on_error_everything_published_is_added() -> None:
    run = play("wf: {tasks: {b: {publish: {bb: 1}}, a: {action: std.fail, publish-on-error: {x: 2}}}}")
    assert run.output == {"result": run.info, "bb": 1, "x": 2}


@pytest.mark.spec("R108")
def test_an_output_on_error_that_raises_quotes_the_cause() -> None:
    run = play("wf: {output-on-error: {r: <% $.nope %>}, tasks: {a: {on-success: [fail msg='the cause']}}}")
    assert (run.info or "").startswith("Failed to evaluate expression in output-on-error!")
    assert "Cause: 'the cause'" in (run.info or "")
    assert run.output == {"result": run.info}


@pytest.mark.spec("R109")
def test_a_task_that_triggered_another_is_no_end_task() -> None:
    run = begin(
        "wf: {output: {x: <% $.get(x) %>}, tasks: {s: {publish: {x: 1}, on-success: a}, a: {action: ajob}}}"
    )
    run.stop("SUCCESS")
    assert (run.state, run.output) == ("SUCCESS", {"x": None})


@pytest.mark.spec("R110")
def test_output_sees_tasks_by_name_but_has_no_current_one() -> None:
    run = play("wf: {output: {r: <% task(a).result %>}, tasks: {a: {action: std.echo output=3}}}")
    assert run.output == {"r": 3}
    run = play("wf: {output: {r: <% task().result %>}, tasks: {a: {action: std.echo output=3}}}")
    assert run.state == "ERROR"


@pytest.mark.spec("R111", "R112")
@pytest.mark.parametrize("keep", ["false", "<% false %>"])
def test_a_result_that_is_not_kept_is_seen_by_the_own_publish_alone(keep: str) -> None:
    run = play(
        f"""
        wf:
          tasks:
            a:
              action: std.echo output=3
              keep-result: {keep}
              publish: {{x: <% task().result %>}}
              on-success: b
            b: {{publish: {{y: <% task(a).result %>}}}}
        """
    )
    assert run.task("a").published == {"x": 3}
    assert run.task("b").published == {"y": None}


@pytest.mark.spec("R113")
def test_results_that_are_not_kept_become_null_for_items_and_stay_for_sub_workflows() -> None:
    run = play(
        """
        wf:
          tasks:
            a: {with-items: "i in [1, 2]", action: std.echo output=<% $.i %>, keep-result: false}
            c: {workflow: sub, keep-result: false}
        sub: {output: {r: 1}, tasks: {t: {}}}
        """
    )
    assert run.result("a") == [None, None]
    assert run.result("c") == {"r": 1}


@pytest.mark.spec("R114")
def test_a_changed_environment_is_seen_in_running_sub_workflows() -> None:
    run = begin(
        """
        wf: {tasks: {c: {workflow: sub}}}
        sub:
          output: {k: <% env().k %>}
          tasks:
            t: {action: ajob, on-success: u}
            u: {}
        """,
        env={"k": 1},
    )
    run.pause()
    run.world.settle()
    run.resume(env={"k": 2})
    run.world.settle()
    run.sub("c").report("t")
    run.world.run()
    assert run.result("c") == {"k": 2}


@pytest.mark.spec("R115")
def test_a_failed_task_hands_on_what_it_inherited() -> None:
    run = play(
        """
        wf:
          tasks:
            s: {publish: {x: 1}, on-success: a}
            a: {action: std.fail, on-error: b}
            b: {publish: {y: <% $.x %>}}
        """
    )
    assert run.task("b").published == {"y": 1}


@pytest.mark.spec("R116")
def test_published_values_become_json() -> None:
    run = play(
        """
        wf:
          tasks:
            a:
              publish:
                s: <% set(1, 2) %>
                g: <% [1, 2].select($ + 1) %>
                d: <% datetime(2020, 1, 2) %>
        """
    )
    published = run.task("a").published
    assert sorted(published["s"]) == [1, 2]
    assert published["g"] == [2, 3]
    assert isinstance(published["d"], str) and published["d"].startswith("2020-01-02")


@pytest.mark.spec("R110")
def test_task_without_a_name_is_null_in_the_output() -> None:
    run = play("wf: {output: {r: <% task() %>}, tasks: {a: {}}}")
    assert run.output == {"r": None}


def test_a_refused_start_leaves_no_execution() -> None:
    made = world("wf: {input: [b], vars: {v: <% $.b.c %>}, tasks: {t: {}}}")
    for given in ({}, {"b": 1}):
        with pytest.raises(TramontaneError):
            made.start("wf", given)
    assert made.runs() == []
