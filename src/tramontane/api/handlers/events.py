"""Watching an execution: the live stream of its changes."""

from __future__ import annotations

import re
from typing import Final

from starlette.responses import Response

from tramontane.api.changes import ENDED, ChangeFeed
from tramontane.api.context import Api
from tramontane.api.encoding import no_content
from tramontane.api.event_stream import EventStream
from tramontane.api.request import Request
from tramontane.api.values_in import flag
from tramontane.errors import BadRequestError
from tramontane.states import COMPLETED
from tramontane.store.reads.changes import read_mark
from tramontane.store.reads.objects import read_by_id
from tramontane.store.reads.resources import EXECUTIONS

_PLACE: Final = tuple(EXECUTIONS.by_name[name] for name in ("state", "root_execution_id", "updated_at"))
_POSITION: Final = re.compile(rf"(\d{{1,18}})({re.escape(ENDED)})?", re.ASCII)


async def stream_events(api: Api, request: Request) -> Response:
    """Send the changes of an execution, its tasks and actions as they happen, until it has ended.

    With ``recursive`` those of all sub-workflows too. ``Last-Event-ID`` (or ``last_event_id``) goes on
    where a stream broke off; one that had come to its end is answered with 204, which ends the
    reconnecting of browsers.
    """
    given = request.allow_parameters("recursive", "last_event_id")
    recursive = flag("recursive", given.get("recursive", ""))
    position = _position(request)
    execution_id = request.arguments["id"]
    state, root_id, updated_at = await read_by_id(
        api.reader, EXECUTIONS, _PLACE, execution_id, request.caller
    )
    after, had_ended = position
    if had_ended and state in COMPLETED and updated_at <= after:
        mark = await read_mark(api.reader, execution_id, recursive=recursive)
        if mark is not None and not mark.unfinished:
            return no_content()
    api.signals.require_room()
    feed = ChangeFeed(api, execution_id, root_id or execution_id, recursive=recursive, after=after)
    return EventStream(feed)


def _position(request: Request) -> tuple[int, bool]:
    """The time of the last change that the client has seen, and whether it saw the end."""
    given = request.headers.get("last-event-id") or request.query.get("last_event_id", "")
    if not given:
        return 0, False
    match = _POSITION.fullmatch(given)
    if match is None:
        raise BadRequestError(f"'{given}' isn't the id of an event of this stream.")
    return int(match.group(1)), match.group(2) is not None
