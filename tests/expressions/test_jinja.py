"""Jinja expressions, statement by statement of the checklist (expression specification, section 9)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.expressions.fake_scope import DATA, FakeScope

from tramontane.errors import EvaluationError
from tramontane.expressions import Budget, ExpressionSyntaxError, check, evaluate, is_expression, left_as_text
from tramontane.values import freeze


def value_of(text: Any, scope: FakeScope | None = None) -> Any:
    return evaluate(text, scope or FakeScope(), Budget())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("{{ _.a }}", 1, marks=pytest.mark.spec("E92")),
        pytest.param(" {{ _.a }}", " 1", marks=pytest.mark.spec("E93")),
        pytest.param("{{ _.a }}\n", "1", marks=pytest.mark.spec("E94")),
        pytest.param("{{ _.a }}{{ _.a }}", "11", marks=pytest.mark.spec("E95")),
        pytest.param("{{ _.l }}", [1, 2, 3], marks=pytest.mark.spec("E96")),
        pytest.param("l {{ _.l }}", "l [1, 2, 3]", marks=pytest.mark.spec("E96")),
        pytest.param("{{ _.n }}", None, marks=pytest.mark.spec("E97")),
        pytest.param("x{{ _.n }}", "xNone", marks=pytest.mark.spec("E97")),
        pytest.param('{{ _.missing | default("z") }}', "z", marks=pytest.mark.spec("E99")),
        pytest.param("{{ _.missing is defined }}", False, marks=pytest.mark.spec("E101")),
        pytest.param('{{ _.get("missing", "q") }}', "q", marks=pytest.mark.spec("E102")),
        pytest.param("{{ none }}", None, marks=pytest.mark.spec("E104")),
        pytest.param("{{ 5 / 2 }}", 2.5, marks=pytest.mark.spec("E105")),
        pytest.param("{{ 5 // 2 }}", 2, marks=pytest.mark.spec("E105")),
        pytest.param("{{ _.s ~ 1 }}", "str1", marks=pytest.mark.spec("E106")),
        pytest.param("{{ [1, _.a] }}", [1, 1], marks=pytest.mark.spec("E107")),
        pytest.param('{{ {"a": 1} }}', {"a": 1}, marks=pytest.mark.spec("E108")),
        pytest.param('{{ {"a": {"b": 1}} }}', {"a": {"b": 1}}, marks=pytest.mark.spec("E109")),
        pytest.param("{% if _.a %}yes{% endif %}", "yes", marks=pytest.mark.spec("E110")),
        pytest.param("{{ '' }}{% if _.a %}yes{% endif %}", "yes", marks=pytest.mark.spec("E111")),
        pytest.param("{% for i in _.l %}{{ i }}{% endfor %}", "123", marks=pytest.mark.spec("E112")),
        pytest.param("{% set x = 1 %}{{ x }}", "1", marks=pytest.mark.spec("E113")),
        pytest.param("{% raw %}{{ x }}{% endraw %}", "{{ x }}", marks=pytest.mark.spec("E115")),
        pytest.param("{# c #}", "{# c #}", marks=pytest.mark.spec("E116")),
        pytest.param("{# c #}{{ 1 }}", "1", marks=pytest.mark.spec("E116")),
        pytest.param("{{ _.a", "{{ _.a", marks=pytest.mark.spec("E117")),
        pytest.param("{{ _.l | length }}", 3, marks=pytest.mark.spec("E123")),
        pytest.param('{{ _.l | join(",") }}', "1,2,3", marks=pytest.mark.spec("E123")),
        pytest.param("{{ range(3) }}", [0, 1, 2], marks=pytest.mark.spec("E124")),
        pytest.param('{{ _.l | map("string") }}', ["1", "2", "3"], marks=pytest.mark.spec("E125")),
        pytest.param("{{ _.s | json_dump }}", '"str"', marks=pytest.mark.spec("E126")),
        pytest.param('{{ "<b>" }}', "<b>", marks=pytest.mark.spec("E128")),
        pytest.param("{{ 1 }} <% $.a %>", "1 <% $.a %>", marks=pytest.mark.spec("E131")),
        pytest.param(["{{ _.a }}", "<% $.a + 1 %>"], [1, 2], marks=pytest.mark.spec("E133")),
        ("{{- _.a -}}", 1),
        ("{{ _.a\n}}", 1),
        ("{{ _.a\n.b }} and {{ not closed\n", "{{ _.a\n.b }} and {{ not closed\n"),
        ("{{ _['a'] }}", 1),
        ("{{ 1e20 }} {{ 99999999999999999999 }} {{ 1.0 }}", "1e+20 99999999999999999999 1.0"),
        ("x{{ [1, 'a', none] }}", "x[1, 'a', None]"),
        ("x{{ (1, 2) }}", "x(1, 2)"),
        ("x{{ _.l | map('string') }}", "x['1', '2', '3']"),
        ("x{{ range(2) }}", "x[0, 1]"),
        ("{{ _.d | tojson }}", '{"k": "v", "n": {"m": 5}}'),
        ("{{ (1, 2) }}", [1, 2]),
        ("{{ '%s-%03d' | format('a', 7) }}", "a-007"),
        ("{{ '{}-{x}'.format(1, x=2) }}", "1-2"),
        ("{{ ','.join(_.l | map('string') | list) }}", "1,2,3"),
        ("{{ _.ld | map(attribute='x') | sum }}", 3),
        ("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(1) }}{{ m(2) }}", "<1><2>"),
        (
            "{% for i in _.l %}{{ loop.index }}/{{ loop.length }}{{ '' if loop.last else ' ' }}{% endfor %}",
            "1/3 2/3 3/3",
        ),
        ("{% for k, v in _.d.items() %}{{ k }}{% endfor %}", "kn"),
        ("{% set x %}a{{ _.a }}{% endset %}{{ x }}", "a1"),
        ("{% filter upper %}{{ _.s }}{% endfilter %}", "STR"),
        ("{% with y = 2 %}{{ y }}{% endwith %}", "2"),
        ("{% call f() %}{% endcall %}{% macro f() %}{% endmacro %}" and "{{ _.s | upper | lower }}", "str"),
        ("{{ _.s.replace('s', 'z') }}", "ztr"),
        ("{{ _.l + [4] }}", [1, 2, 3, 4]),
        ("{{ _.l * 2 }}", [1, 2, 3, 1, 2, 3]),
        ("{{ 2 in _.l and 'k' in _.d }}", True),
        ("{{ dict(a=1).a }}", 1),
        ("{{ _.d['k'] }}", "v"),
        ("{{ '%s' % _.s }}", "str"),
        ("{{ 7 % 4 }}", 3),
        ("{{ yaml_parse('d: 2020-01-01').d }}", "2020-01-01"),
    ],
)
def test_an_expression_gives_the_value_of_the_checklist(text: Any, expected: Any) -> None:
    result = value_of(text)

    assert result == expected
    assert type(result) is type(freeze(expected))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param(
            "{{ _.missing }}", "'dict object' has no attribute 'missing'", marks=pytest.mark.spec("E98")
        ),
        pytest.param(
            "x {{ _.missing }}", "'dict object' has no attribute 'missing'", marks=pytest.mark.spec("E98")
        ),
        pytest.param(
            '{{ _.missing.x | default("z") }}', "no attribute 'missing'", marks=pytest.mark.spec("E100")
        ),
        pytest.param("{{ _.d.zz }}", "no attribute 'zz'", marks=pytest.mark.spec("E103")),
        pytest.param("{{ null }}", "'null' is undefined", marks=pytest.mark.spec("E104")),
        pytest.param("{{ _.s + 1 }}", "can only concatenate str", marks=pytest.mark.spec("E106")),
        pytest.param('{% include "x" %}{{ 1 }}', "no loader", marks=pytest.mark.spec("E114")),
        pytest.param("{{ a | nofilter }}", "No filter named 'nofilter'", marks=pytest.mark.spec("E120")),
        pytest.param(
            "{{ _.__class__ }}",
            "access to attribute '__class__' of 'dict' object is unsafe",
            marks=pytest.mark.spec("E121"),
        ),
        pytest.param("{{ range(200000) | length }}", "Range too big", marks=pytest.mark.spec("E122")),
        ("{{ 1 if false }}", "no else section was defined"),
        ("{{ [_.missing] }}", "no attribute 'missing'"),
        ("{{ uuid }}", "can't be stored"),
        ("{{ _.items }}", "can't be stored"),
        ("x{{ uuid }}", "can't be stored"),
        ("{{ foo() }}", "'foo' is undefined"),
        ("{{ _.l.append(4) }}", "unsafe"),
        ("{{ _.d.update({'z': 1}) }}", "unsafe"),
        ("{{ _.d.pop('k') }}", "unsafe"),
        ("{{ '{0.__class__}'.format(1) }}", "unsafe"),
        ("{{ env.__globals__ }}", "unsafe"),
        ("{{ 1e400 }}", "name 'inf' is not defined"),
    ],
)
def test_a_wrong_expression_is_an_evaluation_error_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        value_of(text)

    assert caught.value.message.startswith(f"Can not evaluate Jinja expression [expression={text}, error=")
    assert reason in caught.value.message


@pytest.mark.spec("E118", "E119")
@pytest.mark.parametrize("text", ["{{ _.a. }}", "{{ }}", "{% if a %}", "{{ a b }}", "{% do x %}"])
def test_the_check_refuses_what_can_not_be_parsed(text: str) -> None:
    with pytest.raises(ExpressionSyntaxError, match=r"^Syntax error '.*'\.$"):
        check(text)


@pytest.mark.spec("E114", "E117", "E120")
@pytest.mark.parametrize(
    "text", ['{% include "x" %}{{ 1 }}', "{{ _.a", "{{ a | nofilter }}", "{{ nope() }}", "{# {{ #}"]
)
def test_the_check_takes_what_only_evaluation_can_refuse(text: str) -> None:
    check(text)


@pytest.mark.spec("E130", "E132")
@pytest.mark.parametrize("text", ["{{ 1 }} <% $.a %>", '{{ "<% 1 %>" }}', '<% "{{ x }}" %>'])
def test_the_check_refuses_both_languages_in_one_text(text: str) -> None:
    with pytest.raises(ExpressionSyntaxError) as caught:
        check(text)

    assert caught.value.message == (
        "The line already contains an expression of type 'jinja'. "
        "Mixing expression types in a single line is not allowed."
    )


@pytest.mark.spec("E134")
def test_a_language_can_be_switched_off() -> None:
    only_yaql = frozenset({"yaql"})

    check("<% 1 %>", only_yaql)
    with pytest.raises(ExpressionSyntaxError) as caught:
        check("{{ 1 }}", only_yaql)
    assert caught.value.message == "The 'jinja' expression language is disabled by the operator."


def test_a_syntax_error_knows_its_line() -> None:
    with pytest.raises(ExpressionSyntaxError) as caught:
        check("{{ 1 }}\nsecond\n{{ }}\n")

    assert caught.value.offset == len("{{ 1 }}\nsecond\n")


@pytest.mark.spec("E127")
def test_json_text_is_the_same_in_both_languages() -> None:
    jinja, yaql = value_of("{{ json_dump(_.d) }}"), value_of("<% json_dump($.d) %>")

    assert jinja == yaql == '{\n    "k": "v",\n    "n": {\n        "m": 5\n    }\n}'


@pytest.mark.spec("E129")
def test_a_variable_named_like_a_method_is_read_by_index() -> None:
    scope = FakeScope(items=1)

    assert value_of('{{ _["items"] }}', scope) == 1
    assert value_of("<% $.items %>", scope) == 1
    with pytest.raises(EvaluationError):
        value_of("{{ _.items }}", scope)


def test_internal_roots_are_names() -> None:
    scope = FakeScope(__execution={"id": "e1"}, __env={"x": 7})

    assert value_of("{{ __execution.id }}", scope) == "e1"
    assert value_of("{{ _.__env.x }}", scope) == 7
    assert value_of("{% for i in [1] %}{{ __env.x }}{% endfor %}", scope) == "7"
    with pytest.raises(EvaluationError, match="'__task_execution' is undefined"):
        value_of("{{ __task_execution }}", scope)


def test_no_expression_can_change_the_data() -> None:
    scope = FakeScope()
    for text in (
        "{{ _.l.append(4) }}",
        "{{ _.d.update({'z': 1}) }}",
        "{{ _.d.pop('k') }}",
        "{{ _.clear() }}",
    ):
        with pytest.raises(EvaluationError):
            value_of(text, scope)

    assert scope.data == DATA


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", False),
        ("<% 1 %>", True),
        ("{{ 1 }}", True),
        ("{% if 1 %}", True),
        ("{# 1 #}", False),
        ("<% 1", False),
        ("<% 1 +\n 1 %>", True),
        ("<% if x {\n%>", False),
        ("{{ 1 +\n 1 }}", True),
        ("{{ if x\n }}", False),
    ],
)
def test_an_expression_is_recognised_also_over_several_lines(text: str, expected: bool) -> None:
    assert is_expression(text) is expected


@pytest.mark.spec("E34")
def test_what_only_looks_like_an_expression_over_lines_gives_a_warning() -> None:
    assert "stays text" in (left_as_text("<% if x {\n%>") or "")
    assert "stays text" in (left_as_text("{{ if x\n }}") or "")
    assert left_as_text("<% 1 +\n1 %>") is None
    assert left_as_text("{{ 1 }}") is None
    assert left_as_text("plain") is None
