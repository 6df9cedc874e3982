"""``tramontane fork``: begin anew in the middle of an ended execution, on a running service."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import click

from tramontane.cli.pairs import Pairs, together
from tramontane.cli.remote import ask, service_options
from tramontane.cli.rest import RestClient

_REASONS = {"asked": "", "unfinished": " (had not ended)", "follows": " (follows)"}


@click.command("fork")
@click.argument("execution")
@click.option(
    "--task", "tasks", metavar="NAME", multiple=True, required=True, help="Name or id of a task to run again."
)
@click.option("-w", "--workflow", metavar="NAME", help="Run on under this definition, by name or id.")
@click.option("-i", "--input", "inputs", type=Pairs(), multiple=True, help="Input laid over the source's.")
@click.option(
    "--env", "env", type=Pairs(), multiple=True, help="Variables laid over the source's environment."
)
@click.option("--preview", is_flag=True, help="Only tell what is taken over and what runs again.")
@click.option("--json", "as_json", is_flag=True, help="Print the service's answer as JSON, and nothing else.")
@service_options
def command(
    execution: str,
    tasks: Sequence[str],
    workflow: str | None,
    inputs: Sequence[dict[str, Any]],
    env: Sequence[dict[str, Any]],
    preview: bool,
    as_json: bool,
    url: str,
    token: str | None,
) -> None:
    """Start a new execution that takes over what EXECUTION has done, and runs on from a task.

    The task, and everything that follows from it, runs again; all else keeps its results. Without
    --workflow the definition is the one that EXECUTION ran, even if there is a newer one. EXECUTION must
    have ended and must not be part of another one. The id of the new execution goes to the standard output.
    """
    body: dict[str, Any] = {"task": list(tasks), "input": together(inputs), "env": together(env)}
    if workflow is not None:
        body["workflow_name"] = workflow
    path = f"executions/{execution}/fork"

    async def work(client: RestClient) -> tuple[Any, Any]:
        plan = await client.post(path, {**body, "preview": True})
        return plan, None if preview else await client.post(path, body)

    plan, started = ask(url, token, work)
    if as_json:
        click.echo(json.dumps(started or plan, indent=2, ensure_ascii=False))
        return
    for line in _lines(plan):
        click.echo(line, err=not preview)
    if started is not None:
        click.echo(started["id"])


def _lines(plan: dict[str, Any]) -> Iterator[str]:
    definition = "the same definition" if plan["same_definition"] else "another definition"
    yield f"{click.style(plan['workflow_name'], bold=True)}, {definition}, from {plan['source_execution_id']}"
    yield from _row("taken over", (f"{task['name']} {task['state']}" for task in plan["reused"]))
    yield from _row(
        "runs again", (f"{task['name']}{_REASONS[task['reason']]}" for task in plan["runs_again"])
    )
    yield from _row("runs first", plan["new_tasks"])
    if plan["changed_tasks"]:
        yield from _row("changed", plan["changed_tasks"], " (taken over as they were)")
    for warning in plan["warnings"]:
        yield f"  {click.style('warning:', fg='yellow', bold=True)} {warning}"


def _row(title: str, items: Iterable[str], rest: str = "") -> Iterator[str]:
    text = ", ".join(items)
    if text:
        yield f"  {click.style(f'{title:<11}', dim=True)} {text}{rest}"
