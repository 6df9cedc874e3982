"""What the expressions in a text read, found without evaluating them: variables, tasks, functions.

For the checks of documents, which must not cry wolf. So a name only counts as *needed* where a missing one
is an error for sure; where ``$`` may stand for something else than the data (inside ``where`` and its like,
behind ``->``), or a name is looked up with care (``get``, ``default``), it is only a *possible* reading.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jinja2 import nodes as jinja
from yaql.language import expressions as yaql

from tramontane.expressions import jinja_engine, yaql_engine
from tramontane.expressions.checks import Trees
from tramontane.expressions.failures import ExpressionSyntaxError
from tramontane.expressions.functions import registry
from tramontane.expressions.plugins import installed_names
from tramontane.expressions.recognition import has_jinja, may_have_jinja, yaql_spans
from tramontane.expressions.yaql_calls import SHORTCUTS

INTERNAL_ROOTS = frozenset({"__env", "__execution", "__task_execution", "openstack"})

_TASK_FIELDS = frozenset(
    {"id", "name", "workflow_execution_id", "spec", "state", "state_info", "result", "type"}
    | {"created_at", "updated_at"}
)
"""Fields of a task map that tell nothing of what the task published."""

_SAME_DOLLAR = frozenset(
    {"get", "containsKey", "contains", "len", "count", "keys", "values", "toList", "first", "last", "sum"}
    | {"skip", "take", "limit", "join", "isEmpty", "toUpper", "toLower", "trim", "startsWith", "endsWith"}
    | {"replace", "split", "str", "int", "float", "bool", "isString", "isInteger", "isNumber", "isBoolean"}
    | {"isList", "isDict", "concat", "coalesce", "switch", "dict", "list", "range", "max", "min", "abs"}
    | {"round", "set", "append", "insert", "delete", "mergeWith", "substring", "format", "zip", "flatten"}
    | {"env", "execution", "executions", "task", "tasks", "global", "json_dump", "json_pp", "json_parse"}
    | {"yaml_dump", "yaml_parse", "uuid", "now", "datetime", "timespan", "items", "indexOf", "reverse"}
)
"""YAQL functions whose arguments are evaluated where the call stands."""

_ITEM_DOLLAR = frozenset(
    {"where", "filter", "select", "map", "any", "all", "selectMany", "orderBy", "orderByDescending"}
    | {"thenBy", "thenByDescending", "groupBy", "toDict", "takeWhile", "skipWhile", "indexWhere"}
    | {"lastIndexWhere", "sliceWhere", "splitWhere", "distinct", "aggregate", "reduce", "accumulate"}
)
"""YAQL methods that evaluate their arguments once for each item, which is ``$`` then."""


@dataclass(slots=True)
class Reads:
    """What a text reads. ``needed`` variables must exist; ``tested`` ones are looked up with care, and
    ``possible`` names may be variables or fields of something else.

    ``everything``: the data as a whole, or by a name that is only known at run time.
    ``publishes``: what tasks published, by way of ``task(…)``.
    ``bare``: names that are undefined without ``_.`` or ``$.`` before them.
    """

    needed: set[str] = field(default_factory=set)
    tested: set[str] = field(default_factory=set)
    possible: set[str] = field(default_factory=set)
    tasks: set[str] = field(default_factory=set)
    globals: set[str] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)  # unknown ones only
    filters: set[str] = field(default_factory=set)  # unknown ones only
    bare: set[str] = field(default_factory=set)
    everything: bool = False
    publishes: bool = False


def find_reads(text: str) -> Reads | None:
    """Return what a text reads; None if it holds no expression that can be parsed."""
    try:
        if has_jinja(text) or (may_have_jinja(text) and not yaql_spans(text)):
            return reads_of(Trees(jinja=jinja_engine.parse(text)))
    except ExpressionSyntaxError:
        return None
    trees = []
    for span in yaql_spans(text):
        try:
            trees.append(yaql_engine.parse(span.source))
        except ExpressionSyntaxError:
            continue
    return reads_of(Trees(yaql=tuple(trees)))


def reads_of(trees: Trees) -> Reads | None:
    """Return what parsed expressions read; None if there are none."""
    if trees.jinja is None and not trees.yaql:
        return None
    reads = Reads()
    if trees.jinja is not None:
        _JinjaWalk(reads).walk(trees.jinja)
    for tree in trees.yaql:
        _YaqlWalk(reads).walk(tree)
    reads.needed -= reads.tested
    if reads.functions or reads.filters:
        reads.functions -= installed_names()
        reads.filters -= installed_names()
    return reads


def function_names() -> frozenset[str]:
    """Return the names of all functions and methods of both languages, for hints."""
    return yaql_engine.function_names() | frozenset(registry.functions) | installed_names()


# YAQL

_DATA = "data"  # what '$' stands for: the data,
_ITEM = "item"  # an item of some list,
_UNSURE = "unsure"  # or nobody knows


class _YaqlWalk:
    """Walks one tree and notes what it reads."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._defines_names = False
        self._functions: set[str] = set()
        self._variables: set[str] = set()

    def walk(self, tree: Any) -> None:
        self._node(tree, _DATA)
        if self._defines_names:
            return  # 'let', 'def' and the like make functions and variables of their own
        self._reads.functions |= {name for name in self._functions if not yaql_engine.is_function(name)}
        self._reads.bare |= self._variables

    def _node(self, node: Any, dollar: str) -> None:
        kind = type(node)
        if kind is yaql.BinaryOperator:
            self._binary(node, dollar)
        elif kind is yaql.GetContextValue:
            self._variable(node.path.value, dollar)
        elif kind is yaql.Function:
            self._call(node, dollar, is_field=False)
        elif kind is yaql.IndexExpression:
            self._index(node, dollar)
        elif kind is yaql.Wrap:
            self._node(node.expr, dollar)
        elif kind is yaql.MappingRuleExpression:
            self._node(node.source, dollar)
            self._node(node.destination, dollar)
        elif isinstance(node, yaql.Function):
            for arg in node.args:
                self._node(arg, dollar)

    def _variable(self, name: str, dollar: str) -> None:
        if name in ("$", "$1"):
            if dollar != _ITEM:
                self._reads.everything = True
        elif not name[1:].isdigit() and name not in SHORTCUTS:
            self._variables.add(name)

    def _binary(self, node: Any, dollar: str) -> None:
        left, right = node.args
        if node.operator in (".", "?."):
            self._member(left, right, dollar)
            return
        self._node(left, dollar)
        if node.operator == "->":
            self._defines_names = True
            dollar = _UNSURE
        self._node(right, dollar)

    def _member(self, left: Any, right: Any, dollar: str) -> None:
        is_field = type(right) is yaql.KeywordConstant
        if _is_dollar(left):
            self._of_dollar(right, dollar)
        elif type(left) is yaql.Function:
            self._call(left, dollar, is_field=is_field and right.value in _TASK_FIELDS)
        else:
            self._node(left, dollar)
        if type(right) is yaql.Function:
            self._arguments(right, dollar)
            self._functions.add(right.name)
        elif not is_field:
            self._node(right, _UNSURE)

    def _of_dollar(self, member: Any, dollar: str) -> None:
        """Note ``$.name``, ``$.get(name)`` and other uses of ``$`` before a dot."""
        if type(member) is yaql.KeywordConstant:
            (self._reads.needed if dollar == _DATA else self._reads.possible).add(member.value)
        elif dollar == _ITEM:
            return
        elif type(member) is yaql.Function and member.name in ("get", "containsKey") and member.args:
            self._look_up(member.args[0])
        else:
            self._reads.everything = True

    def _look_up(self, key: Any) -> None:
        if isinstance(key, yaql.Constant) and isinstance(key.value, str):
            self._reads.tested.add(key.value)
        else:
            self._reads.everything = True

    def _index(self, node: Any, dollar: str) -> None:
        first, *others = node.args
        if _is_dollar(first) and dollar != _ITEM and others:
            self._look_up(others[0])
        else:
            self._node(first, dollar)
        # An index may be a condition on items, as in $.list[$.x > 1].
        inner = dollar if all(isinstance(arg, yaql.Constant) for arg in others) else _UNSURE
        for arg in others:
            self._node(arg, inner)

    def _call(self, node: Any, dollar: str, *, is_field: bool) -> None:
        name = node.name
        self._functions.add(name)
        argument = node.args[0] if node.args else None
        literal = argument.value if isinstance(argument, yaql.Constant) else None
        if name == "task":
            if isinstance(literal, str):
                self._reads.tasks.add(literal)
            self._reads.publishes |= not is_field
        elif name in ("tasks", "executions"):
            self._reads.publishes = True
        elif name == "global":
            if isinstance(literal, str):
                self._reads.globals.add(literal)
            else:
                self._reads.everything = True
        elif name in ("let", "def", "with"):
            self._defines_names = True
        self._arguments(node, dollar)

    def _arguments(self, node: Any, dollar: str) -> None:
        inner = _UNSURE
        if node.name in _SAME_DOLLAR:
            inner = dollar
        elif node.name in _ITEM_DOLLAR:
            inner = _ITEM
        for arg in node.args:
            self._node(arg, inner)


def _is_dollar(node: Any) -> bool:
    return type(node) is yaql.GetContextValue and node.path.value in ("$", "$1")


# Jinja

_JINJA_NAMES = frozenset({"_", "loop", "caller", "varargs", "kwargs", "self", "super", *INTERNAL_ROOTS})


class _JinjaWalk:
    """Walks one template and notes what it reads."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._environment = jinja_engine.environment()
        self._defined: set[str] = set()
        self._tested_names: set[str] = set()

    def walk(self, tree: jinja.Template) -> None:
        self.node(tree)
        reads = self._reads
        reads.bare -= self._tested_names | self._defined
        reads.functions -= self._defined
        if "_" in self._defined:  # a loop over '_', for one, hides the data
            reads.possible |= reads.needed
            reads.needed = set()

    def node(self, node: Any, *, is_field: bool = False) -> None:
        kind = type(node)
        if kind is jinja.Name:
            self._name(node)
            return
        if kind is jinja.Getattr or kind is jinja.Getitem:
            self._member(node)
            return
        if kind is jinja.Call:
            self._call(node, is_field=is_field)
            return
        if kind is jinja.Filter:
            self._filter(node)
        elif kind is jinja.Test:
            self._test(node)
        elif kind is jinja.Compare:
            self._compare(node)
        elif kind is jinja.Macro:
            self._defined.add(node.name)
        for child in node.iter_child_nodes():
            self.node(child)

    def _name(self, node: Any) -> None:
        if node.ctx != "load":
            self._defined.add(node.name)
        elif node.name == "_":
            self._reads.everything = True
        elif not self._is_defined(node.name):
            self._reads.bare.add(node.name)

    def _is_defined(self, name: str) -> bool:
        return name in _JINJA_NAMES or name in self._environment.globals

    def _member(self, node: Any) -> None:
        name = _data_name(node)
        if name is None:
            owner = node.node
            field_name = node.attr if type(node) is jinja.Getattr else _constant(node.arg)
            if not _is_data(owner) or type(node) is jinja.Getitem:
                self.node(owner, is_field=field_name in _TASK_FIELDS)
            else:
                self._reads.everything = True  # a method of the data, such as _.items
        else:
            self._reads.needed.add(name)
        if type(node) is jinja.Getitem:
            self.node(node.arg)

    def _call(self, node: Any, *, is_field: bool) -> None:
        called = node.node
        literal = _constant(node.args[0]) if node.args else None
        if type(called) is jinja.Name and called.ctx == "load":
            self._function(called.name, literal, is_field=is_field)
        elif type(called) is jinja.Getattr and _is_data(called.node) and called.attr == "get" and node.args:
            if isinstance(literal, str):
                self._reads.tested.add(literal)
            else:
                self._reads.everything = True
        else:
            self.node(called)
        for child in node.iter_child_nodes():
            if child is not called:
                self.node(child)

    def _function(self, name: str, literal: Any, *, is_field: bool) -> None:
        reads = self._reads
        if not self._is_defined(name):
            reads.functions.add(name)
        elif name == "task":
            if isinstance(literal, str):
                reads.tasks.add(literal)
            reads.publishes |= not is_field
        elif name in ("tasks", "executions"):
            reads.publishes = True
        elif name == "global":
            if isinstance(literal, str):
                reads.globals.add(literal)
            else:
                reads.everything = True

    def _filter(self, node: Any) -> None:
        if node.name not in self._environment.filters:
            self._reads.filters.add(node.name)
        if node.name in ("default", "d"):
            self._tested(node.node)
        elif node.name in ("task", "tasks", "executions"):
            self._reads.publishes = True
        elif node.name == "global":
            self._reads.everything = True

    def _test(self, node: Any) -> None:
        if node.name not in self._environment.tests:
            self._reads.filters.add(node.name)
        if node.name in ("defined", "undefined"):
            self._tested(node.node)

    def _compare(self, node: Any) -> None:
        """``'x' in _`` looks whether there is such a variable."""
        value = _constant(node.expr)
        if isinstance(value, str) and any(op.op in ("in", "notin") and _is_data(op.expr) for op in node.ops):
            self._reads.tested.add(value)

    def _tested(self, node: Any) -> None:
        name = _data_name(node)
        if name is not None:
            self._reads.tested.add(name)
        elif type(node) is jinja.Name:
            self._tested_names.add(node.name)


def _data_name(node: Any) -> str | None:
    """Return ``x`` of ``_.x`` and ``_['x']``; None for anything else."""
    if type(node) is jinja.Getattr and _is_data(node.node):
        return None if node.attr in _MAP_METHODS else str(node.attr)
    if type(node) is jinja.Getitem and _is_data(node.node):
        value = _constant(node.arg)
        return value if isinstance(value, str) else None
    return None


_MAP_METHODS = frozenset(dir(dict))


def _is_data(node: Any) -> bool:
    return type(node) is jinja.Name and node.name == "_"


def _constant(node: Any) -> Any:
    return node.value if type(node) is jinja.Const else None
