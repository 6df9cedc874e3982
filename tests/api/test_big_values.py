"""Big values over the API: stored once, shown whole, read by everybody who needs them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from tests.api.running import Running
from tests.api.test_workers import complete, poll
from tests.store.outside import DirectoryFiles

from tramontane.compose import open_node
from tramontane.config import Settings
from tramontane.store import schema
from tramontane.store.packing import Memory

VALUE = {"image": "0123456789" * 20_000, "disks": [{"id": number} for number in range(3_000)]}
TEXT = json.dumps(VALUE, separators=(",", ":"))


def nodes(url: str, **settings: Any) -> Iterator[Running]:
    with asyncio.Runner() as runner:
        context = open_node(Settings(database=url, load_action_plugins=False, **settings))
        yield Running(runner, runner.run(context.__aenter__()))
        runner.run(context.__aexit__(None, None, None))


@pytest.fixture
def somewhere(database_url: str) -> Iterator[Running]:
    """A node on each kind of database."""
    yield from nodes(database_url)


@pytest.fixture
def files(tmp_path: Path) -> DirectoryFiles:
    return DirectoryFiles(tmp_path / "values")


@pytest.fixture
def outside(sqlite_url: str, files: DirectoryFiles) -> Iterator[Running]:
    """A node whose big values are kept in a directory."""
    yield from nodes(sqlite_url, big_values=files.url, allow_action_execution_deletion=True)


def stored(service: Running) -> list[tuple[str, int]]:
    """Roots and sizes of what is stored by itself."""
    table = schema.big_values

    async def read() -> list[tuple[str, int]]:
        async with service.node.database.read() as connection:
            rows = await connection.execute(sa.select(table.c.root_id, table.c.size).order_by(table.c.size))
            return [(row.root_id, row.size) for row in rows]

    return service.run(read())


def widest(service: Running) -> int:
    """The longest text in any row of tasks, actions and executions."""

    async def read() -> int:
        longest = 0
        async with service.node.database.read() as connection:
            for table in (schema.executions, schema.tasks, schema.action_executions, schema.past_runs):
                for column in table.c:
                    if column.info.get("json"):
                        length = await connection.scalar(sa.select(sa.func.max(sa.func.length(column))))
                        longest = max(longest, length or 0)
        return longest

    return service.run(read())


def forget(service: Running) -> None:
    """Let the node remember no values, as after a restart."""
    service.node.database.big_values.memory = Memory()


def chain(length: int) -> str:
    tasks = "\n".join(
        f"    t{n}:\n      action: std.echo output=<% $.v %>\n      publish: {{v: <% task().result %>}}\n"
        f"      on-success: {f't{n + 1}' if n < length else 'items'}"
        for n in range(1, length + 1)
    )
    return f"""version: '2.0'
passing:
  input: [v]
  output: {{back: <% $.back %>, all: <% $.all %>}}
  tasks:
{tasks}
    items:
      with-items: n in [1, 2, 3, 4]
      action: std.echo output=<% {{n => $.n, given => $.v}} %>
      publish: {{all: <% task().result %>}}
      on-success: call
    call:
      workflow: sub v=<% $.v %>
      publish: {{back: <% task().result.w %>}}
      publish-on-error: {{back: null}}
sub:
  input: [v]
  output: {{w: <% $.w %>}}
  tasks:
    a: {{action: std.echo output=<% $.v %>, publish: {{w: <% task().result %>}}}}
"""


def test_a_value_that_goes_through_fifty_tasks_items_and_a_sub_workflow_is_stored_once(
    somewhere: Running,
) -> None:
    somewhere.define(chain(50))
    execution = somewhere.start("passing", wait=30, input={"v": VALUE})
    assert execution["state"] == "SUCCESS", execution
    rows = stored(somewhere)
    assert [root for root, _ in rows] == [execution["id"]] * 2
    assert sum(size for _, size in rows) < len(TEXT) + 100
    assert widest(somewhere) < 2_000
    output = json.loads(execution["output"])
    assert output["back"] == VALUE
    assert output["all"] == [{"n": n, "given": VALUE} for n in (1, 2, 3, 4)]
    assert somewhere.delete(f"/v2/executions/{execution['id']}").status == 204
    assert stored(somewhere) == []


SHOWING = """version: '2.0'
showing:
  input: [v]
  output: {o: <% $.v %>}
  tasks:
    t:
      action: std.echo output=<% $.v %>
      on-success:
        publish:
          branch: {p: <% task().result %>}
          global: {g: <% task().result %>}
        next: c
    c: {workflow: sub v=<% $.v %>}
sub:
  input: [v]
  output: {w: <% $.v %>}
  tasks: {a: {action: std.noop}}
failing:
  input: [v]
  tasks:
    f: {action: std.fail error_data=<% $.v %>}
"""


def test_every_read_shows_big_values_whole(somewhere: Running) -> None:
    somewhere.define(SHOWING)
    execution_id = somewhere.start("showing", wait=20, input={"v": VALUE})["id"]
    for remembers in (True, False):
        if not remembers:
            forget(somewhere)
        execution = somewhere.execution(execution_id)
        assert execution["input"] == f'{{"v":{TEXT}}}'
        assert execution["output"] == f'{{"o":{TEXT}}}'
        assert execution["published_global"] == f'{{"g":{TEXT}}}'
        url = f"/v2/executions/{execution_id}?fields=output"
        assert somewhere.get(url).json == {"id": execution_id, "output": f'{{"o":{TEXT}}}'}
        listed = {each["id"]: each for each in somewhere.items("/v2/executions?include_output=true")}
        assert listed[execution_id]["output"] == f'{{"o":{TEXT}}}'
        task = somewhere.task(execution_id, "t")
        assert task["result"] == TEXT
        assert task["published"] == f'{{"p":{TEXT}}}'
        assert task["published_global"] == f'{{"g":{TEXT}}}'
        fields = "id,name,result,published"
        items = somewhere.items(f"/v2/executions/{execution_id}/tasks?fields={fields}")
        by_name = {each["name"]: each for each in items}
        assert by_name["t"]["result"] == TEXT
        assert by_name["c"]["result"] == f'{{"w":{TEXT}}}'
        (action,) = somewhere.actions(task["id"])
        assert action["input"] == f'{{"output":{TEXT}}}'
        action = somewhere.get(f"/v2/action_executions/{action['id']}").json
        assert action["output"] == f'{{"result":{TEXT}}}'
        called = somewhere.items(f"/v2/tasks/{by_name['c']['id']}/workflow_executions")
        assert called[0]["input"] == f'{{"v":{TEXT}}}'
        tree = somewhere.items(f"/v2/executions/{execution_id}/executions?include_output=true")
        assert [each["input"] for each in tree] == [f'{{"v":{TEXT}}}'] * 2
        assert {each["output"] for each in tree} == {f'{{"o":{TEXT}}}', f'{{"w":{TEXT}}}'}


def test_expressions_see_big_values_of_other_executions_whole(somewhere: Running) -> None:
    somewhere.define(
        SHOWING + "looking:\n  input: [id]\n  output: {i: <% $.i %>, p: <% $.p %>}\n  tasks:\n    t:\n"
        "      action: std.noop\n      publish:\n"
        "        i: <% executions(id => $.id).first().input.v %>\n"
        "        p: <% tasks($.id).where($.name = t).first().published.p %>\n"
    )
    shown = somewhere.start("showing", wait=20, input={"v": VALUE})["id"]
    forget(somewhere)
    end = somewhere.start("looking", wait=20, input={"id": shown})
    assert end["state"] == "SUCCESS", end["state_info"]
    assert json.loads(end["output"]) == {"i": VALUE, "p": VALUE}


def test_the_errors_of_a_tree_show_big_values_whole(somewhere: Running) -> None:
    somewhere.define(SHOWING)
    execution_id = somewhere.start("failing", wait=20, input={"v": VALUE})["id"]
    forget(somewhere)
    (action,) = [
        each
        for each in somewhere.get(f"/v2/executions/{execution_id}/errors_report").json["errors"]
        if each["type"] == "ACTION"
    ]
    assert json.loads(action["params"])["error_data"] == VALUE
    assert json.loads(action["error"]) == VALUE


def test_a_list_without_big_values_fetches_none(somewhere: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    somewhere.define(SHOWING)
    somewhere.start("showing", wait=20, input={"v": VALUE})

    async def nothing(*_: object) -> Any:
        raise AssertionError("fetched")

    monkeypatch.setattr(somewhere.node.database.big_values, "texts", nothing)
    assert len(somewhere.items("/v2/executions?fields=id,state,params,description")) == 2
    assert len(somewhere.items("/v2/tasks?fields=id,name,state")) == 3


def test_lists_can_be_filtered_by_big_values(somewhere: Running) -> None:
    somewhere.define(SHOWING)
    value = "x" * 17_000
    execution_id = somewhere.start("sub", wait=20, input={"v": value})["id"]
    other_id = somewhere.start("sub", wait=20, input={"v": "other"})["id"]
    given = quote(json.dumps({"v": value}))
    found = somewhere.items(f"/v2/executions?input={given}&fields=id")
    assert [each["id"] for each in found] == [execution_id]
    found = somewhere.items(f"/v2/executions?input=neq:{given}&fields=id")
    assert [each["id"] for each in found] == [other_id]


def test_a_worker_gets_and_gives_big_values_as_they_are(somewhere: Running) -> None:
    poll(somewhere, "w")
    somewhere.define(
        "version: '2.0'\nwf:\n  input: [v]\n  output: {got: <% $.got %>}\n  tasks:\n"
        "    a: {action: img.resize image=<% $.v %>, publish: {got: <% task().result %>}}\n"
    )
    execution = somewhere.start("wf", input={"v": VALUE})
    forget(somewhere)
    (job,) = poll(somewhere, "w", wait=10)
    assert job["input"] == {"image": VALUE}
    assert complete(somewhere, "w", job, data={"made": VALUE["image"]})
    end = somewhere.finish(execution["id"])
    assert json.loads(end["output"]) == {"got": {"made": VALUE["image"]}}
    assert len(stored(somewhere)) == 2


def test_a_stand_alone_action_has_big_values_of_its_own(outside: Running, files: DirectoryFiles) -> None:
    body = {"name": "std.echo", "input": {"output": VALUE}, "params": {"save_result": True}}
    action = outside.post("/v2/action_executions", body).json
    shown = outside.until(f"/v2/action_executions/{action['id']}", lambda found: found["state"] == "SUCCESS")
    assert json.loads(shown["output"]) == {"result": VALUE}
    assert {root for root, _ in stored(outside)} == {action["id"]}
    assert len(files.names()) == 2
    assert outside.delete(f"/v2/action_executions/{action['id']}").status == 204
    assert (stored(outside), files.names()) == ([], [])


WAITING = """version: '2.0'
waiting:
  output: {o: <% $.big %>}
  tasks:
    first: {action: std.noop, wait-after: 1, on-success: second}
    second: {action: std.noop, publish: {big: <% 'x' * 40000 %>}}
small:
  tasks: {a: {action: std.noop}}
"""


def test_while_the_store_is_away_only_what_needs_it_waits(outside: Running, files: DirectoryFiles) -> None:
    outside.define(WAITING + SHOWING.removeprefix("version: '2.0'\n"))
    waiting = outside.start("waiting")
    with files.away():
        answer = outside.post(
            "/v2/executions", {"workflow_name": "sub", "input": {"v": VALUE}, "description": "d"}
        )
        assert answer.status == 503
        assert answer.json["code"] == "value-store-unavailable"
        assert "can't be written" in answer.json["faultstring"]
        assert int(answer.headers["retry-after"]) > 0
        assert outside.start("small", wait=10)["state"] == "SUCCESS"
        before = outside.node.committer.statistics.unreachable
        outside.until("/v2/", lambda _: outside.node.committer.statistics.unreachable > before)
        assert outside.execution(waiting["id"])["state"] == "RUNNING"
    assert json.loads(outside.finish(waiting["id"])["output"]) == {"o": "x" * 40_000}
    assert outside.start("sub", wait=10, input={"v": VALUE})["state"] == "SUCCESS"


def test_an_execution_whose_value_is_lost_suffers_alone(outside: Running, files: DirectoryFiles) -> None:
    outside.define(
        "version: '2.0'\nasking:\n  input: [v]\n  output: {o: <% $.v %>}\n"
        "  tasks: {a: {action: std.async_noop}}\n"
    )
    lost, well = (outside.start("asking", input={"v": letter * 40_000}) for letter in "xy")
    actions = {
        each["id"]: outside.actions(outside.tasks(each["id"])["a"]["id"])[0]["id"] for each in (lost, well)
    }
    (name,) = [name for name in files.names() if name.startswith(lost["id"])]
    content = files.read(name)
    files.remove(name)
    forget(outside)
    outside.run(outside.node.engine.forget([lost["id"], well["id"]]))
    content_hash = name.partition("/")[2].partition(".")[0]
    answer = outside.get(f"/v2/executions/{lost['id']}")
    assert (answer.status, answer.json["code"]) == (503, "value-lost")
    for part in (f"hash={content_hash}", f"root_execution_id={lost['id']}", files.url):
        assert part in answer.json["faultstring"]
    answer = outside.put(f"/v2/action_executions/{actions[lost['id']]}", {"state": "SUCCESS"})
    assert answer.status == 503
    assert content_hash in answer.json["faultstring"]
    assert outside.put(f"/v2/action_executions/{actions[well['id']]}", {"state": "SUCCESS"}).status == 200
    assert json.loads(outside.finish(well["id"])["output"]) == {"o": "y" * 40_000}
    assert len(outside.items("/v2/executions?fields=id,state")) == 2
    files.overwrite(name, content)
    assert outside.put(f"/v2/action_executions/{actions[lost['id']]}", {"state": "SUCCESS"}).status == 200
    assert json.loads(outside.finish(lost["id"])["output"]) == {"o": "x" * 40_000}
