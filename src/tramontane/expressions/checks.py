"""The check of expressions at upload: syntax only (expression specification, section 1.1)."""

from __future__ import annotations

from dataclasses import dataclass

from jinja2 import nodes
from yaql.language import expressions as ast

from tramontane.expressions import jinja_engine, yaql_engine
from tramontane.expressions.failures import ExpressionSyntaxError, disabled
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
from tramontane.expressions.templates import problem_of_lines, yaql_problem


@dataclass(frozen=True, slots=True)
class Trees:
    """The parsed expressions of a text: one template, or some YAQL expressions."""

    jinja: nodes.Template | None = None
    yaql: tuple[ast.Expression, ...] = ()


def check(text: str, allowed_languages: frozenset[str] = LANGUAGES) -> Trees:
    """Check the syntax of the expressions in a text; return what they were parsed into.

    Neither functions nor variables have to exist. A tag over several lines that can't be parsed is plain
    text and no error; see :func:`left_as_text`.

    Raises:
        ExpressionSyntaxError: it can't be parsed, mixes languages, or uses one that is switched off.
    """
    jinja, yaql = has_jinja(text), has_yaql(text)
    for language, found in ((JINJA, jinja), (YAQL, yaql)):
        if found and language not in allowed_languages:
            raise disabled(language)
    if jinja and yaql:
        raise ExpressionSyntaxError(
            f"The line already contains an expression of type '{JINJA}'. "
            "Mixing expression types in a single line is not allowed.",
            yaql_spans(text)[0].start,
        )
    if jinja:
        return Trees(jinja=jinja_engine.parse(text))
    return Trees(yaql=tuple(_parsed(span) for span in yaql_spans(text) if span.is_certain) if yaql else ())


def _parsed(span: Span) -> ast.Expression:
    try:
        return yaql_engine.parse(span.source)
    except ExpressionSyntaxError as error:
        offset = None if error.offset is None else span.offset + error.offset
        raise ExpressionSyntaxError(error.message, offset) from None


def left_as_text(text: str) -> str | None:
    """Return why something over several lines that looks like an expression stays text; None otherwise."""
    if has_jinja(text):
        return None
    for span in yaql_spans(text):
        problem = None if span.is_certain else yaql_problem(span)
        if problem is not None:
            return f"looks like a YAQL expression over several lines, but stays text: {problem}"
    if may_have_jinja(text) and not has_yaql(text):
        problem = problem_of_lines(text)
        if problem is not None:
            return f"looks like a Jinja expression over several lines, but stays text: {problem}"
    return None
