"""``tramontane limit`` as operators see it."""

from __future__ import annotations

from pathlib import Path

from tests.cli import program
from tests.cli.program import assert_one_clear_line

DATABASE = ("--database", "sqlite:///state.sqlite")


def limit(folder: Path, *arguments: str) -> str:
    """Run the command; gives what it prints."""
    end = program.run("limit", *arguments, *DATABASE, cwd=folder)
    assert end.status == 0, end.err
    return end.out


def test_limits_are_set_listed_and_removed(tmp_path: Path) -> None:
    assert limit(tmp_path, "set", "--pool", "gpu", "4") == "pool gpu: 4 at the same time.\n"
    limit(tmp_path, "set", "--action", "std.ssh", "10")
    limit(tmp_path, "set", "--action", "std.ssh", "0")
    title, *lines = limit(tmp_path, "list").splitlines()
    assert title.split() == ["KIND", "LIMIT", "TAKEN", "WAITING", "NAME"]
    assert [line.split() for line in lines] == [
        ["action", "0", "0", "0", "std.ssh"],
        ["pool", "4", "0", "0", "gpu"],
    ]
    assert limit(tmp_path, "remove", "--pool", "gpu") == "pool gpu: no limit any more.\n"
    assert "gpu" not in limit(tmp_path, "list")


def test_what_can_not_be_meant_is_refused(tmp_path: Path) -> None:
    for arguments in (
        ("set", "3"),
        ("set", "--pool", "a", "--action", "b", "3"),
        ("set", "--pool", "a", "-3"),
    ):
        end = program.run("limit", *arguments, *DATABASE, cwd=tmp_path)
        assert end.status == 2, arguments
    end = program.run("limit", "remove", "--pool", "gpu", *DATABASE, cwd=tmp_path)
    assert end.status == 1
    assert_one_clear_line(end.err)
