"""One request, read as far as its handler needs it: path, query, headers, body, caller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from starlette.types import Receive, Scope

from tramontane.api.faults import HttpError
from tramontane.auth import Caller
from tramontane.errors import BadRequestError

_ONCE: Final = ("limit", "marker")


class Request:
    """What a handler gets to see.

    ``arguments`` holds the variable segments of the path by name; ``caller`` is set once the request
    is authenticated. Header names are lower case; of a repeated header the last value counts.
    """

    __slots__ = (
        "_body",
        "_query",
        "_receive",
        "arguments",
        "base_url",
        "caller",
        "headers",
        "id",
        "max_body",
        "method",
        "scope",
    )

    def __init__(self, scope: Scope, receive: Receive, request_id: str, max_body: int) -> None:
        self.scope = scope
        self._receive = receive
        self.method: str = scope["method"]
        self.headers: Mapping[str, str] = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        self.id = request_id
        self.max_body = max_body
        self.arguments: Mapping[str, str] = {}
        self.caller: Caller
        self.base_url = ""
        self._query: dict[str, str] | None = None
        self._body: bytes | None = None

    @property
    def query(self) -> dict[str, str]:
        """Parameters of the URL; of a repeated one the last counts.

        Raises:
            BadRequestError: when ``limit`` or ``marker`` is given twice.
        """
        if self._query is None:
            self._query = _parse_query(self.scope.get("query_string", b""))
        return self._query

    def allow_parameters(self, *names: str) -> dict[str, str]:
        """Give the parameters of the URL, all of which must be among ``names``."""
        for name in self.query:
            if name not in names:
                raise BadRequestError(unknown_parameter(name, names))
        return self.query

    async def body(self) -> bytes:
        """Give the whole body.

        Raises:
            HttpError: 413, as soon as the body is known to be larger than the limit.
        """
        if self._body is None:
            self._body = await self._read_body()
        return self._body

    async def _read_body(self) -> bytes:
        declared = self.headers.get("content-length", "")
        if declared.isascii() and declared.isdigit() and int(declared) > self.max_body:
            raise self._too_large()
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise BadRequestError("The client went away before its request was complete.")
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self.max_body:
                raise self._too_large()
            chunks.append(chunk)
            if not message.get("more_body", False):
                return b"".join(chunks) if len(chunks) > 1 else chunks[0]

    def _too_large(self) -> HttpError:
        return HttpError(413, f"The request body is larger than the limit of {self.max_body} bytes.")


def unknown_parameter(name: str, allowed: tuple[str, ...]) -> str:
    known = ", ".join(sorted(allowed)) or "none"
    return f"Unknown query parameter '{name}'. Allowed here: {known}."


def _parse_query(raw: bytes) -> dict[str, str]:
    if not raw:
        return {}
    pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True, encoding="utf-8", errors="replace")
    if b"%00" in raw:
        raise BadRequestError("Query parameters must not contain the character NUL.")
    query = dict(pairs)
    if len(query) != len(pairs):
        for name in _ONCE:
            if sum(key == name for key, _ in pairs) > 1:
                raise BadRequestError(f"The query parameter '{name}' is given more than once.")
    return query


def path_segments(scope: Scope) -> list[str]:
    """Split the path below the mount point into decoded segments; a trailing slash adds none.

    The undecoded path is used where the server hands it on, so that a segment may hold a slash
    (``/v2/workflows/a%2Fb``).
    """
    root = scope.get("root_path", "")
    raw = scope.get("raw_path")
    if raw is not None:
        path = raw.decode("latin-1").partition("?")[0]
        decoded = unquote(path)
    else:
        path = decoded = scope["path"]
    if root and decoded.startswith(root):
        path = decoded[len(root) :] if raw is None else _strip_root(path, root)
    parts = path.split("/")[1:]
    if parts and parts[-1] == "":
        parts.pop()
    return [unquote(part) for part in parts] if raw is not None else parts


def _strip_root(path: str, root: str) -> str:
    count = root.rstrip("/").count("/")
    return "/" + "/".join(path.split("/")[count + 1 :])


def header_links(scope: Scope, headers: Mapping[str, str], trust_proxy: bool) -> str:
    """Give the base of absolute links: scheme, host and mount prefix, without a slash at the end."""
    scheme: str = scope.get("scheme", "http")
    host = headers.get("host") or _server(scope)
    prefix: str = scope.get("root_path", "")
    if trust_proxy:
        scheme = headers.get("x-forwarded-proto", scheme)
        host = headers.get("x-forwarded-host", host)
        prefix = headers.get("x-forwarded-prefix", prefix)
    return f"{scheme}://{host}{prefix.rstrip('/')}"


def _server(scope: Scope) -> str:
    address: Any = scope.get("server") or ("localhost", 8989)
    return f"{address[0]}:{address[1]}"
