"""Compiled YAQL and the library must agree: on values, on their types, and on what is an error."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaql
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.expressions.fake_scope import FakeScope, LazyMap

from tramontane.errors import EvaluationError
from tramontane.expressions import Budget, evaluate, yaql_engine
from tramontane.expressions.limits import Evaluation, Exhausted
from tramontane.expressions.results import frozen
from tramontane.expressions.results import text as as_text
from tramontane.expressions.yaql_compiler import compile_tree

MORE: dict[str, Any] = {
    "num": -7,
    "big": 2**70,
    "t": "Some text, with parts",
    "blank": "  ",
    "ll": [[1, 2], [3]],
    "mixed": [1, "a", None, True, 2.5, [1], {"x": 1}],
    "deep": [{"x": {"y": [1, 2]}, "state": "ok"}, {"x": {"y": []}, "state": "bad"}],
    "names": ["k", "n", "a"],
    "false": False,
    "zero": 0,
}

COMMON = [
    "$",
    "$.a",
    "$.d.n.m",
    "$.get(x)",
    "$.get(a)",
    "$.get(missing, 5)",
    "task(t1)",
    "task(t1).result",
    "task(t1).result.a.b",
    "task().name",
    "env().x",
    "execution().id",
    "global(g)",
    "$.l[0]",
    "$.l[-1]",
    '$["a"]',
    "$.d.get(k, 1)",
    "$.d[zz, 1]",
    "$.a = 1 and $.s = str",
    "$.a + 1",
    "$.s + x",
    "len($.l)",
    "$.l.len()",
    "[$.a, $.s]",
    "{a => $.a, b => $.s}",
    "dict(a => $.a)",
    "$.deep.where($.state = ok)",
    "$.deep.select($.x.y)",
    "$.deep.x.y",
    "$.deep.where($.state = ok).select({s => $.state}).first()",
    "$.deep.where($.state = nope).first(none)",
    "$.deep.any($.state = ok)",
    "str($.a)",
    "str($.mixed)",
    "int($.s.len())",
    "coalesce($.n, 1)",
    "a in $.names",
    "$.d.containsKey(k)",
    "not $.n.isEmpty()",
    "isEmpty($.blank)",
    "$.n?.foo",
    "$.d?.k",
    "$.d?.get(k)",
    "switch($.a = 1 => yes, true => no)",
    "$x",
    "$2",
    "$__env",
    "$__execution.id",
    "bare",
    "$.l.where($ in [1, 2]).toList()",
    "$.names.join(',')",
    "','.join($.names)",
    "tasks(recursive => true).name",
    "$.t.split(' ').where($.startsWith(S)).len()",
    "$.t =~ 'text'",
]


def scope() -> FakeScope:
    scope = FakeScope(None, **MORE, __env={"x": 7}, __execution={"id": "e1"})
    functions = scope.functions
    functions.task_maps["t1"] = LazyMap({"name": "t1", "result": {"a": {"b": [1]}}})
    functions.current_task = {"name": "now"}
    functions.env_map = {"x": 1}
    functions.execution_map = {"id": "e1"}
    functions.globals["g"] = 1
    return scope


def outcome(run: Any) -> tuple[str, Any]:
    """Run in a fresh evaluation; give what it returns, with exact types, or its error."""
    budget = Budget(items=10_000)
    budget.start()
    try:
        return "value", repr(run(Evaluation(scope(), budget)))
    except Exhausted as error:
        return "limit", error.reason
    except Exception as error:
        return "error", f"{type(error).__name__}: {error}"


def compiled_and_library(source: str, finish: Any) -> tuple[tuple[str, Any] | None, tuple[str, Any]]:
    tree = yaql_engine.parse(source)
    code = compile_tree(tree)
    library = outcome(lambda evaluation: finish(yaql_engine.evaluate(tree, evaluation), evaluation))
    if code is None:
        return None, library
    return outcome(lambda evaluation: finish(code(evaluation, evaluation.scope.data), evaluation)), library


@pytest.mark.parametrize("source", COMMON)
def test_common_shapes_are_compiled_without_falling_back(source: str) -> None:
    compiled, library = compiled_and_library(source, frozen)

    assert compiled is not None
    assert compiled[0] == "value"
    assert compiled == library


_atoms = st.sampled_from(
    [f"$.{name}" for name in ("a", "s", "l", "d", "n", "b", "f", "un", "ld", "e", "missing", *MORE)]
    + ["$", "$x", "$1", "$2", "0", "1", "2", "2.5", "''", "'str'", "a", "true", "false", "null", "[]", "{}"]
    + ["task(t1)", "task(nope)", "env()", "execution()", "global(g)", "$.get(a)", "$.l[0]", "[1, 2, 3]"]
)
_names = st.sampled_from(["a", "x", "k", "n", "m", "y", "state", "result", "missing"])
_binary = st.sampled_from(
    ["=", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "mod", "in", "and", "or", "=~", "!~"]
)
_no_arguments = st.sampled_from(
    [
        "len",
        "count",
        "keys",
        "values",
        "toList",
        "first",
        "last",
        "sum",
        "isEmpty",
        "toUpper",
        "toLower",
        "trim",
        "any",
        "all",
        "items",
    ]
)
_one_argument = st.sampled_from(
    [
        "get",
        "containsKey",
        "contains",
        "first",
        "last",
        "skip",
        "take",
        "limit",
        "join",
        "startsWith",
        "endsWith",
        "split",
        "where",
        "filter",
        "select",
        "map",
        "any",
        "all",
        "len",
    ]
)
_two_arguments = st.sampled_from(["get", "replace", "set", "startsWith"])
_functions = st.sampled_from(
    [
        "len",
        "str",
        "int",
        "float",
        "bool",
        "isEmpty",
        "isString",
        "isInteger",
        "isNumber",
        "isBoolean",
        "isList",
        "isDict",
        "concat",
        "coalesce",
        "task",
        "global",
        "list",
        "dict",
    ]
)


def _compounds(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({}).{}".format, inner, _names),
        st.builds("({})?.{}".format, inner, _names),
        st.builds("({}) {} ({})".format, inner, _binary, inner),
        st.builds("({})[{}]".format, inner, inner),
        st.builds("({})[{}, {}]".format, inner, inner, inner),
        st.builds("not ({})".format, inner),
        st.builds("-({})".format, inner),
        st.builds("+({})".format, inner),
        st.builds("[{}]".format, inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("{{{} => {}}}".format, _names, inner),
        st.builds("{{{} => {}, {} => {}}}".format, _names, inner, inner, inner),
        st.builds("({}).{}()".format, inner, _no_arguments),
        st.builds("({})?.{}()".format, inner, _no_arguments),
        st.builds("({}).{}({})".format, inner, _one_argument, inner),
        st.builds("({}).{}({}, {})".format, inner, _two_arguments, inner, inner),
        st.builds("{}({})".format, _functions, inner),
        st.builds("{}({}, {})".format, _functions, inner, inner),
        st.builds("switch({} => {}, {} => {})".format, inner, inner, inner, inner),
    )


_expressions = st.recursive(_atoms, _compounds, max_leaves=8)


_numbers: st.SearchStrategy[str] = st.deferred(
    lambda: st.one_of(
        st.sampled_from(
            ["$.a", "$.f", "$.num", "$.zero", "$.d.n.m", "0", "1", "2.5", "3", "$.l[0]", "$.ld.x.sum()"]
        ),
        st.builds("({} {} {})".format, _numbers, st.sampled_from(["+", "-", "*", "/", "mod"]), _numbers),
        st.builds("(-{})".format, _numbers),
        st.builds("{}.len()".format, st.one_of(_lists, _texts, _maps)),
        st.builds("len({})".format, st.one_of(_lists, _texts, _maps)),
        st.builds("int({})".format, st.one_of(_numbers, st.just("'12'"))),
        st.builds("{}.{}()".format, _lists, st.sampled_from(["count", "max", "min", "sum"])),
        st.builds("coalesce({}, {})".format, st.sampled_from(["$.n", "null", "$.get(missing)"]), _numbers),
    )
)
_short = st.sampled_from(["','", "''", "x", "$.s"])  # longer ones make texts grow without end
_texts: st.SearchStrategy[str] = st.deferred(
    lambda: st.one_of(
        st.sampled_from(["$.s", "$.un", "$.t", "$.blank", "'str'", "''", "word", "$.d.k"]),
        st.builds("({} + {})".format, _texts, _texts),
        st.builds("str({})".format, st.one_of(_numbers, _texts, _truths, _maps, _lists)),
        st.builds("{}.{}()".format, _texts, st.sampled_from(["toUpper", "toLower", "trim"])),
        st.builds("{}.join({})".format, _lists, _short),
        st.builds("{}.join({})".format, _short, _lists),
        st.builds("{}.replace({}, {})".format, _texts, st.sampled_from(["s", "' '"]), _short),
        st.builds("concat({}, {})".format, _texts, _texts),
    )
)
_inside: st.SearchStrategy[str] = st.one_of(
    st.sampled_from(
        ["$", "$ = 1", "$ != 2", "$ in [1, 2]", "isInteger($)", "isList($)", "$.x > 1", "$1 = $"]
    ),
    st.builds("$ = {}".format, _numbers),
)
_truths: st.SearchStrategy[str] = st.deferred(
    lambda: st.one_of(
        st.sampled_from(["$.b", "$.false", "true", "false", "$.n"]),
        st.builds(
            "({} {} {})".format, _numbers, st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), _numbers
        ),
        st.builds(
            "({} {} {})".format,
            _texts,
            st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "in", "=~"]),
            _texts,
        ),
        st.builds("({} {} {})".format, _truths, st.sampled_from(["and", "or", "=", "<"]), _truths),
        st.builds("(not {})".format, st.one_of(_truths, _lists, _texts)),
        st.builds("({} in {})".format, st.one_of(_numbers, _texts, _lists), _lists),
        st.builds("({} = {})".format, st.one_of(_lists, _maps), st.one_of(_lists, _maps)),
        st.builds("{}.containsKey({})".format, _maps, _texts),
        st.builds("{}.startsWith({})".format, _texts, _texts),
        st.builds("{}.any({})".format, _lists, _inside),
        st.builds("{}.all({})".format, _lists, _inside),
    )
)
_keys = st.sampled_from(["$", "str($)", "-$", "$.x", "len($)", "$.state", "null", "[$]"])
_lists: st.SearchStrategy[str] = st.deferred(
    lambda: st.one_of(
        st.sampled_from(
            ["$.l", "$.ld", "$.ll", "$.mixed", "$.names", "$.deep", "[]", "[1, 2, 3]", "$.ld.x", "$.deep.x.y"]
        ),
        st.builds("[{}, {}]".format, st.one_of(_numbers, _texts), st.one_of(_numbers, _lists, _maps)),
        st.builds("({} + {})".format, _lists, _lists),
        st.builds("{}.where({})".format, _lists, _inside),
        st.builds(
            "{}.select({})".format,
            _lists,
            st.one_of(_inside, st.sampled_from(["[$, $]", "{v => $}", "str($)"])),
        ),
        st.builds(
            "{}.{}({})".format, _lists, st.sampled_from(["skip", "take", "limit"]), st.sampled_from("012")
        ),
        st.builds("{}.toList()".format, st.one_of(_lists, st.builds("{}.values()".format, _maps))),
        st.builds("{}.keys().toList()".format, _maps),
        st.builds("{}.split({})".format, _texts, st.sampled_from(["t", "' '"])),
        st.builds("{}.{}({})".format, _lists, st.sampled_from(["orderBy", "orderByDescending"]), _keys),
        st.builds("{}.orderBy({}).thenBy({})".format, _lists, _keys, _keys),
        st.builds("range({})".format, st.sampled_from(["3", "1, 4", "$.a"])),
        st.builds("{}.distinct()".format, _lists),
    )
)
_maps: st.SearchStrategy[str] = st.deferred(
    lambda: st.one_of(
        st.sampled_from(["$", "$.d", "$.e", "$.d.n", "{}", "$.ld[0]", "{k => 1}", "{1 => 2}"]),
        st.builds("{{{} => {}, b => {}}}".format, _names, st.one_of(_numbers, _lists), _texts),
        st.builds("({} + {})".format, _maps, _maps),
        st.builds("dict(a => {})".format, _numbers),
        st.builds("{}.get({}, {{}})".format, _maps, _names),
        st.builds("{}.set({}, {})".format, _maps, _names, _numbers),
        st.builds("{}.mergeWith({})".format, _maps, _maps),
    )
)
_sensible = st.one_of(_numbers, _texts, _truths, _lists, _maps)


@st.composite
def _sources(draw: st.DrawFn) -> str:
    """An expression of moderate length (and a strategy of moderate description)."""
    source = draw(st.one_of(_expressions, _sensible))
    assume(len(source) < 300)
    return source


@settings(max_examples=150, deadline=None)
@given(_sources())
def test_where_compiled_code_succeeds_it_gives_what_the_library_gives(source: str) -> None:
    for finish in (frozen, as_text):
        compiled, library = compiled_and_library(source, finish)
        if compiled is not None and compiled[0] == "value":
            assert compiled == library


@settings(max_examples=50, deadline=None)
@given(_sources())
def test_an_evaluation_as_a_whole_gives_the_librarys_value_or_error(source: str) -> None:
    library = outcome(
        lambda evaluation: frozen(yaql_engine.evaluate(yaql_engine.parse(source), evaluation), evaluation)
    )
    try:
        whole = "value", repr(evaluate(f"<% {source} %>", scope(), Budget(items=10_000)))
    except EvaluationError as error:
        prefix = f"Can not evaluate YAQL expression [expression={source}, error="
        assert error.message.startswith(prefix)
        whole = "error", error.message.removeprefix(prefix).removesuffix("]")
        library = "error", str(library[1]).partition(": ")[2]

    assert whole == library


_stock_engine = yaql.YaqlFactory().create({"yaql.convertInputData": True})
_stock_context = yaql.create_context()


@settings(max_examples=30, deadline=None)
@given(_sources())
def test_frozen_data_give_what_the_stock_library_gives_with_its_own_conversion(source: str) -> None:
    data = json.loads(json.dumps(scope().data))
    context = _stock_context.create_child_context()
    assume(not re.search(r"(task|env|execution|global)\(|items\(\)|__|isEmpty|\.set\(", source))
    # The stock library writes an iterator as its address.
    assume(not (re.search(r"str\(|join\(", source) and re.search(r"[a-z]\(|[+.]", source)))
    try:
        stock = frozen(_stock_engine(source).evaluate(data, context), Evaluation(scope(), Budget()))
    except Exception:
        stock = "an error"
    try:
        ours = evaluate(f"<% {source} %>", scope(), Budget())
    except EvaluationError:
        ours = "an error"

    assert repr(ours) == repr(stock)


@pytest.mark.parametrize(
    "source",
    [
        "true + 1",
        "true < 2",
        "$.l[true]",
        "'a' * 2",
        "$.d.where($)",
        "$.l.where($ > 1)[0]",
        "'s'.contains(s)",
        "1 in 'a1'",
        "null + 1",
        "[1] < [2]",
        "let(x => 1) -> $x",
        "nope()",
        "$.l.nope()",
    ],
)
def test_what_compiled_code_does_not_know_is_left_to_the_library(source: str) -> None:
    compiled, _ = compiled_and_library(source, frozen)

    assert compiled is None or compiled[0] == "error"
