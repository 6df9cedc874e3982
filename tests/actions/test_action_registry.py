from __future__ import annotations

import logging
from importlib.metadata import EntryPoint
from typing import Any

import pytest
from tests.actions.lab import Standard

from tramontane.actions.pack import PLUGIN_GROUP, NameFilter, standard_registry
from tramontane.actions.registry import REQUIRED, Parameter, Registry, describe

BASE = __name__


class Plugin:
    """Greets somebody.

    At length.
    """

    def __init__(self, who: str, greeting: str | None = None, loud: bool = False) -> None:
        self.words = f"{greeting} {who} {loud}"

    def run(self, context: Any) -> str:
        return self.words


class TakesAnything:
    def __init__(self, a: int, b: Any = None, **kw: Any) -> None:
        self.kw = kw

    def run(self, context: Any) -> Any:
        return self.kw


class OddDefault:
    def __init__(self, a: int, b: Any = object, c: str = "x,y=z", *, hidden: int = 1) -> None:
        self.a = a

    def run(self, context: Any) -> Any:
        return self.a


class NoConstructor:
    def run(self, context: Any) -> Any:
        return None

    def is_sync(self) -> bool:
        return False


class FussyConstructor:
    def __init__(self, password: str) -> None:
        raise ValueError(f"can't use {password}")

    def run(self, context: Any) -> Any:
        return None


class NeedsItsInput:
    def __init__(self, wait: bool) -> None:
        self.wait = wait

    def run(self, context: Any) -> Any:
        return None

    def is_sync(self) -> bool:
        return not self.wait


NOT_AN_ACTION = "text"


def entry(name: str, attribute: str, module: str = BASE) -> EntryPoint:
    return EntryPoint(name, f"{module}:{attribute}", PLUGIN_GROUP)


@pytest.mark.spec("ACT40", "ACT41")
@pytest.mark.parametrize(
    ("given", "detail"),
    [
        ({}, "missing=['output']"),
        ({"delay": 1, "zz": 2}, "missing=['output'], unexpected=['zz']"),
        ({"output": 1, "zz": 2, "yy": 3}, "unexpected=['zz', 'yy']"),
    ],
)
def test_wrong_names_of_inputs_are_listed(given: dict[str, Any], detail: str) -> None:
    text = Standard().named("std.echo").check_input(given)
    assert text == f"Invalid input [name=std.echo, class=tramontane.actions.standard.EchoAction, {detail}]"


def test_right_names_of_inputs_pass() -> None:
    echo = Standard().named("std.echo")
    assert echo.check_input({"output": None}) is None
    assert echo.check_input(["delay", "output"]) is None


@pytest.mark.spec("ACT42")
def test_an_action_with_keywords_accepts_any_input() -> None:
    descriptor = describe("x.any", TakesAnything)
    assert descriptor.accepts_any
    assert descriptor.check_input({"zz": 1}) is None
    assert descriptor.instantiate({"a": 1, "zz": 2}).kw == {"zz": 2}


@pytest.mark.spec("PLG2")
def test_inputs_with_null_defaults_and_keywords_are_rendered() -> None:
    assert describe("x.any", TakesAnything).input_text == "a, b=null, **kw"


def test_inputs_are_structured_so_that_odd_defaults_do_no_harm() -> None:
    descriptor = describe("x.odd", OddDefault)
    assert descriptor.parameters == (
        Parameter("a", REQUIRED),
        Parameter("b", object),
        Parameter("c", "x,y=z"),
    )
    assert descriptor.input_text == 'a, c="x,y=z"'
    assert descriptor.check_input({"a": 1, "b": 2, "c": 3}) is None


def test_a_class_without_constructor_takes_nothing() -> None:
    descriptor = describe("x.bare", NoConstructor)
    assert descriptor.input_text == ""
    assert (
        descriptor.check_input({"a": 1})
        == f"Invalid input [name=x.bare, class={BASE}.NoConstructor, unexpected=['a']]"
    )


def test_whether_an_action_is_synchronous_is_asked_without_input() -> None:
    assert not describe("x.bare", NoConstructor).is_sync
    assert describe("x.fussy", NeedsItsInput).is_sync
    assert describe("x.plugin", Plugin).is_sync


@pytest.mark.spec("ACT44")
def test_an_instantiation_error_names_the_action_and_no_input() -> None:
    with pytest.raises(Exception, match="Failed to instantiate an action") as caught:
        describe("x.fussy", FussyConstructor).instantiate({"password": "topsecret"})
    assert str(caught.value) == "Failed to instantiate an action [action_desc=x.fussy]: ValueError"
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_plugins_get_containers_of_their_own() -> None:
    class Greedy:
        def __init__(self, items: Any) -> None:
            items["list"].append(1)
            self.items = items

        def run(self, context: Any) -> Any:
            return self.items

    given: dict[str, Any] = {"items": {"list": []}}
    assert describe("x.greedy", Greedy).instantiate(given).items == {"list": [1]}
    assert given == {"items": {"list": []}}


@pytest.mark.spec("PLG1")
def test_a_plugin_is_listed_and_described_by_its_docstring() -> None:
    registry = standard_registry(plugins=[entry("acme.greet", "Plugin")])
    descriptor = registry.find("acme.greet")
    assert descriptor is not None
    assert descriptor in registry.all()
    assert descriptor.description == "Greets somebody.\n\nAt length."
    assert descriptor.input_text == "who, greeting=null, loud=false"


@pytest.mark.spec("PLG8")
@pytest.mark.parametrize(
    ("module", "attribute", "reason"),
    [
        ("no.such.module", "Thing", "ModuleNotFoundError"),
        (BASE, "Missing", "AttributeError"),
        (BASE, "NOT_AN_ACTION", "must be a class with a method run"),
    ],
)
def test_a_broken_plugin_is_logged_and_left_out(
    module: str, attribute: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    broken, sound = entry("acme.broken", attribute, module), entry("acme.greet", "Plugin")
    with caplog.at_level(logging.WARNING):
        registry = standard_registry(plugins=[broken, sound])
    assert registry.find("acme.broken") is None
    assert registry.find("acme.greet") is not None
    assert "acme.broken" in caplog.text
    assert reason in caplog.text


@pytest.mark.spec("PLG7")
def test_a_deny_list_hides_actions_everywhere() -> None:
    names = NameFilter(deny=("acme.*", "std.http"))
    registry = standard_registry(plugins=[entry("acme.greet", "Plugin")], names=names)
    assert registry.find("acme.greet") is None
    assert {item.name for item in registry.all()}.isdisjoint({"acme.greet", "std.http"})
    assert registry.find("std.echo") is not None


def test_an_allow_list_makes_the_deny_list_ignored() -> None:
    names = NameFilter(allow=("std.e*",), deny=("std.echo",))
    assert [item.name for item in standard_registry(plugins=(), names=names).all()] == ["std.echo"]


def test_patterns_of_names_are_case_sensitive() -> None:
    assert NameFilter(deny=("STD.*",)).admits("std.echo")


def test_a_name_registered_again_replaces_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    registry = standard_registry(plugins=[entry("std.echo", "Plugin")])
    descriptor = registry.find("std.echo")
    assert descriptor is not None
    assert descriptor.action_class is Plugin
    assert descriptor.settle({"who": "me"}, "ae-1") is None
    assert "std.echo is registered twice" in caplog.text


def test_all_actions_are_sorted_by_name() -> None:
    registry = Registry()
    for name in ("b.b", "a.a", "c.c"):
        registry.register(name, NoConstructor)
    assert [item.name for item in registry.all()] == ["a.a", "b.b", "c.c"]
    assert registry.find("d.d") is None
