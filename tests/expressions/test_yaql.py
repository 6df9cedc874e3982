"""YAQL expressions, statement by statement of the checklist (expression specification, section 9)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.expressions.fake_scope import DATA, FakeScope

from tramontane.errors import EvaluationError
from tramontane.expressions import Budget, ExpressionSyntaxError, check, compile_structure, evaluate
from tramontane.values import FrozenDict, FrozenList, freeze


def value_of(text: Any, scope: FakeScope | None = None) -> Any:
    return evaluate(text, scope or FakeScope(), Budget())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("plain", "plain", marks=pytest.mark.spec("E1")),
        pytest.param("<% $.a %>", 1, marks=pytest.mark.spec("E2")),
        pytest.param(" <% $.a %>", " 1", marks=pytest.mark.spec("E3")),
        pytest.param("<% $.a %> ", "1 ", marks=pytest.mark.spec("E4")),
        pytest.param("<% $.a %>x", "1x", marks=pytest.mark.spec("E5")),
        pytest.param("a=<% $.a %>, s=<% $.s %>", "a=1, s=str", marks=pytest.mark.spec("E6")),
        pytest.param("<% $.a %><% $.a %>", "11", marks=pytest.mark.spec("E7")),
        pytest.param("<% $.l %>", [1, 2, 3], marks=pytest.mark.spec("E8")),
        pytest.param("l: <% $.l %>", "l: [1, 2, 3]", marks=pytest.mark.spec("E9")),
        pytest.param("d: <% $.d %>", "d: {'k': 'v', 'n': {'m': 5}}", marks=pytest.mark.spec("E10")),
        pytest.param("n: <% $.n %>", "n: None", marks=pytest.mark.spec("E11")),
        pytest.param("b: <% $.b %>", "b: True", marks=pytest.mark.spec("E12")),
        pytest.param("<% $.n %>", None, marks=pytest.mark.spec("E13")),
        pytest.param("<% $.get(missing) %>", None, marks=pytest.mark.spec("E15")),
        pytest.param("<% $.get(missing, 5) %>", 5, marks=pytest.mark.spec("E16")),
        pytest.param("<% $.containsKey(missing) %>", False, marks=pytest.mark.spec("E17")),
        pytest.param("<% $.d.get(zz) %>", None, marks=pytest.mark.spec("E18")),
        pytest.param("<% $.d.n.m %>", 5, marks=pytest.mark.spec("E19")),
        pytest.param("<% $.l[0] %>", 1, marks=pytest.mark.spec("E20")),
        pytest.param("<% $.l[-1] %>", 3, marks=pytest.mark.spec("E20")),
        pytest.param("<% $.n?.foo %>", None, marks=pytest.mark.spec("E22")),
        pytest.param("<% $.exp %>", "<% $.a %>", marks=pytest.mark.spec("E24")),
        pytest.param("<% nope %>", "nope", marks=pytest.mark.spec("E29")),
        pytest.param("<% $x %>", None, marks=pytest.mark.spec("E30")),
        pytest.param('<% "<%" %>', "<%", marks=pytest.mark.spec("E32")),
        pytest.param("<%$.a%>", 1, marks=pytest.mark.spec("E33")),
        pytest.param("<%%$.a%%>", 1, marks=pytest.mark.spec("E33")),
        pytest.param("<%> $.a <%>", 1, marks=pytest.mark.spec("E33")),
        pytest.param("<% $.a\n%>", 1, marks=pytest.mark.spec("E34")),
        pytest.param("<% $.a %> and <% $.l.where(\n  $ > 2) %>", "1 and [3]", marks=pytest.mark.spec("E34")),
        pytest.param("<% if x {\n%>", "<% if x {\n%>", marks=pytest.mark.spec("E34")),
        pytest.param("<% $.a", "<% $.a", marks=pytest.mark.spec("E35")),
        pytest.param("<% $.a %>\n", "1\n", marks=pytest.mark.spec("E36")),
        pytest.param(
            {"x": "<% $.a %>", "<% $.s %>": 1}, {"x": 1, "<% $.s %>": 1}, marks=pytest.mark.spec("E37")
        ),
        pytest.param(["<% $.a %>", ["<% $.s %>"]], [1, ["str"]], marks=pytest.mark.spec("E38")),
        pytest.param("<% 5 / 2 %>", 2, marks=pytest.mark.spec("E40")),
        pytest.param("<% -5 / 2 %>", -3, marks=pytest.mark.spec("E41")),
        pytest.param("<% 5.0 / 2 %>", 2.5, marks=pytest.mark.spec("E42")),
        pytest.param("<% 1 = 1.0 %>", True, marks=pytest.mark.spec("E43")),
        pytest.param('<% $.s + "x" %>', "strx", marks=pytest.mark.spec("E44")),
        pytest.param("<% null < 1 %>", True, marks=pytest.mark.spec("E46")),
        pytest.param("<% 0 or 3 %>", 3, marks=pytest.mark.spec("E47")),
        pytest.param("<% str(null) %>", "null", marks=pytest.mark.spec("E48")),
        pytest.param("x<% null %>", "xNone", marks=pytest.mark.spec("E48")),
        pytest.param("<% str(true) %>", "true", marks=pytest.mark.spec("E49")),
        pytest.param("x<% true %>", "xTrue", marks=pytest.mark.spec("E49")),
        pytest.param('<% int("5") %>', 5, marks=pytest.mark.spec("E50")),
        pytest.param('<% bool("false") %>', True, marks=pytest.mark.spec("E51")),
        pytest.param("<% $.l.where($ > 1) %>", [2, 3], marks=pytest.mark.spec("E52")),
        pytest.param("<% $.l.select($ + 1) %>", [2, 3, 4], marks=pytest.mark.spec("E53")),
        pytest.param("<% $.l.sum() %>", 6, marks=pytest.mark.spec("E55")),
        pytest.param('<% $.l.join(",") %>', "1,2,3", marks=pytest.mark.spec("E56")),
        pytest.param('<% ["a", null].join(",") %>', "a,null", marks=pytest.mark.spec("E57")),
        pytest.param("<% $.l.groupBy($ mod 2) %>", [[1, [1, 3]], [0, [2]]], marks=pytest.mark.spec("E58")),
        pytest.param("<% $.ld.x %>", [1, 2], marks=pytest.mark.spec("E59")),
        pytest.param("<% $.ld.where($.x > 1) %>", [{"x": 2}], marks=pytest.mark.spec("E60")),
        pytest.param("<% dict(a => 1) %>", {"a": 1}, marks=pytest.mark.spec("E61")),
        pytest.param("<% {a => 1} %>", {"a": 1}, marks=pytest.mark.spec("E61")),
        pytest.param("<% {1 => 2} %>", {"1": 2}, marks=pytest.mark.spec("E63")),
        pytest.param("<% $.d.keys().orderBy($) %>", ["k", "n"], marks=pytest.mark.spec("E64")),
        pytest.param("<% $.d.values() %>", ["v", {"m": 5}], marks=pytest.mark.spec("E65")),
        pytest.param("<% $.d.items() %>", [["k", "v"], ["n", {"m": 5}]], marks=pytest.mark.spec("E66")),
        pytest.param("<% $.d.containsKey(k) %>", True, marks=pytest.mark.spec("E67")),
        pytest.param(
            "<% {a => {b => 1}}.mergeWith({a => {c => 2}}) %>",
            {"a": {"b": 1, "c": 2}},
            marks=pytest.mark.spec("E69"),
        ),
        pytest.param("<% set(2, 1) %>", [1, 2], marks=pytest.mark.spec("E70")),
        pytest.param("<% range(3) %>", [0, 1, 2], marks=pytest.mark.spec("E71")),
        pytest.param("<% sequence(1).take(3) %>", [1, 2, 3], marks=pytest.mark.spec("E72")),
        pytest.param("<% let(x => 1) -> $x + 1 %>", 2, marks=pytest.mark.spec("E74")),
        pytest.param("<% switch($.a = 1 => yes, true => no) %>", "yes", marks=pytest.mark.spec("E75")),
        pytest.param("<% coalesce($.n, z) %>", "z", marks=pytest.mark.spec("E76")),
        pytest.param('<% regex("b").replace("abc", "x") %>', "axc", marks=pytest.mark.spec("E77")),
        pytest.param('<% $.s =~ "s.*" %>', True, marks=pytest.mark.spec("E78")),
        pytest.param("<% $.s.len() %>", 3, marks=pytest.mark.spec("E79")),
        pytest.param("<% len($.l) %>", 3, marks=pytest.mark.spec("E79")),
        pytest.param("<% $.un.toUpper() %>", "É", marks=pytest.mark.spec("E81")),
        pytest.param('<% "日本".len() %>', 2, marks=pytest.mark.spec("E82")),
        pytest.param("<% 99999999999999999999 %>", 99999999999999999999, marks=pytest.mark.spec("E83")),
        pytest.param("<% True %>", "True", marks=pytest.mark.spec("E86")),
        pytest.param(
            "t <% datetime(2020,1,2) %>", "t 2020-01-02 00:00:00+00:00", marks=pytest.mark.spec("E90")
        ),
        pytest.param("<% timespan(hours => 1) %>", 3600.0, marks=pytest.mark.spec("E91")),
        pytest.param('<% json_parse("[1,2]") %>', [1, 2], marks=pytest.mark.spec("E157")),
        pytest.param('<% yaml_parse("a: [1, 2]") %>', {"a": [1, 2]}, marks=pytest.mark.spec("E158")),
        pytest.param('<% yaml_parse("") %>', None, marks=pytest.mark.spec("E158")),
        pytest.param('<% yaml_parse("a: &x") %>', {"a": "&x"}, marks=pytest.mark.spec("E159")),
        pytest.param("<% yaml_dump($.d) %>", "k: v\nn:\n  m: 5\n", marks=pytest.mark.spec("E160")),
    ],
)
def test_an_expression_gives_the_value_of_the_checklist(text: Any, expected: Any) -> None:
    result = value_of(text)

    assert result == expected
    assert type(result) is type(freeze(expected))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("<% $.missing %>", "error='missing'", marks=pytest.mark.spec("E14")),
        pytest.param("<% $.d.zz %>", "error='zz'", marks=pytest.mark.spec("E18")),
        pytest.param("<% $.l[9] %>", "tuple index out of range", marks=pytest.mark.spec("E21")),
        pytest.param("<% $.n.foo %>", 'Unknown function "#property#foo"', marks=pytest.mark.spec("E22")),
        pytest.param("<% $.nope?.foo %>", "'nope'", marks=pytest.mark.spec("E23")),
        pytest.param("<% nope() %>", 'Unknown function "nope"', marks=pytest.mark.spec("E28")),
        pytest.param("<% $.s + 1 %>", 'No function "#operator_+" matches', marks=pytest.mark.spec("E45")),
        pytest.param("<% 1 < a %>", 'No function "#operator_<" matches'),
        pytest.param(
            '<% int("5.7") %>', "invalid literal for int() with base 10]", marks=pytest.mark.spec("E50")
        ),
        pytest.param("<% $.l.where($ > 10).first() %>", "error=]", marks=pytest.mark.spec("E54")),
        pytest.param("<% k in $.d %>", 'No function "#operator_in"', marks=pytest.mark.spec("E67")),
        pytest.param("<% $.s[0] %>", 'No function "#indexer"', marks=pytest.mark.spec("E80")),
        pytest.param("<% md5(a) %>", 'Unknown function "md5"', marks=pytest.mark.spec("E89")),
        pytest.param(
            "<% base64encode(a) %>", 'Unknown function "base64encode"', marks=pytest.mark.spec("E89")
        ),
        pytest.param(
            '<% json_parse("x") %>',
            "Expecting value: line 1 column 1 (char 0)",
            marks=pytest.mark.spec("E157"),
        ),
        pytest.param("<% $.d.json_dump() %>", 'Unknown method "json_dump"', marks=pytest.mark.spec("E162")),
        pytest.param('<% $.s.contains("t") %>', 'No method "contains"'),
    ],
)
def test_a_wrong_expression_is_an_evaluation_error_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        value_of(text)

    source = text[2:-2].strip()
    assert caught.value.message.startswith(f"Can not evaluate YAQL expression [expression={source}, error=")
    assert reason in caught.value.message


@pytest.mark.spec("E25", "E26", "E27", "E31", "E62", "E84", "E85", "E87")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<% %>", "Parse error: unexpected end of statement"),
        ("<%%>", "Parse error: unexpected end of statement"),
        ("<% $. %>", "Parse error: unexpected end of statement"),
        ("<% a b %>", "Parse error: unexpected 'b'"),
        ('<% "a%>b" %>', "Lexical error: illegal character '\"'"),
        ("<% {a: 1} %>", "Lexical error: illegal character ':'"),
        ("<% 1e3 %>", "error"),
        ("<% 0x10 %>", "error"),
        ("<% 2 ** 3 %>", "error"),
        ("<% $.__env %>", "Lexical error"),
    ],
)
def test_the_check_refuses_what_can_not_be_parsed(text: str, message: str) -> None:
    with pytest.raises(ExpressionSyntaxError) as caught:
        check(text)

    assert message in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("<% nope() %>", marks=pytest.mark.spec("E28")),
        pytest.param("<% $.a", marks=pytest.mark.spec("E35")),
        pytest.param("<% if x {\n%>", marks=pytest.mark.spec("E34")),
        "plain",
        '<% "<%" %>',
    ],
)
def test_the_check_takes_what_needs_no_grammar(text: str) -> None:
    check(text)


def test_a_syntax_error_knows_its_place_in_the_whole_text() -> None:
    with pytest.raises(ExpressionSyntaxError) as caught:
        check("value: <%  a b %>")

    assert caught.value.offset == len("value: <%  a ")


@pytest.mark.spec("E39")
def test_the_input_structure_is_unchanged_and_its_constant_parts_are_shared() -> None:
    before = freeze({"x": "<% $.a %>", "same": {"y": [1]}})
    structure = compile_structure(before)

    after = structure.evaluate(FakeScope(), Budget())

    assert before == {"x": "<% $.a %>", "same": {"y": [1]}}
    assert after == {"x": 1, "same": {"y": [1]}}
    assert after["same"] is before["same"]
    assert not structure.constant


def test_a_structure_without_expressions_is_returned_as_it_is() -> None:
    value = freeze({"a": ["plain", 1, None]})
    structure = compile_structure(value)

    assert structure.constant
    assert structure.evaluate(FakeScope(), Budget()) is value


@pytest.mark.spec("E68")
def test_adding_maps_leaves_the_data_alone() -> None:
    scope = FakeScope()

    assert value_of("<% $.d + {z => 1} %>", scope) == {"k": "v", "n": {"m": 5}, "z": 1}
    assert scope.data["d"] == DATA["d"]


@pytest.mark.spec("E73")
@pytest.mark.parametrize("text", ["<% sequence() %>", "<% $.l.cycle() %>", "<% sequence().len() %>"])
def test_an_endless_iterator_ends_with_an_error(text: str) -> None:
    with pytest.raises(EvaluationError, match="more than 1000 items"):
        evaluate(text, FakeScope(), Budget(items=1000))


@pytest.mark.spec("E88")
def test_internal_roots_are_variables() -> None:
    scope = FakeScope(__execution={"id": "e1"}, __env={"x": 7})

    assert value_of("<% $__execution.id %>", scope) == "e1"
    assert value_of("<% $__env.x %>", scope) == 7
    assert value_of('<% $.get("__env").x %>', scope) == 7
    assert value_of("<% $__task_execution %>", scope) is None


@pytest.mark.spec("E169")
def test_an_error_never_shows_the_receiver() -> None:
    scope = FakeScope(d={"password": "hunter2"})

    with pytest.raises(EvaluationError) as caught:
        value_of("<% $.d.select($) %>", scope)

    assert 'No method "select" for receiver of type' in caught.value.message
    assert "hunter2" not in caught.value.message
    assert "password" not in caught.value.message


def test_the_whole_data_are_a_plain_map() -> None:
    result = value_of("<% $ %>")

    assert result == DATA
    assert type(result) is FrozenDict


def test_results_are_frozen_through_and_through() -> None:
    result = value_of("<% [{a => [1]}] %>")

    assert type(result) is FrozenList
    assert type(result[0]) is FrozenDict
    assert type(result[0]["a"]) is FrozenList


def test_the_same_expression_twice_in_a_text_is_evaluated_once() -> None:
    first, second = str(value_of("<% uuid() %>|<% uuid() %>")).split("|")

    assert first == second


def test_a_result_that_looks_like_a_later_expression_is_not_replaced() -> None:
    scope = FakeScope(x="<% $.y %>", y="deep")

    assert value_of("<% $.x %> <% $.y %>", scope) == "<% $.y %> deep"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("round(2.5)", 2.0),
        ("round(1.234, 2)", 1.23),
        ("pow(2, 3)", 8),
        ("5 mod 2", 1),
        ("1 and 2", 2),
        ("not 0", True),
        ("str($.d)", "{'k': 'v', 'n': {'m': 5}}"),
        ("str($.l)", "(1, 2, 3)"),
        ("int(5.7)", 5),
        ('float("1.5")', 1.5),
        ("$.s.substring(1)", "tr"),
        ("$.s.substring(0, 2)", "st"),
        ('$.s.replace("s", "z")', "ztr"),
        ('"a b".split()', ["a", "b"]),
        ('$.s.split("t")', ["s", "r"]),
        ("$.s.trim()", "str"),
        ("$.s * 2", "strstr"),
        ("2 * $.l", [1, 2, 3, 1, 2, 3]),
        ('$.s.startsWith("s")', True),
        ('"t" in $.s', True),
        ('$.s.indexOf("t")', 1),
        ("concat(a, b, c)", "abc"),
        ("hex(255)", "0xff"),
        ('regex("(\\\\d+)").search("ab12")', "12"),
        ('"ab12".matches("\\\\w+")', True),
        ("$.l.filter($ > 1)", [2, 3]),
        ("$.l.map($ + 1)", [2, 3, 4]),
        ("[$.l.max(), $.l.min(), $.l.count(), $.l.first(), $.l.last()]", [3, 1, 3, 1, 3]),
        ("$.l.reverse()", [3, 2, 1]),
        ("[].first(null)", None),
        ("[$.l.skip(1), $.l.take(2), $.l.limit(2)]", [[2, 3], [1, 2], [1, 2]]),
        ("[$.l.slice(2), $.l.splitAt(1)]", [[[1, 2], [3]], [[1], [2, 3]]]),
        ("$.l.takeWhile($ < 3)", [1, 2]),
        ("[$.l.any($ > 2), $.l.all($ > 0), 2 in $.l, $.l.contains(2)]", [True, True, True, True]),
        ("$.l.indexOf(3)", 2),
        ("$.l.aggregate($1 + $2)", 6),
        ("$.l.accumulate($1 + $2)", [1, 3, 6]),
        ("$.l.zip([a, b, c])", [[1, "a"], [2, "b"], [3, "c"]]),
        ("$.l.enumerate()", [[0, 1], [1, 2], [2, 3]]),
        ("$.l.selectMany([$, $])", [1, 1, 2, 2, 3, 3]),
        ("[1, [2, 3]].flatten()", [1, 2, 3]),
        ("[1, 1, 2].distinct()", [1, 2]),
        ("$.l.orderBy(-$)", [3, 2, 1]),
        ("$.l.orderByDescending($)", [3, 2, 1]),
        ("$.l.toDict($, $ * 2)", {"1": 2, "2": 4, "3": 6}),
        ("dict([[a, 1]])", {"a": 1}),
        ("[$.l.append(9), $.l.insert(0, 9), $.l.delete(0)]", [[1, 2, 3, 9], [9, 1, 2, 3], [2, 3]]),
        ("$.l.replace(0, 9)", [9, 2, 3]),
        ("($.l + [4])[3]", 4),
        ("($.l * 2)[5]", 3),
        ("$.ld.x.sum()", 3),
        ("$.ld.select({y => $.x})", [{"y": 1}, {"y": 2}]),
        ("$.d.keys().toList()", ["k", "n"]),
        ("$.d.len()", 2),
        ("$.d.set(z, 1)", {"k": "v", "n": {"m": 5}, "z": 1}),
        ("$.d.delete(k)", {"n": {"m": 5}}),
        ("{a => [1, 2]}.mergeWith({a => [2, 3]})", {"a": [1, 2, 3]}),
        ("$.d.mergeWith({n => {o => $.l}}).n.o", [1, 2, 3]),
        ("range(1, 4)", [1, 2, 3]),
        ("range(0, 10, 3)", [0, 3, 6, 9]),
        ("$.l.cycle().take(4)", [1, 2, 3, 1]),
        ("$.a.switchCase(x, y, z)", "y"),
        ("selectCase(false, true)", 1),
        ("let(5) -> $1", 5),
        ("def(f, $ + 1) -> f(2)", 3),
        ("1.assert($ = 1)", 1),
        ("[isString(a), isInteger(1), isNumber(1.5), isBoolean(true)]", [True, True, True, True]),
        ("[isList([]), isDict($.d), $.n.isEmpty()]", [True, True, True]),
        ("isList($.l)", True),
        ('datetime("2020-01-02")', "2020-01-02T00:00:00+00:00"),
        ('now().format("%Y")', "2026"),
        ('datetime("2020-01-02T03:04:05Z").timestamp', 1577934245.0),
        ("now().year", 2026),
        ("now()", "2026-11-23T17:08:28.990142+00:00"),
        ("now(timespan(hours => 1)).hour", 18),
        ("(timespan(hours => 3) - timespan(hours => 1)).hours", 2.0),
        ("[1, 2, 3] = $.l", True),
        ("$.l = [1, 2, 3]", True),
        ("$.l != [1, 2, 3]", False),
        ("{k => v, n => {m => 5}} = $.d", True),
        ("[$.l, [1, 2, 3]].distinct().len()", 1),
        ("[$.d, {k => v, n => {m => 5}}].toSet().len()", 1),
    ],
)
def test_yaql_means_what_the_specification_lists(text: str, expected: Any) -> None:
    assert value_of(f"<% {text} %>") == expected
