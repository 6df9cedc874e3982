"""What all lists share: pages, order, fields, filters, links."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.api.lab import ANY_UUID, Client
from tests.api.library import Library, opened

from tramontane.api.settings import ApiSettings
from tramontane.store import schema

SECOND = 1_000_000
BASE = 1_770_000_000 * SECOND  # 2026-02-02 02:40:00
UUIDS = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(1, 20)]


def execution(number: int, **changes: Any) -> dict[str, Any]:
    """A row of the table of executions."""
    row = {
        "id": UUIDS[number],
        "root_id": UUIDS[number],
        "project_id": "<default-project>",
        "workflow_name": f"wf{number}",
        "workflow_namespace": "",
        "workflow_id": None,
        "spec_hash": "h",
        "created_at": BASE + number * SECOND,
        "index": 0,
        "description": "",
        "tags": "[]",
        "input": "{}",
        "params": '{"namespace":"","env":{}}',
        "state": "SUCCESS",
        "output": "{}",
        "globals": "{}",
        "published_global": "{}",
        "backlog": "[]",
        "updated_at": None,
    }
    return {**row, **changes}


def store(library: Library, *rows: dict[str, Any]) -> None:
    async def insert() -> None:
        async with library.database.write() as connection:
            for row in rows:
                await connection.execute(sa.insert(schema.executions), [row])

    library.runner.run(insert())


@pytest.fixture
def library(database_url: str) -> Iterator[Library]:
    """Lists are SQL more than anything else: they are tested on every kind of database."""
    yield from opened(database_url)


@pytest.fixture
def five(library: Library, client: Client) -> Client:
    """Five executions; two pairs are alike in one thing or another."""
    store(
        library,
        execution(1, description="b", tags='["a"]', input='{"x":1,"y":[1,2]}', state="ERROR"),
        execution(2, description=None, tags='["a","b"]', updated_at=BASE + 999_999),
        execution(3, description="b", tags='["A","a,b"]', input='{"y":[1,2],"x":1.0}'),
        execution(4, description="", workflow_id=UUIDS[10], created_at=BASE + 3 * SECOND + 500_000),
        execution(
            5,
            description="100%_x",
            parent_id=UUIDS[1],
            root_id=UUIDS[1],
            parent_task_id=UUIDS[11],
            workflow_id=UUIDS[12],
            updated_at=BASE + 2 * SECOND,
        ),
    )
    return client


def numbers(client: Client, query: str) -> list[int]:
    """Which executions a query finds, in its order."""
    return [UUIDS.index(item["id"]) for item in client.items(f"/v2/executions?{query}")]


@pytest.mark.spec("API28")
def test_a_limit_must_be_a_positive_number(five: Client) -> None:
    for limit in ("0", "-1"):
        answer = five.get(f"/v2/executions?limit={limit}")
        assert answer.status == 400
        assert "Limit must be positive" in answer.fault
    for limit in ("abc", "", "1.5"):
        assert five.get(f"/v2/executions?limit={limit}").status == 400
    assert five.get("/v2/executions?limit=1&limit=2").status == 400


@pytest.mark.usefixtures("five")
@pytest.mark.spec("API29", "API30")
def test_no_page_is_larger_than_the_server_allows(library: Library) -> None:
    client = library.client(ApiSettings(max_limit=2))
    for query in ("limit=100", ""):
        data = client.get(f"/v2/executions?{query}").json
        assert len(data["executions"]) == 2
        assert "limit=2" in data["next"]


@pytest.mark.spec("API31")
def test_a_marker_is_the_id_of_something_visible(five: Client) -> None:
    assert five.get("/v2/executions?marker=abc").status == 400
    assert five.get(f"/v2/executions?marker={ANY_UUID}").status == 404
    assert five.get(f"/v2/executions?marker={UUIDS[1]}&marker={UUIDS[1]}").status == 400
    assert numbers(five, f"marker={UUIDS[3]}") == [4, 5]


@pytest.mark.spec("API32", "API33", "API34", "API36", "API37")
def test_sort_parameters_are_checked(five: Client) -> None:
    for query, text in (
        ("sort_dirs=bogus", "Unknown sort direction"),
        ("sort_keys=id&sort_dirs=asc,desc", "Length of sort_keys must be equal or greater than sort_dirs"),
        ("sort_keys=id,id&sort_dirs=asc,asc", "Length of sort_keys must be equal or greater than sort_dirs"),
        ("sort_keys=", "Length of sort_keys must be equal or greater than sort_dirs"),
        ("sort_keys=bogus", "bogus"),
    ):
        answer = five.get(f"/v2/executions?{query}")
        assert answer.status == 400, query
        assert text in answer.fault
    assert numbers(five, "sort_keys=state,created_at&sort_dirs=desc") == [2, 3, 4, 5, 1]


@pytest.mark.spec("API35")
def test_sort_keys_are_read_in_any_case_and_spacing(five: Client) -> None:
    assert numbers(five, "sort_keys=Workflow_Name,%20ID&sort_dirs=DESC") == [5, 4, 3, 2, 1]


@pytest.mark.spec("API38")
def test_without_a_wish_the_oldest_come_first(five: Client, library: Library) -> None:
    store(library, execution(8, created_at=BASE), execution(7, created_at=BASE))
    assert numbers(five, "") == [7, 8, 1, 2, 3, 4, 5]


@pytest.mark.spec("API65")
def test_the_two_directions_are_each_others_reverse(five: Client) -> None:
    for key in ("description", "updated_at", "root_execution_id", "workflow_id"):
        up = numbers(five, f"sort_keys={key},id&sort_dirs=asc,asc")
        down = numbers(five, f"sort_keys={key},id&sort_dirs=desc,desc")
        assert up == down[::-1]
        assert sorted(up) == [1, 2, 3, 4, 5]


@pytest.mark.spec("API39", "API40", "API41", "API42")
def test_links_lead_through_all_pages(five: Client) -> None:
    assert "next" not in five.get("/v2/executions?limit=6").json
    assert "next" in five.get("/v2/executions?limit=5").json
    pages = five.follow("/v2/executions?limit=2&sort_keys=state,workflow_name&sort_dirs=desc")
    assert [UUIDS.index(item["id"]) for page in pages for item in page] == [2, 3, 4, 5, 1]
    link = five.get("/v2/executions?limit=2&sort_keys=state,workflow_name&sort_dirs=desc").json["next"]
    assert link.startswith("http://localhost:8989/v2/executions?")
    query = urlsplit(link).query
    assert query.startswith("sort_keys=state,workflow_name,id&sort_dirs=desc,asc,asc&limit=2&marker=")
    assert "/" not in query


KEYS = ("description", "updated_at", "state", "workflow_id", "root_execution_id", "created_at", "id", "tags")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=3, unique=True),
    directions=st.lists(st.sampled_from(["asc", "desc"]), min_size=3, max_size=3),
    limit=st.integers(1, 3),
)
@pytest.mark.spec("API40")
def test_any_order_pages_every_item_exactly_once(
    five: Client, keys: list[str], directions: list[str], limit: int
) -> None:
    order = f"sort_keys={','.join(keys)}&sort_dirs={','.join(directions[: len(keys)])}"
    whole = numbers(five, order)
    pages = five.follow(f"/v2/executions?{order}&limit={limit}")
    assert [UUIDS.index(item["id"]) for page in pages for item in page] == whole
    assert sorted(whole) == [1, 2, 3, 4, 5]


@pytest.mark.spec("API43", "API44")
def test_links_carry_everything_that_was_asked(five: Client) -> None:
    query = (
        "workflow_name=in:wf1,wf2,wf3,a/b&description=neq:x y&include_output=true&all_projects=true"
        "&nulls=root_execution_id&fields=id,state&limit=1&total=true"
    )
    link = five.get(f"/v2/executions?{query}").json["next"]
    sent = dict(parse_qsl(urlsplit(link).query))
    assert sent["workflow_name"] == "in:wf1,wf2,wf3,a/b"
    assert sent["description"] == "neq:x y"
    assert sent["include_output"] == sent["all_projects"] == sent["total"] == "true"
    assert sent["nulls"] == "root_execution_id"
    assert sent["fields"] == "id,state"
    assert "workflow_name=in:wf1,wf2,wf3,a%2Fb" in link
    assert "/" not in urlsplit(link).query
    simple = five.get("/v2/executions?state=SUCCESS&description=bogus:x&description=b&limit=1").json["next"]
    assert "&state=eq:SUCCESS&description=eq:b&limit=1&" in simple


@pytest.mark.spec("API45", "API46", "API47", "API49")
def test_fields_choose_what_items_show(five: Client) -> None:
    for item in five.items("/v2/executions?fields=State,%20state"):
        assert list(item) == ["id", "state"]
    answer = five.get("/v2/executions?fields=bogus")
    assert answer.status == 400
    assert "workflow_name" in answer.fault
    everything = five.items("/v2/executions?fields=")
    assert everything == five.items("/v2/executions")
    shown = five.items("/v2/executions?fields=description,task_execution_id&description=neq:zzz")
    assert shown[0]["task_execution_id"] is None


@pytest.mark.spec("API50", "API52", "API64")
def test_operators(five: Client) -> None:
    for query, found in (
        ("description=b", [1, 3]),
        ("description=eq:b", [1, 3]),
        ("description=neq:b", [4, 5]),
        ("description=gt:1", [1, 3, 5]),
        ("description=gte:b", [1, 3]),
        ("description=lt:b", [4, 5]),
        ("description=lte:b", [1, 3, 4, 5]),
        ("description=in:b,,zz", [1, 3, 4]),
        ("description=nin:b", [4, 5]),
        ("description=has:0%25_", [5]),
        ("description=has:B", []),
        ("description=", [4]),
        ("workflow_name=in:wf1,wf4", [1, 4]),
    ):
        assert numbers(five, query) == found, query


@pytest.mark.spec("API51")
def test_what_looks_like_an_operator_but_is_none_belongs_to_the_value(five: Client, library: Library) -> None:
    assert numbers(five, "description=bogus:e1") == []
    store(library, execution(6, description="bogus:e1"), execution(7, description="in:x"))
    assert numbers(five, "description=bogus:e1") == [6]
    assert numbers(five, "description=eq:in:x") == [7]


@pytest.mark.spec("API53", "API54")
def test_of_a_repeated_filter_the_last_counts_and_different_ones_all(five: Client) -> None:
    assert numbers(five, "workflow_name=in:wf1,wf2&workflow_name=wf3") == [3]
    assert numbers(five, "description=b&state=ERROR") == [1]


@pytest.mark.spec("API55", "API56", "API57")
def test_times_are_compared_in_whole_seconds(five: Client) -> None:
    shown = five.items("/v2/executions?workflow_name=wf4")[0]["created_at"]
    for query, found in (
        ("created_at=gt:2018-01-01", [1, 2, 3, 4, 5]),
        ("created_at=lt:2018-01-01", []),
        (f"created_at=gte:{shown.replace(' ', '%20')}", [3, 4, 5]),
        (f"created_at=gt:{shown.replace(' ', '+')}", [5]),
        (f"created_at={shown.replace(' ', 'T')}", [3, 4]),
        (f"created_at={shown.replace(' ', 'T')}.5", []),
        (f"created_at=lt:{shown.replace(' ', 'T')}.5", [1, 2, 3, 4]),
        (f"created_at=gte:{shown.replace(' ', 'T')}.5", [5]),
        (f"created_at=lte:{shown}", [1, 2, 3, 4]),
        (f"created_at=neq:{shown}", [1, 2, 5]),
        (f"created_at=nin:{shown},2018-01-01", [1, 2, 5]),
        (f"created_at=in:{shown},2018-01-01", [3, 4]),
        ("updated_at=neq:2018-01-01", [2, 5]),
    ):
        assert numbers(five, query) == found, query
    for bad in ("gt:zz", "2026-13-01", "2026-02-30", "has:2026", "", "2026-02-02 25:00:00"):
        assert five.get(f"/v2/executions?created_at={bad}").status == 400


@pytest.mark.spec("API58")
def test_tags_are_compared_as_wholes(five: Client, library: Library) -> None:
    for query, found in (
        ("tags=a", [1, 2]),
        ("tags=a,b", [2]),
        ("tags=has:b", [2]),
        ("tags=A", [3]),
        ("tags=in:b,A", [2, 3]),
        ("tags=nin:a", [3, 4, 5]),
        ("tags=neq:a,A", [4, 5]),
        ("tags=,", [1, 2, 3, 4, 5]),
    ):
        assert numbers(five, query) == found, query
    store(library, execution(6, tags='["say \\"a\\"","é"]'))
    assert numbers(five, "tags=é") == [6]
    assert numbers(five, 'tags=say "a"') == [6]
    assert numbers(five, "tags=a") == [1, 2]
    assert five.get("/v2/executions?tags=gt:a").status == 400


@pytest.mark.spec("API59")
def test_uuid_filters_check_their_values_and_know_operators(five: Client) -> None:
    assert five.get("/v2/executions?workflow_id=abc").status == 400
    assert five.get(f"/v2/executions?workflow_id=in:{UUIDS[10]},abc").status == 400
    for query, found in (
        (f"workflow_id={UUIDS[10]}", [4]),
        (f"workflow_id={UUIDS[10].replace('-', '').upper()}", [4]),
        (f"workflow_id=neq:{UUIDS[10]}", [5]),
        (f"workflow_id=in:{UUIDS[10]},{UUIDS[12]}", [4, 5]),
        (f"workflow_id=nin:{UUIDS[10]},{UUIDS[13]}", [5]),
    ):
        assert numbers(five, query) == found, query


@pytest.mark.spec("API60")
def test_documents_are_compared_by_what_they_say(five: Client) -> None:
    assert numbers(five, 'input={"y":[1,2],"x":1}') == [1, 3]
    assert numbers(five, 'input={"y":[2,1],"x":1}') == []
    assert numbers(five, 'input={"x":1}') == []
    assert numbers(five, "input={}") == [2, 4, 5]
    assert numbers(five, "input=neq:{}") == [1, 3]
    assert numbers(five, 'params={"env":{},"namespace":""}') == [1, 2, 3, 4, 5]
    for bad in (
        "abc",
        "[1]",
        '"x"',
        "has:{}",
        "",
        '{"x":NaN}',
        '{"x":"\\ud800"}',
        '{"x":"\\u0000"}',
        '{"x":' + "9" * 30 + "}",
    ):
        assert five.get(f"/v2/executions?input={bad}").status == 400, bad


@pytest.mark.spec("API61", "API62")
def test_unknown_states_and_scopes_match_nothing(five: Client) -> None:
    assert numbers(five, "state=BOGUS") == []
    assert five.items("/v2/workflows?scope=bogus") == []


@pytest.mark.spec("API63", "API182")
def test_output_is_shown_only_when_asked_for(five: Client) -> None:
    for query in ("", "include_output=false", "include_output=", "include_output=No"):
        assert all("output" not in item for item in five.items(f"/v2/executions?{query}"))
    for query in ("include_output=true", "include_output=True", "include_output=1", "fields=output"):
        assert all(item["output"] == "{}" for item in five.items(f"/v2/executions?{query}"))
    assert five.get("/v2/executions?include_output=maybe").status == 400


@pytest.mark.spec("API183", "API184")
def test_nulls_keep_what_has_no_value(five: Client) -> None:
    assert numbers(five, "nulls=root_execution_id") == [1, 2, 3, 4]
    assert numbers(five, "nulls=description,workflow_id") == [2]
    assert numbers(five, "nulls=workflow_id&workflow_id=neq:" + ANY_UUID) == [4, 5]
    for bad in ("bogus", "id"):
        assert five.get(f"/v2/executions?nulls={bad}").status == 400
    assert numbers(five, f"root_execution_id={UUIDS[1]}") == [5]
    assert numbers(five, f"root_execution_id={UUIDS[2]}") == []
    assert numbers(five, f"task_execution_id={UUIDS[11]}") == [5]
    assert five.get("/v2/workflows?nulls=description").status == 400


def test_filters_without_column_are_unknown(five: Client) -> None:
    for path in (
        "executions?workflow_namespace=x",
        "executions?id=x",
        "tasks?result=x",
        "tasks?reset=true",
        "tasks?env={}",
        "tasks?type=ACTION",
        "tasks?project_id=" + ANY_UUID,
        "action_executions?params={}",
        "action_executions?workflow_id=" + ANY_UUID,
        "workbooks?all_projects=true",
        "environments?project_id=" + ANY_UUID,
    ):
        assert five.get(f"/v2/{path}").status == 400, path


@pytest.mark.spec("L1")
def test_the_total_is_counted_only_when_asked_for(five: Client) -> None:
    assert "total" not in five.get("/v2/executions").json
    assert "total" not in five.get("/v2/executions?total=false").json
    assert five.get("/v2/executions?total=true&limit=1&description=b").json["total"] == 2
    marked = five.get(f"/v2/executions?total=true&marker={UUIDS[4]}").json
    assert (len(marked["executions"]), marked["total"]) == (1, 5)
    for kind in ("workflows", "tasks"):
        assert five.get(f"/v2/{kind}?total=true").json["total"] == 0
        assert "total" not in five.get(f"/v2/{kind}").json


@pytest.mark.spec("API25")
def test_times_have_seconds_and_nothing_more(five: Client) -> None:
    item = five.items("/v2/executions?workflow_name=wf2")[0]
    assert item["created_at"] == "2026-02-02 02:40:02"
    assert item["updated_at"] == "2026-02-02 02:40:00"


@pytest.mark.spec("API128")
def test_the_fields_of_the_command_line_are_all_there(five: Client) -> None:
    names = (
        "id,workflow_id,workflow_name,workflow_namespace,description,task_execution_id,root_execution_id,"
        "state,state_info,created_at,updated_at"
    )
    for item in five.items(f"/v2/executions?fields={names}"):
        assert list(item) == names.split(",")


def test_json_shows_as_text(five: Client) -> None:
    item = five.items("/v2/executions?workflow_name=wf1")[0]
    assert json.loads(item["input"]) == {"x": 1, "y": [1, 2]}
    assert item["tags"] == ["a"]


VALUES = {"created_at": "2026-01-01", "workflow_id": ANY_UUID, "root_execution_id": ANY_UUID, "input": "{}"}
OPERATORS = ("eq", "neq", "gt", "gte", "lt", "lte", "in", "nin", "has")


@pytest.mark.parametrize(
    "name", ["description", "created_at", "tags", "workflow_id", "input", "state", "root_execution_id"]
)
def test_no_operator_on_anything_breaks_the_service(five: Client, name: str) -> None:
    for operator in OPERATORS:
        for value in (VALUES.get(name, "a"), "", "%", "'", "{", "[]", "null", "é"):
            answer = five.get(f"/v2/executions?{name}={operator}:{value}")
            assert answer.status in (200, 400), (operator, value)


def test_documents_that_a_database_can_not_read_equal_none_that_is_asked_for(
    five: Client, library: Library
) -> None:
    store(library, execution(6, input='{"x":NaN}'), execution(7, input='{"x":"\\ud800"}'))
    store(library, execution(8, input='{"x":"a\\u0000b"}'))
    assert numbers(five, 'input={"y":[1,2],"x":1}') == [1, 3]
