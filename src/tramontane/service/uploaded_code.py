"""Uploaded Python as the service sees it: read, never executed (action specification, section 12).

What an action class takes is worked out from the text of its module. Where that can't be known (a base
class comes from elsewhere, say) any input is let through, and the process that runs the code judges it.

The code of an action is named by its content: ``python:<hash>:<class>`` is what executors run, so that a
run keeps the code that it was started with.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tramontane.actions.registry import REQUIRED, Parameter, Signature
from tramontane.errors import Problem
from tramontane.results import Result
from tramontane.service.documents import Spec
from tramontane.store.definition_records import DynamicEntry

PREFIX: Final = "python:"
ANYTHING: Final = Signature(others="kwargs")
LONGEST_CLASS_NAME: Final = 180
"""Together with the hash it must fit where the name of an action is kept."""


@dataclass(frozen=True, slots=True)
class CodeAction:
    """An action of an uploaded class (:class:`tramontane.core.decision.ActionInfo`).

    ``name`` is what executors know it by. ``problem``: why its module can't be used; None: it can.
    """

    name: str
    title: str
    class_name: str
    signature: Signature = ANYTHING
    description: str = ""
    is_sync: bool = True
    problem: str | None = None

    def check_input(self, given: Mapping[str, Any]) -> str | None:
        return self.signature.check(given, self.title, self.class_name)

    def settle(self, given: Mapping[str, Any], action_id: str) -> Result | None:
        """Broken code has its result before it is run."""
        return None if self.problem is None else Result(error=self.problem)


def stored_code(source_name: str, content: str) -> Spec:
    """The form in which executors get a module."""
    return Spec.of({"module": source_name, "code": content})


def action_of(title: str, entry: DynamicEntry) -> CodeAction:
    """Describe an action by the text of its module."""
    name = f"{PREFIX}{stored_code(entry.source_name, entry.content).hash}:{entry.class_name}"
    module = _parsed(entry.content)
    if isinstance(module, Problem):
        problem = f"The code source '{entry.source_name}' can't be used: {module}"
        return CodeAction(name, title, entry.class_name, description=problem, problem=problem)
    classes = {node.name: node for node in module.body if isinstance(node, ast.ClassDef)}
    found = classes.get(entry.class_name)
    if found is None:
        return CodeAction(name, title, entry.class_name)
    line = _Line(classes, found)
    return CodeAction(
        name,
        title,
        entry.class_name,
        line.signature(),
        inspect.cleandoc(ast.get_docstring(found) or ""),
        line.is_sync(),
    )


def problems_of(content: str) -> list[Problem]:
    """What a module is warned of when it is uploaded."""
    module = _parsed(content)
    return [module] if isinstance(module, Problem) else []


def _parsed(content: str) -> ast.Module | Problem:
    try:
        return ast.parse(content)
    except SyntaxError as error:
        message = f"invalid Python: {error.msg}"
        return Problem(message, line=error.lineno or 0, column=error.offset or 0, severity="warning")
    except (ValueError, RecursionError, MemoryError) as error:
        return Problem(f"invalid Python: {error or 'nested too deeply'}", severity="warning")


class _Line:
    """A class with its base classes, as far as they stand in the same module."""

    def __init__(self, classes: Mapping[str, ast.ClassDef], found: ast.ClassDef) -> None:
        self._members: list[ast.ClassDef] = []
        self._is_whole = True
        self._collect(classes, found, {found.name})

    def _collect(self, classes: Mapping[str, ast.ClassDef], node: ast.ClassDef, seen: set[str]) -> None:
        self._members.append(node)
        for base in node.bases:
            name = base.id if isinstance(base, ast.Name) else ""
            if name in classes and name not in seen:
                seen.add(name)
                self._collect(classes, classes[name], seen)
            elif name != "object":
                self._is_whole = False

    def _method(self, name: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        for member in self._members:
            for node in member.body:
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
                    return node
        return None

    def signature(self) -> Signature:
        constructor = self._method("__init__")
        if constructor is None:
            return Signature() if self._is_whole else ANYTHING
        given = constructor.args
        names = [each.arg for each in (*given.posonlyargs, *given.args)]
        required: list[Any] = [REQUIRED] * (len(names) - len(given.defaults))
        defaults = required + [_literal(item) for item in given.defaults]
        parameters = [Parameter(*pair) for pair in zip(names, defaults, strict=True)][1:]
        parameters += [
            Parameter(each.arg, REQUIRED if default is None else _literal(default))
            for each, default in zip(given.kwonlyargs, given.kw_defaults, strict=True)
        ]
        return Signature(tuple(parameters), None if given.kwarg is None else given.kwarg.arg)

    def is_sync(self) -> bool:
        """True unless the class says plainly that it isn't."""
        method = self._method("is_sync")
        if method is None:
            return True
        returns = [node.value for node in ast.walk(method) if isinstance(node, ast.Return)]
        return not (len(returns) == 1 and isinstance(returns[0], ast.Constant) and returns[0].value is False)


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return _NotShown()


class _NotShown:
    """A default that has no JSON form: the parameter is optional and isn't listed."""
