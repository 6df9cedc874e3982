"""The documentation names what there is, and nothing that there isn't."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from tramontane.cli import main
from tramontane.cli.settings import MEANINGS
from tramontane.config import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCS = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
REFERENCE = (ROOT / "docs/reference/command-line.md", ROOT / "docs/reference/settings.md")

_SHELL = re.compile(r"```sh\n(.*?)```", re.DOTALL)
_LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def commands(
    group: click.Group, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with its full name."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


COMMANDS = dict(commands(main))
LEAF_COMMANDS = {path: command for path, command in COMMANDS.items() if not isinstance(command, click.Group)}
OPTIONS = [
    (path, option)
    for path, command in LEAF_COMMANDS.items()
    for parameter in command.params
    if isinstance(parameter, click.Option)
    for option in (*parameter.opts, *parameter.secondary_opts)
]


def shell_lines() -> list[tuple[str, list[str]]]:
    """Every command line that the documentation shows, without comments."""
    return [
        (path.name, words)
        for path in DOCS
        for block in _SHELL.findall(path.read_text(encoding="utf-8"))
        for line in block.splitlines()
        if (words := shlex.split(line, comments=True))
    ]


def lines_of(program: str) -> list[tuple[str, list[str]]]:
    return [(name, words[1:]) for name, words in shell_lines() if words[0] == program]


def find(words: list[str]) -> click.Command:
    """Return the command that a line calls."""
    for length in (2, 1):
        if tuple(words[:length]) in LEAF_COMMANDS:
            return LEAF_COMMANDS[tuple(words[:length])]
    raise AssertionError(f"there is no command 'tramontane {' '.join(words)}'")


@pytest.mark.parametrize(
    ("path", "option"), OPTIONS, ids=lambda value: " ".join(value) if isinstance(value, tuple) else value
)
def test_every_option_is_in_the_reference(path: tuple[str, ...], option: str) -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in REFERENCE)
    assert re.search(rf"`{re.escape(option)}[` ]", text), f"{' '.join(path)} {option}"


@pytest.mark.parametrize("path", LEAF_COMMANDS, ids=" ".join)
def test_every_command_is_in_the_reference(path: tuple[str, ...]) -> None:
    assert f"## tramontane {' '.join(path)}" in REFERENCE[0].read_text(encoding="utf-8")


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_help(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    assert command.help
    assert all(option.help for option in command.params if isinstance(option, click.Option))


def test_every_line_that_calls_the_program_is_one_that_it_takes() -> None:
    lines = [words for _, words in lines_of("tramontane")]
    assert len(lines) >= 4
    for words in lines:
        plain = [word for word in words if word not in ("&", "|")]
        command = find(plain)
        known = {
            option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
        }
        used = {word.partition("=")[0] for word in plain if word.startswith("-") and word != "-"}
        assert used <= known, words


def test_every_make_target_that_is_shown_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    shown = {
        target
        for page in DOCS
        for target in re.findall(r"`?make ([a-z]+)\b`", page.read_text(encoding="utf-8"))
    }
    shown |= {words[0] for _, words in lines_of("make")}
    assert {"demo", "test"} <= shown
    assert shown <= targets


def test_the_readme_opens_with_the_demo_and_the_tests() -> None:
    (first, *_) = _SHELL.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert [shlex.split(line, comments=True) for line in first.splitlines()] == [
        ["make", "demo"],
        ["make", "test"],
    ]


def test_every_line_for_mistrals_client_is_a_command_of_it() -> None:
    found = importlib.util.find_spec("mistralclient")
    assert found is not None
    assert found.origin is not None
    shell = Path(found.origin).with_name("shell.py").read_text(encoding="utf-8")
    known = set(re.findall(r"^ +'([a-z-]+)':", shell, re.MULTILINE))
    used = {words[0] for _, words in lines_of("mistral")}
    assert used
    assert used <= known


def test_every_link_leads_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in DOCS
        for target in _LINK.findall(page.read_text(encoding="utf-8"))
        if not target.startswith("http") and not (page.parent / target).exists()
    ]
    assert broken == []


def test_every_library_has_a_reason() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    reasons = (ROOT / "docs/decisions/libraries.md").read_text(encoding="utf-8")
    names = re.findall(r'^    "([a-zA-Z0-9_-]+)[>\[=]', project, re.MULTILINE)
    rows = re.findall(r"^\| ([^|]+) \|", reasons, re.MULTILINE)
    explained = {name.strip() for row in rows for name in row.split(",")}
    assert len(names) > 15
    assert set(names) - explained == set()
    assert explained - set(names) - {"library", "---"} == set()


@pytest.mark.parametrize("field", dataclasses.fields(Settings), ids=lambda field: field.name)
def test_every_setting_is_in_the_reference_with_its_meaning(field: dataclasses.Field[Any]) -> None:
    (row,) = [
        line
        for line in REFERENCE[1].read_text(encoding="utf-8").splitlines()
        if f"`TRAMONTANE_{field.name.upper()}`" in line and line.startswith("|")
    ]
    assert f"`--{field.name.replace('_', '-')}`" in row
    assert MEANINGS[field.name] in row
    if field.metadata["ini"]:
        section, _, name = field.metadata["ini"].partition(".")
        assert f"`[{section}] {name}`" in row


def test_no_meaning_is_left_of_a_setting_that_is_gone() -> None:
    assert set(MEANINGS) == {field.name for field in dataclasses.fields(Settings)}


def test_the_layout_in_the_readme_names_every_part() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    parts = {path.name for path in (ROOT / "src/tramontane").iterdir() if any(path.glob("*.py"))}
    assert {part for part in parts if f"`{part}`" not in text and f"tramontane/{part}`" not in text} == set()
