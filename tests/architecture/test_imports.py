"""Which part of the package may import which: the table of the design, and nothing beyond it.

The rules are about every import statement, also those for type checkers only and those inside
functions; the latter are allowed for optional dependencies alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import tramontane

PACKAGE = Path(tramontane.__file__).parent

LEAVES = frozenset({"clock", "errors", "results", "states", "values"})
LEAF_LIBRARIES = frozenset({"immutables", "orjson"})
ENGINE = LEAVES | {"lang", "expressions"}

RULES: dict[str, frozenset[str]] = {
    **dict.fromkeys(LEAVES, LEAVES),
    "expressions": LEAVES,
    "lang": LEAVES | {"expressions"},
    "core": ENGINE,
    "actions": ENGINE,
    "store": LEAVES | {"core.state"},
    "service": ENGINE | {"core", "actions.registry", "store"},
    "runtime": LEAVES | {"actions", "service"},
    "auth": LEAVES | {"store"},
    "api": LEAVES | {"service", "store", "lang", "auth", "drawing", "core.state", "actions.registry"},
    "drawing": ENGINE,
    "ui": frozenset(),
    "worker": frozenset(),
    "rehearsal": ENGINE | {"core", "actions.registry"},
    "testing": ENGINE | {"core", "actions.registry", "rehearsal"},
}
"""Part -> parts (or single modules of parts) that it may import."""

UNRESTRICTED = frozenset(
    {
        "__init__",
        "__main__",
        "cli",
        "compose",
        "compose_auth",
        "compose_executor",
        "compose_metrics",
        "config",
    }
)
"""Where everything is wired together."""

OPTIONAL_DEPENDENCIES = frozenset({"asyncmy", "obstore", "uvloop"})
"""Libraries that a module may import inside a function, because they may be missing."""

OPTIONAL_MODULES = {"tramontane.store.mariadb", "tramontane.store.s3"}
"""Modules of ours that need such a library, imported where it may be missing."""


@dataclass(frozen=True)
class Import:
    """One imported module, and where that happens."""

    file: str
    line: int
    module: str
    is_inner: bool

    @property
    def part(self) -> str:
        return self.file.split("/")[0].removesuffix(".py")

    @property
    def target(self) -> str:
        """What is imported, without the package's own name."""
        return self.module.removeprefix("tramontane").removeprefix(".")

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"


def read_imports(source: str, file: str) -> Iterator[Import]:
    tree = ast.parse(source, file)
    inner = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                modules = [alias.name for alias in names]
            case ast.ImportFrom(module=str(module), names=names, level=0):
                modules = [f"{module}.{alias.name}" for alias in names]
            case ast.ImportFrom(names=names):
                modules = [f"a relative module ({alias.name})" for alias in names]
            case _:
                continue
        for module in modules:
            yield Import(file, node.lineno, module, id(node) in inner)


def all_imports() -> list[Import]:
    return [
        found
        for path in sorted(PACKAGE.rglob("*.py"))
        for found in read_imports(path.read_text(encoding="utf-8"), path.relative_to(PACKAGE).as_posix())
    ]


def breaks_rules(found: Import) -> bool:
    """Tell whether an import crosses to a part that its own part may not know."""
    if found.module.startswith("a relative"):
        return True
    if found.module.split(".")[0] != "tramontane" or found.part in UNRESTRICTED:
        return False
    wanted = found.target.split(".")
    if not wanted[0] or wanted[0] == found.part:
        return False
    allowed = RULES.get(found.part, frozenset())
    return not any(wanted[: len(rule.split("."))] == rule.split(".") for rule in allowed)


def test_no_part_imports_a_part_that_it_may_not_know() -> None:
    assert [str(found) for found in all_imports() if breaks_rules(found)] == []


def test_every_part_of_the_package_has_a_rule() -> None:
    parts = {
        path.name.removesuffix(".py")
        for path in PACKAGE.iterdir()
        if path.suffix == ".py" or (path.is_dir() and any(path.rglob("*.py")))
    }
    assert parts - set(RULES) - UNRESTRICTED == set()


def test_leaves_use_the_standard_library_and_their_few_libraries_only(
    stdlib: frozenset[str],
) -> None:
    foreign = [
        str(found)
        for found in all_imports()
        if found.part in LEAVES and found.module.split(".")[0] not in stdlib | LEAF_LIBRARIES | {"tramontane"}
    ]
    assert foreign == []


def test_functions_import_optional_dependencies_only() -> None:
    inner = [
        str(found)
        for found in all_imports()
        if found.is_inner
        and found.module.split(".")[0] not in OPTIONAL_DEPENDENCIES
        and found.module.rpartition(".")[0] not in OPTIONAL_MODULES
    ]
    assert inner == []


def test_the_core_does_no_input_or_output() -> None:
    outside = {
        "aiohttp",
        "aiosqlite",
        "asyncio",
        "asyncpg",
        "logging",
        "os",
        "random",
        "socket",
        "sqlalchemy",
        "sqlite3",
        "subprocess",
        "threading",
        "time",
        "uuid",
    }
    found = [
        str(entry)
        for entry in all_imports()
        if entry.part == "core" and entry.module.split(".")[0] in outside
    ]
    assert found == []


def test_no_package_has_a_name_that_says_nothing() -> None:
    vague = {"utils", "util", "common", "helpers", "manager", "managers", "misc"}
    assert [str(p) for p in PACKAGE.rglob("*") if p.stem in vague] == []


@pytest.mark.parametrize(
    ("file", "source", "expected"),
    [
        ("core/decide.py", "from tramontane.store import schema", True),
        ("core/decide.py", "import tramontane.store.schema", True),
        ("core/decide.py", "from tramontane import store", True),
        ("core/decide.py", "def f():\n    from tramontane.service import turn", True),
        ("core/decide.py", "from . import state", True),
        ("core/decide.py", "from tramontane.lang.spec import TaskSpec", False),
        ("core/decide.py", "from tramontane.core.state import Task", False),
        ("store/codec.py", "from tramontane.core.state import Task", False),
        ("store/codec.py", "from tramontane.core.decide import decide", True),
        ("store/codec.py", "from tramontane.core import decide", True),
        ("ui/__init__.py", "from tramontane.errors import Problem", True),
        ("unheard_of/x.py", "from tramontane.errors import Problem", True),
        ("cli/run.py", "from tramontane.compose import open_node", False),
        ("core/decide.py", "from tramontane import __version__", True),
    ],
)
def test_the_rules_are_told_apart(file: str, source: str, expected: bool) -> None:
    assert [breaks_rules(found) for found in read_imports(source, file)] == [expected]
