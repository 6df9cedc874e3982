"""``tramontane graph``: draw a workflow as Mermaid, DOT or SVG."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, get_args

import click

from tramontane.cli.documents import KINDS, Kind, check_for_use
from tramontane.drawing import Picture, picture_of, to_dot, to_mermaid, to_svg
from tramontane.drawing.layers import TooLargeError

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
    found = check_for_use(file, kind, quiet=True).choose(workflow)
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
