"""Every transaction is run again when others were in its way (:mod:`tramontane.store.again`)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import tramontane

PACKAGE = Path(tramontane.__file__).parent

OPENINGS = (".write() as ", ".definitions.change() as ")
WITHIN_OTHERS = {
    "store/definitions.py:change",  # the use cases around it are run again
    "store/maintenance.py:_insert",  # so is its caller
}


def functions() -> Iterator[tuple[str, str, bool]]:
    """Coroutines by place, their text, and whether they are run again."""
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.AsyncFunctionDef):
                marks = {ast.unparse(each) for each in node.decorator_list}
                place = f"{path.relative_to(PACKAGE)}:{node.name}"
                yield place, ast.get_source_segment(text, node) or "", "again_when_busy" in marks


def test_who_opens_a_transaction_is_run_again_when_others_were_in_the_way() -> None:
    opening = [(place, again) for place, text, again in functions() if any(each in text for each in OPENINGS)]
    assert len(opening) > 40
    assert {place for place, again in opening if not again} == WITHIN_OTHERS
