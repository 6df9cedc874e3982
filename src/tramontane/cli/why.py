"""``tramontane why``: what an execution of a running service waits for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import click

from tramontane.cli.remote import ask, service_options
from tramontane.cli.rest import RestClient, RestError
from tramontane.states import COMPLETED

_MOST: Final = 50
"""So many executions of a tree are looked at; who waits is seldom further down than that."""

Found = dict[str, dict[str, Any]]


@click.command("why")
@click.argument("execution")
@click.option(
    "--json", "as_json", is_flag=True, help="Print the service's answers as JSON, and nothing else."
)
@service_options
def command(execution: str, as_json: bool, url: str, token: str | None) -> None:
    """Tell why EXECUTION isn't moving: what each of its open tasks waits for, sub-workflows included."""

    async def work(client: RestClient) -> Found:
        return await _collect(client, execution)

    found = ask(url, token, work)
    if as_json:
        click.echo(json.dumps(list(found.values()), indent=2, ensure_ascii=False))
        return
    for line in _lines(found, execution):
        click.echo(line)


async def _collect(client: RestClient, execution: str) -> Found:
    """Ask for an execution, then for what it waits for, level by level."""
    found: Found = {}
    waiting = [execution]
    while waiting and len(found) < _MOST:
        each = waiting.pop(0)
        try:
            found[each] = await client.get(f"executions/{each}/blockers")
        except RestError as error:
            if each == execution or error.status != 404:
                raise
            continue  # deleted since
        waiting += [called for called in _called(found[each]) if called not in found]
    return found


def _called(data: dict[str, Any]) -> Iterator[str]:
    for task in data["tasks"]:
        for blocker in task["blockers"]:
            if blocker["kind"] == "sub-workflow" and blocker["state"] not in (None, *COMPLETED):
                yield blocker["execution_id"]


def _lines(found: Found, execution_id: str, depth: int = 0) -> Iterator[str]:
    data = found[execution_id]
    indent = "  " * depth
    yield f"{indent}{click.style(data['workflow_name'], bold=True)} {data['id']} {data['state']}"
    if data["state"] in COMPLETED:
        yield f"{indent}  It has ended; nothing is open."
    for blocker in data["blockers"]:
        yield f"{indent}  {click.style(blocker['text'], fg='yellow')}"
    for task in data["tasks"]:
        yield f"{indent}  {click.style(task['name'], fg='cyan')} {task['state']}"
        for blocker in task["blockers"]:
            yield f"{indent}    {blocker['text']}"
            if blocker.get("execution_id") in found and blocker["kind"] == "sub-workflow":
                yield from _lines(found, blocker["execution_id"], depth + 3)
        yield from _rest(task["blockers"], f"{indent}    ")
    if data.get("more_tasks"):
        yield f"{indent}  … and more tasks."


def _rest(blockers: list[dict[str, Any]], indent: str) -> Iterator[str]:
    """Tell of running actions or sub-workflows that the service didn't list."""
    listed = [blocker for blocker in blockers if "of" in blocker]
    if listed and listed[0]["of"] > len(listed):
        yield f"{indent}… and {listed[0]['of'] - len(listed)} more."
