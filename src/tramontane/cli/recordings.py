"""Reading what a past execution did: from a service, from its database, or from an exported file."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

import click

from tramontane.cli import loop
from tramontane.cli.remote import ask
from tramontane.cli.rest import RestClient
from tramontane.cli.settings import WrongCallError, read_settings
from tramontane.config import Settings
from tramontane.core.state import ActionExecution
from tramontane.errors import BadRequestError, TramontaneError
from tramontane.store.database import open_database
from tramontane.store.executions import Executions
from tramontane.store.records import StoredExecution
from tramontane.testing.recording import (
    RecordedCall,
    RecordedExecution,
    RecordedRun,
    RecordedTask,
    from_json,
)
from tramontane.values import EMPTY, decode

_PAGE: Final = 100
_TASK_FIELDS: Final = "id,name,state,state_info,type,published,runtime_context,created_at"
_ACTION_FIELDS: Final = "id,name,state,input,output,created_at,updated_at"
_FILE: Final = "sqlite:///"


def read_recording(execution: str, url: str, token: str | None, database: str | None) -> RecordedExecution:
    """Read a recording: of a file that ``execution`` names, of a database, or of a service.

    Raises:
        click.ClickException: there is no such thing, or it can't be read.
    """
    path = Path(execution)
    if path.suffix == ".json" or path.is_file():
        return _read_file(path)
    if database is not None:
        return _read_database(execution, database)
    return ask(url, token, lambda client: _execution(client, execution))


def _read_file(path: Path) -> RecordedExecution:
    try:
        return from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WrongCallError(f"{path} can't be read: {error.strerror}") from None
    except (UnicodeDecodeError, BadRequestError) as error:
        raise WrongCallError(f"{path}: {error}") from None


# -- a service ----------------------------------------------------------------------------


async def _execution(client: RestClient, execution_id: str) -> RecordedExecution:
    found = await client.get(f"executions/{execution_id}")
    tasks = [task async for task in _pages(client, f"executions/{execution_id}/tasks", "tasks", _TASK_FIELDS)]
    return RecordedExecution(
        id=found["id"],
        workflow_name=found["workflow_name"],
        state=found["state"],
        state_info=found["state_info"],
        input=_json(found["input"]),
        params=_json(found["params"]),
        output=_json(found["output"]),
        created_at=_moment(found["created_at"]),
        tasks=tuple([await _task(client, task) for task in tasks]),
    )


async def _task(client: RestClient, task: Mapping[str, Any]) -> RecordedTask:
    context = _json(task["runtime_context"])
    count = int((context.get("with_items") or {}).get("count") or 0)
    runs: list[RecordedRun] = []
    calls: list[RecordedCall] = []
    if task["type"] == "WORKFLOW":
        path = f"tasks/{task['id']}/workflow_executions"
        async for child in _pages(client, path, "executions", "id,params,created_at"):
            index = int(_json(child["params"]).get("index") or 0)
            calls.append(RecordedCall(await _execution(client, child["id"]), index))
    else:
        path = f"tasks/{task['id']}/action_executions"
        async for action in _pages(client, path, "action_executions", _ACTION_FIELDS):
            # The API doesn't tell which item an action was for; they are begun in the order of the items.
            runs.append(_run(action, len(runs) % count if count else 0))
    return RecordedTask(
        name=task["name"],
        state=task["state"],
        state_info=task["state_info"],
        published=_json(task["published"]),
        runs=tuple(runs),
        calls=tuple(calls),
    )


def _run(action: Mapping[str, Any], index: int) -> RecordedRun:
    began, ended = _moment(action["created_at"]), _moment(action["updated_at"])
    return RecordedRun(
        action=action["name"],
        state=action["state"],
        index=index,
        input=_json(action["input"]),
        result=_json(action["output"]).get("result"),
        seconds=max(0, ended - began) / 1_000_000,
    )


async def _pages(
    client: RestClient, path: str, collection: str, fields: str
) -> AsyncIterator[dict[str, Any]]:
    """All items of a list, oldest first: ids sort in order of creation."""
    marker: dict[str, str] = {}
    while True:
        query = {"fields": fields, "sort_keys": "created_at,id", "sort_dirs": "asc,asc", "limit": str(_PAGE)}
        items = (await client.get(path, **query, **marker))[collection]
        for item in items:
            yield item
        if len(items) < _PAGE:
            return
        marker = {"marker": items[-1]["id"]}


def _json(text: str | None) -> Any:
    return EMPTY if text in (None, "") else decode(text or "") or EMPTY


def _moment(text: str | None) -> int:
    if text is None:
        return 0
    return round(dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp() * 1_000_000)


# -- a database ---------------------------------------------------------------------------


def _read_database(execution_id: str, url: str) -> RecordedExecution:
    if url.startswith(_FILE) and not Path(url.removeprefix(_FILE)).exists():
        raise WrongCallError(f"there is no database at {url}")
    try:
        found = loop.run(_from_database(execution_id, read_settings(None, {"database": url})))
    except TramontaneError as error:
        raise click.ClickException(error.message) from None
    if found is None:
        raise click.ClickException(f"Workflow execution not found [id={execution_id}]")
    return found


async def _from_database(execution_id: str, settings: Settings) -> RecordedExecution | None:
    database = await open_database(settings.database, big_values=settings.big_values)
    try:
        return await _load(Executions(database), execution_id)
    finally:
        await database.close()


async def _load(store: Executions, execution_id: str) -> RecordedExecution | None:
    stored = await store.load(execution_id)
    if stored is None:
        return None
    calls: dict[str, list[RecordedCall]] = {}
    for call in stored.subworkflows:
        child = await _load(store, call.id)
        if child is not None and call.task_id is not None:
            calls.setdefault(call.task_id, []).append(RecordedCall(child, call.index))
    return _recorded(stored, calls)


def _recorded(stored: StoredExecution, calls: Mapping[str, list[RecordedCall]]) -> RecordedExecution:
    runs: dict[str, list[RecordedRun]] = {}
    for action in stored.actions:
        runs.setdefault(action.task_id or "", []).append(_stored_run(action))
    execution = stored.execution
    return RecordedExecution(
        id=execution.id,
        workflow_name=execution.workflow_name,
        state=execution.state,
        state_info=execution.state_info,
        input=execution.input,
        params=execution.params,
        output=execution.output,
        created_at=execution.created_at,
        tasks=tuple(
            RecordedTask(
                name=task.name,
                state=task.state,
                state_info=task.state_info,
                published=task.published,
                runs=tuple(runs.get(task.id, ())),
                calls=tuple(calls.get(task.id, ())),
            )
            for task in stored.tasks
        ),
    )


def _stored_run(action: ActionExecution) -> RecordedRun:
    ended = action.finished_at or action.created_at
    return RecordedRun(
        action=action.name,
        state=action.state,
        index=action.index,
        input=action.input,
        result=action.result,
        seconds=(ended - action.created_at) / 1_000_000,
    )
