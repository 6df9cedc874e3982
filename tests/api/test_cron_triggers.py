"""Cron triggers over the API: schedules, their checks, and what they keep from being deleted."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.api.lab import ANY_UUID, Client
from tests.api.library import Library

from tramontane.auth import Caller
from tramontane.errors import BadRequestError

WORKFLOW = "version: '2.0'\nwf:\n  input: [{a: 1}]\n  tasks:\n    t: {action: std.noop}\n"
NEEDY = "version: '2.0'\nneedy:\n  input: [must]\n  tasks:\n    t: {action: std.noop}\n"
FAR = "4242-12-25 13:37"
AsProject = Callable[[str], Client]


@pytest.fixture
def client(library: Library) -> Client:
    """A client, at 2026-01-01 00:00 UTC, that has a workflow."""
    client = library.client()
    assert client.post("/v2/workflows", WORKFLOW).status == 201
    return client


def order(**attributes: Any) -> dict[str, Any]:
    """What the command line sends, unused attributes included."""
    return {
        "name": "trigger",
        "workflow_name": "wf",
        "pattern": None,
        "first_execution_time": None,
        "remaining_executions": None,
        **attributes,
    }


def created(client: Client, **attributes: Any) -> dict[str, Any]:
    answer = client.post("/v2/cron_triggers", order(**attributes))
    assert answer.status == 201, answer
    data = answer.json
    assert isinstance(data, dict)
    return data


@pytest.mark.spec("API245", "SVC18")
def test_a_pattern_gives_the_next_time_in_utc(client: Client, library: Library) -> None:
    trigger = created(client, pattern="*/5 * * * *")
    assert trigger["next_execution_time"] == "2026-01-01 00:05:00"
    assert trigger["remaining_executions"] is None
    assert trigger["first_execution_time"] is None
    assert "updated_at" not in trigger
    assert trigger["scope"] == "private"
    library.clock.advance(300)
    assert (
        created(client, name="later", pattern="*/5 * * * *")["next_execution_time"] == "2026-01-01 00:10:00"
    )
    shown = client.get("/v2/cron_triggers/trigger").json
    assert shown == {**trigger, "updated_at": None}
    assert client.items("/v2/cron_triggers")[0] == shown
    assert "trust_id" not in shown


@pytest.mark.spec("API246", "API259")
def test_a_single_time_fires_once_and_is_utc(client: Client) -> None:
    trigger = created(client, first_execution_time=FAR)
    assert trigger["first_execution_time"] == "4242-12-25 13:37:00"
    assert trigger["next_execution_time"] == "4242-12-25 13:37:00"
    assert trigger["remaining_executions"] == 1
    assert trigger["pattern"] == "0 0 30 2 0"


def test_a_first_time_comes_before_the_pattern(client: Client) -> None:
    trigger = created(client, pattern="0 0 * * *", first_execution_time="2026-01-01 06:30")
    assert trigger["next_execution_time"] == "2026-01-01 06:30:00"
    assert trigger["remaining_executions"] is None


@pytest.mark.spec("API247", "SVC19", "SVC20", "SVC21")
@pytest.mark.parametrize(
    "pattern",
    [
        None,
        "",
        "nonsense",
        "* * * *",
        "* * * * * * * *",
        "88 * * * *",
        "* 24 * * *",
        "* * * 35 *",
        "* * * * 15",
        "*/0 * * * *",
        "@reboot",
        "H * * * *",
        "? * * * *",
        "0 0 31 4 *",
        "0 0 30 2 *",
        "* * * * * * 1999",
        "1" * 101,
    ],
)
def test_patterns_that_cannot_be_are_refused(client: Client, pattern: str | None) -> None:
    answer = client.post("/v2/cron_triggers", order(pattern=pattern))
    assert answer.status == 400, answer
    assert client.items("/v2/cron_triggers") == []


@pytest.mark.spec("API247", "SVC19")
@pytest.mark.parametrize(
    ("pattern", "following"),
    [
        ("* * * * * */5", "00:00:05"),
        ("0 0 1 7 * 0 2027", "2027-07-01 00:00:00"),
        ("* * * * * * 2027", "2027-01-01 00:00:00"),
        ("@hourly", "01:00:00"),
        ("@daily", "2026-01-02 00:00:00"),
        ("@midnight", "2026-01-02 00:00:00"),
        ("@weekly", "2026-01-04 00:00:00"),
        ("@monthly", "2026-02-01 00:00:00"),
        ("@yearly", "2027-01-01 00:00:00"),
        ("@annually", "2027-01-01 00:00:00"),
        ("0 9-17/2 * * mon-fri", "09:00:00"),
        ("0 2 * feb *", "2026-02-01 02:00:00"),
        ("0 2 * * 7", "2026-01-04 02:00:00"),
        ("0 2 * * 0", "2026-01-04 02:00:00"),
        ("0 0 L * *", "2026-01-31 00:00:00"),
        ("0 0 * * 5#3", "2026-01-16 00:00:00"),
        ("0 0 * * L5", "2026-01-30 00:00:00"),
        ("5-1 * * * *", "00:01:00"),
        ("0 0 13 * fri", "2026-01-02 00:00:00"),
        ("0 0 ? * mon", "2026-01-05 00:00:00"),
    ],
)
def test_patterns_of_all_forms_are_understood(client: Client, pattern: str, following: str) -> None:
    full = following if len(following) > 8 else f"2026-01-01 {following}"
    trigger = created(client, pattern=pattern)
    assert (trigger["pattern"], trigger["next_execution_time"]) == (pattern, full)


@pytest.mark.spec("API248", "SVC22")
@pytest.mark.parametrize(
    "moment",
    [
        "2025-12-31 23:59",
        "2026-01-01 00:00",
        "2026-01-01 10:00:00",
        "2026-01-01T10:00",
        "2026-02-30 10:00",
        "q",
        "",
        7,
        ["2026-01-01 10:00"],
    ],
)
def test_first_times_are_whole_minutes_to_come(client: Client, moment: Any) -> None:
    assert client.post("/v2/cron_triggers", order(first_execution_time=moment)).status == 400


@pytest.mark.spec("API248", "SVC22")
def test_a_first_time_is_at_least_a_minute_ahead(client: Client, library: Library) -> None:
    library.clock.advance(30)
    assert client.post("/v2/cron_triggers", order(first_execution_time="2026-01-01 00:01")).status == 400
    assert client.post("/v2/cron_triggers", order(first_execution_time="2026-01-01 00:02")).status == 201


@pytest.mark.spec("API249", "SVC23")
def test_counts_are_whole_numbers_from_one(client: Client) -> None:
    for count in (0, -1, "q", "-1", "0", 1.5, True, 2**31, "9" * 5000, [1]):
        answer = client.post("/v2/cron_triggers", order(pattern="* * * * *", remaining_executions=count))
        assert answer.status == 400, count
    assert (
        client.post("/v2/cron_triggers", order(first_execution_time=FAR, remaining_executions=2)).status
        == 400
    )
    assert created(client, pattern="* * * * *", remaining_executions="42")["remaining_executions"] == 42
    single = created(client, name="single", first_execution_time=FAR, remaining_executions=1)
    assert single["remaining_executions"] == 1


@pytest.mark.spec("API250", "SVC27")
def test_a_wrong_schedule_is_told_before_an_unknown_workflow(client: Client) -> None:
    for wrong in ({"pattern": "nonsense"}, {"first_execution_time": "q"}, {"remaining_executions": 0}, {}):
        answer = client.post("/v2/cron_triggers", order(**{"workflow_name": "nope", **wrong}))
        assert answer.status == 400, wrong
    for unknown in ({"workflow_name": "nope"}, {"workflow_id": ANY_UUID}):
        assert client.post("/v2/cron_triggers", order(pattern="* * * * *", **unknown)).status == 404


@pytest.mark.spec("API251", "SVC27", "SVC28")
def test_name_workflow_and_its_input_are_needed(client: Client) -> None:
    client.post("/v2/workflows", NEEDY)
    for missing in ({"name": None}, {"name": ""}, {"workflow_name": None}, {"workflow_name": ""}):
        answer = client.post("/v2/cron_triggers", order(pattern="* * * * *", **missing))
        assert answer.status == 400, missing
    without_name = order(pattern="* * * * *")
    del without_name["name"]
    assert client.post("/v2/cron_triggers", without_name).status == 400
    for given in (None, {}, {"must": 1, "more": 2}):
        needy = order(pattern="* * * * *", workflow_name="needy", workflow_input=given)
        answer = client.post("/v2/cron_triggers", needy)
        assert answer.status == 400
        assert "Invalid input" in answer.fault
    created(client, pattern="* * * * *", workflow_name="needy", workflow_input={"must": 1})
    for key, value in (("nonsense", 1), ("project_id", "p")):
        answer = client.post("/v2/cron_triggers", order(pattern="* * * * *", **{key: value}))
        assert answer.status == 400
        assert key in answer.fault


@pytest.mark.spec("API252", "SVC26")
def test_names_are_unique_within_a_project(as_project: AsProject) -> None:
    for project in ("a", "b"):
        as_project(project).post("/v2/workflows", WORKFLOW)
        created(as_project(project), pattern="* * * * *")
    again = as_project("a").post("/v2/cron_triggers", order(pattern="*/2 * * * *"))
    assert again.status == 409
    assert len(as_project("a").items("/v2/cron_triggers")) == 1


@pytest.mark.spec("API253")
def test_the_same_schedule_under_another_name_is_a_duplicate(client: Client) -> None:
    same = {"pattern": "* * * * *", "first_execution_time": FAR, "remaining_executions": 42}
    created(client, workflow_input={"a": 1}, workflow_params={"x": 1, "y": 2}, **same)
    again = order(name="other", workflow_input='{"a": 1}', workflow_params={"y": 2, "x": 1}, **same)
    answer = client.post("/v2/cron_triggers", again)
    assert answer.status == 409
    assert "same workflow, pattern" in answer.fault
    others: tuple[dict[str, Any], ...] = (
        {"pattern": "*/2 * * * *"},
        {"first_execution_time": "4242-12-25 13:38"},
        {"remaining_executions": 41},
        {"workflow_input": {"a": 2}},
        {"workflow_params": None},
    )
    for number, different in enumerate(others):
        created(client, **{**again, **different, "name": f"different {number}"})


@pytest.mark.spec("API254")
def test_schedules_without_count_and_time_may_repeat(client: Client) -> None:
    created(client, name="one", pattern="* * * * *")
    created(client, name="two", pattern="* * * * *")
    created(client, name="three", pattern="* * * * *", remaining_executions=3)
    created(client, name="four", pattern="* * * * *", remaining_executions=3)
    created(client, name="five", pattern="* * * * *", first_execution_time=FAR)
    created(client, name="six", pattern="* * * * *", first_execution_time=FAR)


@pytest.mark.spec("API255")
def test_input_comes_as_an_object_or_as_json_and_is_shown_as_json(client: Client) -> None:
    given = created(client, name="object", pattern="* * * * *", workflow_input={"a": [1]})
    assert json.loads(given["workflow_input"]) == {"a": [1]}
    given = created(client, name="text", pattern="* * * * *", workflow_input='{"a": [1]}')
    assert json.loads(given["workflow_input"]) == {"a": [1]}
    given = created(client, name="null", pattern="* * * * *", workflow_input=None, workflow_params=None)
    assert (given["workflow_input"], given["workflow_params"]) == ("{}", "{}")
    given = created(client, name="params", pattern="* * * * *", workflow_params={"env": {"k": 1}})
    assert client.get("/v2/cron_triggers/params").json["workflow_params"] == '{"env":{"k":1}}'
    for wrong in ("", "[1]", [1], 7, "{bad"):
        answer = client.post("/v2/cron_triggers", order(pattern="* * * * *", workflow_input=wrong))
        assert answer.status == 400, wrong


@pytest.mark.spec("API256")
def test_triggers_are_found_by_name_and_by_id(client: Client) -> None:
    trigger = created(client, name="my trigger", pattern="* * * * *")
    for identifier in ("my trigger", trigger["id"]):
        assert client.get(f"/v2/cron_triggers/{identifier}").json["id"] == trigger["id"]
    fields = client.get("/v2/cron_triggers/my trigger?fields=name,remaining_executions").json
    assert fields == {"id": trigger["id"], "name": "my trigger", "remaining_executions": None}
    assert client.get("/v2/cron_triggers/my trigger?fields=trust_id").status == 400
    for identifier in ("nope", ANY_UUID):
        assert client.get(f"/v2/cron_triggers/{identifier}").status == 404
        assert client.delete(f"/v2/cron_triggers/{identifier}").status == 404
    assert client.delete("/v2/cron_triggers/my trigger").status == 204
    assert client.delete("/v2/cron_triggers/my trigger").status == 404
    other = created(client, pattern="* * * * *")
    assert client.delete(f"/v2/cron_triggers/{other['id']}").status == 204
    assert client.items("/v2/cron_triggers") == []


@pytest.mark.spec("API257")
def test_a_public_trigger_is_deleted_by_its_project_and_administrators_only(as_project: AsProject) -> None:
    for project in ("a", "b"):
        as_project(project).post("/v2/workflows", WORKFLOW)
    created(as_project("a/admin"), pattern="* * * * *", scope="public")
    assert as_project("b").get("/v2/cron_triggers/trigger").json["project_id"] == "a"
    assert as_project("b").delete("/v2/cron_triggers/trigger").status == 403
    created(as_project("b"), pattern="* * * * *")
    assert as_project("b").delete("/v2/cron_triggers/trigger").status == 204, "one's own comes first"
    assert as_project("b").delete("/v2/cron_triggers/trigger").status == 403
    assert as_project("c/admin").delete("/v2/cron_triggers/trigger").status == 204


@pytest.mark.spec("API7", "SVC39")
def test_triggers_are_not_changed(client: Client) -> None:
    created(client, pattern="* * * * *")
    assert client.put("/v2/cron_triggers/trigger", {"pattern": "*/2 * * * *"}).status == 405
    assert client.put("/v2/cron_triggers", {}).status == 405


@pytest.mark.spec("API258", "SVC35")
def test_a_trigger_has_a_trust_for_as_long_as_it_exists(as_project: AsProject, library: Library) -> None:
    client = as_project("a")
    client.post("/v2/workflows", WORKFLOW)
    created(client, pattern="* * * * *")
    (trust,) = library.trusts.given
    assert trust.startswith("trust of a")
    assert client.post("/v2/cron_triggers", order(pattern="* * * * *")).status == 409
    assert library.trusts.given == [trust], "that of the failed creation is ended again"
    assert len(library.trusts.ended) == 1
    assert client.post("/v2/cron_triggers", order(pattern="nonsense")).status == 400
    assert len(library.trusts.ended) == 1, "what is refused beforehand needs no trust at all"
    assert client.delete("/v2/cron_triggers/trigger").status == 204
    assert library.trusts.given == []


def test_a_trust_that_cannot_be_ended_keeps_no_trigger(
    client: Client, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_: str) -> None:
        raise BadRequestError("the identity service is away")

    created(client, pattern="* * * * *")
    monkeypatch.setattr(library.trusts, "delete", refuse)
    assert client.delete("/v2/cron_triggers/trigger").status == 204


def test_without_trust_there_is_no_trigger(
    client: Client, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_: Caller) -> str:
        raise BadRequestError("the identity service refuses")

    monkeypatch.setattr(library.trusts, "create", refuse)
    answer = client.post("/v2/cron_triggers", order(pattern="* * * * *"))
    assert answer.status == 400
    assert client.items("/v2/cron_triggers") == []


@pytest.mark.spec("SVC29")
def test_a_workflow_that_is_triggered_stays(client: Client) -> None:
    trigger = created(client, pattern="* * * * *")
    answer = client.delete("/v2/workflows/wf")
    assert answer.status == 400
    assert trigger["id"] in answer.fault
    client.delete("/v2/cron_triggers/trigger")
    assert client.delete("/v2/workflows/wf").status == 204


def test_the_id_wins_over_the_name(client: Client) -> None:
    (other,) = client.post("/v2/workflows?namespace=n", NEEDY).json["workflows"]
    given = created(client, pattern="* * * * *", workflow_id=other["id"], workflow_input={"must": 1})
    assert (given["workflow_id"], given["workflow_name"]) == (other["id"], "needy")
    by_name = order(name="x", pattern="* * * * *", workflow_name="needy", workflow_input={"must": 1})
    assert client.post("/v2/cron_triggers", by_name).status == 404, "names are those of the empty namespace"


def test_lists_are_filtered_by_what_triggers_have(client: Client) -> None:
    first = created(client, name="first", pattern="* * * * *", remaining_executions=3)
    created(client, name="second", first_execution_time=FAR, workflow_input={"a": 2})
    for query, names in (
        ("workflow_name=wf", ["first", "second"]),
        (f"workflow_id={first['workflow_id']}", ["first", "second"]),
        (f"workflow_id=neq:{first['workflow_id']}", []),
        ("remaining_executions=3", ["first"]),
        ("remaining_executions=gt:1", ["first"]),
        ("remaining_executions=in:1,2", ["second"]),
        ("pattern=has:*", ["first"]),
        ("first_execution_time=gt:4242-01-01", ["second"]),
        ("next_execution_time=lt:4242-01-01", ["first"]),
        ('workflow_input={"a":2}', ["second"]),
        ("workflow_params={}", ["first", "second"]),
        ("scope=public", []),
        ("created_at=gte:2026-01-01", ["first", "second"]),
        ("sort_keys=next_execution_time&sort_dirs=desc", ["second", "first"]),
    ):
        assert client.names(f"/v2/cron_triggers?{query}") == names, query
    for wrong in (
        "remaining_executions=0",
        "remaining_executions=q",
        f"remaining_executions={2**31}",
        "remaining_executions=has:1",
        "workflow_id=q",
        "next_execution_time=q",
        "trust_id=x",
        "workflow_input=q",
    ):
        assert client.get(f"/v2/cron_triggers?{wrong}").status == 400, wrong
    columns = (
        "name,workflow_name,workflow_params,pattern,next_execution_time,remaining_executions,"
        "created_at,updated_at"
    )
    for item in client.items(f"/v2/cron_triggers?fields={columns}"):
        assert set(item) == {"id", *columns.split(",")}
