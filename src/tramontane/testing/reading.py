"""Reading test files: everything that is wrong with one is reported with its place, at once.

The file's own shape is checked here; what its mocks and expectations look like is
:mod:`tramontane.testing.mock_reading`'s and :mod:`tramontane.testing.expect_reading`'s part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tramontane.errors import DefinitionError, Problem
from tramontane.lang.document import CheckOptions
from tramontane.lang.findings import Findings
from tramontane.lang.yaml_loader import Document, Map, Path, YamlError, load
from tramontane.testing.cases import Case, Expectation, Mocks
from tramontane.testing.definitions import Definitions, names_text
from tramontane.testing.durations import EXPECTED, seconds_of
from tramontane.testing.expect_reading import read_expectation
from tramontane.testing.mock_reading import read_mocks
from tramontane.testing.places import Place
from tramontane.testing.step_reading import read_steps
from tramontane.values import EMPTY, FrozenDict, deep_merge

_FILE_KEYS: Final = ("definitions", "workflow", "environments", "mock", "tests")
_CASE_KEYS: Final = (
    "name",
    "workflow",
    "input",
    "params",
    "env",
    "environments",
    "mock",
    "steps",
    "run-for",
    "expect",
)


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A test file whose YAML was read. ``definitions`` None: those beside it."""

    document: Document
    findings: Findings
    definitions: tuple[str, ...] | None


def open_file(text: str) -> OpenFile:
    """Read the YAML and find out which definitions the file is about.

    Raises:
        DefinitionError: the text is no map, or its ``definitions`` are no file names.
    """
    try:
        document = load(text)
    except YamlError as error:
        line, column = 0, 0
        if error.index >= 0:
            before = text[: error.index]
            line, column = before.count("\n") + 1, error.index - before.rfind("\n")
        raise DefinitionError(error.message, [Problem(error.message, "", line, column)]) from None
    findings = Findings(document, CheckOptions())
    for duplicate in document.duplicates:
        findings.error(duplicate.path, f"the key '{duplicate.path[-1]}' stands twice", of_key=True)
    root = Place(findings, document, document.root)
    names: tuple[str, ...] | None = None
    if root.is_map("a map with 'tests'") and (given := root.get("definitions")) is not None:
        names = tuple(given.texts("a file name, or a list of them"))
    _refuse(findings)
    return OpenFile(document, findings, names)


def read_cases(file: OpenFile, definitions: Definitions) -> tuple[Case, ...]:
    """Read all cases.

    Raises:
        DefinitionError: with everything that is wrong with the file.
    """
    findings = file.findings
    root = Place(findings, file.document, file.document.root)
    root.allow(_FILE_KEYS, "attribute of a test file")
    shared = read_mocks(root.get("mock"), definitions)
    environments = _environments(root.get("environments"))
    cases = []
    tests = root.get("tests")
    if tests is None:
        root.error("'tests' is missing: a list of cases")
    else:
        for place in tests.items("a list of cases"):
            case = _case(place, root, definitions, shared, environments)
            if case is not None:
                cases.append(case)
        _refuse_twins(cases, findings)
    _refuse(findings)
    return tuple(cases)


def _case(
    place: Place, root: Place, definitions: Definitions, shared: Mocks, environments: FrozenDict
) -> Case | None:
    if not place.is_map("a map with 'name' and 'expect'"):
        return None
    place.allow(_CASE_KEYS, "attribute of a case")
    name = place.get("name")
    if name is None:
        place.error("'name' is missing: say in a few words what the case shows")
    workflow = _workflow(place, root, definitions)
    env = place.get("env")
    run_for = place.get("run-for")
    expect = place.get("expect")
    given = place.get("mock")
    mocks = shared if given is None else read_mocks(given, definitions).over(shared)
    return Case(
        name="" if name is None else name.text("a name"),
        line=place.line,
        workflow=workflow,
        input=_map(place, "input"),
        params=_map(place, "params"),
        env=None
        if env is None
        else env.frozen()
        if isinstance(env.value, Map)
        else env.text("a map or name"),
        environments=deep_merge(environments, _environments(place.get("environments"))),
        mocks=mocks.without(workflow),
        steps=read_steps(place.get("steps"), definitions),
        run_for=None if run_for is None else _seconds(run_for),
        expect=Expectation() if expect is None else read_expectation(expect, definitions, workflow),
    )


def _workflow(place: Place, root: Place, definitions: Definitions) -> str:
    given = place.get("workflow") or root.get("workflow")
    known = names_text(definitions.workflows)
    if given is None:
        if len(definitions.workflows) == 1:
            return next(iter(definitions.workflows))
        place.error(f"'workflow' is missing; the definitions hold {known}")
        return ""
    name = given.text("the name of a workflow")
    found = definitions.workflow(name)
    if name and found is None:
        hint = place.findings.nearest(name, definitions.workflows)
        given.error(f"there is no workflow '{name}'{hint}; the definitions hold {known}")
    return found or ""


def _map(place: Place, key: str) -> FrozenDict:
    given = place.get(key)
    return given.frozen() if given is not None and given.is_map() else EMPTY


def _environments(place: Place | None) -> FrozenDict:
    if place is None or not place.is_map("a map of environments by name"):
        return EMPTY
    for _, each in place.entries():
        each.is_map("a map of variables")
    return place.frozen()


def _seconds(place: Place) -> float:
    seconds = seconds_of(place.value)
    if seconds is None:
        place.wrong(EXPECTED)
    return seconds or 0.0


def _refuse_twins(cases: list[Case], findings: Findings) -> None:
    seen: dict[str, int] = {}
    for number, case in enumerate(cases):
        if case.name in seen and case.name:
            path: Path = ("tests", number, "name")
            findings.error(path, f"the case in line {seen[case.name]} has the same name")
        seen.setdefault(case.name, case.line)


def _refuse(findings: Findings) -> None:
    if findings.has_errors:
        problems = findings.problems()
        raise DefinitionError("\n".join(map(str, problems)), problems)
