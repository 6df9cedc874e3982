"""YAQL: parsing (cached), and evaluation by the library."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

import yaql
from yaql.language import exceptions, specs
from yaql.language import expressions as ast

from tramontane.expressions import yaql_regex
from tramontane.expressions.failures import ExpressionSyntaxError
from tramontane.expressions.functions import registry, snake_case
from tramontane.expressions.limits import MAX_LENGTH, Evaluation
from tramontane.expressions.yaql_calls import NO_VALUE, RootContext
from tramontane.expressions.yaql_compiler import compile_tree
from tramontane.expressions.yaql_library import create_library

LANGUAGE = "YAQL"


def parse(source: str) -> ast.Expression:
    """Parse one expression (without its delimiters) into the library's tree.

    Raises:
        ExpressionSyntaxError: with ``offset`` counted within ``source``.
    """
    if len(source) > MAX_LENGTH:
        raise ExpressionSyntaxError(f"the expression is longer than {MAX_LENGTH} characters", MAX_LENGTH)
    try:
        with _parser_lock:  # the parser generator's lexer keeps its place in itself
            return _parser()(source).expression
    except exceptions.YaqlParsingException as error:
        offset = len(source) if error.position is None else error.position
        raise ExpressionSyntaxError(str(error), offset) from None
    except (ValueError, RecursionError):
        raise ExpressionSyntaxError("Lexical error: illegal number or escape sequence") from None


class Program:
    """One expression, ready to run: as closures where it can be compiled, by the library otherwise."""

    def __init__(self, source: str) -> None:
        self._tree = parse(source)
        self._generation = registry.generation
        self._code = compile_tree(self._tree)

    @property
    def is_current(self) -> bool:
        """False once functions were added that the compiled code doesn't know."""
        return self._generation == registry.generation

    def evaluate(self, evaluation: Evaluation, finish: Callable[[Any, Evaluation], Any]) -> Any:
        """Return the result, as ``finish`` makes it of what the expression yields.

        An iterator is consumed by ``finish``, so its errors count as the expression's.
        """
        if self._code is not None:
            try:
                return finish(self._code(evaluation, evaluation.scope.data), evaluation)
            except Exception:
                # Whatever went wrong, the library knows the right answer or the right error.
                return finish(evaluate(self._tree, evaluation), evaluation)
        return finish(evaluate(self._tree, evaluation), evaluation)


def evaluate(tree: ast.Expression, evaluation: Evaluation) -> Any:
    """Evaluate a tree by the library; the result may be an iterator that still has to be consumed."""
    budget = evaluation.budget
    engine = _engine(budget.items, budget.memory)
    try:
        return tree(NO_VALUE, root().begin(evaluation), engine)
    except exceptions.WrappedException as error:
        raise error.wrapped from None


def root() -> RootContext:
    """Return the context with all functions, built anew when a plugin's function was added."""
    return _root(registry.generation)


def is_function(name: str) -> bool:
    """Tell whether there is a function or a method of this name."""
    return _is_function(name, registry.generation)


@functools.lru_cache(maxsize=1024)
def _is_function(name: str, _: int) -> bool:
    known = root().known
    return any(
        known(name, is_method, convention) for is_method in (False, True) for convention in (False, True)
    )


def function_names() -> frozenset[str]:
    """Return the names of the library's functions and methods, operators left out."""
    names: set[str] = set()
    layer = root().parent
    while layer is not None:
        names.update(name for name in layer._functions if name.isidentifier())
        layer = layer.parent
    return frozenset(names)


@functools.lru_cache(maxsize=1)
def _root(_: int) -> RootContext:
    library = create_library()
    yaql_regex.register(library)
    context = library.create_child_context()
    for name, function in registry.functions.items():
        context.register_function(_definition(name, function))
    return RootContext(context, frozenset(registry.functions))


def _definition(name: str, function: Callable[..., Any]) -> specs.FunctionDefinition:
    """Describe an engine function to YAQL; keywords may be ``rootExecutionId`` or ``root_execution_id``."""

    def call(context: Any, *args: Any, **kwargs: Any) -> Any:
        named = {snake_case(key): value for key, value in kwargs.items()}
        try:
            return function(context.evaluation, *args, **named)
        except TypeError as error:
            if _is_about_arguments(error):
                raise exceptions.NoMatchingFunctionException(name) from None
            raise

    return specs.get_function_definition(call, name=name)


def _is_about_arguments(error: TypeError) -> bool:
    """Tell a call that doesn't fit the function from an error inside it."""
    traceback = error.__traceback__
    return traceback is not None and traceback.tb_next is None


class _Engine:
    """What the library's functions ask of their engine: its options."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options


@functools.lru_cache(maxsize=16)
def _engine(items: int, memory: int) -> _Engine:
    return _Engine({"yaql.limitIterators": items, "yaql.memoryQuota": memory, "yaql.iterableDicts": False})


_parser_lock = threading.Lock()
# A process that is forked while another thread parses must be able to parse.
os.register_at_fork(
    before=_parser_lock.acquire, after_in_parent=_parser_lock.release, after_in_child=_parser_lock.release
)


@functools.lru_cache(maxsize=1)
def _parser() -> Any:
    return yaql.YaqlFactory(keyword_operator="=>", allow_delegates=False).create()
