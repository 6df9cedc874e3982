"""How test results look: what is wrong with files, and what isn't as it should be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import click

from tramontane.cli.diagnostics import render
from tramontane.cli.testfiles import UnusableFileError

_COLOURS: Final = {"-": "green", "+": "red"}


def show_problems(error: UnusableFileError) -> None:
    """Show what is wrong with a file, as ``validate`` does."""
    for problem in error.problems:
        for line in render(problem, error.source):
            click.echo(line, err=True)


def show_mismatch(title: str, lines: Iterable[str], indent: int = 6) -> None:
    """Show one thing that isn't as it should be, with the lines that explain it."""
    click.echo(f"{' ' * indent}{click.style(title, fg='red')}")
    for line in lines:
        click.echo(f"{' ' * (indent + 2)}{click.style(line, fg=_COLOURS.get(line[:1]))}")
