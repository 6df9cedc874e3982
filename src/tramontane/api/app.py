"""What happens to every request, in this order:

1. an XML body is refused (415);
2. the path and method are looked up (404, 405);
3. the caller is authenticated (401), unless the endpoint is public; headers may name another cloud
   for what this request runs (400 if they can't be used);
4. during maintenance nothing but reading goes on (423), save for what ends it or lets work end;
5. an ``Accept`` that admits no JSON is refused (406), before anything was done;
6. the policy's rule for the endpoint is checked (403);
7. the endpoint's handler runs.

Errors of any step become the answer that reports them (:mod:`tramontane.api.faults`), and every answer
carries the id of its request, under which the log has more. Large answers are compressed for clients that
take that. All of this is plain ASGI, because a request passes through it in microseconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tramontane.api.compression import compress
from tramontane.api.context import Api
from tramontane.api.faults import HttpError, answer_error
from tramontane.api.maintenance import refuse_in_maintenance
from tramontane.api.media import refuse_xml, require_acceptable
from tramontane.api.request import Request, header_links, path_segments
from tramontane.api.request_ids import REQUEST_ID, given_id, new_id
from tramontane.api.routes import ROUTES
from tramontane.api.routing import Endpoint, Router
from tramontane.api.target_cloud import with_target
from tramontane.auth.policy import enforce

log = logging.getLogger(__name__)

_CORS_HEADERS: Final = (
    "X-Auth-Token",
    "X-Identity-Status",
    "X-Roles",
    "X-Service-Catalog",
    "X-User-Id",
    "X-Tenant-Id",
    "X-Project-Id",
    "X-User-Name",
    "X-Project-Name",
)
_CORS_EXPOSED: Final = (
    "X-Auth-Token",
    "X-Subject-Token",
    "X-Service-Token",
    "X-Project-Id",
    "X-User-Name",
    "X-Project-Name",
)


class Application:
    """The ASGI application. ``mounts`` answer whole trees of paths below a first segment (web pages)."""

    def __init__(
        self,
        api: Api,
        routes: Mapping[str, Mapping[str, Endpoint]] = ROUTES,
        mounts: Mapping[str, ASGIApp] | None = None,
    ) -> None:
        self._api = api
        self._router = Router(routes)
        self._mounts = dict(mounts or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _follow_lifespan(receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"connections of type {scope['type']} aren't served")
        segments = path_segments(scope)
        if segments and segments[0] in self._mounts:
            await self._mounts[segments[0]](scope, receive, send)
            return
        request = Request(scope, receive, new_id(), self._api.settings.max_body_bytes)
        shown_id = given_id(request.headers) or request.id
        REQUEST_ID.set(shown_id)
        response = await self._answer(request, segments)
        await compress(response, request.headers)
        response.raw_headers += (
            (b"x-openstack-request-id", request.id.encode()),
            (b"x-request-id", shown_id.encode()),
        )
        await response(scope, receive, send)

    async def _answer(self, request: Request, segments: list[str]) -> Response:
        try:
            return await self._dispatch(request, segments)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            return answer_error(error)

    async def _dispatch(self, request: Request, segments: list[str]) -> Response:
        api = self._api
        refuse_xml(request.headers)
        if request.method == "OPTIONS":
            return Response(status_code=200)
        try:
            endpoint, request.arguments = self._router.find(segments, request.method)
        except HttpError:
            await api.authenticator.authenticate(request.headers)
            raise
        if not endpoint.is_public:
            caller = await api.authenticator.authenticate(request.headers)
            request.caller = with_target(caller, request.headers)
        await refuse_in_maintenance(api, request, segments)
        require_acceptable(request.headers, endpoint.also_accepted)
        request.base_url = header_links(request.scope, request.headers, api.settings.trust_proxy_headers)
        if endpoint.rule is not None:
            enforce(api.rules, endpoint.rule, request.caller)
        return await endpoint.handler(api, request)


def create_app(api: Api, mounts: Mapping[str, ASGIApp] | None = None) -> ASGIApp:
    """Build what an ASGI server serves."""
    application: ASGIApp = Application(api, mounts=mounts)
    if api.settings.cors_origins:
        application = CORSMiddleware(
            application,
            allow_origins=api.settings.cors_origins,
            allow_methods=("GET", "PUT", "POST", "DELETE", "PATCH"),
            allow_headers=_CORS_HEADERS,
            expose_headers=_CORS_EXPOSED,
        )
    return application


async def _follow_lifespan(receive: Receive, send: Send) -> None:
    """Agree to start and to stop: whoever composed the application starts and stops what is behind it."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
