"""``python-mistralclient`` as a library, used the way the dashboard and other programs use it."""

from __future__ import annotations

import importlib
import json
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.api.served import served_with_tokens

pytest.importorskip("mistralclient")

WORKFLOW = "version: '2.0'\nwf{}: {{input: [{{a: 1}}], tasks: {{t: {{action: std.noop}}}}}}\n"
WORKBOOK = "version: '2.0'\nname: wb{}\n"
ACTION = "version: '2.0'\nact{}: {{base: std.noop}}\n"
CODE = "class A:\n    def run(self, context):\n        return 1\n"
Connect = Callable[[str], Any]


@pytest.fixture
def connect(sqlite_url: str) -> Iterator[Connect]:
    """Makes clients of a project, such as ``a`` or ``a/admin``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library = importlib.import_module("mistralclient.api.client")
    with served_with_tokens(sqlite_url) as url:
        yield lambda token: library.client(
            mistral_url=url, auth_token=token, project_id=token.partition("/")[0]
        )


class Pages:
    """The dashboard's tables: pages of a size, forward and backward, by the ids of the rows shown."""

    def __init__(self, manager: Any, size: int, sort_keys: str | None) -> None:
        self._list = manager.list
        self._size = size
        self._sort_keys = sort_keys

    def page(self, marker: str, direction: str) -> list[Any]:
        """One row more than fits is asked for, to know whether there is another page."""
        more = {} if self._sort_keys is None else {"sort_keys": self._sort_keys}
        return list(self._list(marker=marker, limit=self._size + 1, sort_dirs=direction, **more))

    def forward(self) -> Iterator[list[str]]:
        marker = ""
        while True:
            rows = self.page(marker, "asc")
            yield [row.id for row in rows[: self._size]]
            if len(rows) <= self._size:
                return
            marker = rows[self._size - 1].id

    def backward(self, marker: str) -> Iterator[list[str]]:
        """The pages before a row, the nearest first."""
        while True:
            rows = self.page(marker, "desc")
            shown = [row.id for row in rows[: self._size]]
            yield shown[::-1]
            if len(rows) <= self._size:
                return
            marker = shown[-1]


@pytest.mark.spec("API303")
@pytest.mark.parametrize(
    ("resource", "sort_keys"),
    [
        ("actions", "name"),
        ("workbooks", "name"),
        ("workflows", "name"),
        ("executions", None),
        ("cron_triggers", None),
    ],
)
def test_paging_forward_and_backward_shows_each_row_once(
    connect: Connect, resource: str, sort_keys: str | None
) -> None:
    client = connect("a")
    for number in (3, 1, 4, 0, 2, 6, 5):
        client.workflows.create(WORKFLOW.format(number))
        client.workbooks.create(WORKBOOK.format(number))
        client.actions.create(ACTION.format(number))
        client.cron_triggers.create(f"t{number}", f"wf{number}", pattern="@daily")
        client.executions.create(f"wf{number}")
    manager = getattr(client, resource)
    everything = [row.id for row in manager.list(limit=1000, sort_keys=sort_keys or "created_at")]
    assert len(everything) >= 7
    pages = list(Pages(manager, 3, sort_keys).forward())
    assert [row for page in pages for row in page] == everything
    assert len(pages) > 2
    back = list(Pages(manager, 3, sort_keys).backward(pages[-1][0]))
    assert [row for page in reversed(back) for row in page] == everything[: -len(pages[-1])]


def test_triggers_are_managed(connect: Connect) -> None:
    client = connect("a")
    (workflow,) = client.workflows.create(WORKFLOW.format(""))
    cron = client.cron_triggers.create(
        "t", workflow.id, workflow_input={"a": 2}, workflow_params={"env": {}}, pattern="@daily", count=2
    )
    assert (cron.workflow_name, cron.remaining_executions) == ("wf", 2)
    assert json.loads(cron.workflow_input) == {"a": 2}
    assert client.cron_triggers.get("t").id == cron.id
    once = client.cron_triggers.create("o", "wf", first_time="4242-12-25 13:37")
    assert once.next_execution_time == "4242-12-25 13:37:00"
    assert [item.name for item in client.cron_triggers.list()] == ["t", "o"]
    event = client.event_triggers.create("e", workflow.id, "x", "topic", "event", {"a": 3}, {"env": {}})
    assert client.event_triggers.get(event.id).topic == "topic"
    assert [item.id for item in client.event_triggers.list()] == [event.id]
    for manager, identifier in (
        (client.cron_triggers, "t"),
        (client.cron_triggers, once.id),
        (client.event_triggers, event.id),
    ):
        manager.delete(identifier)
    assert client.cron_triggers.list() == client.event_triggers.list() == []
    client.workflows.delete(workflow.id)


@pytest.mark.spec("API133", "API135", "API136", "API140")
def test_workflows_are_shared(connect: Connect) -> None:
    owner, member = connect("a"), connect("b")
    (workflow,) = owner.workflows.create(WORKFLOW.format(""))
    shared = owner.members.create(workflow.id, "workflow", "b")
    assert (shared.status, shared.project_id) == ("pending", "a")
    assert member.workflows.list() == []
    assert member.members.get(workflow.id, "workflow").status == "pending"
    assert member.members.update(workflow.id, "workflow").status == "accepted"
    assert [item.id for item in member.workflows.list()] == [workflow.id]
    assert [item.member_id for item in owner.members.list(workflow.id, "workflow")] == ["b"]
    assert member.executions.create("wf").project_id == "b"
    owner.members.delete(workflow.id, "workflow", "b")
    assert member.workflows.list() == []


@pytest.mark.spec("API77", "API275", "API279", "API280")
def test_uploaded_code_is_managed(connect: Connect) -> None:
    client = connect("a/admin")
    source = client.code_sources.create("module", CODE, namespace="n")
    assert (source.version, source.content) == (1, CODE)
    assert client.code_sources.update(source.id, CODE + "\n", namespace="n").version == 2
    assert client.code_sources.get("module", namespace="n").id == source.id
    action = client.dynamic_actions.create("act", "A", "module", namespace="n")
    assert action.code_source_id == source.id
    changed = client.dynamic_actions.update("act", scope="public", namespace="n")
    assert (changed.class_name, changed.scope) == ("A", "public")
    assert [item.name for item in client.dynamic_actions.list()] == ["act"]
    ran = client.action_executions.create("act", {}, namespace="n")
    assert json.loads(ran.output) == {"result": 1}
    with pytest.raises(Exception, match="code_sources:list"):
        connect("b").code_sources.list()
    client.dynamic_actions.delete(action.id)
    client.code_sources.delete(source.id)
    assert client.code_sources.list() == client.dynamic_actions.list() == []
