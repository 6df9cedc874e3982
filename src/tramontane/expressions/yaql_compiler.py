"""Compiles the commonest YAQL into Python closures; the rest stays with the library.

The tree is the library's own, so the grammar can't differ. A tree with anything unknown is not compiled at
all; compiled code that meets a type it doesn't know, or any error, has the library evaluate the whole
expression once more (:mod:`.yaql_runtime`). Differential tests hold the two to the same results.

Variables: ``$`` is the data, or the item inside ``where`` and its like. What defines other variables
(``let``, ``with``, ``def``, ``aggregate`` …) is never compiled, so all others are null, except those that
stand for internal roots.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from yaql.language import expressions as ast

from tramontane.expressions import yaql_runtime as runtime
from tramontane.expressions.functions import Function, registry, snake_case
from tramontane.expressions.limits import Evaluation
from tramontane.expressions.yaql_calls import SHORTCUTS
from tramontane.expressions.yaql_library import YaqlMap, as_text
from tramontane.expressions.yaql_runtime import Code
from tramontane.values import FrozenDict


class _UnknownError(Exception):
    """The tree holds something that isn't compiled."""


def compile_tree(tree: ast.Expression) -> Code | None:
    """Return code for a tree, or None when the library has to evaluate it."""
    try:
        return _code(tree)
    except (_UnknownError, RecursionError):
        return None


def _code(node: Any) -> Code:
    maker = _MAKERS.get(type(node))
    if maker is None:
        raise _UnknownError
    return maker(node)


def _constant(node: Any) -> Code:
    value = node.value
    return lambda _, __: value


def _wrap(node: Any) -> Code:
    return _code(node.expr)


def _variable(node: Any) -> Code:
    name = node.path.value
    if name in ("$", "$1"):
        return lambda _, dollar: dollar
    if name in SHORTCUTS:
        root = SHORTCUTS[name]
        return lambda evaluation, _: evaluation.scope.data.get(root)
    return lambda _, __: None


# Operators

_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": runtime.less,
    "<=": runtime.less_or_equal,
    ">": runtime.greater,
    ">=": runtime.greater_or_equal,
    "+": runtime.plus,
    "-": runtime.minus,
    "*": runtime.times,
    "/": runtime.divide,
    "mod": runtime.modulo,
    "in": runtime.contained,
    "=~": runtime.matches,
    "!~": runtime.differs,
}


def _binary(node: Any) -> Code:
    if node.operator == ".":
        return _dot(*node.args)
    if node.operator == "?.":
        return _elvis(*node.args)
    left, right = _code(node.args[0]), _code(node.args[1])
    if node.operator == "and":
        return lambda evaluation, dollar: left(evaluation, dollar) and right(evaluation, dollar)
    if node.operator == "or":
        return lambda evaluation, dollar: left(evaluation, dollar) or right(evaluation, dollar)
    apply = _BINARY.get(node.operator)
    if apply is None:
        raise _UnknownError
    if isinstance(node.args[1], ast.Constant):
        constant = node.args[1].value
        return lambda evaluation, dollar: apply(left(evaluation, dollar), constant)
    return lambda evaluation, dollar: apply(left(evaluation, dollar), right(evaluation, dollar))


_UNARY: dict[str, Callable[[Any], Any]] = {
    "not": operator.not_,
    "-": runtime.negative,
    "+": runtime.positive,
}


def _unary(node: Any) -> Code:
    value = _code(node.args[0])
    apply = _UNARY[node.operator]
    return lambda evaluation, dollar: apply(value(evaluation, dollar))


Member = Callable[[Evaluation, Any, Any], Any]
"""Takes the evaluation, ``$`` and the receiver."""


def _dot(left: Any, right: Any) -> Code:
    if isinstance(right, ast.KeywordConstant):
        return _property(left, right.value)
    receiver, member = _code(left), _member(right)
    return lambda evaluation, dollar: member(evaluation, dollar, receiver(evaluation, dollar))


def _elvis(left: Any, right: Any) -> Code:
    receiver, member = _code(left), _member(right)

    def code(evaluation: Evaluation, dollar: Any) -> Any:
        value = receiver(evaluation, dollar)
        return None if value is None else member(evaluation, dollar, value)

    return code


def _property(left: Any, name: str) -> Code:
    value_of = _code(left)

    def code(evaluation: Evaluation, dollar: Any) -> Any:
        value = value_of(evaluation, dollar)
        if type(value) is FrozenDict:
            return value[name]
        return runtime.property_of(evaluation, value, name)

    def code_of_dollar(evaluation: Evaluation, dollar: Any) -> Any:
        if type(dollar) is FrozenDict:
            return dollar[name]
        return runtime.property_of(evaluation, dollar, name)

    return code_of_dollar if _is_dollar(left) else code


def _is_dollar(node: Any) -> bool:
    return isinstance(node, ast.GetContextValue) and node.path.value in ("$", "$1")


def _member(node: Any) -> Member:
    if isinstance(node, ast.KeywordConstant):
        name = node.value
        return lambda evaluation, _, value: runtime.property_of(evaluation, value, name)
    if type(node) is not ast.Function:
        raise _UnknownError
    lazy = _LAZY_METHODS.get(node.name)
    if lazy is not None:
        return _lazy_method(lazy, node.args)
    known = _METHODS.get(node.name)
    if known is None or not known[1] <= len(node.args) <= known[2]:
        raise _UnknownError
    return _eager_method(known[0], _arguments(node.args))


def _lazy_method(method: Callable[..., Any], args: Sequence[Any]) -> Member:
    body = _arguments(args)
    if len(body) == 1:
        each = body[0]
        return lambda evaluation, _, receiver: method(evaluation, receiver, each)
    if body or method not in (runtime.any_of, runtime.all_of):
        raise _UnknownError
    return lambda evaluation, _, receiver: method(evaluation, receiver)


def _eager_method(method: Callable[..., Any], codes: Sequence[Code]) -> Member:
    if not codes:
        return lambda evaluation, _, receiver: method(evaluation, receiver)
    if len(codes) == 1:
        first = codes[0]
        return lambda evaluation, dollar, receiver: method(evaluation, receiver, first(evaluation, dollar))
    return lambda evaluation, dollar, receiver: method(
        evaluation, receiver, *[code(evaluation, dollar) for code in codes]
    )


_LAZY_METHODS: dict[str, Callable[..., Any]] = {
    "where": runtime.where,
    "filter": runtime.where,
    "select": runtime.select,
    "map": runtime.select,
    "orderBy": runtime.order_by,
    "orderByDescending": runtime.order_by_descending,
    "any": runtime.any_of,
    "all": runtime.all_of,
}

_MANY = 1000
_METHODS: dict[str, tuple[Callable[..., Any], int, int]] = {
    "get": (runtime.get, 1, 2),
    "containsKey": (runtime.contains_key, 1, 1),
    "contains": (runtime.contains, 1, 1),
    "len": (runtime.length, 0, 0),
    "count": (runtime.count, 0, 0),
    "keys": (runtime.keys, 0, 0),
    "values": (runtime.values, 0, 0),
    "toList": (runtime.to_list, 0, 0),
    "first": (runtime.first, 0, 1),
    "last": (runtime.last, 0, 1),
    "sum": (runtime.total, 0, 0),
    "max": (runtime.largest, 0, 0),
    "min": (runtime.smallest, 0, 0),
    "skip": (runtime.skip, 1, 1),
    "take": (runtime.take, 1, 1),
    "limit": (runtime.take, 1, 1),
    "join": (runtime.join, 1, 1),
    "isEmpty": (runtime.is_empty, 0, 0),
    "toUpper": (runtime.to_upper, 0, 0),
    "toLower": (runtime.to_lower, 0, 0),
    "trim": (runtime.trim, 0, 0),
    "startsWith": (runtime.starts_with, 1, _MANY),
    "endsWith": (runtime.ends_with, 1, _MANY),
    "replace": (runtime.replace, 2, 2),
    "split": (runtime.split, 1, 1),
}

_FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int]] = {
    "len": (runtime.length, 1, 1),
    "range": (runtime.numbers, 1, 2),
    "str": (as_text, 1, 1),
    "int": (runtime.to_int, 1, 1),
    "float": (runtime.to_float, 1, 1),
    "bool": (runtime.to_bool, 1, 1),
    "isEmpty": (runtime.is_empty, 1, 1),
    "isString": (runtime.is_string, 1, 1),
    "isInteger": (runtime.is_integer, 1, 1),
    "isNumber": (runtime.is_number, 1, 1),
    "isBoolean": (runtime.is_boolean, 1, 1),
    "isList": (runtime.is_list, 1, 1),
    "isDict": (runtime.is_dict, 1, 1),
    "concat": (runtime.concat, 1, _MANY),
}


def _function(node: Any) -> Code:
    name = node.name.rstrip("_")
    function = registry.functions.get(name)
    if function is not None:
        return _engine_function(function, node.args)
    if name == "coalesce":
        return _coalesce(_arguments(node.args))
    if name == "switch":
        return _switch(_pairs(node.args))
    if name == "dict" and node.args:
        return _map_of(_pairs(node.args))
    known = _FUNCTIONS.get(name)
    if known is None or not known[1] <= len(node.args) <= known[2]:
        raise _UnknownError
    apply, codes = known[0], _arguments(node.args)
    if len(codes) == 1:
        argument = codes[0]
        return lambda evaluation, dollar: apply(evaluation, argument(evaluation, dollar))
    return lambda evaluation, dollar: apply(evaluation, *[code(evaluation, dollar) for code in codes])


def _engine_function(function: Function, args: Sequence[Any]) -> Code:
    positional = _arguments([arg for arg in args if not isinstance(arg, ast.MappingRuleExpression)])
    named = {}
    for arg in args:
        if isinstance(arg, ast.MappingRuleExpression):
            if not isinstance(arg.source, ast.KeywordConstant):
                raise _UnknownError
            named[snake_case(arg.source.value)] = _code(arg.destination)
    if not positional and not named:
        return lambda evaluation, _: evaluation.guard(function(evaluation))
    if len(positional) == 1 and not named:
        first = positional[0]
        return lambda evaluation, dollar: evaluation.guard(function(evaluation, first(evaluation, dollar)))

    def code(evaluation: Evaluation, dollar: Any) -> Any:
        values = [one(evaluation, dollar) for one in positional]
        keywords = {name: one(evaluation, dollar) for name, one in named.items()}
        return evaluation.guard(function(evaluation, *values, **keywords))

    return code


def _coalesce(codes: Sequence[Code]) -> Code:
    def code(evaluation: Evaluation, dollar: Any) -> Any:
        for one in codes:
            value = one(evaluation, dollar)
            if value is not None:
                return value
        return None

    return code


def _switch(pairs: Sequence[tuple[Code, Code]]) -> Code:
    def code(evaluation: Evaluation, dollar: Any) -> Any:
        for condition, value in pairs:
            if condition(evaluation, dollar):
                return value(evaluation, dollar)
        return None

    return code


def _index(node: Any) -> Code:
    if len(node.args) == 3:
        receiver, key, default = _arguments(node.args)
        return lambda evaluation, dollar: runtime.indexed_or(
            receiver(evaluation, dollar), key(evaluation, dollar), default(evaluation, dollar)
        )
    if len(node.args) != 2:
        raise _UnknownError
    value, index = _arguments(node.args)
    return lambda evaluation, dollar: runtime.indexed(value(evaluation, dollar), index(evaluation, dollar))


def _list(node: Any) -> Code:
    codes = _arguments(node.args)
    return lambda evaluation, dollar: tuple([code(evaluation, dollar) for code in codes])


def _map(node: Any) -> Code:
    return _map_of(_pairs(node.args))


def _map_of(pairs: Sequence[tuple[Code, Code]]) -> Code:
    return lambda evaluation, dollar: YaqlMap(
        [(key(evaluation, dollar), value(evaluation, dollar)) for key, value in pairs]
    )


def _arguments(args: Sequence[Any]) -> list[Code]:
    """Compile positional arguments; left-out ones and keywords are not known here."""
    return [_code(arg) for arg in args]


def _pairs(args: Sequence[Any]) -> list[tuple[Code, Code]]:
    for arg in args:
        if not isinstance(arg, ast.MappingRuleExpression):
            raise _UnknownError
    return [(_code(arg.source), _code(arg.destination)) for arg in args]


_MAKERS: dict[type, Callable[[Any], Code]] = {
    ast.Constant: _constant,
    ast.KeywordConstant: _constant,
    ast.GetContextValue: _variable,
    ast.Wrap: _wrap,
    ast.BinaryOperator: _binary,
    ast.UnaryOperator: _unary,
    ast.IndexExpression: _index,
    ast.ListExpression: _list,
    ast.MapExpression: _map,
    ast.Function: _function,
}
