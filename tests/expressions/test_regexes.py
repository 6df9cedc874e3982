"""Regular expressions: Python's results within bounded time."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.expressions.fake_scope import FakeScope

from tramontane.expressions import Budget, evaluate
from tramontane.expressions.regexes import Regex, _compile_re2, compile_regex

ORDINARY = [
    r"\w+@\w+\.com",
    r"^(\d+)-(\d*)$",
    r"(?P<key>[a-z_]+)=(?P<value>\S+)",
    r"a|bc|d*e",
    r"[^\W_]+",
    r"[\W\d]{2,3}",
    r"(?i)HeLLo",
    r"(?i:x)y",
    r"(?s)a.b",
    r"(?m)^\w+$",
    r".*?x",
    r"\bcat\b",
    r"[\]\-^]",
    r"é+",
    r"\x41\u00e9?",
    r"(a(b)?)+",
    r"\s+",
    r"[^\n]*",
    r"(?:ab){0,2}c?",
    r"\Astart|end\Z",
]
TEXTS = [
    "",
    "user@example.com, other@example.com",
    "12-34",
    "12-34\n",
    "key=value other_key=another value",
    "abcde",
    "Hello hello HELLO",
    "xy Xy xY",
    "a\nb",
    "one\ntwo\n\nthree",
    "cat concat cat.",
    "é ééé café",
    "Aé",
    "ababc abab",
    "start of the end",
    "a_b-c]^",
]


@pytest.mark.parametrize("pattern", ORDINARY)
@pytest.mark.parametrize("text", TEXTS)
def test_the_linear_engine_finds_what_pythons_finds(pattern: str, text: str) -> None:
    regex = Regex(pattern)
    engine = _compile_re2(regex._tree, regex._flags, text.isascii())
    assume_dollar = text.endswith("\n") and "$" in pattern and "(?m)" not in pattern

    assert engine is not None
    if not assume_dollar and not (r"\b" in pattern and not text.isascii()):
        assert _spans(engine.finditer(text), regex.groups) == _spans(re.finditer(pattern, text), regex.groups)


_characters = st.sampled_from("ab1_ é\n-")
_pieces = st.recursive(
    st.sampled_from(
        [*"ab1_é", r"\w", r"\W", r"\d", r"\D", r"\s", r"\S", ".", "[ab]", "[^a]", r"[\w-]", r"[^\s1]"]
    ),
    lambda inner: st.one_of(
        st.builds("({})".format, inner),
        st.builds("(?:{})".format, inner),
        st.builds("(?:{})+".format, inner),
        st.builds("(?:{}){{1,2}}".format, inner),
        st.builds("{}{}".format, inner, inner),
        st.builds("(?:{}|{})".format, inner, inner),
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(_pieces, st.text(_characters, max_size=12))
def test_a_rewritten_pattern_matches_where_pythons_does(pattern: str, text: str) -> None:
    regex = Regex(pattern)
    engine = _compile_re2(regex._tree, regex._flags, text.isascii())
    assume(engine is not None)
    # Groups inside repetitions keep other rounds' captures in the two engines; whole matches are the same.
    assert _spans(engine.finditer(text), 0) == _spans(re.finditer(pattern, text), 0)


def _spans(matches: Any, groups: int) -> list[Any]:
    return [[(match.start(group), match.end(group)) for group in range(groups + 1)] for match in matches]


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(a|a)*b", r"(.*)*x", r"(a*)*b", r"(?:a?){50}b"])
def test_a_pattern_that_explodes_is_answered_in_linear_time(pattern: str) -> None:
    assert compile_regex(pattern).search("a" * 5_000 + "!") is None


def test_where_only_backtracking_could_help_the_pattern_is_refused() -> None:
    with pytest.raises(ValueError, match="could take too long"):
        compile_regex(r"(a+)+(?=x)").search("a" * 40)
    with pytest.raises(ValueError, match="could take too long"):
        compile_regex(r"(.*)\1.*\1").search("a" * 5_000)


def test_lookaround_and_back_references_work_on_ordinary_texts() -> None:
    assert compile_regex(r"(?<=a)b(?!c)").search("ab abc") is not None
    found = compile_regex(r"(\w+) \1").search("the the end")
    assert found is not None
    assert found.group(1) == "the"


def test_long_texts_with_a_last_line_break_still_have_an_end() -> None:
    log = "a line\n" * 50_000

    found = compile_regex(r"(.*)line$").search(log)
    assert found is not None
    assert found.group() == "a line"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('regex("b").replace("abc", "x")', "axc"),
        ('regex("(a)(?P<n>b)").replace("ab ab", "\\\\2\\\\1\\\\g<n>")', "bab bab"),
        ('regex("a").replace("aaa", b, 2)', "bba"),
        ('"a1b2".replace(regex("\\\\d"), "-")', "a-b-"),
        ('regex("\\\\d").split("a1b2c")', ["a", "b", "c"]),
        ('"a1b2c".split(regex("(\\\\d)"), 1)', ["a", "1", "b2c"]),
        ('regex("\\\\d").searchAll("a1b2")', ["1", "2"]),
        ('regex("(\\\\d)(\\\\w)").search("x1b2", $.start + $3.end)', 4),
        ('regex("(?P<d>\\\\d)").search("x1", $d.value)', "1"),
        ('regex("\\\\d").searchAll("a1b2", int($.value) + 1)', [2, 3]),
        ('regex("\\\\d").replaceBy("a1b2", str(int($.value) * 2))', "a2b4"),
        ('"a1b2".replaceBy(regex("\\\\d"), "<" + $.value + ">")', "a<1>b<2>"),
        ('regex("A", ignoreCase => true).matches("xa")', True),
        ('"a" !~ "b"', True),
        ('"a" =~ regex("b")', False),
        ('escapeRegex("a.b")', "a\\.b"),
        ("isRegex(regex(a))", True),
        ("isRegex(a)", False),
        ('"éa" =~ "^\\\\w+$"', True),
        ('regex("x*").replace("abxd", "-")', "-a-b--d-"),
    ],
)
def test_yaqls_functions_keep_their_results(source: str, expected: Any) -> None:
    assert evaluate(f"<% {source} %>", FakeScope(), Budget()) == expected
