"""``tramontane export``: what an execution did, as a file that ``tramontane test --replay`` reads."""

from __future__ import annotations

from pathlib import Path

import click

from tramontane.cli.recordings import read_recording
from tramontane.cli.remote import service_options
from tramontane.cli.settings import WrongCallError
from tramontane.testing.recording import to_json


@click.command("export")
@click.argument("execution")
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write to a file."
)
@click.option("--database", metavar="URL", help="Read a database instead of asking a service.")
@service_options
def command(execution: str, output: Path | None, database: str | None, url: str, token: str | None) -> None:
    """Write what EXECUTION did, with all its sub-workflows, as JSON.

    It holds inputs and results as they are stored: look for secrets before you pass it on.
    """
    text = to_json(read_recording(execution, url, token, database))
    if output is None:
        click.echo(text)
        return
    try:
        output.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise WrongCallError(f"{output} can't be written: {error.strerror}") from None
