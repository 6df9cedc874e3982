from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.actions.lab import Standard, context_of

from tramontane.results import Result
from tramontane.values import FrozenDict, FrozenList

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def settled(name: str, /, **given: Any) -> Result | None:
    return Standard().named(name).settle(given, "ae-1")


def ran(name: str, /, **given: Any) -> Result:
    async def scenario() -> Result:
        async with Standard() as standard:
            return await standard.result(name, **given)

    return asyncio.run(scenario())


@pytest.mark.spec("ACT1")
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("std.noop", ""),
        ("std.async_noop", ""),
        ("std.echo", "output, delay=0"),
        ("std.fail", "error_data=null"),
        ("std.sleep", "seconds=1"),
        ("std.test_dict", 'size=0, key_prefix="", val=""'),
        (
            "std.http",
            'url, method="GET", params=null, body=null, json=null, headers=null, cookies=null, auth=null, '
            "timeout=null, allow_redirects=null, proxies=null, verify=null",
        ),
    ],
)
def test_inputs_are_listed_as_clients_know_them(name: str, text: str) -> None:
    assert Standard().named(name).input_text == text


@pytest.mark.spec("ACT2")
@given(JSON)
def test_echo_returns_exactly_its_output(value: Any) -> None:
    assert settled("std.echo", output=value) == Result(value)


@pytest.mark.spec("ACT2")
def test_echo_returns_a_structure_unchanged_from_the_executor_too() -> None:
    assert ran("std.echo", output={"a": [1, None]}, delay=0.001) == Result({"a": [1, None]})


def test_a_settled_result_is_frozen() -> None:
    result = settled("std.echo", output={"a": [1]})
    assert result is not None
    assert type(result.data) is FrozenDict
    assert type(result.data["a"]) is FrozenList


@pytest.mark.spec("ACT3")
@pytest.mark.parametrize("delay", [0, -5, "-5", "x", "", "nan", float("-inf"), False])
def test_echo_does_not_wait_for_a_delay_that_is_none(delay: Any) -> None:
    assert settled("std.echo", output=1, delay=delay) == Result(1)


@pytest.mark.parametrize("delay", [1, "0.5", True])
def test_echo_with_a_delay_needs_an_executor(delay: Any) -> None:
    assert settled("std.echo", output=1, delay=delay) is None


@pytest.mark.parametrize("delay", [None, ["topsecret"], {"topsecret": 1}, "inf", 10**400])
@pytest.mark.spec("ACT44")
def test_echo_refuses_a_delay_that_no_number_can_be_made_of(delay: Any) -> None:
    result = settled("std.echo", output="topsecret", delay=delay)
    assert result == Result(
        error="Failed to instantiate an action [action_desc=std.echo]: "
        + (
            "'delay' must be a number of seconds"
            if delay != "inf"
            else "'delay' must be a finite number of seconds"
        )
    )


@pytest.mark.spec("ACT4")
def test_noop_succeeds_with_null() -> None:
    assert settled("std.noop") == Result(None)
    assert ran("std.noop") == Result(None)
    assert ran("std.noop").state == "SUCCESS"


@pytest.mark.spec("ACT5")
def test_async_noop_waits_for_its_result_from_outside() -> None:
    async def scenario() -> Result | None:
        standard = Standard()
        descriptor = standard.named("std.async_noop")
        assert not descriptor.is_sync
        assert descriptor.settle({}, "ae-1") is None
        return await standard.runner.run_action(descriptor, {}, context_of("ae-1"))

    assert asyncio.run(scenario()) is None


@pytest.mark.spec("ACT6", "ACT43")
def test_fail_without_data_is_reported_like_any_exception() -> None:
    text = (
        "The action raised an exception "
        "[action=std.fail, action_ex_id=ae-1, msg='Fail action expected exception.']"
    )
    assert settled("std.fail") == Result(error=text)
    assert ran("std.fail") == Result(error=text)


@pytest.mark.spec("ACT7")
def test_fail_gives_its_data_as_the_error() -> None:
    result = settled("std.fail", error_data={"x": 1})
    assert result == Result(error={"x": 1})
    assert ran("std.fail", error_data={"x": 1}) == result


@pytest.mark.spec("ACT8")
@pytest.mark.parametrize("data", [0, "", {}, False, None, []])
def test_fail_takes_empty_data_for_none(data: Any) -> None:
    assert settled("std.fail", error_data=data) == settled("std.fail")


@pytest.mark.spec("ACT9")
@pytest.mark.parametrize("seconds", ["abc", "1.5", -3, 0.9, 0, float("nan")])
def test_sleep_returns_at_once_when_there_is_nothing_to_wait_for(seconds: Any) -> None:
    standard = Standard()
    action = standard.named("std.sleep").instantiate({"seconds": seconds})
    assert action.seconds == 0
    assert ran("std.sleep", seconds=seconds) == Result(None)


@pytest.mark.parametrize(("seconds", "expected"), [(1, 1), ("7", 7), (2.9, 2)])
def test_sleep_counts_whole_seconds(seconds: Any, expected: int) -> None:
    assert Standard().named("std.sleep").instantiate({"seconds": seconds}).seconds == expected


@pytest.mark.parametrize("seconds", [None, [], float("inf")])
def test_sleep_refuses_what_is_no_number(seconds: Any) -> None:
    text = "Failed to instantiate an action [action_desc=std.sleep]: 'seconds' must be a finite number"
    assert ran("std.sleep", seconds=seconds) == Result(error=text)


def test_sleep_is_left_to_an_executor() -> None:
    assert settled("std.sleep", seconds=0) is None


@pytest.mark.spec("ACT10")
def test_test_dict_numbers_its_keys() -> None:
    expected = Result({"k0": 7, "k1": 7, "k2": 7})
    assert settled("std.test_dict", size=3, key_prefix="k", val=7) == expected
    assert ran("std.test_dict", size=3, key_prefix="k", val=7) == expected


@pytest.mark.parametrize("size", [0, -1])
def test_test_dict_of_no_size_is_empty(size: int) -> None:
    assert settled("std.test_dict", size=size) == Result({})


def test_test_dict_fails_when_its_size_is_no_number() -> None:
    result = settled("std.test_dict", size="3")
    assert result is not None
    assert result.error == (
        "The action raised an exception [action=std.test_dict, action_ex_id=ae-1, "
        "msg=''str' object cannot be interpreted as an integer']"
    )
    assert ran("std.test_dict", size="3") == result


def test_a_large_test_dict_is_left_to_an_executor() -> None:
    assert settled("std.test_dict", size=100_000) is None
    assert len(ran("std.test_dict", size=100_000).data) == 100_000


@pytest.mark.parametrize("given", [{"size": 10**12}, {"size": 10**6, "val": "x" * 10**6}, {"size": 10**5000}])
def test_a_test_dict_that_could_not_be_stored_is_refused(given: dict[str, Any]) -> None:
    assert "would be larger than" in ran("std.test_dict", **given).error


@pytest.mark.parametrize("name", ["std.sleep", "std.async_noop", "std.http"])
def test_actions_with_effects_or_waiting_are_never_settled(name: str) -> None:
    assert settled(name, **({"url": "http://x"} if name == "std.http" else {})) is None


@pytest.mark.spec("L5")
def test_a_settled_dry_run_neither_fails_nor_waits() -> None:
    standard = Standard()
    assert standard.named("std.fail").settle({}, "ae-1", dry_run=True) == Result(None)
    assert standard.named("std.echo").settle({"output": 1, "delay": 9}, "ae-1", dry_run=True) == Result(1)
    assert standard.named("std.sleep").settle({"seconds": 9}, "ae-1", dry_run=True) == Result(None)
    assert standard.named("std.async_noop").settle({}, "ae-1", dry_run=True) == Result(None)
