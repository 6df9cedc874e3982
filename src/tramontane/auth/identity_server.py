"""Requests to whoever issues tokens: Keystone, Keycloak, an OpenID provider.

Short answers of a server that the operator named; nothing here is chosen by callers but the realm and
the token that they send along. Redirects aren't followed.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

from tramontane.errors import TramontaneError, UnavailableError

_SECONDS: Final = 10.0
_MOST_BYTES: Final = 2**20
_RETRY_AFTER: Final = 5


class IdentityServerError(UnavailableError):
    """The identity server can't be reached or answers nothing useful (HTTP 503)."""

    code = "identity-unavailable"

    def __init__(self, message: str) -> None:
        super().__init__(message, _RETRY_AFTER)


class IdentitySetupError(TramontaneError):
    """The settings of the identity server can't be used."""

    code = "identity-setup"


@dataclass(frozen=True, slots=True)
class Tls:
    """How the server is known, and this service to it; without ``ca_file`` by the system's authorities."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    insecure: bool = False

    def context(self) -> ssl.SSLContext | bool:
        """
        Raises:
            IdentitySetupError: a file can't be used.
        """
        try:
            context = ssl.create_default_context(cafile=None if self.ca_file is None else str(self.ca_file))
            if self.cert_file is not None:
                context.load_cert_chain(self.cert_file, self.key_file)
        except (OSError, ssl.SSLError) as error:
            raise IdentitySetupError(
                f"the certificates for the identity server can't be used: {error}"
            ) from None
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


@dataclass(frozen=True, slots=True)
class Reply:
    """``data`` is None when the body isn't JSON."""

    status: int
    headers: Mapping[str, str]
    data: Any


class IdentityServer:
    """Connections to one server; close it when done. Made and used in a running event loop."""

    def __init__(self, tls: Tls | None = None) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=(tls or Tls()).context(), limit=20),
            timeout=aiohttp.ClientTimeout(total=_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def ask(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: Any = None
    ) -> Reply:
        """Send a request; ``body`` is sent as JSON.

        Raises:
            IdentityServerError: there is no answer.
        """
        sent = {"Accept": "application/json", **(headers or {})}
        data = None
        if body is not None:
            sent["Content-Type"] = "application/json"
            data = orjson.dumps(body)
        try:
            async with self._session.request(
                method, url, headers=sent, data=data, allow_redirects=False
            ) as answer:
                content = await answer.content.read(_MOST_BYTES)
                while not answer.content.at_eof() and len(content) < _MOST_BYTES:
                    content += await answer.content.read(_MOST_BYTES - len(content))
                return Reply(answer.status, answer.headers, _json(content))
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise IdentityServerError(f"The identity server doesn't answer: {reason}.") from None

    async def get_object(self, url: str) -> dict[str, Any]:
        """Get a JSON object.

        Raises:
            IdentityServerError: the answer is something else.
        """
        reply = await self.ask("GET", url)
        if reply.status != 200 or not isinstance(reply.data, dict):
            raise IdentityServerError(f"The identity server answers {reply.status} and no object at {url}.")
        return reply.data

    async def close(self) -> None:
        await self._session.close()


def _json(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
