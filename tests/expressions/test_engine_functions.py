"""The engine's functions in both languages (expression specification, section 6)."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from typing import Any

import pytest
from tests.expressions.fake_scope import FakeScope, LazyMap, NeedsDataError

from tramontane.errors import EvaluationError
from tramontane.expressions import Budget, evaluate, load_plugins, register_function
from tramontane.expressions.functions import registry
from tramontane.expressions.plugins import ENTRY_POINT_GROUP


def value_of(text: Any, scope: FakeScope) -> Any:
    return evaluate(text, scope, Budget())


@pytest.fixture
def scope() -> FakeScope:
    scope = FakeScope()
    scope.functions.task_maps["t1"] = LazyMap({"name": "t1", "result": [1]}, frozenset())
    scope.functions.current_task = {"name": "now", "state": "SUCCESS"}
    scope.functions.execution_map = {"id": "e1", "name": "wf"}
    scope.functions.execution_maps = [{"id": "e1", "name": "wf"}]
    return scope


@pytest.mark.spec("E135", "E136")
def test_env_is_the_environment(scope: FakeScope) -> None:
    scope.functions.env_map = {"x": 1}
    assert value_of("<% env().x %>", scope) == 1
    assert value_of("{{ env().x }}", scope) == 1
    with pytest.raises(EvaluationError, match="'y'"):
        value_of("<% env().y %>", scope)

    scope.functions.env_map = {}
    assert value_of("<% env() %>", scope) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("<% execution().name %>", "wf", marks=pytest.mark.spec("E141")),
        ("{{ execution().name }}", "wf"),
        pytest.param("<% task().name %>", "now", marks=pytest.mark.spec("E142")),
        pytest.param("<% task().state %>", "SUCCESS", marks=pytest.mark.spec("E143")),
        pytest.param("<% task(t1).result %>", [1], marks=pytest.mark.spec("E145")),
        pytest.param("<% task(nope) %>", None, marks=pytest.mark.spec("E146")),
        pytest.param("{{ task('t1').result }}", [1], marks=pytest.mark.spec("E148", "E149")),
        ("{{ 't1' | task }}", {"name": "t1", "result": [1]}),
        ("<% tasks().name %>", ["t1"]),
        ("{{ tasks()[0].name }}", "t1"),
        pytest.param("{{ executions()[0].name }}", "wf", marks=pytest.mark.spec("E154")),
        ("<% executions().name %>", ["wf"]),
        ("<% executions() %>", [{"id": "e1", "name": "wf"}]),
        pytest.param("<% json_pp($.d) = json_dump($.d) %>", True, marks=pytest.mark.spec("E161")),
        ("{{ '[1]' | json_parse }}", [1]),
        ("{{ _.d | yaml_dump }}", "k: v\nn:\n  m: 5\n"),
        ("{{ '' | uuid | length }}", 36),
    ],
)
def test_functions_give_the_same_in_both_languages(text: str, expected: Any, scope: FakeScope) -> None:
    assert value_of(text, scope) == expected


@pytest.mark.spec("E147")
def test_without_a_current_task_task_is_null(scope: FakeScope) -> None:
    scope.functions.current_task = None

    assert value_of("<% task() %>", scope) is None
    assert value_of("{{ task() }}", scope) is None


@pytest.mark.spec("E153")
@pytest.mark.parametrize(
    "text",
    [
        "<% tasks(recursive => true, workflowExecutionId => execution().id).len() %>",
        "<% tasks(recursive => true, workflow_execution_id => execution().id).len() %>",
        "{{ tasks(execution().id, recursive=true) | length }}",
        "{{ tasks(workflow_execution_id=execution().id, recursive=true) | length }}",
    ],
)
def test_named_arguments_may_be_spelled_both_ways(text: str, scope: FakeScope) -> None:
    value_of(text, scope)

    assert scope.functions.calls == [("e1", True, None, False)]


def test_wrong_arguments_are_an_error(scope: FakeScope) -> None:
    with pytest.raises(EvaluationError, match='No function "tasks" matches supplied arguments'):
        value_of("<% tasks(nonsense => 1) %>", scope)
    with pytest.raises(EvaluationError, match="Can not evaluate Jinja"):
        value_of("{{ tasks(nonsense=1) }}", scope)


def test_what_a_function_refuses_is_the_reason(scope: FakeScope) -> None:
    scope.functions.execution_map = None

    with pytest.raises(EvaluationError, match="error=execution\\(\\) is known inside a workflow only\\]"):
        value_of("<% execution().id %>", scope)


@pytest.mark.spec("E155")
def test_global_reads_global_variables(scope: FakeScope) -> None:
    scope.functions.globals["g"] = 7

    assert value_of("<% global(g) %>", scope) == 7
    assert value_of("<% global(nope) %>", scope) is None
    assert value_of("{{ global('g') }}", scope) == 7


@pytest.mark.spec("E156")
def test_every_call_of_uuid_gives_another_one(scope: FakeScope) -> None:
    assert len(value_of("<% uuid() %>", scope)) == 36
    assert value_of("<% uuid() = uuid() %>", scope) is False


def test_json_and_yaml_texts_are_ascii_and_keep_their_rules(scope: FakeScope) -> None:
    assert value_of('<% json_dump({b => "é", a => 1}) %>', scope) == '{\n    "b": "\\u00e9",\n    "a": 1\n}'
    assert value_of("<% json_dump(datetime(2020, 1, 2)) %>", scope) == '"2020-01-02T00:00:00.000000"'
    assert value_of("<% json_dump(set(2, 1)) %>", scope) == "[\n    1,\n    2\n]"
    assert value_of('<% yaml_dump({b => "é", a => [1, 2]}) %>', scope) == 'a:\n- 1\n- 2\nb: "\\xE9"\n'
    assert value_of("<% let(x => [1]) -> yaml_dump([$x, $x]) %>", scope) == "- - 1\n- - 1\n"
    assert value_of('<% yaml_parse("a: *x") %>', scope) == {"a": "*x"}
    assert value_of('<% yaml_parse("d: 2020-01-01") %>', scope) == {"d": "2020-01-01"}


def test_a_wrong_yaml_text_is_not_quoted(scope: FakeScope) -> None:
    with pytest.raises(EvaluationError) as caught:
        value_of('<% yaml_parse("password: {hunter2") %>', scope)

    assert "hunter2" not in caught.value.message.partition("error=")[2]


@pytest.mark.parametrize("text", ["<% task(t2).name %>", "{{ task('t2').name }}"])
def test_reading_a_key_of_a_lazy_map_touches_no_other(text: str, scope: FakeScope) -> None:
    lazy = LazyMap({"name": "t2", "result": None}, unloaded=frozenset({"result"}))
    scope.functions.task_maps["t2"] = lazy

    assert value_of(text, scope) == "t2"
    assert lazy.touched == ["name"]


@pytest.mark.parametrize(
    "text",
    [
        "<% task(t2).result %>",
        "<% task(t2) %>",
        "<% tasks().result %>",
        "<% $.l.select(task(t2).result) %>",
        "{{ task('t2').result }}",
        "{{ task('t2') }}",
        "x {{ tasks() | map(attribute='result') | list }}",
        "{% for t in tasks() %}{{ t.result }}{% endfor %}",
        "<% json_dump(task(t2)) %>",
    ],
)
def test_an_interrupt_leaves_the_evaluation_as_it_is(text: str, scope: FakeScope) -> None:
    scope.functions.task_maps["t2"] = LazyMap({"name": "t2", "result": None}, unloaded=frozenset({"result"}))

    with pytest.raises(NeedsDataError) as caught:
        value_of(text, scope)

    assert caught.value.args == ("result",)


@pytest.mark.parametrize(
    "text", ["<% $.x %>", "<% $.get(x) %>", "{{ _.x }}", "{{ _['x'] }}", "{{ _.get('x') }}"]
)
def test_reading_one_variable_touches_no_other(text: str) -> None:
    data = LazyMap({"x": 1, "y": 2})

    assert value_of(text, FakeScope(data)) == 1
    assert set(data.touched) == {"x"}


@pytest.mark.parametrize("text", ["{{ _.internals }}", "{{ _['internals'] }}", "{{ _ | attr('internals') }}"])
def test_attributes_of_a_lazy_maps_class_are_out_of_reach(text: str) -> None:
    with pytest.raises(EvaluationError, match="'dict object' has no attribute 'internals'"):
        value_of(text, FakeScope(LazyMap({"x": 1})))


def test_a_lazy_map_reads_like_any_other() -> None:
    scope = FakeScope(LazyMap({"x": 1, "y": [2]}))

    assert value_of("{{ _ }}", scope) == {"x": 1, "y": [2]}
    assert value_of("t {{ _ }}", scope) == "t {'x': 1, 'y': [2]}"
    assert value_of("<% $ %>", scope) == {"x": 1, "y": [2]}
    assert value_of("t <% $ %>", scope) == "t {'x': 1, 'y': [2]}"
    assert value_of("{{ _.keys() | list }}", scope) == ["x", "y"]
    assert value_of("{% for k, v in _.items() %}{{ k }}{{ v }}{% endfor %}", scope) == "x1y[2]"
    assert value_of("{{ _ | length }}", scope) == 2
    assert value_of("{{ _.copy() }}", scope) == {"x": 1, "y": [2]}
    assert value_of("<% $.len() %>", scope) == 2
    assert value_of("<% str($) %>", scope) == "{'x': 1, 'y': (2,)}"
    assert value_of("<% $.keys().orderBy($) %>", scope) == ["x", "y"]
    with pytest.raises(EvaluationError, match="unsafe"):
        value_of("{{ _.__class__ }}", scope)


def _twice(context: Any, number: int) -> int:
    assert context["a"] == 1
    return number * 2


def _replaced(context: Any, value: str) -> str:
    return f"{value} of {len(context)}"


@pytest.fixture
def custom_functions() -> Iterator[None]:
    register_function("twice", _twice)
    register_function("read", lambda context, name: context[name])
    register_function("plus_one", lambda some_number: some_number + 1)
    yield
    for name in ("twice", "read", "plus_one"):
        registry.unregister(name)


@pytest.mark.spec("E170")
@pytest.mark.usefixtures("custom_functions")
def test_a_custom_function_is_callable_in_both_languages(scope: FakeScope) -> None:
    assert value_of("<% twice(2) %>", scope) == 4
    assert value_of("{{ twice(2) }}", scope) == 4
    assert value_of("{{ 2 | twice }}", scope) == 4
    assert value_of("<% read(s) %>", scope) == "str"
    assert value_of("{{ read('s') }}", scope) == "str"
    assert value_of("<% plus_one(someNumber => 2) %>", scope) == 3


def test_a_custom_function_replaces_a_built_in_one_until_it_goes(scope: FakeScope) -> None:
    assert value_of("<% len(abc) %>", scope) == 3
    register_function("len", _replaced)
    try:
        assert value_of("<% len(abc) %>", scope) == "abc of 11"
        assert value_of("<% $.l.len() %>", scope) == 3
    finally:
        registry.unregister("len")

    assert value_of("<% len(abc) %>", scope) == 3


def test_functions_of_installed_packages_are_loaded_and_broken_ones_reported(
    monkeypatch: pytest.MonkeyPatch, scope: FakeScope
) -> None:
    found = [
        importlib.metadata.EntryPoint("from_plugin", "math:sqrt", ENTRY_POINT_GROUP),
        importlib.metadata.EntryPoint("broken", "no_such_module:f", ENTRY_POINT_GROUP),
    ]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: found if group else [])
    try:
        problems = load_plugins()

        assert value_of("<% from_plugin(9) %>", scope) == 3.0
        assert value_of("{{ from_plugin(9) }}", scope) == 3.0
        assert len(problems) == 1
        assert "'broken' (no_such_module:f)" in problems[0]
    finally:
        registry.unregister("from_plugin")
