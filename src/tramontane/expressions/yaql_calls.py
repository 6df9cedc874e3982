"""How YAQL finds and calls functions here.

The library's contexts resolve every call by walking all layers and quote the receiver's value in their
errors. These contexts give the same answers, but remember what the root offers, tick the budget, admit
each result (see :meth:`Evaluation.guard`) and name the receiver's type only.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from yaql.language import contexts, exceptions, utils, yaqltypes
from yaql.language import expressions as ast
from yaql.language.specs import FunctionDefinition

from tramontane.expressions.failures import kind_of
from tramontane.expressions.limits import Evaluation

NO_VALUE = utils.NO_VALUE
Layers = Sequence[Sequence[FunctionDefinition]]

SHORTCUTS = {"$__env": "__env", "$__execution": "__execution", "$__task_execution": "__task_execution"}


class CallContext(contexts.Context):  # type: ignore[misc]
    """A layer of variables and functions within one evaluation."""

    evaluation: Evaluation

    def __init__(
        self, parent_context: CallContext | None = None, data: Any = NO_VALUE, convention: Any = None
    ) -> None:
        self._parent_context = parent_context
        self._functions: dict[str, set[FunctionDefinition]] = {}
        self._data: dict[str, Any] = {}
        self._exclusive_funcs: set[str] = set()
        if parent_context is None:
            self._convention = convention
            self.root: CallContext = self
        else:
            self._convention = parent_context._convention
            self.root = parent_context.root
            self.evaluation = parent_context.evaluation
        if data is not NO_VALUE:
            self["$"] = data

    def __call__(
        self,
        name: str,
        engine: Any,
        receiver: Any = NO_VALUE,
        data_context: Any = None,
        use_convention: bool = False,
        function_filter: Any = None,
    ) -> Callable[..., Any]:
        place = self if data_context is None else data_context
        return functools.partial(_call, self, name, engine, receiver, place, use_convention)

    def overloads(self, name: str, is_method: bool, use_convention: bool) -> Layers:
        """Return the functions of a name, nearest layer first."""
        found: list[Sequence[FunctionDefinition]] = []
        layer: Any = self
        while not isinstance(layer, RootContext):
            if layer._functions:
                ours = layer.get_functions(name, _is_method if is_method else _is_function, use_convention)[0]
                if ours:
                    found.append(tuple(ours))
            layer = layer.parent
        beneath = layer.known(name, is_method, use_convention)
        return [*found, *beneath] if found else beneath


class RootContext(CallContext):
    """The layer with all functions (its parents belong to it); shared by all evaluations."""

    def __init__(self, library: contexts.Context, own_functions: frozenset[str] = frozenset()) -> None:
        """``own_functions`` hide functions (not methods) of the same name further out."""
        super().__init__(None, convention=library.convention)
        self._parent_context = library
        self._own = own_functions
        self._known: dict[tuple[str, bool, bool], Layers] = {}

    def known(self, name: str, is_method: bool, use_convention: bool) -> Layers:
        """Return the functions of a name; found once, then remembered."""
        key = (name, is_method, use_convention)
        layers = self._known.get(key)
        if layers is None:
            wanted = _is_method if is_method else _is_function
            layers = [
                tuple(layer)
                for layer in self.collect_functions(name, lambda fd, _: wanted(fd), use_convention)
            ]
            if name in self._own and not is_method:
                layers = layers[:1]
            if layers:  # unknown names are users' mistakes; nobody should fill memory with them
                self._known[key] = layers
        return layers

    def begin(self, evaluation: Evaluation) -> ScopeContext:
        """Return the context of a new evaluation."""
        return ScopeContext(self, evaluation)


class ScopeContext(CallContext):
    """The outermost layer of one evaluation: ``$`` and the internal roots come from the scope."""

    def __init__(self, root: RootContext, evaluation: Evaluation) -> None:
        self._parent_context = root
        self._convention = root._convention
        self._functions = {}
        self._data = {"$1": evaluation.scope.data}
        self._exclusive_funcs = set()
        self.root = root
        self.evaluation = evaluation

    def get_data(self, name: str, default: Any = None, ask_parent: bool = True) -> Any:
        if name in SHORTCUTS:
            return self.evaluation.scope.data.get(SHORTCUTS[name], default)
        return super().get_data(name, default, ask_parent)

    def create_child_context(self) -> CallContext:
        return CallContext(self)


def _is_function(definition: FunctionDefinition) -> bool:
    return bool(definition.is_function)


def _is_method(definition: FunctionDefinition) -> bool:
    return bool(definition.is_method)


def _call(
    context: CallContext,
    name: str,
    engine: Any,
    receiver: Any,
    place: CallContext,
    use_convention: bool,
    *args: Any,
    **kwargs: Any,
) -> Any:
    evaluation = context.evaluation
    evaluation.budget.tick()
    layers = context.overloads(name, receiver is not NO_VALUE, use_convention)
    if not layers:
        if receiver is NO_VALUE:
            raise exceptions.NoFunctionRegisteredException(name)
        raise exceptions.NoMethodRegisteredException(name, _described(receiver))
    delegate = _choose(name, layers, engine, receiver, place, args, kwargs)
    try:
        return evaluation.guard(delegate())
    except StopIteration as error:
        raise exceptions.WrappedException(error) from error


def _described(receiver: Any) -> str:
    return f"of type '{kind_of(receiver)}'"


def _ambiguous(name: str, receiver: Any) -> Exception:
    if receiver is NO_VALUE:
        return exceptions.AmbiguousFunctionException(name)  # type: ignore[no-any-return]
    return exceptions.AmbiguousMethodException(name, _described(receiver))  # type: ignore[no-any-return]


def _no_match(name: str, receiver: Any) -> Exception:
    if receiver is NO_VALUE:
        return exceptions.NoMatchingFunctionException(name)  # type: ignore[no-any-return]
    return exceptions.NoMatchingMethodException(name, _described(receiver))  # type: ignore[no-any-return]


def _choose(
    name: str, layers: Layers, engine: Any, receiver: Any, context: CallContext, args: Any, kwargs: Any
) -> Callable[[], Any]:
    """Pick the one overload that takes the arguments; evaluates those that are not lazy."""
    if receiver is not NO_VALUE:
        args = (receiver, *args)
    no_kwargs: bool | None = None
    lazy: set[Any] | None = None
    fitting: list[list[tuple[FunctionDefinition, Any]]] = []
    for layer in layers:
        level = []
        for definition in layer:
            if no_kwargs is None:
                no_kwargs = definition.no_kwargs
                args, kwargs = _split_arguments(no_kwargs, args, kwargs)
            elif no_kwargs != definition.no_kwargs:
                raise _ambiguous(name, receiver)
            mapping = definition.map_args(args, kwargs, context, engine)
            if mapping is None:
                continue
            theirs = _lazy_parameters(mapping)
            if lazy is None:
                lazy = theirs
            elif lazy != theirs:
                raise _ambiguous(name, receiver)
            level.append((definition, mapping))
        if level:
            fitting.append(level)
    if not fitting or lazy is None:
        raise _no_match(name, receiver)

    args = tuple(arg if place in lazy else _evaluated(arg, context, engine) for place, arg in enumerate(args))
    kwargs = {key: arg if key in lazy else _evaluated(arg, context, engine) for key, arg in kwargs.items()}
    for level in fitting:
        chosen = _most_special(name, level, engine, receiver, context, args, kwargs)
        if chosen is not None:
            return chosen
    raise _no_match(name, receiver)


def _most_special(
    name: str, level: Any, engine: Any, receiver: Any, context: CallContext, args: Any, kwargs: Any
) -> Callable[[], Any] | None:
    chosen: Callable[[], Any] | None = None
    chosen_mapping: Any = None
    for definition, mapping in level:
        try:
            delegate = definition.get_delegate(receiver, engine, context, args, kwargs)
        except exceptions.ArgumentException:
            continue
        if chosen is not None:
            if _is_more_special(chosen_mapping, mapping):
                continue
            if not _is_more_special(mapping, chosen_mapping):
                raise _ambiguous(name, receiver)
        chosen, chosen_mapping = delegate, mapping
    return chosen


def _evaluated(argument: Any, context: CallContext, engine: Any) -> Any:
    if isinstance(argument, ast.Expression) and not isinstance(argument, ast.Constant):
        return argument(NO_VALUE, context, engine)
    return argument


def _lazy_parameters(mapping: Any) -> set[Any]:
    positional, keywords = mapping
    lazy: set[Any] = {
        place
        for place, parameter in enumerate(positional)
        if isinstance(parameter.value_type, yaqltypes.LazyParameterType)
    }
    lazy.update(
        key
        for key, parameter in keywords.items()
        if isinstance(parameter.value_type, yaqltypes.LazyParameterType)
    )
    return lazy


def _split_arguments(without_keywords: bool, args: Any, kwargs: Any) -> tuple[Any, dict[str, Any]]:
    """Tell ``name => value`` from positional arguments, unless the function takes pairs."""
    if without_keywords:
        if kwargs:
            raise exceptions.ArgumentException(next(iter(kwargs)))
        return args, {}
    positional = []
    keywords = {}
    for argument in args:
        if not isinstance(argument, ast.MappingRuleExpression):
            positional.append(argument)
        elif isinstance(argument.source, ast.KeywordConstant):
            keywords[argument.source.value] = argument.destination
        else:
            raise exceptions.MappingTranslationException
    for key, value in kwargs.items():
        if key in keywords:
            raise exceptions.MappingTranslationException
        keywords[key] = value
    return tuple(positional), keywords


def _is_more_special(left: Any, right: Any) -> bool:
    """Tell whether the parameters of ``left`` are narrower somewhere and nowhere wider."""
    narrower = False
    pairs = [*zip(left[0], right[0], strict=False), *((one, right[1][key]) for key, one in left[1].items())]
    for ours, theirs in pairs:
        if theirs.value_type.is_specialization_of(ours.value_type):
            return False
        narrower = narrower or ours.value_type.is_specialization_of(theirs.value_type)
    return narrower
