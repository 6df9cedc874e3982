"""Rows as clients see them (REST specification, sections 4.2 to 4.4).

JSON columns go out as they are stored: a text that holds JSON. Tags are stored as JSON too, and are
spliced into the answer without being read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson
from starlette.responses import Response

from tramontane.api import times
from tramontane.store.reads.fields import Field

Encoder = Callable[[Sequence[Any]], dict[str, Any]]
_Convert = Callable[[Any], Any] | None

JSON = "application/json"


def _tags(text: str | None) -> Any:
    return [] if text is None else orjson.Fragment(text)


_CONVERTERS: dict[str, _Convert] = {
    "text": None,
    "uuid": None,
    "json": None,
    "int": None,
    "time": times.shown,
    "bool": bool,
    "tags": _tags,
}


@lru_cache(maxsize=512)
def encoder(fields: tuple[Field, ...]) -> Encoder:
    """Give the function that turns rows of these fields into JSON objects, in the same order."""
    steps = [(item.name, _CONVERTERS[item.kind]) for item in fields]

    def encode(row: Sequence[Any]) -> dict[str, Any]:
        return {
            name: value if convert is None else convert(value)
            for (name, convert), value in zip(steps, row, strict=True)
        }

    return encode


def answer(data: Any, status: int = 200, media: str = JSON) -> Response:
    """Write a JSON answer."""
    return Response(orjson.dumps(data), status, media_type=media)


def definition_answer(data: Any, status: int) -> Response:
    """Write the answer to an upload, whose type names the charset (clients have seen it for years)."""
    response = answer(data, status)
    response.headers["content-type"] = "application/json;charset=utf-8"
    return response


def no_content() -> Response:
    return Response(status_code=204)


def page(
    collection: str, items: Sequence[Mapping[str, Any]], link: str | None, total: int | None
) -> Response:
    """Write one page of a list; ``next`` and ``total`` appear only when they have something to say."""
    body: dict[str, Any] = {collection: items}
    if link is not None:
        body["next"] = link
    if total is not None:
        body["total"] = total
    return answer(body)
