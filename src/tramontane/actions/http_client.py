"""Sending HTTP requests for actions: sessions, redirects, limits, under the egress policy.

One :class:`HttpClient` serves all actions of a process. It keeps its sessions per event loop and
shares nothing else between requests: no cookies, no credentials. Everything that the network does
wrong becomes an :class:`ActionError`; what the policy refuses, an :class:`EgressError`.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import aiohttp
from aiohttp.abc import AbstractResolver

from tramontane.actions.base import ActionError
from tramontane.actions.egress import (
    DEFAULT_DENIED_CIDRS,
    EgressPolicy,
    GuardedResolver,
    Target,
    parse_target,
)

DEFAULT_SENSITIVE_HEADERS = (
    "Authorization",
    "Proxy-Authorization",
    "X-Auth-Token",
    "X-Subject-Token",
    "X-Service-Token",
    "X-Storage-Token",
    "X-Target-Auth-Token",
    "X-Api-Key",
    "Cookie",
    "Set-Cookie",
)

_MOST_REDIRECTS = 30
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
_BODYLESS = frozenset({204, 304})
_BODY_HEADERS = frozenset({"content-length", "content-type", "transfer-encoding"})
_LONGEST_HEADER = 65536
_SCHEME = re.compile(r"[a-zA-Z0-9+.-]+://")


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Options of the HTTP actions (sections [action_std_http] and [action_logging] of the settings).

    ``default_timeout`` counts seconds, 0 means none; ``max_response_bytes`` bounds a response's
    body, 0 means no bound.
    """

    default_timeout: float = 60
    max_response_bytes: int = 5 * 2**20
    allowed_hosts: tuple[str, ...] = ()
    denied_cidrs: tuple[str, ...] = DEFAULT_DENIED_CIDRS
    hide_request_body: bool = True
    hide_response_body: bool = True
    sensitive_headers: tuple[str, ...] = DEFAULT_SENSITIVE_HEADERS


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request, complete but for what its target decides. ``timeout`` None: none.

    ``verify``: False, True or the path of a CA bundle. ``proxies`` maps a scheme (or
    ``scheme://host``, or ``all``) to a proxy's URL.
    """

    method: str
    target: Target
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    cookies: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    timeout: float | None = None
    follow_redirects: bool = False
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    verify: bool | str = True


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A response, read to its end. ``history`` lists the redirects before it as (status, URL)."""

    status: int
    reason: str
    url: str
    headers: Mapping[str, str]
    cookies: Mapping[str, str]
    body: bytes
    history: tuple[tuple[int, str], ...]
    elapsed: float


@dataclass(slots=True)
class _Sessions:
    """What one event loop needs. Requests that can't be repeated get connections of their own, as
    one that the other side is just closing would make them fail."""

    resolver: GuardedResolver
    reusing: aiohttp.ClientSession
    fresh: aiohttp.ClientSession


class HttpClient:
    """Sends requests; ``new_resolver`` makes the resolver of names, within an event loop."""

    def __init__(
        self,
        settings: HttpSettings,
        new_resolver: Callable[[], AbstractResolver] = aiohttp.ThreadedResolver,
    ) -> None:
        self.settings = settings
        self.policy = EgressPolicy.of(settings.allowed_hosts, settings.denied_cidrs)
        self._new_resolver = new_resolver
        self._sessions: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Sessions]
        self._sessions = weakref.WeakKeyDictionary()
        self._trusted: dict[str, tuple[int, ssl.SSLContext]] = {}

    async def send(self, request: HttpRequest) -> HttpAnswer:
        """Send a request, follow its redirects if it says so, and read the response.

        Raises:
            EgressError: when the policy refuses the target, a redirect or the proxy.
            ActionError: when no response was received, or one that is too large.
        """
        try:
            return await self._send(request)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, TypeError) as error:
            # EgressError and ActionError aren't among these; they pass.
            raise send_failure(str(error) or _silent_reason(error)) from error

    async def close(self) -> None:
        """Close the sessions of the running event loop."""
        sessions = self._sessions.pop(asyncio.get_running_loop(), None)
        if sessions is not None:
            await sessions.reusing.close()
            await sessions.fresh.close()

    async def _send(self, request: HttpRequest) -> HttpAnswer:
        history: list[tuple[int, str]] = []
        jar: aiohttp.CookieJar | None = None
        while True:
            started = time.monotonic()
            response = await self._exchange(request)
            try:
                elapsed = time.monotonic() - started
                location = _redirection(request, response)
                if location is None:
                    body = await self._read(request, response)
                    return _answer(response, body, tuple(history), elapsed)
            finally:
                response.release()
            history.append((response.status, str(response.url)))
            if len(history) > _MOST_REDIRECTS:
                raise send_failure(f"exceeded {_MOST_REDIRECTS} redirects.")
            jar = jar or aiohttp.CookieJar(unsafe=True)
            jar.update_cookies(response.cookies, response.url)
            request = _redirected(request, response.status, parse_target(location), jar)

    async def _exchange(self, request: HttpRequest) -> aiohttp.ClientResponse:
        target = request.target
        sessions = self._of_this_loop()
        self.policy.check(target)
        proxy = _proxy_for(target, request.proxies)
        if proxy is not None:
            self.policy.check(proxy)
            await sessions.resolver.check(target)
        session = sessions.reusing if request.method.upper() in _REPEATABLE else sessions.fresh
        headers = dict(request.headers)
        if request.cookies and not any(name.lower() == "cookie" for name in headers):
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in request.cookies.items())
        return await session.request(
            request.method,
            target.url,
            headers=headers,
            data=request.body,
            skip_auto_headers=("Content-Type",),
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None, connect=request.timeout, sock_read=request.timeout),
            ssl=await self._trust(request.verify) if target.scheme == "https" else True,
            proxy=proxy.url if proxy else None,
            proxy_auth=aiohttp.BasicAuth(*proxy.credentials) if proxy and proxy.credentials else None,
        )

    async def _read(self, request: HttpRequest, response: aiohttp.ClientResponse) -> bytes:
        """Read the body up to the limit, whatever its headers say."""
        limit = self.settings.max_response_bytes
        declared = response.content_length
        has_body = request.method.upper() != "HEAD" and response.status not in _BODYLESS
        if limit and has_body and declared is not None and declared > limit:
            response.close()
            raise ActionError(f"HTTP response is too large (Content-Length={declared}, limit={limit} bytes).")
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if limit and size > limit:
                response.close()
                raise ActionError(
                    f"HTTP response is too large (no end after the limit, limit={limit} bytes)."
                )
            chunks.append(chunk)
        return b"".join(chunks)

    async def _trust(self, verify: bool | str) -> ssl.SSLContext | bool:
        if isinstance(verify, bool):
            return verify
        try:
            return await asyncio.to_thread(self._context_of, verify)
        except OSError as error:  # ssl.SSLError is one
            raise send_failure(
                f"the CA bundle of 'verify' can't be used ({error.strerror or error})."
            ) from error

    def _context_of(self, bundle: str) -> ssl.SSLContext:
        path = Path(bundle)
        changed = path.stat().st_mtime_ns
        known = self._trusted.get(bundle)
        if known is not None and known[0] == changed:
            return known[1]
        if path.is_dir():
            context = ssl.create_default_context(capath=bundle)
        else:
            context = ssl.create_default_context(cafile=bundle)
        self._trusted[bundle] = (changed, context)
        return context

    def _of_this_loop(self) -> _Sessions:
        loop = asyncio.get_running_loop()
        sessions = self._sessions.get(loop)
        if sessions is None:
            resolver = GuardedResolver(self.policy, self._new_resolver())
            sessions = _Sessions(resolver, _session(resolver, reuse=True), _session(resolver, reuse=False))
            self._sessions[loop] = sessions
        return sessions


def send_failure(reason: str) -> ActionError:
    """Word a failure to get any response (section 2.6)."""
    return ActionError(f"Failed to send HTTP request: {reason}")


def _session(resolver: AbstractResolver, *, reuse: bool) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(resolver=resolver, limit=0, force_close=not reuse)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "tramontane"},
        max_line_size=_LONGEST_HEADER,
        max_field_size=_LONGEST_HEADER,
    )


def _silent_reason(error: Exception) -> str:
    return "timed out." if isinstance(error, TimeoutError) else type(error).__name__


def _redirection(request: HttpRequest, response: aiohttp.ClientResponse) -> str | None:
    """Say where the response wants the request to go; None when that isn't followed."""
    location = response.headers.get("Location")
    if not request.follow_redirects or response.status not in _REDIRECTS or not location:
        return None
    return urljoin(str(response.url), location)


def _redirected(request: HttpRequest, status: int, target: Target, jar: aiohttp.CookieJar) -> HttpRequest:
    """Build the request that follows a redirect; to another place it goes without credentials."""
    method, body = request.method, request.body
    headers = dict(request.headers)
    becomes_get = (status == 303 or status == 302) and method.upper() != "HEAD"
    if becomes_get or (status == 301 and method.upper() == "POST"):
        method, body = "GET", None
        headers = {name: value for name, value in headers.items() if name.lower() not in _BODY_HEADERS}
    cookies: dict[str, str] = {}
    if _same_place(request.target, target):
        cookies.update(request.cookies)
    else:
        secret = ("authorization", "cookie", "x-auth-token")
        headers = {name: value for name, value in headers.items() if name.lower() not in secret}
    cookies.update({name: morsel.value for name, morsel in jar.filter_cookies(target.url).items()})
    return replace(request, method=method, body=body, headers=headers, cookies=cookies, target=target)


def _same_place(old: Target, new: Target) -> bool:
    if old.host != new.host:
        return False
    upgraded = (old.scheme, old.url.port, new.scheme, new.url.port) == ("http", 80, "https", 443)
    return upgraded or (old.scheme, old.url.port) == (new.scheme, new.url.port)


def _proxy_for(target: Target, proxies: Mapping[str, str]) -> Target | None:
    """Choose the proxy, the most exact entry first; one without a scheme is an http proxy."""
    for key in (f"{target.scheme}://{target.host}", target.scheme, f"all://{target.host}", "all"):
        if proxy := proxies.get(key):
            return parse_target(proxy if _SCHEME.match(proxy) else f"http://{proxy}")
    return None


def _answer(
    response: aiohttp.ClientResponse, body: bytes, history: tuple[tuple[int, str], ...], elapsed: float
) -> HttpAnswer:
    headers: dict[str, Any] = {}
    for name, value in response.headers.items():
        same = next((known for known in headers if known.lower() == name.lower()), name)
        headers[same] = f"{headers[same]}, {value}" if same in headers else value
    return HttpAnswer(
        status=response.status,
        reason=response.reason or "",
        url=str(response.url),
        headers=headers,
        cookies={name: morsel.value for name, morsel in response.cookies.items()},
        body=body,
        history=history,
        elapsed=elapsed,
    )
