"""Limits (runtime checklist, section 11)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.core.lab import play

from tramontane.core.decision import CoreSettings
from tramontane.errors import SizeLimitError
from tramontane.rehearsal import fails, gives

SMALL = CoreSettings(field_size_limit_kb=1)
LONG = "x" * 3000


@pytest.mark.spec("R297", "R298", "R304")
def test_a_start_with_too_much_data_is_refused() -> None:
    text = "wf: {input: [i: 0], tasks: {a: {}}}"
    with pytest.raises(SizeLimitError, match=r"^Field size limit exceeded \[.*field=input"):
        play(text, {"i": LONG}, settings=SMALL)
    with pytest.raises(SizeLimitError, match="field=params"):
        play(text, env={"e": LONG}, settings=SMALL)
    assert play(text, {"i": LONG}, settings=CoreSettings(field_size_limit_kb=-1)).state == "SUCCESS"


HANDLED = "wf: {input: [i: 0], tasks: {a: {action: @, on-error: b}, b: {}}}"


@pytest.mark.spec("R299")
def test_a_too_large_action_input_is_an_ordinary_error() -> None:
    run = play(
        "wf: {tasks: {a: {action: std.echo output=<% xxxxxxxxxx * 300 %>, on-error: b}, b: {}}}",
        settings=SMALL,
    )
    assert (run.task("a").state_info or "").startswith("Field size limit exceeded [")
    assert (run.names(), run.state) == (["a", "b"], "SUCCESS")


@pytest.mark.spec("R300")
@pytest.mark.parametrize("outcome", [gives(LONG), fails(LONG)])
def test_a_too_large_result_is_an_ordinary_error(outcome: Any) -> None:
    run = play("wf: {tasks: {a: {action: job, on-error: b}, b: {}}}", script={"a": outcome}, settings=SMALL)
    assert (run.task("a").state_info or "").startswith("Field size limit exceeded [")
    assert (run.names(), run.state) == (["a", "b"], "SUCCESS")


@pytest.mark.spec("R301")
def test_a_too_large_publish_is_a_structural_error() -> None:
    run = play("wf: {tasks: {a: {publish: {x: <% xxxxxxxxxx * 300 %>}, on-error: b}, b: {}}}", settings=SMALL)
    assert (run.state, run.names()) == ("ERROR", ["a"])
    assert (run.info or "").startswith("Failed to handle action completion [")
    assert "Field size limit exceeded [" in (run.info or "")


@pytest.mark.spec("R302")
def test_a_too_large_output_fails_the_workflow() -> None:
    run = play("wf: {output: {x: <% xxxxxxxxxx * 300 %>}, tasks: {a: {}}}", settings=SMALL)
    assert run.state == "ERROR"
    assert (run.info or "").startswith("Field size limit exceeded [")
    assert run.output == {"result": run.info}


@pytest.mark.spec("R303")
def test_the_text_of_an_error_output_is_cut() -> None:
    run = play("wf: {tasks: {a: {on-success: ['fail(msg=<% xxxxxxxxxx * 300 %>)']}}}", settings=SMALL)
    assert run.state == "ERROR"
    result = run.output["result"]
    assert 900 < len(result) < 1100 and result.endswith("...")
