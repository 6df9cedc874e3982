"""A place in a test file: a value with its path, and complaints about it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from tramontane.lang.findings import Findings, describe
from tramontane.lang.shapes import check_keys, refuse_unknown
from tramontane.lang.yaml_loader import Document, Map, Path, Seq
from tramontane.values import EMPTY, FrozenDict, freeze


@dataclass(frozen=True, slots=True)
class Place:
    """Reads below it give nothing where the document holds something else than is wanted; the
    findings then know about it."""

    findings: Findings
    document: Document
    value: Any
    path: Path = ()

    @property
    def line(self) -> int:
        return self.document.source.position(self.document.offset(self.path))[0]

    def at(self, step: str | int) -> Place:
        return Place(self.findings, self.document, self.value[step], (*self.path, step))

    def get(self, key: str) -> Place | None:
        """An entry of a map; None: it isn't there."""
        return self.at(key) if isinstance(self.value, Map) and key in self.value else None

    def error(self, message: str, *, of_key: bool = False) -> None:
        self.findings.error(self.path, message, of_key=of_key)

    def wrong(self, expected: str) -> None:
        self.error(f"found {describe(self.value)}, expected {expected}")

    # -- maps -----------------------------------------------------------------------------

    def is_map(self, expected: str = "a map") -> bool:
        if isinstance(self.value, Map):
            check_keys(self.findings, self.value, self.path)
            return True
        self.wrong(expected)
        return False

    def allow(self, known: Collection[str], what: str) -> None:
        """Complain about keys that mean nothing here."""
        if isinstance(self.value, Map):
            refuse_unknown(self.findings, self.value, self.path, known, what)

    def entries(self) -> Iterator[tuple[str, Place]]:
        if isinstance(self.value, Map):
            for key in self.value:
                yield key, self.at(key)

    def frozen(self) -> FrozenDict:
        value: FrozenDict = freeze(self.value) if isinstance(self.value, Map) else EMPTY
        return value

    # -- lists and texts ------------------------------------------------------------------

    def items(self, expected: str) -> list[Place]:
        if isinstance(self.value, Seq):
            return [self.at(index) for index in range(len(self.value))]
        self.wrong(expected)
        return []

    def text(self, expected: str) -> str:
        if isinstance(self.value, str) and self.value:
            return self.value
        self.wrong(expected)
        return ""

    def texts(self, expected: str) -> list[str]:
        """A text, or a list of texts."""
        if isinstance(self.value, Seq):
            return [each.text("a text") for each in self.items(expected)]
        return [self.text(expected)]

    def one_of(self, words: Collection[str], expected: str) -> str:
        if isinstance(self.value, str) and self.value in words:
            return self.value
        hint = self.findings.nearest(self.value, words) if isinstance(self.value, str) else ""
        self.error(f"found {describe(self.value)}, expected {expected}{hint}")
        return ""

    def flag(self) -> bool:
        if not isinstance(self.value, bool):
            self.wrong("true or false")
        return self.value is True

    def count(self) -> int:
        if isinstance(self.value, bool) or not isinstance(self.value, int) or self.value < 0:
            self.wrong("a whole number of at least 0")
            return 0
        return self.value
