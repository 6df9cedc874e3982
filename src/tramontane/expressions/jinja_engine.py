"""Jinja: parsing, compiling (to Python code, by Jinja itself) and evaluation."""

from __future__ import annotations

import functools
from typing import Any

from jinja2 import Template, nodes
from jinja2.exceptions import TemplateError, TemplateSyntaxError
from jinja2.runtime import Undefined

from tramontane.expressions.failures import ExpressionSyntaxError
from tramontane.expressions.functions import registry
from tramontane.expressions.jinja_filters import (
    bounded_filters,
    functions_as_filters,
    functions_as_globals,
    lorem_ipsum,
)
from tramontane.expressions.jinja_sandbox import Environment, begin
from tramontane.expressions.jinja_tree import Watch
from tramontane.expressions.limits import MAX_LENGTH, Evaluation
from tramontane.expressions.results import frozen

LANGUAGE = "Jinja"
_RESULT = "0result"
"""Name of the value; no name in a document can begin with a digit."""


def parse(text: str) -> nodes.Template:
    """Parse a whole string as a template.

    Raises:
        ExpressionSyntaxError: with the place of the line that is wrong.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionSyntaxError(f"the expression is longer than {MAX_LENGTH} characters", MAX_LENGTH)
    try:
        return environment().parse(text)
    except TemplateSyntaxError as error:
        offset = _line_offset(text, error.lineno)
        raise ExpressionSyntaxError(f"Syntax error '{error.message}'.", offset) from None
    except ValueError:
        raise ExpressionSyntaxError("Syntax error 'illegal number'.") from None
    except RecursionError:
        raise ExpressionSyntaxError("Syntax error 'the expression is nested too deeply'.") from None


def is_single_value(text: str, tree: nodes.Template) -> bool:
    """Tell whether a template is exactly one ``{{ … }}``, whose value then keeps its type."""
    return text.startswith("{{") and text.endswith("}}") and _only_expression(tree) is not None


class Program:
    """A compiled template."""

    def __init__(self, tree: nodes.Template, is_value: bool) -> None:
        self._is_value = is_value
        self._generation = registry.generation
        if is_value:
            expression = _only_expression(tree)
            assert expression is not None
            target = nodes.Name(_RESULT, "store", lineno=1)
            tree = nodes.Template([nodes.Assign(target, expression, lineno=1)], lineno=1)
        tree = Watch().visit(tree)
        tree.set_environment(environment())
        self._template: Template = environment().from_string(tree)

    @property
    def is_current(self) -> bool:
        """False once functions were added that the compiled code doesn't know."""
        return self._generation == registry.generation

    def evaluate(self, evaluation: Evaluation) -> Any:
        """Return the frozen value, or the rendered text.

        Raises:
            jinja2.TemplateError: an undefined name, a forbidden attribute …
        """
        template = self._template
        context = begin(template.environment, None, evaluation, template.environment.globals)
        if template.blocks:
            context.blocks.update((name, [block]) for name, block in template.blocks.items())
        pieces = []
        total = 0
        for piece in template.root_render_func(context):
            evaluation.budget.tick()
            total += len(piece)
            if total > evaluation.budget.memory:
                raise evaluation.budget.too_large()
            pieces.append(piece)
        if not self._is_value:
            return "".join(pieces)
        result = context.vars[_RESULT]
        if isinstance(result, Undefined):
            result._fail_with_undefined_error()
        return frozen(result, evaluation)


def environment() -> Environment:
    """Return the environment, built anew when a plugin's function was added."""
    return _environment(registry.generation)


@functools.lru_cache(maxsize=1)
def _environment(_: int) -> Environment:
    made = Environment()
    made.filters.update(bounded_filters())
    made.filters.update(functions_as_filters(registry.functions))
    made.globals.update(functions_as_globals(registry.functions))
    made.globals["lipsum"] = lorem_ipsum
    return made


def _only_expression(tree: nodes.Template) -> nodes.Expr | None:
    if len(tree.body) == 1 and isinstance(tree.body[0], nodes.Output):
        parts = tree.body[0].nodes
        if len(parts) == 1 and not isinstance(parts[0], nodes.TemplateData):
            return parts[0]
    return None


def _line_offset(text: str, line: int) -> int:
    offset = 0
    for _ in range(line - 1):
        offset = text.find("\n", offset) + 1
    return offset


__all__ = ["LANGUAGE", "Program", "TemplateError", "environment", "is_single_value", "parse"]
