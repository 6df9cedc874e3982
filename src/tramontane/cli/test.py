"""``tramontane test``: run the test cases that stand beside definitions."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import click

from tramontane.actions.pack import standard_registry
from tramontane.actions.registry import Registry
from tramontane.cli.diagnostics import render
from tramontane.cli.junit import Outcome, write_junit
from tramontane.cli.settings import WrongCallError
from tramontane.cli.testfiles import Suite, UnusableFileError, find_test_files, read_suite
from tramontane.testing import Case, Mismatch, Played, judge, play, summary

_COLOURS: Final = {"-": "green", "+": "red"}
_UNUSABLE: Final = 2


@click.command("test")
@click.argument("files", metavar="[FILE...]", nargs=-1, type=click.Path(exists=True))
@click.option("-k", "wanted", metavar="TEXT", help="Run only cases whose file and name contain this text.")
@click.option("-v", "--verbose", is_flag=True, help="Show the tasks of passed cases too.")
@click.option(
    "--junit",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write JUnit's XML to FILE.",
)
def command(files: tuple[str, ...], wanted: str | None, verbose: bool, junit: Path | None) -> None:
    """Run test cases of definitions, without effects and in simulated time.

    FILE is a test file (x.test.yaml), a definition with one beside it, or a folder; without any it is the
    present folder. The exit status is 0 if all cases pass, 1 if one fails, 2 if a file can't be used.
    """
    suites = _read(find_test_files(files or (".",)))
    chosen = [(suite, case) for suite in suites for case in suite.cases if _is_wanted(wanted, suite, case)]
    if not chosen:
        raise WrongCallError(f"no case contains '{wanted}'" if wanted else "the test files hold no cases")
    outcomes = list(_run(chosen, standard_registry(), verbose))
    if junit is not None:
        _write(junit, outcomes)
    failed = sum(bool(outcome.mismatches) for outcome in outcomes)
    click.echo(_total(len(outcomes) - failed, failed))
    if failed:
        raise click.exceptions.Exit(1)


def _read(paths: Sequence[Path]) -> list[Suite]:
    """Read all files; show what is wrong with any of them and end with status 2 then."""
    suites, unusable = [], []
    for path in paths:
        try:
            suites.append(read_suite(path))
        except UnusableFileError as error:
            unusable.append(error)
    for each in unusable:
        show_problems(each)
    if unusable:
        raise click.exceptions.Exit(_UNUSABLE)
    return suites


def show_problems(error: UnusableFileError) -> None:
    """Show what is wrong with a file, as ``validate`` does."""
    for problem in error.problems:
        for line in render(problem, error.source):
            click.echo(line, err=True)


def _is_wanted(wanted: str | None, suite: Suite, case: Case) -> bool:
    return wanted is None or wanted.lower() in f"{suite.name} {case.name}".lower()


def _run(chosen: Sequence[tuple[Suite, Case]], registry: Registry, verbose: bool) -> Iterator[Outcome]:
    shown = ""
    for suite, case in chosen:
        if suite.name != shown:
            shown = suite.name
            click.echo(click.style(shown, bold=True))
        began = time.perf_counter()
        played = play(case, suite.definitions, registry)
        mismatches = judge(played)
        yield Outcome(suite.name, case.name, mismatches, time.perf_counter() - began)
        _show(suite, case, played, mismatches, verbose)


def _show(suite: Suite, case: Case, played: Played, mismatches: Sequence[Mismatch], verbose: bool) -> None:
    if not mismatches:
        click.echo(f"  {click.style('✓', fg='green')} {case.name}")
    else:
        place = click.style(f"  {suite.name}:{case.line}", dim=True)
        click.echo(f"  {click.style('✗', fg='red', bold=True)} {case.name}{place}")
        for mismatch in mismatches:
            click.echo(f"      {click.style(mismatch.title, fg='red')}")
            for line in mismatch.lines:
                click.echo(f"        {click.style(line, fg=_COLOURS.get(line[:1]))}")
    if mismatches or verbose:
        rows = [f"{name} {state}{f' ×{runs}' if runs > 1 else ''}" for name, state, runs in summary(played)]
        click.echo(click.style(f"      ran: {', '.join(rows) or 'nothing'}", dim=True))


def _total(passed: int, failed: int) -> str:
    parts = [click.style(f"{passed} passed", fg="green" if passed else None)]
    if failed:
        parts.append(click.style(f"{failed} failed", fg="red", bold=True))
    return ", ".join(parts)


def _write(path: Path, outcomes: Sequence[Outcome]) -> None:
    try:
        write_junit(path, outcomes)
    except OSError as error:
        raise WrongCallError(f"{path} can't be written: {error.strerror}") from None
