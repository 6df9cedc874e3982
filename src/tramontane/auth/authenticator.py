"""From the headers of a request to its caller. One implementation per way of authenticating."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from tramontane.auth.caller import DEFAULT_PROJECT, Caller
from tramontane.errors import TramontaneError

LONGEST_TOKEN: Final = 16_384
_BEARER: Final = "bearer "


class NotAuthenticatedError(TramontaneError):
    """The request carries no token, or one that is worth nothing (HTTP 401)."""

    code = "not-authenticated"


class Authenticator(Protocol):
    async def authenticate(self, headers: Mapping[str, str]) -> Caller:
        """Tell who sent a request with these headers (names in lower case).

        Raises:
            NotAuthenticatedError: when the headers prove nobody's identity.
            UnavailableError: when that can't be found out now.
        """


class NoAuthentication:
    """Authentication switched off: everybody is administrator of the one default project.

    Identity headers are not even looked at, so what a caller claims about itself changes nothing.
    """

    _CALLER: Final = Caller(DEFAULT_PROJECT, roles=frozenset({"admin"}), is_admin=True)

    async def authenticate(self, headers: Mapping[str, str]) -> Caller:
        return self._CALLER


def token_of(headers: Mapping[str, str], name: str = "x-auth-token") -> str | None:
    """Give the token of a request: the header ``name``, or ``Authorization: Bearer``; None: there is none.

    Raises:
        NotAuthenticatedError: when it can't be a token, whoever issued it.
    """
    token = headers.get(name, "").strip()
    if not token and name == "x-auth-token":
        authorization = headers.get("authorization", "")
        if authorization[: len(_BEARER)].lower() == _BEARER:
            token = authorization[len(_BEARER) :].strip()
    if not token:
        return None
    if len(token) > LONGEST_TOKEN or not token.isascii() or not token.isprintable():
        raise NotAuthenticatedError("What the request sends as its token can't be one.")
    return token


def required_token(headers: Mapping[str, str]) -> str:
    """Give the token of a request.

    Raises:
        NotAuthenticatedError: when there is none.
    """
    token = token_of(headers)
    if token is None:
        raise NotAuthenticatedError(
            "Authentication required: send a token as X-Auth-Token, or as Authorization: Bearer."
        )
    return token
