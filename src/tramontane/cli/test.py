"""``tramontane test``: run the test cases that stand beside definitions."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import click

from tramontane.actions.pack import standard_registry
from tramontane.actions.registry import Registry
from tramontane.cli.junit import Outcome, write_junit
from tramontane.cli.recordings import read_recording
from tramontane.cli.remote import service_options
from tramontane.cli.replaying import show_replay
from tramontane.cli.results import show_mismatch, show_problems
from tramontane.cli.settings import WrongCallError
from tramontane.cli.testfiles import Suite, UnusableFileError, find_test_files, read_suite
from tramontane.testing import Case, Mismatch, Played, RecordedExecution, judge, play, summary

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
@click.option("--replay", metavar="EXECUTION", help="Run definitions over what an execution recorded.")
@click.option("-w", "--workflow", metavar="NAME", help="With --replay: another workflow than it was then.")
@click.option("--database", metavar="URL", help="With --replay: read a database instead of asking a service.")
@service_options
def command(
    files: tuple[str, ...],
    wanted: str | None,
    verbose: bool,
    junit: Path | None,
    replay: str | None,
    workflow: str | None,
    database: str | None,
    url: str,
    token: str | None,
) -> None:
    """Run test cases of definitions, without effects and in simulated time.

    FILE is a test file (x.test.yaml), a definition with one beside it, or a folder; without any it is the
    present folder. The exit status is 0 if all cases pass, 1 if one fails, 2 if a file can't be used.

    With --replay the FILEs are definitions: they run over what the actions of a past execution gave, and
    what goes differently is shown. EXECUTION is an id, or a file that 'tramontane export' wrote. The exit
    status is 0 if nothing differs, else 1.
    """
    if replay is not None:
        if not files or wanted or junit:
            raise WrongCallError("--replay takes the definitions as FILE, and neither -k nor --junit")
        show_replay(files, _recording(replay, url, token, database), workflow)
        return
    if workflow is not None or database is not None:
        raise WrongCallError("--workflow and --database belong to --replay")
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


def _recording(execution: str, url: str, token: str | None, database: str | None) -> RecordedExecution:
    """Read a recording; that it can't be had isn't a difference, so the status is another."""
    try:
        return read_recording(execution, url, token, database)
    except click.ClickException as error:
        raise WrongCallError(error.message) from None


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
            show_mismatch(mismatch.title, mismatch.lines)
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
