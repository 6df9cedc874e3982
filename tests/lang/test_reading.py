"""Names inside expressions: what is warned about, and above all what isn't."""

from __future__ import annotations

import textwrap

import pytest
from tests.lang.lab import ACTIONS, WORKBOOK, document

from tramontane.errors import DefinitionError, Problem
from tramontane.lang import CheckOptions, Upload, parse_workflows
from tramontane.lang.reading import MAX_FINDINGS


def warnings(text: str) -> list[str]:
    """What is found in a document without its version line, each as «path: message»."""
    return [f"{problem.path}: {problem.message}" for problem in problems(text)]


def problems(text: str) -> tuple[Problem, ...]:
    return parse_workflows(document(text)).warnings


def of_task(attributes: str, *, workflow: str = "input: [given]") -> list[str]:
    """What is found in a workflow of two tasks, ``a`` that publishes ``x``, and behind it ``t``."""
    head = textwrap.indent(textwrap.dedent(workflow).strip("\n"), "  ")
    body = textwrap.indent(textwrap.dedent(attributes).strip("\n"), "      ")
    return warnings(
        f"wf:\n{head}\n  tasks:\n    a:\n      publish: {{x: 1}}\n      on-success: t\n    t:\n{body}\n"
    )


def with_expression(expression: str) -> list[str]:
    return of_task(f"input: {{i: '{expression}'}}")


def test_a_variable_that_nothing_defines_is_told_with_line_and_column() -> None:
    [found] = problems(
        """
        wf:
          input: [person]
          tasks:
            t:
              action: std.echo output="Hello <% $.persn %>"
        """
    )
    assert found.message == (
        "nothing defines the variable 'persn': it is no input, not in 'vars', and never published "
        "(did you mean 'person'?)"
    )
    assert found.severity == "warning"
    assert found.path == "wf.tasks.t.action"
    line = document("\nwf:\n  input: [person]\n  tasks:\n    t:\n      action: x\n").splitlines()[
        found.line - 1
    ]
    assert line == "      action: x"
    assert found.column == len('      action: std.echo output="Hello <% ') + 1


@pytest.mark.parametrize(
    "expression",
    [
        "<% $.given %>",
        "<% $.x + 1 %>",
        "<% $.x.y.z %>",
        "{{ _.given }}",
        '{{ _["x"] }}',
        "<% $.get(nope) %>",
        "<% $.get(nope, 5) %>",
        "<% $.containsKey(nope) %>",
        "<% $.containsKey(nope) and $.nope = 1 %>",
        "<% $.x.where($.nope = 1).select($.nope) %>",
        "<% $.x.groupBy($.nope) %>",
        "<% $.x.toDict($.k, $.v) %>",
        "<% $.x[$.nope > 1] %>",
        "<% let(n => $.x) -> $.given + $n %>",
        "<% let($.x) -> $1 %>",
        "<% def(f, $ + 1) -> f(2) %>",
        "<% $.x.aggregate($1 + $2) %>",
        "<% env().nope %>",
        '<% $.get("__env").nope %>',
        "<% $__execution.id %>",
        "<% $.get($.x) %>",
        "<% $ %>",
        "<% task(a).result.nope %>",
        "<% task().state %>",
        "<% execution().input.nope %>",
        "<% switch($.x = 1 => nope, true => other) %>",
        "<% {nope => $.x} %>",
        "<% nope %>",
        "text without any $.nope",
        '<% "$.nope" %>',
        '{{ _.get("nope") }}',
        "{{ _.nope | default(1) }}",
        "{{ _.nope is defined }}",
        "{{ _.nope if _.nope is defined else 1 }}",
        '{{ _.nope if "nope" in _ else 1 }}',
        "{% for nope in _.x %}{{ nope }}{{ loop.index }}{% endfor %}",
        "{% for _ in range(3) %}{{ _.nope }}{% endfor %}",
        "{% set nope = 1 %}{{ nope }}",
        "{% macro nope(y) %}{{ y }}{% endmacro %}{{ nope(1) }}",
        "{{ range(3) | list }}",
        "{{ json_dump(_.x) }}{{ _.x | json_dump }}",
        "{{ __env.nope }}{{ __execution.id }}",
        "{{ nope is defined }}{{ other | default(1) }}",
        "{{ _[_.x] }}",
    ],
)
def test_nothing_is_said_about(expression: str) -> None:
    assert with_expression(expression) == []


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("<% $.nope %>", "nothing defines the variable 'nope'"),
        ("<% $.nope.get(x) %>", "nothing defines the variable 'nope'"),
        ("<% $?.nope %>", "nothing defines the variable 'nope'"),
        ("<% $.x.where($.a = 1).len() + $.nope %>", "nothing defines the variable 'nope'"),
        ("<% coalesce($.nope, 1) %>", "nothing defines the variable 'nope'"),
        ("<% not $.nope %>", "nothing defines the variable 'nope'"),
        ("<% [1, {k => $.nope}] %>", "nothing defines the variable 'nope'"),
        ("a <% $.x %> b <% $.nope %>", "nothing defines the variable 'nope'"),
        ("{{ _.nope }}", "nothing defines the variable 'nope'"),
        ('{{ _["nope"] }}', "nothing defines the variable 'nope'"),
        ("{{ _.nope.y | default(1) }}", "nothing defines the variable 'nope'"),
        ("{% if _.nope %}{{ 1 }}{% endif %}", "nothing defines the variable 'nope'"),
        ("{{ given }}", "'given' is undefined: a variable is read as '_.given'"),
        ("<% $given %>", "'$given' is always null: a variable is read as '$.given'"),
        ("<% task(nope).result %>", "there is no task 'nope' in this workflow"),
        ('{{ task("nope").result }}', "there is no task 'nope' in this workflow"),
        ("<% global(nope) %>", "there is no global variable 'nope': this is always null"),
        ("<% global(x) %>", "there is no global variable 'x', only a variable of a branch"),
        ("<% jsn_dump($.x) %>", "unknown function 'jsn_dump' (did you mean 'json_dump'?)"),
        ("<% $.x.nope() %>", "unknown function 'nope'"),
        ("{{ nope(1) }}", "unknown function 'nope'"),
        ("{{ _.x | nope }}", "unknown filter or test 'nope'"),
        ("{{ _.x is nope }}", "unknown filter or test 'nope'"),
    ],
)
def test_something_is_said_about(expression: str, found: str) -> None:
    [warning] = with_expression(expression)
    assert found in warning


@pytest.mark.parametrize(
    ("attributes", "count"),
    [
        ("input: {a: {b: [<% $.n1 %>]}}", 1),
        ("input: <% $.n1 %>", 1),
        ("action: std.echo output=<% $.n1 %>", 1),
        ("action: <% $.n1 %>", 1),
        ("workflow: <% $.n1 %> a=<% $.n2 %>", 2),
        ("publish: {a: <% $.n1 %>}", 1),
        ("publish-on-error: {a: <% $.n1 %>}", 1),
        ("publish-on-skip: {a: <% $.n1 %>}", 1),
        ("with-items: i in <% $.n1 %>", 1),
        ("with-items: ['i in <% $.n1 %>', 'j in {{ _.n2 }}']", 2),
        ("retry: {count: <% $.n1 %>, delay: 1, break-on: <% $.n2 %>, continue-on: <% $.n3 %>}", 3),
        ("retry: count=<% $.n1 %> delay=1 break-on=<% $.n2 %>", 2),
        ("wait-before: <% $.n1 %>\nwait-after: <% $.n2 %>\ntimeout: <% $.n3 %>", 3),
        ("concurrency: <% $.n1 %>\npause-before: <% $.n2 %>\nfail-on: <% $.n3 %>", 3),
        ("keep-result: <% $.n1 %>\nsafe-rerun: <% $.n2 %>", 2),
        ("on-success: [{noop: <% $.n1 %>}]\non-error: {next: [{fail: <% $.n2 %>}]}", 2),
        ("on-complete: {publish: {branch: {a: <% $.n1 %>}, global: {b: <% $.n2 %>}}}", 2),
        ("on-skip: fail(msg='<% $.n1 %> and {x}')", 1),
    ],
)
def test_every_place_of_a_task_is_read(attributes: str, count: int) -> None:
    found = [warning for warning in of_task(attributes) if "nothing defines the variable 'n" in warning]
    assert len(found) == count


def test_expressions_in_defaults_of_the_input_are_no_expressions() -> None:
    assert warnings("wf: {input: [{a: <% $.nope %>}], tasks: {t: {description: <% $.nope %>}}}") == []


def test_vars_see_the_input_alone() -> None:
    found = warnings(
        """
        wf:
          input: [i]
          vars: {a: <% $.i %>, b: <% $.a %>, c: <% $.later %>, d: <% $.get(a) %>}
          tasks: {t: {publish: {later: 1}}}
        """
    )
    assert found == [
        "wf.vars.c: nothing defines the variable 'later' before 'vars': it is no input",
    ]  # 'a' is looked up with care somewhere, so nothing is said about it
    [found_b] = warnings("wf: {input: [i], vars: {a: <% $.i %>, b: <% $.a %>}, tasks: {t: {wait-before: 1}}}")
    assert found_b == "wf.vars.b: 'vars' don't see each other, and 'a' is no input"


def test_the_output_sees_everything_that_is_published() -> None:
    found = warnings(
        """
        wf:
          output: {a: <% $.x %>, b: <% $.y %>, c: <% $.z %>, d: <% $.w %>}
          vars: {w: 1}
          tasks:
            t: {publish: {x: 1}, on-error: {publish: {global: {y: 1}}, next: noop}}
        """
    )
    assert found == [
        "wf.output.c: nothing defines the variable 'z': it is no input, not in 'vars', and never published",
    ]


BRANCHES = """
    wf:
      tasks:
        s: {on-success: [l, r]}
        l: {publish: {left: 1}, on-success: j}
        r: {input: {i: READ}, on-success: j}
        j: {join: all, input: {i: <% $.left %>}}
"""


def test_a_variable_of_a_parallel_branch_is_not_seen() -> None:
    assert warnings(BRANCHES.replace("READ", "1")) == []
    [found] = warnings(BRANCHES.replace("READ", "<% $.left %>"))
    assert (
        found == "wf.tasks.r.input.i: 'left' is only published by 'l', and no route leads from there to here"
    )


def test_a_global_variable_may_be_seen_anywhere() -> None:
    text = BRANCHES.replace("READ", "<% $.left %>").replace(
        "publish: {left: 1}, on-success: j", "on-success: {publish: {global: {left: 1}}, next: j}"
    )
    assert warnings(text) == []


def test_a_task_sees_what_comes_round_in_a_cycle() -> None:
    assert (
        warnings(
            """
        wf:
          tasks:
            s: {publish: {n: 0}, on-success: a}
            a: {publish: {n: <% $.n + 1 %>, m: 1}, on-success: [{b: <% $.n < 3 %>}]}
            b: {input: {i: <% $.m %>}, on-success: a}
        """
        )
        == []
    )


def test_entries_of_one_publish_do_not_see_each_other() -> None:
    [found] = of_task("publish: {p: 1, q: <% $.p %>}")
    assert found == (
        "wf.tasks.t.publish.q: 'p' is published by this task: "
        "what it publishes together doesn't see each other"
    )


def test_conditions_see_what_their_task_has_published_its_input_does_not() -> None:
    conditions = "on-success: [{noop: <% $.p = 1 %>}]\nretry: {count: 1, delay: 1, break-on: <% $.p %>}"
    assert of_task(f"publish: {{p: 1}}\n{conditions}") == []
    [found] = of_task("publish: {p: 1}\ninput: {i: <% $.p %>}")
    assert found == "wf.tasks.t.input.i: 'p' is only published by this task, when it has ended"


def test_item_variables_are_seen_by_the_input_alone() -> None:
    assert of_task("with-items: vm in <% $.x %>\ninput: {i: <% $.vm.name %>}\ntarget: <% $.vm %>") == []
    [found] = of_task("with-items: vm in <% $.x %>\npublish: {p: <% $.vm %>}")
    assert "the with-items variable 'vm' can't be read here, only in the task's input" in found


def test_a_target_sees_the_input_of_the_action() -> None:
    assert of_task("input: {host: h}\ntarget: <% $.host %>") == []
    assert of_task("target: <% $.host %>") == []


def test_task_defaults_see_what_any_task_sees() -> None:
    found = warnings(
        """
        wf:
          task-defaults:
            timeout: <% $.i %>
            retry: {count: <% $.x %>, delay: <% $.nope %>}
            on-error: {publish: {branch: {why: 1}}, next: h}
          tasks:
            t: {with-items: 'i in [1]', publish: {x: 1}}
            h: {input: {i: <% $.why %>}}
        """
    )
    assert [warning.partition(":")[0] for warning in found] == ["wf.task-defaults.retry.delay"]


def test_a_reverse_task_sees_what_it_requires() -> None:
    found = warnings(
        """
        wf:
          type: reverse
          tasks:
            a: {publish: {x: 1}}
            b: {requires: a, input: {i: <% $.x %>}}
            c: {requires: b, input: {i: <% $.x %>}}
            d: {input: {i: <% $.x %>}}
        """
    )
    assert found == [
        "wf.tasks.d.input.i: 'x' is only published by 'a', and no route leads from there to here"
    ]


UNREAD = """
    wf:
      output: {o: <% $.read %>}
      output-on-error: {e: 1}
      tasks:
        t: {publish: {read: 1, unread: 2}, on-success: u}
        u: {input: {i: READ}}
"""


def test_a_variable_that_nothing_reads_is_told() -> None:
    assert warnings(UNREAD.replace("READ", "1")) == [
        "wf.tasks.t.publish.unread: nothing in this workflow reads 'unread', which is published here"
    ]


@pytest.mark.parametrize(
    "expression",
    [
        "<% $.unread %>", "<% $.get(unread) %>", "<% $ %>", "{{ _ }}", "<% $.get($.read) %>",
        "<% $.keys() %>",
        "<% $.read.where($.unread) %>", "<% task(t).published %>", "<% task(t) %>", "<% tasks() %>",
        "{{ _.items() }}", '{{ task("t").published.unread }}', "<% json_dump($) %>", "<% global($.read) %>",
    ],
)  # fmt: skip
def test_a_variable_that_something_may_read_is_not_told(expression: str) -> None:
    assert not [
        found for found in warnings(UNREAD.replace("READ", f"'{expression}'")) if "reads 'unread'" in found
    ]


def test_published_variables_have_a_reader_where_an_output_is_missing() -> None:
    for line in ("output: {o: <% $.read %>}", "output-on-error: {e: 1}"):
        assert warnings(UNREAD.replace("READ", "1").replace(line, "tags: [a]")) == []


@pytest.mark.parametrize("action", ["mine", "<% $.read %>"])
def test_an_action_that_may_be_ad_hoc_may_read_any_variable(action: str) -> None:
    text = UNREAD.replace("{i: READ}", "{i: 1}, action: '@'".replace("@", action))
    assert warnings(text) == []


def test_functions_of_ad_hoc_actions_are_looked_at_their_variables_are_not() -> None:
    text = (
        "ac: {base: std.echo output=<% nope($.any) %>, base-input: {a: <% $.b %>}, output: '{{ _ | nix }}'}"
    )
    found = [str(problem.message) for problem in ACTIONS(document(text), CheckOptions()).warnings]
    assert found == ["unknown function 'nope'", "unknown filter or test 'nix'"]


def test_members_of_a_workbook_are_read_too() -> None:
    text = "name: wb\nworkflows: {wf: {tasks: {t: {input: {i: <% $.nope %>}}}}}"
    [found] = WORKBOOK(document(text), CheckOptions()).warnings
    assert found.path == "workflows.wf.tasks.t.input.i"


def test_of_very_many_findings_some_are_told() -> None:
    tasks = "\n".join(f"    t{number}: {{input: {{i: <% $.nope{number} %>}}}}" for number in range(300))
    assert len(problems(f"wf:\n  tasks:\n{tasks}\n")) == MAX_FINDINGS


def test_a_document_that_is_refused_is_not_read() -> None:
    text = document("wf: {tasks: {t: {foo: 1, input: {i: <% $.nope %>}}}}")
    with pytest.raises(DefinitionError) as caught:
        parse_workflows(text)
    assert len(caught.value.problems) == 1


def test_reading_can_be_switched_off() -> None:
    text = document("wf: {tasks: {t: {input: {i: <% $.nope %>}}}}")
    upload: Upload = parse_workflows(text, CheckOptions(reading=False))
    assert upload.warnings == ()
    assert parse_workflows(text, CheckOptions(validate=False)).warnings == ()


def test_findings_are_errors_under_strict_checking_only() -> None:
    text = document("wf: {tasks: {t: {input: {i: <% $.nope %>}}}}")
    assert parse_workflows(text).workflows
    with pytest.raises(DefinitionError, match="nothing defines the variable 'nope'"):
        parse_workflows(text, CheckOptions(strict=True))
