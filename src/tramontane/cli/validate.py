"""``tramontane validate``: check definitions, and show what is wrong like a compiler does."""

from __future__ import annotations

import json
from typing import Any

import click

from tramontane.cli.diagnostics import render
from tramontane.cli.documents import KINDS, Checked, Kind, check
from tramontane.errors import Problem


@click.command("validate")
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(dir_okay=False, allow_dash=True)
)
@click.option(
    "--kind", type=click.Choice(KINDS), help="Kind of document; guessed from its shape if not given."
)
@click.option("--strict", is_flag=True, help="Take warnings for errors.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(files: tuple[str, ...], kind: Kind | None, strict: bool, as_json: bool) -> None:
    """Check definitions without running or storing them.

    FILE holds a list of workflows, a workbook or a list of ad-hoc actions; - is the standard input.
    Every finding is shown with its place. The exit status is 0 when all files can be taken, else 1.
    """
    checked = [check(file, kind, strict=strict) for file in files]
    if as_json:
        click.echo(json.dumps(_as_data(checked), indent=2, ensure_ascii=False))
    else:
        for one in checked:
            _show(one)
    if not all(one.is_valid for one in checked):
        raise click.exceptions.Exit(1)


def _show(checked: Checked) -> None:
    for problem in checked.problems:
        for line in render(problem, checked.source):
            click.echo(line)
    name = checked.source.name
    if not checked.is_valid:
        click.echo(f"{name}: {click.style('refused', fg='red', bold=True)}: {_count(checked.problems)}")
        return
    holds = ", ".join(name for names in checked.names.values() for name in names) or "nothing"
    found = f", {_count(checked.problems)}" if checked.problems else ""
    click.echo(f"{name}: {click.style('valid', fg='green', bold=True)} {checked.kind}: {holds}{found}")


def _count(problems: tuple[Problem, ...]) -> str:
    """Say how many findings there are, such as «2 errors, 1 warning»."""
    counts = [(kind, sum(one.severity == kind for one in problems)) for kind in ("error", "warning")]
    return ", ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in counts if count)


def _as_data(checked: list[Checked]) -> dict[str, Any]:
    return {
        "valid": all(one.is_valid for one in checked),
        "files": [
            {
                "file": one.source.name,
                "kind": one.kind,
                "valid": one.is_valid,
                **one.names,
                "problems": [
                    {
                        "severity": problem.severity,
                        "line": problem.line,
                        "column": problem.column,
                        "path": problem.path,
                        "message": problem.message,
                    }
                    for problem in one.problems
                ],
            }
            for one in checked
        ],
    }
