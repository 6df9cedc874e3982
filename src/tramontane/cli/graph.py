"""``tramontane graph``: draw a workflow as Mermaid, DOT or SVG."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, get_args

import click

from tramontane.cli.diagnostics import render
from tramontane.cli.documents import KINDS, Kind
from tramontane.cli.validate import check
from tramontane.drawing import Picture, picture_of, to_dot, to_mermaid, to_svg
from tramontane.drawing.layers import TooLargeError
from tramontane.lang.document import Upload, WorkflowDocument

Format = Literal["mermaid", "dot", "svg"]

FORMATS: Final[tuple[Format, ...]] = get_args(Format)
_WRITERS: Final[dict[Format, Callable[[Picture], str]]] = {
    "mermaid": to_mermaid,
    "dot": to_dot,
    "svg": to_svg,
}
_SUFFIXES: Final[dict[str, Format]] = {".svg": "svg", ".dot": "dot", ".gv": "dot"}


@click.command("graph")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@click.option("-w", "--workflow", metavar="NAME", help="Workflow to draw, if the file holds several.")
@click.option(
    "--format",
    "wanted",
    type=click.Choice(FORMATS),
    help="What to write; without it the output's name tells (.svg, .dot, .gv), or it is mermaid.",
)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False), help="File to write instead of the standard output."
)
@click.option(
    "--kind", type=click.Choice(KINDS), help="Kind of document; guessed from its shape if not given."
)
def command(
    file: str, workflow: str | None, wanted: Format | None, output: str | None, kind: Kind | None
) -> None:
    """Draw a workflow of FILE (a list of workflows or a workbook; - is the standard input).

    Tasks are boxes, transitions arrows that differ by clause; conditions stand beside them, in short.
    Mermaid and DOT are texts for other programs, SVG is a finished drawing.
    """
    checked = check(file, kind, strict=False)
    if checked.upload is None:
        for problem in checked.problems:
            for line in render(problem, checked.source):
                click.echo(line, err=True)
        raise click.exceptions.Exit(1)
    found = _choose(checked.upload, workflow, checked.source.name)
    chosen = wanted or (_SUFFIXES.get(Path(output).suffix.lower()) if output else None) or "mermaid"
    try:
        text = _WRITERS[chosen](picture_of(found.data))
    except TooLargeError:
        raise click.ClickException(
            f"'{found.name}' has too many long transitions for an SVG; "
            "--format dot leaves the layout to Graphviz"
        ) from None
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{output} can't be written: {error.strerror}") from None


def _choose(upload: Upload, wanted: str | None, file: str) -> WorkflowDocument:
    """Find the workflow to draw: by its name, a workbook's member by its short name too, or the only one."""
    workflows = (upload.workbook or upload).workflows
    known = ", ".join(workflow.name for workflow in workflows) or "none"
    if wanted is None:
        if len(workflows) == 1:
            return workflows[0]
        raise click.UsageError(f"name the workflow to draw with --workflow; {file} holds {known}")
    prefix = f"{upload.workbook.name}." if upload.workbook else ""
    for workflow in workflows:
        if workflow.name in (wanted, prefix + wanted):
            return workflow
    raise click.UsageError(f"{file} has no workflow '{wanted}'; it holds {known}")
