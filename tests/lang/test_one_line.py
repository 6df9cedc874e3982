"""One-line commands (section 5)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.lang.lab import T, accept, refuse, spec_of, task_input, warn

from tramontane.lang.oneline import OneLineError, parse_arguments, parse_command, parse_parameters


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("std.echo", "std.echo"),
        ("std.echo\ta=1", "std.echo\ta=1"),
        ("/bad", "/bad"),
        ("my-action x=1", "my-action"),
        ("a:b x=1", "a:b"),
        ("a/b x=1", "a/b"),
        ("12 x=1", "12"),
        ("<% $.x %> a=1", "<% $.x %>"),
        ("{{ _.x }} a=1", "{{ _.x }}"),
        ("{{ _.a }} x={{ _.b }}", "{{ _.a }}"),
        ("{% if a %}b c{% endif %} x=1", "{% if a %}b c{% endif %}"),
        ("std.<% $.x %> a=1", "std.<% $.x %>"),
        ("std.{{ _.x }}.y a=1", "std.{{ _.x }}.y"),
        ("std.<%$.x%>", "std.<%$.x%>"),
        ("count=3 delay=1", "count"),
        ("fail(msg='a b')", "fail"),
    ],
)
def test_the_command_is_what_stands_first(text: str, name: str) -> None:
    assert parse_command(text).command == name


@pytest.mark.spec("D154")
@pytest.mark.parametrize("text", [" std.echo a=1", "/bad a=1", "=x a=1", "'a' b=1"])
def test_a_command_begins_with_a_word_or_an_expression(text: str) -> None:
    with pytest.raises(OneLineError, match="Invalid action/workflow task property: "):
        parse_command(text)
    escaped = text.replace("'", "''")
    refuse(T(f"action: '{escaped}'"), "Invalid action/workflow task property: ")


@pytest.mark.spec("D142", "D143", "D144", "D145", "D149", "D150", "D151", "D153")
@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("std.echo output=1", {"output": 1}),
        ("std.echo output='1'", {"output": "1"}),
        ('std.echo output="x y"', {"output": "x y"}),
        ("std.echo output=''", {"output": ""}),
        ("std.echo output=true b=false c=null", {"output": True, "b": False, "c": None}),
        ("std.echo output=[1, 2]", {"output": [1, 2]}),
        ("std.echo output=007", {"output": "007"}),
        ("std.echo output='a=1 b=2'", {"output": "a=1 b=2"}),
        ("std.echo a-b=1 c_d=2", {"a-b": 1, "c_d": 2}),
        ("a b=1 b=2", {"b": 2}),
        ("a x=1\n y=2", {"x": 1, "y": 2}),
        ("a x=1 y=2z=3", {"x": 1, "y": 2, "z": 3}),
        ("a b=\"\" c=''", {"b": "", "c": ""}),
        ("std.echo output=<% $.x %>", {"output": "<% $.x %>"}),
        ("std.echo output='<% $.x %>'", {"output": "<% $.x %>"}),
        ("std.echo output={{ _.x + 1 }} b=2", {"output": "{{ _.x + 1 }}", "b": 2}),
        ("a x=[<% $.a %>, 1]", {"x": "[<% $.a %>, 1]"}),
        ("a x=é é=1", {"é": 1}),
        ("<% f(x=1) %> y=2", {"x": 1, "y": 2}),
    ],
)
def test_parameters_have_the_values_that_mistral_gives(text: str, parameters: dict[str, Any]) -> None:
    found = parse_command(text)
    assert found.parameters == parameters
    assert [type(value) for value in found.parameters.values()] == [
        type(value) for value in parameters.values()
    ]


@pytest.mark.spec("D146", "D147")
def test_expressions_in_parameters_keep_the_type_of_their_value() -> None:
    assert task_input(T("action: std.echo output=<% $.x %>")) == {"output": "<% $.x %>"}
    assert task_input(T("action: 'std.echo output={{ _.x + 1 }} b=2'")) == {"output": "{{ _.x + 1 }}", "b": 2}
    assert not spec_of(accept(T("action: std.echo output=<% $.x %>"))).tasks["t"].input.constant


@pytest.mark.spec("D144", "D148", "D152")
@pytest.mark.parametrize(
    ("text", "parameters", "lost"),
    [
        ("std.echo output=True", None, "output=True"),
        ('std.echo output={"a": 1}', None, 'output={"a": 1}'),
        ("std.echo output=abc", None, "output=abc"),
        ("std.echo output=-3", None, "output=-3"),
        ("std.echo a = 1", None, "a = 1"),
        ("std.echo output=1.5", {"output": 1}, ".5"),
        ("std.echo output=123abc", {"output": 123}, "abc"),
        ("std.echo output=truefalse", {"output": True}, "false"),
        ("std.echo output=<% $.a %><% $.b %>", {"output": "<% $.a %>"}, "<% $.b %>"),
        ("std.echo output=<% $.x %>.abc", {"output": "<% $.x %>"}, ".abc"),
        ("std.http url=http://h/c?d=1", {"d": 1}, "url=http://h/c?"),
        ("std.echo output='it''s'", {"output": "it"}, "'s'"),
    ],
)
def test_what_gets_lost_is_warned_about(text: str, parameters: Any, lost: str) -> None:
    escaped = text.replace("'", "''")
    document = T(f"action: '{escaped}'")
    assert parse_command(text).leftover[0] == lost
    warn(document, "has no effect", lost)
    assert task_input(document) == parameters


def test_a_greedy_bracket_is_text_when_it_is_no_json() -> None:
    assert parse_command("std.echo output=[1,2] x=[3]").parameters == {"output": "[1,2] x=[3]"}
    assert parse_command("a x=" + "[" * 300 + "]" * 300).parameters == {"x": "[" * 300 + "]" * 300}


@pytest.mark.spec("D155")
def test_expressions_in_parameters_are_checked() -> None:
    refuse(T("action: std.echo output=<% $. %>"), "wf.tasks.t.action.output: Parse error")
    refuse(T("workflow: wf2 x=<% $. %>"), "wf.tasks.t.workflow.x: Parse error")


def test_parameters_alone_need_a_space_unless_they_are_arguments() -> None:
    assert parse_parameters("count=3").parameters == {}
    assert parse_parameters("").leftover == ()
    assert parse_arguments("msg=1").parameters == {"msg": 1}
    with pytest.raises(OneLineError):
        parse_arguments("x" * 70_000)


@pytest.mark.parametrize("opening", ["{{", "[", "<%", '"', "'"])
def test_unclosed_values_are_no_values(opening: str) -> None:
    assert parse_command(f"a x={opening} y=1").parameters == {"y": 1}
