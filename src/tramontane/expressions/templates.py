"""Texts and structures with expressions, compiled once and evaluated often."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from tramontane.errors import EvaluationError
from tramontane.expressions import jinja_engine, yaql_engine
from tramontane.expressions.api import Scope, TooSlow
from tramontane.expressions.failures import ExpressionSyntaxError, disabled, failure, out_of_memory
from tramontane.expressions.limits import Budget, Evaluation, Exhausted
from tramontane.expressions.recognition import (
    JINJA,
    LANGUAGES,
    YAQL,
    Span,
    has_jinja,
    has_yaql,
    may_have_jinja,
    yaql_spans,
)
from tramontane.expressions.results import frozen
from tramontane.expressions.results import text as as_text
from tramontane.values import FrozenDict, FrozenList, freeze

_LONG = 4096
_SLOW_TO_PARSE = 8192


class Compiled(Protocol):
    """A text that was looked at: plain, one expression, or text with expressions inside."""

    @property
    def language(self) -> str | None:
        """``yaql``, ``jinja``, or None for plain text."""

    def evaluate(self, scope: Scope, budget: Budget) -> Any:
        """Return the frozen value.

        Raises:
            EvaluationError: the expression is wrong or needs more than the budget allows.
            Interrupt: the scope needs data, or the soft limit of time has passed.
        """


def compile(text: str, allowed_languages: frozenset[str] = LANGUAGES) -> Compiled:
    """Compile a text, or find it among those compiled lately. Mistakes in it come up on evaluation."""
    if len(text) <= _LONG:
        return _compile_short(text, allowed_languages)
    return _compile_long(text, allowed_languages)


def is_expression(text: str) -> bool:
    """Tell whether evaluating ``text`` could give anything but ``text``."""
    return compile(text).language is not None


def evaluate(value: Any, scope: Scope, budget: Budget) -> Any:
    """Evaluate a text, or all texts in a structure (keys are never evaluated)."""
    if isinstance(value, str):
        return compile(value).evaluate(scope, budget)
    return compile_structure(value).evaluate(scope, budget)


def _build(text: str, allowed: frozenset[str]) -> Compiled:
    if has_jinja(text):
        return _JinjaTemplate(text) if JINJA in allowed else _Disabled(JINJA, text)
    if has_yaql(text):
        return _yaql(text, yaql_spans(text)) if YAQL in allowed else _Disabled(YAQL, text)
    if JINJA in allowed and may_have_jinja(text) and problem_of_lines(text) is None:
        return _JinjaTemplate(text)
    if YAQL in allowed:
        spans = [span for span in yaql_spans(text) if yaql_problem(span) is None]
        if spans:
            return _yaql(text, spans)
    return _Plain(text)


_compile_short = functools.lru_cache(maxsize=4096)(_build)
_compile_long = functools.lru_cache(maxsize=32)(_build)


def problem_of_lines(text: str) -> str | None:
    """Return why a text with a Jinja tag over several lines is no template; None when it is one."""
    try:
        jinja_engine.parse(text)
    except ExpressionSyntaxError as error:
        return error.message
    return None


def yaql_problem(span: Span) -> str | None:
    """Return why a YAQL expression can't be parsed; None when it can."""
    try:
        yaql_engine.parse(span.source)
    except ExpressionSyntaxError as error:
        return error.message
    return None


class _Plain:
    language = None

    def __init__(self, text: str) -> None:
        self._text = text

    def evaluate(self, scope: Scope, budget: Budget) -> Any:
        return self._text


class _Disabled:
    def __init__(self, language: str, text: str) -> None:
        self.language = language
        self._text = text

    def evaluate(self, scope: Scope, budget: Budget) -> Any:
        name = jinja_engine.LANGUAGE if self.language == JINJA else yaql_engine.LANGUAGE
        raise failure(name, self._text, disabled(self.language).message)


class _JinjaTemplate:
    language = JINJA

    def __init__(self, text: str) -> None:
        self._text = text
        self._program: jinja_engine.Program | None = None

    def evaluate(self, scope: Scope, budget: Budget) -> Any:
        return _within(jinja_engine.LANGUAGE, self._text, self._evaluate, scope, budget)

    def _evaluate(self, evaluation: Evaluation) -> Any:
        program = self._program
        if program is None or not program.is_current:
            _parse_elsewhere_if_long(self._text, evaluation.budget)
            tree = jinja_engine.parse(self._text)
            program = jinja_engine.Program(tree, jinja_engine.is_single_value(self._text, tree))
            self._program = program
        return program.evaluate(evaluation)


class _YaqlExpression:
    """One expression between its delimiters; alone it is a value, within text it becomes text."""

    language = YAQL

    def __init__(self, source: str) -> None:
        self._source = source
        self._program: yaql_engine.Program | None = None

    def evaluate(self, scope: Scope, budget: Budget) -> Any:
        return _within(yaql_engine.LANGUAGE, self._source, self._value, scope, budget)

    def evaluate_text(self, scope: Scope, budget: Budget) -> str:
        return str(_within(yaql_engine.LANGUAGE, self._source, self._text, scope, budget))

    def _value(self, evaluation: Evaluation) -> Any:
        return self._compiled(evaluation.budget).evaluate(evaluation, frozen)

    def _text(self, evaluation: Evaluation) -> Any:
        return self._compiled(evaluation.budget).evaluate(evaluation, as_text)

    def _compiled(self, budget: Budget) -> yaql_engine.Program:
        program = self._program
        if program is None or not program.is_current:
            _parse_elsewhere_if_long(self._source, budget)
            program = self._program = yaql_engine.Program(self._source)
        return program


class _YaqlText:
    """Text with YAQL expressions; the same expression twice is evaluated once, as Mistral does."""

    language = YAQL

    def __init__(self, text: str, spans: Sequence[Span]) -> None:
        self._pieces: list[str | _YaqlExpression] = []
        known: dict[str, _YaqlExpression] = {}
        end = 0
        for span in spans:
            self._pieces.append(text[end : span.start])
            shown = text[span.start : span.end]
            self._pieces.append(known.setdefault(shown, _YaqlExpression(span.source)))
            end = span.end
        self._pieces.append(text[end:])

    def evaluate(self, scope: Scope, budget: Budget) -> Any:
        results: dict[_YaqlExpression, str] = {}
        written = []
        total = 0
        for piece in self._pieces:
            if isinstance(piece, str):
                part = piece
            elif piece in results:
                part = results[piece]
            else:
                part = results[piece] = piece.evaluate_text(scope, budget)
            total += len(part)
            if total > budget.memory:
                raise failure(yaql_engine.LANGUAGE, "…", budget.too_large().reason)
            written.append(part)
        return "".join(written)


def _yaql(text: str, spans: Sequence[Span]) -> Compiled:
    if len(spans) == 1 and spans[0].start == 0 and spans[0].end == len(text):
        return _YaqlExpression(spans[0].source)
    return _YaqlText(text, spans)


def _parse_elsewhere_if_long(source: str, budget: Budget) -> None:
    """Parsing can't be interrupted: a long source is left to a caller without a soft limit."""
    if budget.soft_seconds is not None and len(source) > _SLOW_TO_PARSE:
        raise TooSlow


def _within(
    language: str, expression: str, run: Callable[[Evaluation], Any], scope: Scope, budget: Budget
) -> Any:
    """Run an evaluation; whatever goes wrong inside becomes one kind of error."""
    budget.start()
    try:
        return run(Evaluation(scope, budget))
    except Exhausted as error:
        raise failure(language, expression, error.reason) from None
    except EvaluationError as error:
        raise failure(language, expression, error.message) from error
    except RecursionError:
        raise failure(language, expression, "it is nested too deeply") from None
    except MemoryError:
        raise out_of_memory(expression) from None
    except Exception as error:
        raise failure(language, expression, str(error)) from error


class CompiledStructure:
    """Nested maps and lists with their expressions compiled.

    Attributes:
        constant: nothing in it is an expression; evaluating returns the very same value.
    """

    def __init__(self, value: Any, allowed_languages: frozenset[str] = LANGUAGES) -> None:
        self._value = freeze(value)
        self._evaluate = _walker(self._value, allowed_languages)
        self.constant = self._evaluate is None

    def evaluate(self, scope: Scope, budget: Budget) -> Any:
        """Return the frozen value with all expressions evaluated; parts without any are shared.

        Raises:
            EvaluationError, Interrupt: as :meth:`Compiled.evaluate`.
        """
        return self._value if self._evaluate is None else self._evaluate(scope, budget)


def compile_structure(value: Any, allowed_languages: frozenset[str] = LANGUAGES) -> CompiledStructure:
    """Compile all texts in a structure, at any depth; keys are never evaluated."""
    return CompiledStructure(value, allowed_languages)


_Walker = Callable[[Scope, Budget], Any]


def _walker(value: Any, allowed: frozenset[str]) -> _Walker | None:
    """Return what evaluates a part of a structure; None for a part without expressions."""
    if isinstance(value, str):
        compiled = compile(value, allowed)
        return None if compiled.language is None else compiled.evaluate
    if isinstance(value, Mapping):
        return _map_walker(value, {name: _walker(item, allowed) for name, item in value.items()})
    if isinstance(value, list):
        return _list_walker(value, [_walker(item, allowed) for item in value])
    return None


def _map_walker(value: Mapping[str, Any], walkers: dict[str, _Walker | None]) -> _Walker | None:
    if not any(walkers.values()):
        return None
    parts = [(name, value[name], walker) for name, walker in walkers.items()]

    def walk(scope: Scope, budget: Budget) -> FrozenDict:
        return FrozenDict(
            {name: item if walker is None else walker(scope, budget) for name, item, walker in parts}
        )

    return walk


def _list_walker(value: Sequence[Any], walkers: list[_Walker | None]) -> _Walker | None:
    if not any(walkers):
        return None
    parts = list(zip(value, walkers, strict=True))

    def walk(scope: Scope, budget: Budget) -> FrozenList:
        return FrozenList([item if walker is None else walker(scope, budget) for item, walker in parts])

    return walk
