"""Media types: what may come in, what may go out (REST specification, section 2)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import orjson

from tramontane.api.faults import HttpError
from tramontane.errors import BadRequestError

_JSON_BODIES: Final = frozenset({"", "application/json", "text/javascript", "application/javascript"})
_JSON_ANSWERS: Final = frozenset({"*/*", "application/*", "application/json"})
PLAIN_TEXT: Final = ("text/*", "text/plain")
METRICS: Final = (*PLAIN_TEXT, "application/openmetrics-text")
EVENT_STREAM: Final = ("text/*", "text/event-stream")


def refuse_xml(headers: Mapping[str, str]) -> None:
    """Refuse XML bodies, whatever they are sent to."""
    media = _media_type(headers)
    if media in ("application/xml", "text/xml") or media.endswith("+xml"):
        raise HttpError(415, f"Bodies of type {media} aren't taken; send JSON.", announced=True)


def require_acceptable(headers: Mapping[str, str], also: Collection[str] = ()) -> None:
    """Refuse a request whose ``Accept`` admits neither JSON nor what else the endpoint may answer.

    Raises:
        HttpError: 406, before anything was done.
    """
    accept = headers.get("accept")
    if accept is None or accept in _JSON_ANSWERS or not accept.strip():
        return
    for item in accept.split(","):
        media, _, parameters = item.partition(";")
        media = media.strip().lower()
        if (media in _JSON_ANSWERS or media in also) and not _is_excluded(parameters):
            return
    given = " or ".join(("application/json", *(media for media in also if not media.endswith("*"))))
    raise HttpError(406, f"Answers are {given}, which 'Accept: {accept}' doesn't admit.")


def _is_excluded(parameters: str) -> bool:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return float(value) == 0
            except ValueError:
                return False
    return False


def read_object(headers: Mapping[str, str], raw: bytes) -> dict[str, Any]:
    """Read the JSON object that a request's body holds.

    Raises:
        HttpError: 415 for another media type.
        BadRequestError: for anything but one JSON object.
    """
    media = _media_type(headers)
    if media not in _JSON_BODIES:
        if media == "application/x-www-form-urlencoded":
            raise BadRequestError("Form data isn't taken here; send a JSON object.")
        raise HttpError(415, f"Bodies of type {media} aren't taken here; send application/json.")
    if not raw.strip():
        raise BadRequestError("The request body is empty; a JSON object is needed.")
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadRequestError(f"The request body isn't valid JSON: {error}.") from None
    if not isinstance(body, dict):
        raise BadRequestError(f"The request body must be a JSON object, not {json_type(body)}.")
    return body


def read_document(raw: bytes) -> str:
    """Decode a definition; its media type is ignored, since clients send all sorts.

    Raises:
        BadRequestError: when it isn't UTF-8.
    """
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequestError(
            f"Definition could not be parsed: the text isn't UTF-8 (byte {error.start})."
        ) from None


def json_type(value: Any) -> str:
    """Name the JSON type of a decoded value, for texts to users."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list) else "an object"


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()
