"""How these tests play cases: a definition and a test file as texts."""

from __future__ import annotations

from textwrap import dedent

from tramontane.actions.pack import standard_registry
from tramontane.errors import DefinitionError, Problem
from tramontane.testing import (
    Case,
    Definitions,
    Document,
    Mismatch,
    Played,
    judge,
    open_file,
    play,
    read_cases,
)

REGISTRY = standard_registry(plugins=[])


def definitions(text: str) -> Definitions:
    """Make definitions of workflows; the version is put before them."""
    text = dedent(text)
    kind = "workbook" if text.lstrip().startswith("name:") else "workflows"
    return Definitions((Document(kind, "version: '2.0'\n" + text),))  # type: ignore[arg-type]  # one of the kinds


def cases(workflows: str, tests: str) -> tuple[Case, ...]:
    return read_cases(open_file(dedent(tests)), definitions(workflows))


def problems(workflows: str, tests: str) -> list[Problem]:
    """What is wrong with a test file."""
    try:
        cases(workflows, tests)
    except DefinitionError as error:
        return list(error.problems)
    return []


def played(workflows: str, case: str) -> Played:
    """Play a case that is given without its name; it is about ``wf`` if it names no workflow."""
    body = "".join(f"    {line}\n" for line in dedent(case).strip().splitlines())
    (only,) = cases(workflows, f"workflow: wf\ntests:\n  - name: case\n{body}")
    return play(only, definitions(workflows), REGISTRY)


def judged(workflows: str, case: str) -> list[Mismatch]:
    return judge(played(workflows, case))


def titles(workflows: str, case: str) -> list[str]:
    return [mismatch.title for mismatch in judged(workflows, case)]
