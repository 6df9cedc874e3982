"""The part of ``tramontane test`` that runs definitions over a past execution."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from tramontane.actions.pack import standard_registry
from tramontane.cli.results import show_mismatch, show_problems
from tramontane.cli.settings import WrongCallError
from tramontane.cli.testfiles import UnusableFileError, load_definitions
from tramontane.errors import NotFoundError
from tramontane.rehearsal import Run
from tramontane.testing import RecordedExecution, replay


def show_replay(files: Sequence[str], recording: RecordedExecution, workflow: str | None) -> None:
    """Replay and show what goes differently; end the command with status 1 if anything does.

    Raises:
        WrongCallError: the definitions don't hold the workflow.
    """
    try:
        definitions = load_definitions(map(Path, files))
        replayed = replay(recording, definitions, standard_registry(), workflow)
    except UnusableFileError as error:
        show_problems(error)
        raise click.exceptions.Exit(2) from None
    except NotFoundError as error:
        raise WrongCallError(error.message) from None
    name = click.style(recording.workflow_name, bold=True)
    click.echo(f"{name} {recording.id}: {recording.state} then, {_end(replayed.run)} now")
    for difference in replayed.differences:
        show_mismatch(difference.title, difference.lines, indent=2)
    if replayed.same_tasks:
        click.echo(click.style(f"  as before: {', '.join(replayed.same_tasks)}", dim=True))
    if replayed.differences:
        raise click.exceptions.Exit(1)
    click.echo(click.style("nothing goes differently", fg="green"))


def _end(run: Run | None) -> str:
    return "refused" if run is None else run.state
