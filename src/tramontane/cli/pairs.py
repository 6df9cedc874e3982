"""Options of the form ``key=value``, ``@file.json`` or ``{"key": …}`` that together make one map."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click


class Pairs(click.ParamType[dict[str, Any]]):
    """One part of a map; values are JSON where they can be read as JSON, and text otherwise."""

    name = "key=value|@file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        text = str(value)
        if text.startswith("@"):
            return self._read(Path(text[1:]), param, ctx)
        if text.lstrip().startswith("{"):
            return self._object(text, "the value", param, ctx)
        key, separator, word = text.partition("=")
        if not separator or not key:
            self.fail(f"'{text}' is neither key=value, @file.json nor a JSON object", param, ctx)
        return {key: _json_or_text(word)}

    def _read(self, path: Path, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            self.fail(f"{path} can't be read: {error.strerror}", param, ctx)
        except UnicodeDecodeError:
            self.fail(f"{path} isn't text in UTF-8", param, ctx)
        return self._object(text, str(path), param, ctx)

    def _object(
        self, text: str, origin: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, Any]:
        try:
            found = json.loads(text)
        except ValueError as error:
            self.fail(f"{origin} isn't JSON: {error}", param, ctx)
        if not isinstance(found, dict):
            self.fail(f'{origin} must be a JSON object, such as {{"key": 1}}', param, ctx)
        return found


def together(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Merge the parts in their order; a later key replaces an earlier one."""
    return {key: value for part in parts for key, value in part.items()}


def _json_or_text(word: str) -> Any:
    try:
        return json.loads(word)
    except ValueError:
        return word
