"""Finding test files and the definitions that they are about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from tramontane.cli.diagnostics import Source
from tramontane.cli.documents import check, read_source
from tramontane.cli.settings import WrongCallError
from tramontane.errors import DefinitionError, Problem
from tramontane.testing import Case, Definitions, Document, open_file, read_cases

SUFFIXES: Final = (".test.yaml", ".test.yml")
_PLAIN: Final = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Suite:
    """A test file that was read, with the definitions that its cases run."""

    name: str
    definitions: Definitions
    cases: tuple[Case, ...]


class UnusableFileError(Exception):
    """A test file, or a definition that it is about, has problems."""

    def __init__(self, source: Source, problems: Sequence[Problem]) -> None:
        super().__init__(source.name)
        self.source = source
        self.problems = problems


def find_test_files(paths: Iterable[str]) -> list[Path]:
    """Find the test files that arguments mean: themselves, all of a folder, or the one beside a definition.

    Raises:
        WrongCallError: an argument means none.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        if path.is_dir():
            files = sorted(file for suffix in SUFFIXES for file in path.rglob(f"*{suffix}"))
            if not files:
                raise WrongCallError(f"{path} holds no test files (*{SUFFIXES[0]})")
            found.update(dict.fromkeys(files))
        elif path.name.endswith(SUFFIXES):
            found[path] = None
        else:
            found[_beside(path)] = None
    return list(found)


def _beside(definition: Path) -> Path:
    for suffix in SUFFIXES:
        path = definition.with_name(definition.stem + suffix)
        if path.exists():
            return path
    raise WrongCallError(f"{definition} has no tests: {definition.stem}{SUFFIXES[0]} doesn't exist beside it")


def read_suite(path: Path) -> Suite:
    """Read a test file and its definitions.

    Raises:
        UnusableFileError: with everything that is wrong with one of them.
        click.ClickException: a file can't be read.
    """
    source = _read(path)
    try:
        opened = open_file(source.text)
        definitions = _definitions(path, opened.definitions)
        return Suite(str(path), definitions, read_cases(opened, definitions))
    except DefinitionError as error:
        raise UnusableFileError(source, error.problems or (Problem(error.message),)) from None


def _definitions(path: Path, names: tuple[str, ...] | None) -> Definitions:
    files = [_definition_of(path)] if names is None else [path.parent / name for name in names]
    return load_definitions(files)


def _definition_of(path: Path) -> Path:
    stem = next(path.name[: -len(suffix)] for suffix in SUFFIXES if path.name.endswith(suffix))
    for suffix in _PLAIN:
        if (beside := path.with_name(stem + suffix)).exists():
            return beside
    raise WrongCallError(
        f"{path} tests {stem}{_PLAIN[0]}, which doesn't exist beside it; name other files with 'definitions'"
    )


def load_definitions(files: Iterable[Path]) -> Definitions:
    """Read and check definitions.

    Raises:
        UnusableFileError: with everything that is wrong with one of them.
        click.ClickException: a file can't be read.
    """
    documents = []
    for file in files:
        try:
            checked = check(str(file), None)
        except click.ClickException as error:
            raise WrongCallError(error.message) from None
        if not checked.is_valid:
            raise UnusableFileError(checked.source, checked.problems)
        documents.append(Document(checked.kind, checked.source.text))
    return Definitions(tuple(documents))


def _read(path: Path) -> Source:
    try:
        return read_source(str(path))
    except DefinitionError as error:
        raise UnusableFileError(Source(str(path), ""), error.problems) from None
    except click.ClickException as error:
        raise WrongCallError(error.message) from None
