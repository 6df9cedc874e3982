"""No expression takes the process with it (expression specification, section 8)."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from tests.expressions.fake_scope import FakeScope

from tramontane.errors import EvaluationError
from tramontane.expressions import (
    Budget,
    ExpressionSyntaxError,
    TooSlow,
    check,
    compile,
    compile_structure,
    evaluate,
)

_DOUBLED = " -> ".join(["let(x => [1, 1])"] + ["let(x => [$x, $x])"] * 40)


def scope() -> FakeScope:
    return FakeScope(
        long="x" * 2_000_000,
        log="a line of text é\n" * 20_000,
        colliding=[number * (2**61 - 1) for number in range(5_000)],
    )


@pytest.mark.parametrize(
    "source",
    [
        "pow(10, 1000000000)",
        "shiftBitsLeft(1, 1000000000)",
        "round(5, -1000000000)",
        "range(100000).aggregate($1 * 2, 1)",
        "'x' * 1000000000",
        "1000000000 * 'x'",
        "[1] * 1000000000",
        "range(1000).aggregate($1 + $1, x).len()",
        "range(1000).aggregate($1 + $1, [x]).len()",
        "range(1000).aggregate($1.replace(x, xx), x).len()",
        "$.long.replace(x, $.long)",
        "$.long.trim($.long)",
        "$.long.lastIndexOf($.long + y)",
        "let(b => $.long) -> range(100000).select($b).join('')",
        "let(b => $.long) -> range(1000).select($b)",
        "regex('x').replace($.long, $.long)",
        "now().format('%1000000000Y')",
        "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab' =~ '(a+)+$(?=x)'",
        "sequence()",
        "sequence().len()",
        "sequence().toList()",
        "sequence().where($ < 0).first()",
        "range(1000000000).len()",
        "$.l.cycle().aggregate($1 + $2)",
        "generate(1, true, $ + 1)",
        "generateMany(1, [$, $])",
        "range(100000).aggregate($1.append($2), [1]).len()",
        "range(100000).aggregate($1.select($), [1]).len()",
        "range(100000).select(range(100000).select($))",
        "def(f, f($) + f($)) -> f(1)",
        f"{_DOUBLED} -> $x",
        f"{_DOUBLED} -> str($x)",
        f"{_DOUBLED} -> $x = $x",
        f"{_DOUBLED} -> json_dump($x)",
        f"{_DOUBLED} -> [$x].toSet()",
        "(" * 3000 + "1" + ")" * 3000,
        "not " * 3000 + "1",
        "1 + " * 3000 + "1",
        "json_parse('[' * 100000)",
        "yaml_parse('[' * 100000)",
    ],
)
def test_yaql_that_would_not_end_is_an_evaluation_error(source: str) -> None:
    with pytest.raises(EvaluationError, match="Can not evaluate YAQL expression"):
        evaluate(f"<% {source} %>", scope(), Budget(seconds=0.5, items=20_000))


@pytest.mark.parametrize(
    "text",
    [
        "{{ 10 ** 1000000000 }}",
        "{{ 'x' * 1000000000 }}",
        "{{ [1] * 1000000000 }}",
        "{{ 'x'.center(10000000000) }}",
        "{{ 'x' | center(10000000000) }}",
        "{{ 'x'.ljust(10000000000) }}",
        "{{ 'x'.expandtabs(10000000000) }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '%*d' % (1000000000, 1) }}",
        "{{ '%1000000000d' | format(1) }}",
        "{{ '{:1000000000}'.format(1) }}",
        "{{ '{:{w}}'.format(1, w=1000000000) }}",
        "{{ (1).to_bytes(1000000000, 'big') }}",
        "{{ 5 | round(1000000000) }}",
        "{{ 5 | round(-1000000000) }}",
        "{{ [1] | batch(1000000000, 0) | list }}",
        "{{ [1] | slice(1000000000) | list }}",
        "{{ lipsum(n=100000000) }}",
        "{{ 'a' | indent(1000000000) }}",
        "{{ _.long.replace('x', _.long) }}",
        "{{ _.long | replace('x', _.long) }}",
        "{{ _.long | join(_.long) }}",
        "{{ _.long.join([_.long, _.long] * 50) }}",
        "{{ _.long | list }}",
        "{{ _.long | wordwrap(2) }}",
        "{{ 'x'.translate({120: _.long}).translate({120: _.long}) }}",
        "{{ {}.fromkeys(range(100000), _.long) }}",
        "{% set x = 'ab' %}" + "{% set x = x ~ x %}" * 40 + "{{ x }}",
        "{% set x = 'ab' %}" + "{% set x = x + x %}" * 40 + "{{ x }}",
        "{% set x = 'ab' %}" + "{% set x %}{{ x }}{{ x }}{% endset %}" * 40 + "{{ x }}",
        "{% set x = [1] %}" + "{% set x = [x, x] %}" * 40 + "{{ x }}",
        "{% set x = [1] %}" + "{% set x = [x, x] %}" * 40 + "{{ x == x }}",
        "{% set x = [1] %}" + "{% set x = {'a': x, 'b': x} %}" * 40 + "{{ x | tojson }}",
        "{% set x = [1] %}" + "{% set x = x + x %}" * 40 + "{{ x | length }}",
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "{% for a in range(100000) %}{{ _.long }}{% endfor %}",
        "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
        "{{ " + "1 + " * 3000 + "1 }}",
    ],
)
def test_jinja_that_would_not_end_is_an_evaluation_error(text: str) -> None:
    with pytest.raises(EvaluationError, match="Can not evaluate Jinja expression"):
        evaluate(text, scope(), Budget(seconds=0.5))


def test_colliding_numbers_in_a_set_are_stopped_in_time() -> None:
    assert evaluate("<% $.colliding.toSet().len() %>", scope(), Budget()) == 5_000
    with pytest.raises(EvaluationError, match="took longer than 0 seconds"):
        evaluate("<% $.colliding.toSet().len() %>", scope(), Budget(seconds=0))


@pytest.mark.parametrize(
    "text",
    [
        "<% range(100).select($ + 1) %>",
        "<% sequence() %>",
        "<% $.log.split(' ').where($ = nope).len() %>",
        "{% for i in range(1000) %}{{ i }}{% endfor %}",
        "{{ range(100) | map('string') | list }}",
    ],
)
def test_past_the_soft_limit_the_evaluation_is_left_to_be_repeated_elsewhere(text: str) -> None:
    with pytest.raises(TooSlow):
        evaluate(text, scope(), Budget(soft_seconds=0))


def test_what_was_too_slow_here_ends_in_a_thread_without_a_soft_limit() -> None:
    text = "<% range(100).select($ + 1).sum() %>"
    results: list[Any] = []
    with pytest.raises(TooSlow):
        evaluate(text, scope(), Budget(soft_seconds=0))

    thread = threading.Thread(target=lambda: results.append(evaluate(text, scope(), Budget())))
    thread.start()
    thread.join()

    assert results == [5050]


def test_many_threads_share_compiled_expressions_and_the_parser() -> None:
    results: list[Any] = []

    def work(number: int) -> None:
        for step in range(50):
            expected = number * 100 + step
            text = f"<% [$.a + {expected - 1}, $.l.where($ > {step % 3})] %>"
            results.append(evaluate(text, FakeScope(), Budget())[0] == expected)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert results == [True] * 200


def test_a_long_source_is_not_even_parsed_under_a_soft_limit() -> None:
    text = "<% [" + "1, " * 5000 + "1].len() %>"

    with pytest.raises(TooSlow):
        evaluate(text, FakeScope(), Budget(soft_seconds=60))
    assert evaluate(text, FakeScope(), Budget()) == 5001
    assert evaluate(text, FakeScope(), Budget(soft_seconds=60)) == 5001


def test_the_time_of_a_budget_covers_a_whole_structure() -> None:
    structure = compile_structure({"a": "<% range(100).sum() %>", "b": "<% range(100).sum() %>"})
    budget = Budget(seconds=0)

    with pytest.raises(EvaluationError, match="took longer"):
        structure.evaluate(FakeScope(), budget)


def test_a_smaller_memory_limit_refuses_a_smaller_result() -> None:
    small = Budget(memory=1_000)

    for text in ("<% $.long %>", "{{ _.long }}", "x {{ _.long }}", "x <% $.long %>"):
        with pytest.raises(EvaluationError, match="memory"):
            evaluate(text, scope(), small)


@pytest.mark.parametrize(
    "text", ids=["yaql", "jinja"], argvalues=["<% " + "1" * 2**20 + "1 %>", "{{ " + "a" * 2**20 + " }}"]
)
def test_an_expression_is_at_most_one_mebibyte_long(text: str) -> None:
    with pytest.raises(ExpressionSyntaxError, match="longer than 1048576 characters"):
        check(text)


@pytest.mark.parametrize(
    "text", ["<% " + "1" * 5000 + " %>", '<% "\\N{no such name}" %>', "{{ " + "1" * 5000 + " }}"]
)
def test_literals_that_python_can_not_read_are_syntax_errors(text: str) -> None:
    with pytest.raises(ExpressionSyntaxError):
        check(text)


def test_the_cache_of_compiled_texts_is_bounded() -> None:
    first = compile("<% $.a + 100000 %>")
    assert compile("<% $.a + 100000 %>") is first
    for number in range(5_000):
        compile(f"text {number}")

    assert compile("<% $.a + 100000 %>") is not first
