"""The JSON Schema says what the checks say, as far as the shape of a document goes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.lang.lab import LENIENT, STRICT, Parse

from tramontane.errors import DefinitionError
from tramontane.lang import parse_actions, parse_workbook, parse_workflows
from tramontane.lang.action_check import ACTION_ATTRIBUTES
from tramontane.lang.document import CheckOptions
from tramontane.lang.schema import Kind, json_schema
from tramontane.lang.task_check import DIRECT_ONLY, TASK_ATTRIBUTES
from tramontane.lang.workflow_check import DEFAULT_ATTRIBUTES, WORKFLOW_ATTRIBUTES
from tramontane.lang.yaml_loader import load

ROOT = Path(__file__).resolve().parents[2]
PARSERS: dict[Kind, Parse] = {
    "workflows": parse_workflows,
    "workbook": parse_workbook,
    "actions": parse_actions,
}
VALIDATORS = {
    (kind, strict): jsonschema.Draft202012Validator(json_schema(kind, strict=strict))
    for kind in (None, *PARSERS)
    for strict in (False, True)
}
# What no schema can know: what the whole document makes of a name, and what is inside a text.
BEYOND_SHAPE = re.compile(
    r"Task '.*' not found|Failed to find start tasks|o inbound tasks|Not enough inbound|Parse error|"
    r"Lexical error|Syntax error|Mixing expression types|Invalid array in|never run|has no effect, expected|"
    r"behind the list has no effect|stands twice|is left out|each other",
    re.DOTALL,
)


def structural_problems(kind: Kind, text: str, options: CheckOptions) -> list[str]:
    """What the checks find that a schema could find too."""
    try:
        PARSERS[kind](text, options)
    except DefinitionError as error:
        found = [str(problem) for problem in error.problems if problem.severity == "error"]
        return [problem for problem in found if not BEYOND_SHAPE.search(problem)]
    return []


def is_valid(kind: Kind | None, text: str, *, strict: bool = False) -> bool:
    return VALIDATORS[kind, strict].is_valid(load(text).root)


def assert_same(kind: Kind, document: Any) -> None:
    text = json.dumps(document)
    for strict, options in ((False, LENIENT), (True, STRICT)):
        problems = structural_problems(kind, text, options)
        errors = [error.message[:200] for error in VALIDATORS[kind, strict].iter_errors(load(text).root)]
        assert bool(problems) == bool(errors), (strict, document, problems, errors)


# Values that are right somewhere, and values that are right nowhere.
SCALARS: list[Any] = [
    None, True, False, 0, 1, -1, 1.0, 1.5, "", "a", "a b", "t2", "all", "one", "2", "fail msg='x'",
    "fail(msg='x y')", "t2  x=1", "<% 1 %>", " <% 1 %>", "<% 1 %> ", "<% 1 %>\n", "{{ 1 }}", "x <% 1 %>",
    "a\n", "count=1 delay=2", "count=1", "count=<% 1 %> delay='{{ 1 }}'", "count=x delay=1",
    "i in <% 1 %>", "i in [1]", "i in []", "i in x", "? i in [1]", "i in x[1]", "/x a=1",
    "std.echo output=1", "direct", "reverse",
]  # fmt: skip
GUARD = {"t2": "<% 1 %>"}
CONTAINERS: list[Any] = [
    [], ["a"], ["a", "a"], [1], [""], ["t2", GUARD], ["t2", "t2"], [["t2"]], [{"t2": True}],
    ["i in [1]", "j in [1]"],
    {}, {"a": 1}, {"a": None}, {"a": 1, "b": 2}, GUARD, {**GUARD, "t3": "<% 1 %>"}, {"": "<% 1 %>"},
    {"publish": {"branch": {"a": 1}}}, {"publish": {"atomic": {"a": 1}, "global": {"b": 1}}, "next": "t2"},
    {"publish": {"branch": {}}}, {"publish": {}}, {"publish": {"a": 1}}, {"next": ["t2", GUARD]},
    {"next": GUARD},
    {"next": None}, {"next": []}, {"next": "t2", "foo": 1}, {"publish": "<% 1 %>"}, {"publish": {"name": 1}},
    {"count": 1, "delay": 1}, {"count": 1}, {"count": "<% 1 %>", "delay": 0, "break-on": "<% 1 %>"},
    {"count": 1, "delay": 1, "break-on": True}, {"count": 1, "delay": 1, "foo": 2}, {"count": -1, "delay": 1},
    ["a", {"b": 1}], [{"a": 1, "b": 2}], [{}], ["a", {"a": None}],
]  # fmt: skip
VALUES = st.sampled_from([*SCALARS, *CONTAINERS])
TASK_KEYS = sorted({*TASK_ATTRIBUTES["direct"], *TASK_ATTRIBUTES["reverse"]})
TASK_NAMES = st.sampled_from(["t", "t2", "", "version", "noop", "a b", "n" * 208, "n" * 209, "n" * 256])
NAMES = st.sampled_from(
    ["wf", "a.b", "a b", "", "version1", "w" * 255, "w" * 256, "é-1", "7d1f6a4e-0c3b-4d8e-9f2a-1b2c3d4e5f60",
     "{7D1F6A4E0C3B4D8E9F2A1B2C3D4E5F60}", "description", "name"]
)  # fmt: skip


def maps_of(keys: list[str], *, others: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    key = st.sampled_from([*keys, "foo", "x-foo"] if others else keys)
    return st.dictionaries(key, VALUES, max_size=3)


TASKS = maps_of(TASK_KEYS) | VALUES
SOUND_TASKS = {"t": {"action": "std.noop"}, "t2": {"action": "std.noop"}, "t3": {"action": "std.noop"}}


@st.composite
def workflows(draw: st.DrawFn) -> Any:
    """A workflow in which a thing or two may be wrong."""
    part = draw(st.sampled_from(["attributes", "task", "names", "defaults", "anything"]))
    if part == "anything":
        return draw(VALUES)
    kind = draw(st.sampled_from([{}, {"type": "direct"}, {"type": "reverse"}]))
    workflow: dict[str, Any] = {**kind, "tasks": dict(SOUND_TASKS)}
    if part == "task":
        workflow["tasks"]["t"] = draw(TASKS)
    elif part == "names":
        workflow["tasks"] = draw(st.dictionaries(TASK_NAMES, TASKS, max_size=2))
    elif part == "defaults":
        workflow["task-defaults"] = draw(maps_of([*DEFAULT_ATTRIBUTES, "action", "join"]) | VALUES)
    else:
        workflow |= draw(maps_of([key for key in WORKFLOW_ATTRIBUTES if key != "task-defaults"]))
    return workflow


ACTIONS = (
    st.builds(
        lambda base, other: base | other,
        st.sampled_from([{}, {"base": "std.echo"}]),
        maps_of([*ACTION_ATTRIBUTES]),
    )
    | VALUES
)
VERSIONS = st.sampled_from([{"version": "2.0"}, {"version": 2.0}, {"version": 2}, {"version": "v2.0"}, {}])
ODD_VERSIONS = VALUES.map(lambda value: {"version": value})


def with_task(key: str, value: Any, kind: str = "direct") -> Any:
    others = {"t2": {"description": "x"}, "t3": {"description": "x"}}
    return {"version": "2.0", "wf": {"type": kind, "tasks": {"t": {key: value}, **others}}}


@pytest.mark.parametrize("key", TASK_KEYS)
def test_every_attribute_of_a_task_takes_the_same_values(key: str) -> None:
    for value in [*SCALARS, *CONTAINERS]:
        assert_same("workflows", with_task(key, value))
    assert_same("workflows", with_task(key, ["t2"], "reverse"))


@pytest.mark.parametrize("key", WORKFLOW_ATTRIBUTES)
def test_every_attribute_of_a_workflow_takes_the_same_values(key: str) -> None:
    for value in [*SCALARS, *CONTAINERS]:
        workflow = {"tasks": SOUND_TASKS, key: value}
        assert_same("workflows", {"version": "2.0", "wf": workflow})


@pytest.mark.parametrize("key", DEFAULT_ATTRIBUTES)
def test_every_attribute_of_task_defaults_takes_the_same_values(key: str) -> None:
    for kind in ("direct", "reverse"):
        for value in [*SCALARS[::3], *CONTAINERS[::3]]:
            workflow = {"type": kind, "tasks": SOUND_TASKS, "task-defaults": {key: value}}
            assert_same("workflows", {"version": "2.0", "wf": workflow})


@pytest.mark.parametrize("key", ACTION_ATTRIBUTES)
def test_every_attribute_of_an_action_takes_the_same_values(key: str) -> None:
    for value in [*SCALARS, *CONTAINERS]:
        assert_same("actions", {"version": "2.0", "ac": {"base": "std.noop", key: value}})


@pytest.mark.parametrize(
    "task",
    [
        {"action": "a", "workflow": "w"},
        {"action": "a", "join": 0},
        {"n" * 208: {"join": 0}},
    ],
)
def test_attributes_that_go_together_are_the_same(task: Any) -> None:
    assert_same("workflows", {"version": "2.0", "wf": {"tasks": {"t": task, "t2": {"action": "a"}}}})


@pytest.mark.parametrize("length", [208, 209, 255, 256])
@pytest.mark.parametrize("task", [{"action": "a"}, {"join": "all"}, {"join": 0}])
def test_names_may_be_as_long(length: int, task: Any) -> None:
    name = "n" * length
    start = {"on-success": name}
    assert_same("workflows", {"version": "2.0", "wf": {"tasks": {"s": start, name: task}}})


@settings(max_examples=300)
@given(workflows())
def test_a_workflow_has_the_schemas_shape_when_the_checks_find_no_fault_in_its_shape(workflow: Any) -> None:
    assert_same("workflows", {"version": "2.0", "wf": workflow})


@settings(max_examples=200)
@given(ACTIONS)
def test_so_has_an_action(action: Any) -> None:
    assert_same("actions", {"version": "2.0", "ac": action})


@given(VERSIONS | ODD_VERSIONS, st.dictionaries(NAMES, st.just({"tasks": SOUND_TASKS}), max_size=2))
def test_so_has_a_list_of_workflows(version: Any, items: Any) -> None:
    assert_same("workflows", {**version, **items})


@given(VERSIONS | ODD_VERSIONS, st.dictionaries(NAMES, st.just({"base": "std.noop"}), max_size=2))
def test_so_has_a_list_of_actions(version: Any, items: Any) -> None:
    assert_same("actions", {**version, **items})


@given(
    VERSIONS | ODD_VERSIONS,
    st.dictionaries(st.sampled_from(["name", "description", "tags", "triggers"]), VALUES, max_size=2),
    st.dictionaries(NAMES, st.just({"tasks": SOUND_TASKS}), max_size=2) | VALUES | st.none(),
    st.sampled_from(
        [{}, {"actions": {"ac": {"base": "std.noop"}}}, {"actions": {"version": 3}}, {"actions": {}}]
    ),
)
def test_so_has_a_workbook(version: Any, others: Any, members: Any, actions: Any) -> None:
    document = {**version, "name": "book", **others, **actions}
    if members is not None:
        document["workflows"] = members
    assert_same("workbook", document)


@pytest.mark.parametrize("version", [*SCALARS, "2.0", "v2.0", "3", 3])
def test_members_of_a_workbook_may_have_the_same_versions(version: Any) -> None:
    members = {"version": version, "ac": {"base": "std.noop"}}
    assert_same("workbook", {"version": "2.0", "name": "book", "actions": members})


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("kind", [None, *PARSERS])
def test_the_schema_is_one(kind: Kind | None, strict: bool) -> None:
    schema = json_schema(kind, strict=strict)
    jsonschema.Draft202012Validator.check_schema(schema)
    used = set(re.findall(r"#/\$defs/([\w-]+)", json.dumps(schema)))
    assert used == set(schema["$defs"])


def test_every_attribute_is_described() -> None:
    schema = json_schema()
    for name in ("direct-task", "reverse-task", "workflow", "action", "direct-defaults"):
        for key, attribute in schema["$defs"][name]["properties"].items():
            assert attribute["description"].endswith("."), (name, key)
    assert set(DIRECT_ONLY) <= set(schema["$defs"]["direct-task"]["properties"])
    assert not set(DIRECT_ONLY) & set(schema["$defs"]["reverse-task"]["properties"])


WORKFLOWS = "version: '2.0'\nwf: {tasks: {t: {action: std.noop}}}\n"
WORKBOOK = "version: '2.0'\nname: book\nworkflows: {wf: {tasks: {t: {action: std.noop}}}}\n"
ACTION_LIST = "version: '2.0'\nac: {base: std.noop}\n"


@pytest.mark.parametrize("text", [WORKFLOWS, WORKBOOK, ACTION_LIST])
def test_one_schema_tells_the_kinds_of_documents_apart(text: str) -> None:
    assert is_valid(None, text)
    assert is_valid(None, text, strict=True)
    assert sum(is_valid(kind, text) for kind in PARSERS) == 1


@pytest.mark.parametrize(
    "text",
    [
        WORKFLOWS.replace("action", "actoin"),
        WORKBOOK.replace("action", "actoin"),
        ACTION_LIST.replace("}", ", foo: 1}"),
        WORKBOOK.replace("workflows", "triggers"),
        "version: '2.0'\n",
        "version: '2.0'\nwf: {tasks: {t: {action: a}}}\nac: {base: b}\n",
    ],
)
def test_the_one_schema_finds_mistakes_in_all_of_them(text: str) -> None:
    assert not is_valid(None, text)


EXAMPLES = [path for path in sorted((ROOT / "examples").rglob("*.yaml")) if ".test." not in path.name]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_have_the_shape(path: Path) -> None:
    assert is_valid(None, path.read_text(encoding="utf-8"))


def test_the_published_schema_is_the_one_of_this_version() -> None:
    published = (ROOT / "docs/reference/mistral-dsl-v2.schema.json").read_text(encoding="utf-8")
    assert json.loads(published) == json_schema(), "write it anew: tramontane schema > docs/reference/…"
