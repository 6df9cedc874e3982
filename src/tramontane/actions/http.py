"""The action std.http (action specification, section 2.6): input, result and what is logged of both."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Mapping
from json import dumps
from typing import Any
from urllib.parse import urlencode

from aiohttp.helpers import parse_mimetype

from tramontane.actions.base import Action, ActionContext, InputRefusedError
from tramontane.actions.egress import InvalidUrlError, parse_target
from tramontane.actions.http_client import HttpAnswer, HttpClient, HttpRequest, send_failure
from tramontane.actions.masking import MASK, mask, mask_url
from tramontane.results import Result
from tramontane.values import decode

log = logging.getLogger(__name__)

_SUCCESSES = range(200, 307)
_LARGE_BODY = 256 * 2**10  # bytes; parsing more would hold the event loop up
_SLOW_CODECS = frozenset({"idna", "punycode"})  # no encodings of bodies, and slow without bound
_HIDDEN = "<hidden>"
_LONGEST_LOGGED_BODY = 2000


class HttpAction(Action):
    """Sends an HTTP request and returns the response.

    A status outside 200..306 is an error that holds the whole response.
    """

    uses_security = False

    def __init__(
        self,
        url: Any,
        method: Any = "GET",
        params: Any = None,
        body: Any = None,
        json: Any = None,
        headers: Any = None,
        cookies: Any = None,
        auth: Any = None,
        timeout: Any = None,
        allow_redirects: Any = None,
        proxies: Any = None,
        verify: Any = None,
        *,
        client: HttpClient,
    ) -> None:
        if body and json:
            raise InputRefusedError("'body' and 'json' can't be given together; use one of them")
        if not isinstance(url, str) or not isinstance(method, str):
            raise InputRefusedError("'url' and 'method' must be text")
        self.url = url
        self.method = method
        self.params = params
        self.body = body
        self.json = json
        self.headers = _map_of("headers", headers)
        self.cookies = _map_of("cookies", cookies)
        self.auth = _user_and_password(auth)
        self.timeout = _timeout(timeout, client.settings.default_timeout)
        self.allow_redirects = bool(allow_redirects)
        self.proxies = _map_of("proxies", proxies)
        self.verify = verify
        self._query = _query(params)
        self._content = _content(body, json)
        self._client = client

    async def run(self, context: ActionContext) -> Result:
        request = self._request(context)
        self._log_request(request)
        answer = await self._client.send(request)
        self._log_answer(answer)
        result = await _result_map(answer)
        return Result(result) if answer.status in _SUCCESSES else Result(error=result)

    def added_headers(self, context: ActionContext) -> Mapping[str, str]:
        """Headers that the action sends besides those of its input."""
        return {}

    def _request(self, context: ActionContext) -> HttpRequest:
        try:
            target = parse_target(self.url, self._query)
        except InvalidUrlError as error:
            raise send_failure(str(error)) from None
        headers = {**_header_texts(self.headers), **self.added_headers(context)}
        if self.json is not None and not self.body and not _has(headers, "content-type"):
            headers["Content-Type"] = "application/json"
        credentials = self.auth or target.credentials
        if credentials is not None:
            headers = {name: text for name, text in headers.items() if name.lower() != "authorization"}
            headers["Authorization"] = _basic(*credentials)
        return HttpRequest(
            method=self.method,
            target=target,
            headers=headers,
            cookies={str(name): str(value) for name, value in self.cookies.items()},
            body=self._content,
            timeout=self.timeout,
            follow_redirects=self.allow_redirects,
            proxies={str(scheme): str(proxy) for scheme, proxy in self.proxies.items() if proxy},
            verify=self.verify if isinstance(self.verify, str) else self.verify is None or bool(self.verify),
        )

    def _log_request(self, request: HttpRequest) -> None:
        hides = self._client.settings.hide_request_body
        log.info(
            "HTTP request [method=%s, url=%s, params=%s, headers=%s, cookies=%s, auth=%s, timeout=%s, "
            "allow_redirects=%s, proxies=%s, verify=%s, body=%s, json=%s]",
            self.method,
            mask_url(self.url),
            mask(self.params) if isinstance(self.params, Mapping) else self.params and MASK,
            self._shown_headers(request.headers),
            MASK if self.cookies else None,
            (self.auth[0], MASK) if self.auth else None,
            self.timeout,
            self.allow_redirects,
            {scheme: mask_url(proxy) for scheme, proxy in request.proxies.items()},
            self.verify,
            _shown_body(self.body, hides),
            _shown_body(self.json, hides),
        )

    def _log_answer(self, answer: HttpAnswer) -> None:
        log.info(
            "HTTP response [status=%s, reason=%s, url=%s, headers=%s, elapsed=%.3f, body=%s]",
            answer.status,
            answer.reason,
            mask_url(answer.url),
            self._shown_headers(answer.headers),
            answer.elapsed,
            _shown_body(answer.body, self._client.settings.hide_response_body),
        )

    def _shown_headers(self, headers: Mapping[str, str]) -> Any:
        left_out = {name.lower() for name in self._client.settings.sensitive_headers}
        return mask({name: mask_url(text) for name, text in headers.items() if name.lower() not in left_out})


def _map_of(name: str, given: Any) -> Mapping[str, Any]:
    if given is None or given == "":
        return {}
    if not isinstance(given, Mapping):
        raise InputRefusedError(f"'{name}' must be a map")
    return given


def _user_and_password(given: Any) -> tuple[str, str] | None:
    """Read credentials: ``user:password``, split at the first colon, or a pair."""
    if not given:
        return None
    if isinstance(given, str) and ":" in given:
        user, _, password = given.partition(":")
        return user, password
    if isinstance(given, (list, tuple)) and len(given) == 2:
        return str(given[0]), str(given[1])
    raise InputRefusedError(
        "'auth' must be 'user:password' or a pair of both; tokens go into the header Authorization"
    )


def _basic(user: str, password: str) -> str:
    text = f"{user}:{password}"
    try:
        raw = text.encode("latin-1")
    except UnicodeEncodeError:
        raw = text.encode()
    return f"Basic {base64.b64encode(raw).decode()}"


def _timeout(given: Any, default: float) -> float | None:
    """Read the limit in seconds; 0 means none."""
    if given is None:
        return default or None
    try:
        seconds = float(given)
    except (TypeError, ValueError, OverflowError):
        raise InputRefusedError("'timeout' must be a number of seconds") from None
    if not 0 <= seconds < float("inf"):
        raise InputRefusedError("'timeout' must be a number of seconds, 0 for no limit")
    return seconds or None


def _query(params: Any) -> str:
    """Encode the parameters of the query; those that are null are left out, lists are repeated."""
    if not params:
        return ""
    if isinstance(params, str):
        return params.lstrip("?&")
    if isinstance(params, bytes):
        return params.decode("utf-8", "replace").lstrip("?&")
    if isinstance(params, Mapping):
        return urlencode({name: value for name, value in params.items() if value is not None}, doseq=True)
    raise InputRefusedError("'params' must be a map or text")


def _content(body: Any, json: Any) -> bytes | None:
    """Encode what is sent: ``body`` as it is, a map as JSON; ``json`` when there is no body."""
    if isinstance(body, Mapping):
        return dumps(body).encode()
    if isinstance(body, (str, bytes)) and body:
        return body if isinstance(body, bytes) else body.encode()
    if body:
        raise InputRefusedError("'body' must be a map or text; use 'json' for other values")
    if json is None:
        return None
    try:
        return dumps(json, allow_nan=False).encode()
    except (TypeError, ValueError):
        raise InputRefusedError("'json' must be a JSON value, without NaN and infinities") from None


def _header_texts(headers: Mapping[str, Any]) -> dict[str, str]:
    """Turn numbers and booleans into text, leave out what is null, refuse all else."""
    texts: dict[str, str] = {}
    for name, value in headers.items():
        if isinstance(value, (str, int, float)):
            texts[name] = str(value)
        elif value is not None:
            raise send_failure(f"the value of header '{name}' must be text, a number or a boolean.")
    return texts


def _has(headers: Mapping[str, str], name: str) -> bool:
    return any(known.lower() == name for known in headers)


def _shown_body(body: Any, hidden: bool) -> Any:
    if body is None or body in ("", b""):
        return body
    return _HIDDEN if hidden else str(mask(body))[:_LONGEST_LOGGED_BODY]


async def _result_map(answer: HttpAnswer) -> dict[str, Any]:
    """Build the nine entries of the action's result."""
    encoding, guesses = _encodings(answer.headers)
    if len(answer.body) > _LARGE_BODY:
        content = await asyncio.to_thread(_readable, answer.body, guesses)
    else:
        content = _readable(answer.body, guesses)
    return {
        "content": content,
        "status": answer.status,
        "headers": answer.headers,
        "url": answer.url,
        "history": [{"status": status, "url": url} for status, url in answer.history],
        "encoding": encoding,
        "reason": answer.reason,
        "cookies": answer.cookies,
        "elapsed": answer.elapsed,
    }


def _encodings(headers: Mapping[str, str]) -> tuple[str | None, tuple[str, ...]]:
    """Name the body's encoding, declared or usual for its content type, and those to try in turn."""
    declared = next((text for name, text in headers.items() if name.lower() == "content-type"), "")
    charset = parse_mimetype(declared).parameters.get("charset", "").strip("'\"")
    if charset:
        return charset, (charset,) if charset.lower() not in _SLOW_CODECS else ()
    if "text" in declared:
        # Much text is sent as UTF-8 without saying so.
        return "ISO-8859-1", ("utf-8", "ISO-8859-1")
    return ("utf-8" if "application/json" in declared else None), ("utf-8",)


def _readable(body: bytes, encodings: tuple[str, ...]) -> Any:
    """Read the body as JSON, or as text; what is neither comes back as the bytes that it is."""
    if not body:
        return ""
    text = _text(body, encodings)
    if text is None:
        return body
    try:
        return decode(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        return text


def _text(body: bytes, encodings: tuple[str, ...]) -> str | None:
    for encoding in encodings:
        try:
            return body.decode(encoding)
        except (LookupError, UnicodeDecodeError):
            continue
    return None
