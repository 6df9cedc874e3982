"""YAQL's functions for regular expressions, on top of :mod:`.regexes` (bounded time)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from yaql.language import contexts, specs, yaqltypes

from tramontane.expressions.regexes import Match, Regex, compile_regex

_text = yaqltypes.String


def _search(regexp: Regex, string: str) -> Match | None:
    return regexp.search(string)


def regex(pattern: str, ignore_case: bool = False, multi_line: bool = False, dot_all: bool = False) -> Regex:
    flags = 0
    if ignore_case:
        flags |= re.IGNORECASE
    if multi_line:
        flags |= re.MULTILINE
    if dot_all:
        flags |= re.DOTALL
    return compile_regex(pattern, flags)


def matches(regexp: Regex, string: str) -> bool:
    return regexp.search(string) is not None


def matches_text(string: str, regexp: str) -> bool:
    return compile_regex(regexp).search(string) is not None


def matches_operator(string: str, regexp: Regex) -> bool:
    return regexp.search(string) is not None


def matches_operator_text(string: str, pattern: str) -> bool:
    return compile_regex(pattern).search(string) is not None


def differs_operator(string: str, regexp: Regex) -> bool:
    return regexp.search(string) is None


def differs_operator_text(string: str, pattern: str) -> bool:
    return compile_regex(pattern).search(string) is None


def search(context: Any, regexp: Regex, string: str, selector: Any = None) -> Any:
    match = regexp.search(string)
    if match is None:
        return None
    return match.group() if selector is None else selector(_published(context, regexp, match))


def search_all(context: Any, regexp: Regex, string: str, selector: Any = None) -> Iterator[Any]:
    for match in regexp.finditer(string):
        yield match.group() if selector is None else selector(_published(context, regexp, match))


def split(regexp: Regex, string: str, max_split: int = 0) -> list[Any]:
    return regexp.split(string, max_split)


def split_text(string: str, regexp: Regex, max_split: int = 0) -> list[Any]:
    return regexp.split(string, max_split)


def replace(regexp: Regex, string: str, repl: str, count: int = 0) -> str:
    return regexp.sub(regexp.template(repl), string, count)


def replace_text(string: str, regexp: Regex, repl: str, count: int = 0) -> str:
    return replace(regexp, string, repl, count)


def replace_by(context: Any, regexp: Regex, string: str, repl: Any, count: int = 0) -> str:
    return regexp.sub(lambda match: str(repl(_published(context, regexp, match))), string, count)


def replace_by_text(context: Any, string: str, regexp: Regex, repl: Any, count: int = 0) -> str:
    return replace_by(context, regexp, string, repl, count)


def escape_regex(string: str) -> str:
    return re.escape(string)


def is_regex(value: Any) -> bool:
    return isinstance(value, Regex)


def _published(context: Any, regexp: Regex, match: Match) -> Any:
    """Return a context in which ``$``, ``$2`` … and ``$name`` describe the match and its groups."""
    child = context.create_child_context()
    child["$1"] = _record(match, 0)
    for group in range(1, regexp.groups + 1):
        child[f"${group + 1}"] = _record(match, group)
    for name, group in regexp.names.items():
        child["$" + name] = _record(match, group)
    return child


def _record(match: Match, group: int) -> dict[str, Any]:
    return {"value": match.group(group), "start": match.start(group), "end": match.end(group)}


_TYPES: dict[str, Any] = {
    "string": _text,
    "pattern": _text,
    "regexp": lambda: yaqltypes.PythonType(Regex, False),
    "selector": lambda: yaqltypes.Lambda(with_context=True),
    "max_split": lambda: yaqltypes.PythonType(int, False),
    "count": lambda: yaqltypes.PythonType(int, False),
}

_METHODS: tuple[tuple[str, Callable[..., Any], dict[str, Any]], ...] = (
    ("matches", matches, {}),
    ("matches", matches_text, {"regexp": _text}),
    ("search", search, {}),
    ("searchAll", search_all, {}),
    ("split", split, {}),
    ("split", split_text, {}),
    ("replace", replace, {"repl": _text}),
    ("replace", replace_text, {"repl": _text}),
    ("replaceBy", replace_by, {"repl": _TYPES["selector"]}),
    ("replaceBy", replace_by_text, {"repl": _TYPES["selector"]}),
)
_FUNCTIONS: tuple[tuple[str, Callable[..., Any], dict[str, Any]], ...] = (
    ("regex", regex, {}),
    ("#operator_=~", matches_operator, {}),
    ("#operator_=~", matches_operator_text, {}),
    ("#operator_!~", differs_operator, {}),
    ("#operator_!~", differs_operator_text, {}),
    ("escapeRegex", escape_regex, {}),
    ("isRegex", is_regex, {}),
)


def register(context: contexts.Context) -> None:
    """Add the functions to a context."""
    for is_method, functions in ((True, _METHODS), (False, _FUNCTIONS)):
        for name, function, types in functions:
            definition = specs.get_function_definition(
                function,
                name=name,
                function=not is_method,
                method=is_method,
                convention=context.convention,
                parameter_type_func=_type_of(types),
            )
            context.register_function(definition)


def _type_of(special: dict[str, Any]) -> Callable[[str], Any]:
    def type_of(parameter: str) -> Any:
        if parameter == "context":
            return yaqltypes.Context()
        factory = special.get(parameter) or _TYPES.get(parameter)
        return factory() if factory else None

    return type_of
