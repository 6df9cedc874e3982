"""The language as JSON Schema (draft 2020-12), made from the tables that the checks work by.

It says what a document looks like, so that editors can complete and check while one writes: attributes,
types, forms of texts. What needs the whole document (do the targets exist, is there a start, can a join be
met) or a parser (expressions, lists in ``with-items``) is for the checks alone. Whatever they accept has
this shape, and a test holds the two together. ``patternErrorMessage`` is no part of the draft: the editors
that know it show it instead of the pattern, the others pass it over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from tramontane.lang import schema_texts as texts_of
from tramontane.lang.action_check import ACTION_ATTRIBUTES
from tramontane.lang.clauses import ADVANCED_KEYS, CLAUSES
from tramontane.lang.graph import RESERVED_TASK
from tramontane.lang.names import MAX_LENGTH
from tramontane.lang.policy_check import IGNORED, RETRY_PARAMETERS, SCOPES, check_clause, check_retry
from tramontane.lang.shapes import ANYTHING, CONDITION, FLAG, LIST, MAP, TEXT, WHOLE, Shape
from tramontane.lang.spec import COMMANDS
from tramontane.lang.task_check import (
    MAX_JOIN_NAME,
    MAX_NAME,
    TASK_ATTRIBUTES,
    Check,
    ShapeCheck,
    command,
    evaluated_map,
    requires,
    texts,
)
from tramontane.lang.upload import WORKBOOK_ATTRIBUTES
from tramontane.lang.workflow_check import DEFAULT_ATTRIBUTES, WORKFLOW_ATTRIBUTES, check_parameters

Schema = dict[str, Any]
Kind = Literal["workflows", "workbook", "actions"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

# The patterns say the same in Python and in JavaScript: '$' alone would let a last line break pass in Python.
_END = r"$(?!\n)"
_EXPRESSION = r"(?:<%[^\n]*?%>|\{\{[^\n]*?\}\})"
_PURE = rf"^{_EXPRESSION}\s*{_END}"
_TARGET = rf"^(?:\S+|\w+ \w+=[^\n]*|\w+\(\w+=[^\n]*\)){_END}"
_COMMAND = rf"^(?:[^ ]+{_END}|[\w.]|<%[^\n]*?%>|\{{\{{[^\n]*?\}}\}}|\{{%[^\n]*%\}})"
_ITEMS = r"^\s*[\w\-]+\s*in\s*(?:\[[^\n]*\]|\{\{[^\n]*?\}\}|<%[^\n]*?%>)"
_NUMBER = rf"(?:0(?!\d)|[1-9]|['\"]?{_EXPRESSION})"
_RETRY_LINE = rf"^(?=[\s\S]*(?:^|[^-\w])count={_NUMBER})(?=[\s\S]*(?:^|[^-\w])delay={_NUMBER})[\s\S]* "
_UUID = r"^\{*(?:[uU][rR][nN]:)?(?:[uU][uU][iI][dD]:)?\{*-*(?:[0-9A-Fa-f]-*){32}\}*$"
_HAS_EXPRESSION = r"<%|\{\{|\{%"

_TEXT: Schema = {"type": "string", "minLength": 1}
_MAP: Schema = {"type": "object", "minProperties": 1}
_UNIQUE: Schema = {"type": "array", "minItems": 1, "uniqueItems": True}
_VERSIONS = ["2.0", "2", "v2.0", 2]
_ITEM = {"type": "object", "minProperties": 1, "maxProperties": 1}


_DEFINITIONS = "#/$defs/"


def _ref(name: str) -> Schema:
    return {"$ref": f"{_DEFINITIONS}{name}"}


_SHAPES: dict[Shape, Schema] = {
    TEXT: _TEXT,
    MAP: _MAP,
    LIST: {"type": "array", "minItems": 1},
    FLAG: {"anyOf": [{"type": "boolean"}, _ref("expression")]},
    WHOLE: {"anyOf": [{"type": "integer", "minimum": 0}, _ref("expression")]},
    CONDITION: _ref("expression"),
    ANYTHING: {},
}
_CHECKS: dict[Check, Schema] = {
    command: _ref("command"),
    evaluated_map: _MAP,
    texts: _ref("texts"),
    requires: {"anyOf": [_TEXT, _ref("texts")]},
    check_clause: _ref("clause"),
    check_retry: _ref("retry"),
    check_parameters: _ref("parameters"),
}


def json_schema(kind: Kind | None = None, *, strict: bool = False) -> Schema:
    """Return the schema of documents of a kind; without one, of any document, told apart by its shape.

    ``strict`` leaves out what is only accepted with a warning.
    """
    document = _DOCUMENTS[kind](strict)
    return {"$schema": DIALECT, **document, "$defs": _needed(document, _definitions(strict))}


def _needed(document: Schema, definitions: dict[str, Schema]) -> dict[str, Schema]:
    """Return the definitions that a document's schema leads to, in their order."""
    found: set[str] = set()
    waiting: list[Any] = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, str) and value.startswith(_DEFINITIONS):
            name = value.removeprefix(_DEFINITIONS)
            if name not in found:
                found.add(name)
                waiting.append(definitions[name])
    return {name: schema for name, schema in definitions.items() if name in found}


def _any_document(strict: bool) -> Schema:
    """A workbook has text as its name; a list holds actions if one of them has a base and no tasks."""
    action = {"type": "object", "required": ["base"], "not": {"required": ["tasks"]}}
    holds_action = {"not": {"properties": {"version": {}}, "additionalProperties": {"not": action}}}
    return {
        "title": "Mistral DSL v2",
        "description": "A list of workflows, a workbook, or a list of ad-hoc actions.",
        "type": "object",
        "if": {"properties": {"name": {"type": "string"}}, "required": ["name"]},
        "then": _workbook(strict),
        "else": {"if": holds_action, "then": _actions(strict), "else": _workflows(strict)},
    }


def _workflows(strict: bool) -> Schema:
    return {
        **_list("A list of workflows", "workflow", strict),
        "propertyNames": {"allOf": [_ref("name"), {"not": {"pattern": _UUID}}]},
    }


def _actions(strict: bool) -> Schema:
    return {**_list("A list of ad-hoc actions", "action", strict), "propertyNames": _ref("name")}


def _list(title: str, item: str, strict: bool) -> Schema:
    return {
        "title": f"Mistral DSL v2: {title[0].lower()}{title[1:]}",
        "description": f"{title}: every key but 'version' names one.",
        "type": "object",
        "properties": {"version": _version(strict)},
        "required": ["version"],
        "minProperties": 2,
        "additionalProperties": _ref(item),
    }


def _version(strict: bool) -> Schema:
    described = {"description": texts_of.WORKBOOK["version"], "default": "2.0"}
    if strict:
        return {**described, "enum": _VERSIONS}
    return {**described, "anyOf": [_TEXT, {"type": "number", "minimum": 0}]}


def _workbook(_: bool) -> Schema:
    schemas = {
        "version": {"enum": _VERSIONS, "default": "2.0"},
        "name": _ref("name"),
        "description": _TEXT,
        "tags": _ref("texts"),
        "actions": _members("action", {}),
        "workflows": _members("workflow", {"not": {"pattern": _UUID}}),
    }
    return {
        "title": "Mistral DSL v2: a workbook",
        "description": "A workbook: workflows and ad-hoc actions that belong together.",
        "type": "object",
        "properties": {
            key: {"description": texts_of.WORKBOOK[key], **schemas[key]} for key in WORKBOOK_ATTRIBUTES
        },
        "required": ["version", "name"],
        "additionalProperties": False,
    }


def _members(item: str, name: Schema) -> Schema:
    return {
        **_MAP,
        "properties": {"version": {"enum": ["2.0", 2]}},
        "propertyNames": {"pattern": rf"^[\w-]+{_END}", "maxLength": MAX_LENGTH, **name},
        "additionalProperties": _ref(item),
    }


_DOCUMENTS: dict[Kind | None, Callable[[bool], Schema]] = {
    None: _any_document,
    "workflows": _workflows,
    "workbook": _workbook,
    "actions": _actions,
}


def _definitions(strict: bool) -> dict[str, Schema]:
    return {
        "name": {
            "type": "string",
            "pattern": rf"^[^ ]+{_END}",
            "patternErrorMessage": "Expected a name without spaces.",
            "maxLength": MAX_LENGTH,
        },
        "expression": {
            "description": "One expression: <% YAQL %> or {{ Jinja }}",
            "type": "string",
            "pattern": _PURE,
            "patternErrorMessage": "Expected one expression and nothing else: <% … %> or {{ … }}.",
        },
        "texts": {**_UNIQUE, "items": _TEXT},
        "command": {
            **_TEXT,
            "pattern": _COMMAND,
            "patternErrorMessage": "Expected a name, perhaps with parameters: std.echo output='…'.",
        },
        "parameters": {**_UNIQUE, "items": {"anyOf": [_TEXT, _ITEM]}},
        "workflow": _workflow(strict),
        "direct-tasks": _tasks("direct", strict),
        "reverse-tasks": _tasks("reverse", strict),
        "direct-task": _task("direct", strict),
        "reverse-task": _task("reverse", strict),
        "direct-defaults": _defaults(("requires",) if strict else ()),
        "reverse-defaults": _defaults(CLAUSES if strict else ()),
        "items": {
            **_TEXT,
            "pattern": _ITEMS,
            "patternErrorMessage": "Expected a variable and its list: vm in <% $.vms %>, or n in [1, 2].",
            "examples": ["vm in <% $.vms %>"],
        },
        "retry": _retry(),
        "target": {
            "description": "A task, a command (noop, fail, succeed, pause), or one with a message: "
            "fail(msg='…')",
            "type": "string",
            "pattern": _TARGET,
            "patternErrorMessage": "Expected the name of a task or command, or fail(msg='…').",
        },
        "targets": {**_UNIQUE, "items": {"anyOf": [_ref("target"), _guarded()]}},
        "clause": _clause(),
        "published": _published(strict),
        "action": _adhoc_action(),
    }


def _properties(
    table: Mapping[str, Check], described: Mapping[str, str], special: Mapping[str, Schema]
) -> Schema:
    """Return the schemas of a table's attributes; ``special`` has those whose check is one of a kind."""
    found: Schema = {}
    for key, check in table.items():
        if key in special:
            schema = special[key]
        else:
            schema = _SHAPES[check.shape] if isinstance(check, ShapeCheck) else _CHECKS[check]
        found[key] = {"description": described[key], **schema}
    return found


def _workflow(strict: bool) -> Schema:
    special = {
        "type": {"enum": ["direct", "reverse"], "default": "direct"},
        "output-on-error": _MAP,
        "task-defaults": _MAP,
        "tasks": _MAP,
    }
    schema: Schema = {
        **_MAP,
        "properties": _properties(WORKFLOW_ATTRIBUTES, texts_of.WORKFLOW, special),
        "required": ["tasks"],
        "if": {"properties": {"type": {"const": "reverse"}}, "required": ["type"]},
        "then": _typed("reverse"),
        "else": _typed("direct"),
    }
    if strict:
        schema |= {"patternProperties": {"^x-": {}}, "additionalProperties": False}
    return schema


def _typed(kind: str) -> Schema:
    return {"properties": {"tasks": _ref(f"{kind}-tasks"), "task-defaults": _ref(f"{kind}-defaults")}}


def _tasks(kind: str, strict: bool) -> Schema:
    task = _ref(f"{kind}-task")
    names: Schema = {"minLength": 1, "maxLength": MAX_NAME}
    if strict:
        names["not"] = {"enum": sorted([RESERVED_TASK, *(COMMANDS if kind == "direct" else ())])}
    return {
        **_MAP,
        "properties": {RESERVED_TASK: {"description": "A reserved name: never a task."}},
        "not": {"required": [RESERVED_TASK], "maxProperties": 1},
        "propertyNames": names,
        # A join's name is stored with more than itself, so it has to be shorter.
        "patternProperties": {
            rf"^[\s\S]{{{MAX_JOIN_NAME + 1},}}$": {"allOf": [task, {"properties": {"join": {"const": 0}}}]}
        },
        "additionalProperties": task,
    }


def _task(kind: str, strict: bool) -> Schema:
    text = {**_TEXT, "pattern": _HAS_EXPRESSION} if strict else _TEXT
    items = _ref("items")
    special = {
        "input": {"anyOf": [_MAP, text]},
        "with-items": {"anyOf": [items, {**_UNIQUE, "items": items}]},
        "target": _TEXT,
        "join": {"anyOf": [{"enum": ["all", "one"]}, {"type": "integer", "minimum": 1 if strict else 0}]},
    }
    return {
        **_MAP,
        "properties": _properties(TASK_ATTRIBUTES[kind], texts_of.TASK, special),
        "additionalProperties": False,
        "not": {"required": ["action", "workflow"]},
    }


def _defaults(without: tuple[str, ...]) -> Schema:
    table = {key: check for key, check in DEFAULT_ATTRIBUTES.items() if key not in without}
    return {**_MAP, "properties": _properties(table, texts_of.TASK, {}), "additionalProperties": False}


def _retry() -> Schema:
    parameters = {
        key: {"description": texts_of.RETRY[key], **_SHAPES[shape]} for key, shape in RETRY_PARAMETERS.items()
    }
    whole = {
        "type": "object",
        "properties": parameters | {key: {} for key in IGNORED},
        "required": ["count", "delay"],
        "additionalProperties": False,
    }
    line = {
        "type": "string",
        "pattern": _RETRY_LINE,
        "patternErrorMessage": "Expected 'count' and 'delay': count=3 delay=10.",
        "examples": ["count=3 delay=10"],
    }
    return {"anyOf": [whole, line]}


def _guarded(*, unless: tuple[str, ...] = ()) -> Schema:
    """A target with its condition: a map of one entry."""
    names = {"allOf": [_ref("target"), {"not": {"enum": list(unless)}}]} if unless else _ref("target")
    return {**_ITEM, "propertyNames": names, "additionalProperties": _ref("expression")}


def _clause() -> Schema:
    following = {"anyOf": [_ref("target"), _ref("targets"), _guarded()]}
    schemas = {"publish": _ref("published"), "next": following}
    whole = {
        **_MAP,
        "properties": {key: {"description": texts_of.CLAUSE[key], **schemas[key]} for key in ADVANCED_KEYS},
        "additionalProperties": False,
    }
    return {"anyOf": [_ref("target"), _ref("targets"), whole, _guarded(unless=ADVANCED_KEYS)]}


def _published(strict: bool) -> Schema:
    scopes = {
        scope: {"description": texts_of.PUBLISH[scope], **_MAP}
        for scope in SCOPES
        if not (strict and scope == "atomic")
    }
    return {
        **_MAP,
        "properties": scopes | {key: {} for key in IGNORED},
        "additionalProperties": False,
    }


def _adhoc_action() -> Schema:
    return {
        "type": "object",
        "properties": _properties(ACTION_ATTRIBUTES, texts_of.ACTION, {"output": {}}),
        "required": ["base"],
        "additionalProperties": False,
    }
