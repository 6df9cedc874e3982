from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from tramontane.cli.pairs import Pairs, together


def read(text: str) -> dict[str, Any]:
    return Pairs().convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=1", {"a": 1}),
        ("a=true", {"a": True}),
        ('a="1"', {"a": "1"}),
        ("a=[1, 2]", {"a": [1, 2]}),
        ("a=some words", {"a": "some words"}),
        ("a=", {"a": ""}),
        ("a=b=c", {"a": "b=c"}),
        ('{"a": {"b": 1}}', {"a": {"b": 1}}),
    ],
)
def test_values_are_json_where_they_can_be_and_text_otherwise(text: str, value: dict[str, Any]) -> None:
    assert read(text) == value


def test_a_file_gives_a_whole_map(tmp_path: Path) -> None:
    path = tmp_path / "input.json"
    path.write_text('{"a": 1, "b": [2]}', encoding="utf-8")
    assert read(f"@{path}") == {"a": 1, "b": [2]}


def test_a_later_part_replaces_an_earlier_one() -> None:
    assert together([{"a": 1, "b": 1}, {"b": 2}]) == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a", "neither key=value, @file.json nor a JSON object"),
        ("=1", "neither key=value"),
        ("{", "isn't JSON"),
        ("@/does/not/exist.json", "No such file"),
    ],
)
def test_what_can_not_be_read_says_why(text: str, words: str) -> None:
    with pytest.raises(click.BadParameter, match=words):
        read(text)


@pytest.mark.parametrize(
    ("content", "words"), [(b"[1]", "must be a JSON object"), (b"{", "isn't JSON"), (b"\xff", "isn't text")]
)
def test_a_file_without_a_json_object_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "input.json"
    path.write_bytes(content)
    with pytest.raises(click.BadParameter, match=words):
        read(f"@{path}")
