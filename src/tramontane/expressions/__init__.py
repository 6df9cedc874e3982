"""Expressions of workflow documents: YAQL (``<% … %>``) and Jinja (``{{ … }}``) behind one interface.

Compiled once, cached, bounded in time and memory. The engine uses :func:`compile_structure` for the
attributes of a specification and :func:`evaluate` for single texts; the checks at upload use
:func:`check`. What an expression sees comes from a :class:`~.api.Scope`.
"""

from tramontane.expressions.api import Functions, Interrupt, Scope, TooSlow
from tramontane.expressions.checks import check, left_as_text
from tramontane.expressions.failures import ExpressionSyntaxError
from tramontane.expressions.functions import register_function
from tramontane.expressions.limits import Budget
from tramontane.expressions.plugins import load_plugins
from tramontane.expressions.recognition import LANGUAGES
from tramontane.expressions.templates import (
    Compiled,
    CompiledStructure,
    compile,
    compile_structure,
    evaluate,
    is_expression,
)

__all__ = [
    "LANGUAGES",
    "Budget",
    "Compiled",
    "CompiledStructure",
    "ExpressionSyntaxError",
    "Functions",
    "Interrupt",
    "Scope",
    "TooSlow",
    "check",
    "compile",
    "compile_structure",
    "evaluate",
    "is_expression",
    "left_as_text",
    "load_plugins",
    "register_function",
]
