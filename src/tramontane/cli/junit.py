"""Results of tests as JUnit's XML, which continuous integration reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tramontane.testing import Mismatch


@dataclass(frozen=True, slots=True)
class Outcome:
    """A case that was run; ``seconds`` are real ones."""

    file: str
    name: str
    mismatches: Sequence[Mismatch]
    seconds: float


def write_junit(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Write one suite per test file."""
    root = ElementTree.Element("testsuites")
    for file in dict.fromkeys(outcome.file for outcome in outcomes):
        own = [outcome for outcome in outcomes if outcome.file == file]
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=file,
            tests=str(len(own)),
            failures=str(sum(bool(outcome.mismatches) for outcome in own)),
            errors="0",
            time=f"{sum(outcome.seconds for outcome in own):.3f}",
        )
        for outcome in own:
            _add_case(suite, outcome)
    root.set("tests", str(len(outcomes)))
    root.set("failures", str(sum(bool(outcome.mismatches) for outcome in outcomes)))
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _add_case(suite: ElementTree.Element, outcome: Outcome) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=outcome.file,
        name=_printable(outcome.name),
        time=f"{outcome.seconds:.3f}",
    )
    if outcome.mismatches:
        title = _printable("; ".join(each.title for each in outcome.mismatches))
        failure = ElementTree.SubElement(case, "failure", message=title)
        lines = [line for each in outcome.mismatches for line in (each.title, *each.lines)]
        failure.text = _printable("\n".join(lines))


def _printable(text: str) -> str:
    """Replace the characters that XML can't hold."""
    return "".join(
        char if char in "\t\n" or (char >= " " and char not in "\ufffe\uffff") else "�" for char in text
    )
