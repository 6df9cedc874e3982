"""``tramontane run``: run a definition here and now, on an engine and a database of its own."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import click
from rich.console import Console
from rich.json import JSON

from tramontane.cli import loop
from tramontane.cli.documents import KINDS, PATHS, Checked, Kind, check_for_use
from tramontane.cli.local import local_service
from tramontane.cli.pairs import Pairs, together
from tramontane.cli.rest import RestClient, RestError
from tramontane.cli.view import LineView, LiveView, open_view
from tramontane.cli.watch import Snapshot, Watch
from tramontane.errors import TramontaneError
from tramontane.states import CANCELLED, ERROR, PAUSED, SUCCESS

STATUSES: Final = {SUCCESS: 0, ERROR: 1, CANCELLED: 3, PAUSED: 3}
_INTERRUPTED: Final = 130


@dataclass(frozen=True)
class Job:
    """What is to be run."""

    documents: tuple[Checked, ...]
    workflow: str
    input: dict[str, Any]
    params: dict[str, Any]


class Silent:
    """Shows nothing, because only the end is asked for."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, snapshot: Snapshot) -> None:
        return None


AnyView = LiveView | LineView | Silent


@click.command("run")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@click.option("-w", "--workflow", help="Workflow to run, if the file holds several.")
@click.option("-i", "--input", "inputs", type=Pairs(), multiple=True, help="Input of the workflow.")
@click.option(
    "--param", "params", type=Pairs(), multiple=True, help="Parameters of the start, e.g. task_name=x."
)
@click.option("--env", "env", type=Pairs(), multiple=True, help="Variables that <% env() %> gives.")
@click.option(
    "--also", multiple=True, type=click.Path(dir_okay=False), help="Another file that the workflow needs."
)
@click.option(
    "--kind", type=click.Choice(KINDS), help="Kind of document; guessed from its shape if not given."
)
@click.option("--allow-loopback", is_flag=True, help="Let HTTP actions connect to this machine.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print the end of the execution as JSON, and nothing else."
)
def command(
    file: str,
    workflow: str | None,
    inputs: Sequence[dict[str, Any]],
    params: Sequence[dict[str, Any]],
    env: Sequence[dict[str, Any]],
    also: Sequence[str],
    kind: Kind | None,
    allow_loopback: bool,
    as_json: bool,
) -> None:
    """Run a workflow of FILE to its end on an engine of its own, and watch its tasks.

    Progress goes to the standard error, the output to the standard output. Values of -i, --param and
    --env are key=value, @file.json or a JSON object, and may be given several times. Ctrl-C cancels
    the execution. The exit status is 0 for SUCCESS, 1 for ERROR, 3 for CANCELLED and for PAUSED.
    """
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
    main = check_for_use(file, kind, quiet=as_json)
    documents = (*(check_for_use(other, None, quiet=as_json) for other in also), main)
    parameters = together(params)
    if env:
        parameters["env"] = together(env)
    job = Job(documents, main.choose(workflow).name, together(inputs), parameters)
    view: AnyView = Silent() if as_json else open_view(Console(stderr=True, highlight=False))
    try:
        end = loop.run(_run(job, view, allow_loopback))
    except (RestError, TramontaneError) as error:
        raise click.ClickException(error.message) from None
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise click.exceptions.Exit(_INTERRUPTED) from None
    _print(end, as_json)
    raise click.exceptions.Exit(STATUSES.get(end["state"], 1))


async def _run(job: Job, view: AnyView, allow_loopback: bool) -> dict[str, Any]:
    """Run the job; give its execution as the API shows it, with the tree of its tasks."""
    async with local_service(allow_loopback) as client:
        for document in job.documents:
            await client.upload(PATHS[document.kind], document.source.text)
        body = {"workflow_name": job.workflow, "input": job.input, "params": job.params}
        identifier = (await client.post("executions", body))["id"]
        with cancelled_by_signals(client, identifier), view:
            await Watch(client, identifier).follow(view)
        execution: dict[str, Any] = await client.get(f"executions/{identifier}")
        report = await client.get(f"executions/{identifier}/report", errors_only="false")
        return {**execution, "tasks": report["root_workflow_execution"]["task_executions"]}


@contextmanager
def cancelled_by_signals(client: RestClient, execution_id: str) -> Iterator[None]:
    """Cancel the execution at the first SIGINT or SIGTERM; at the second give up waiting for its end."""
    running, waiting = asyncio.get_running_loop(), asyncio.current_task()
    assert waiting is not None
    cancelling: list[asyncio.Task[None]] = []

    async def cancel() -> None:
        with suppress(RestError):  # it has ended by itself
            await client.put(f"executions/{execution_id}", {"state": CANCELLED, "state_info": "Interrupted."})

    def interrupt() -> None:
        if cancelling:
            waiting.cancel()
        else:
            cancelling.append(running.create_task(cancel()))

    for number in (signal.SIGINT, signal.SIGTERM):
        running.add_signal_handler(number, interrupt)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            running.remove_signal_handler(number)


def _print(end: dict[str, Any], as_json: bool) -> None:
    output = json.loads(end["output"] or "null")
    if as_json:
        shown = {
            **{key: end[key] for key in ("id", "workflow_name", "state", "state_info")},
            "input": json.loads(end["input"] or "null"),
            "output": output,
            "tasks": end["tasks"],
        }
        click.echo(json.dumps(shown, indent=2, ensure_ascii=False))
        return
    if sys.stdout.isatty():
        Console().print(JSON.from_data(output))
    else:
        click.echo(json.dumps(output, indent=2, ensure_ascii=False))
    if end["state"] == PAUSED:
        click.echo("The execution is paused, and nobody can resume it here.", err=True)
