"""From the headers of a request to its caller. One implementation per way of authenticating."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from tramontane.auth.caller import DEFAULT_PROJECT, Caller
from tramontane.errors import TramontaneError


class NotAuthenticatedError(TramontaneError):
    """The request carries no token, or one that is worth nothing (HTTP 401)."""

    code = "not-authenticated"


class Authenticator(Protocol):
    async def authenticate(self, headers: Mapping[str, str]) -> Caller:
        """Tell who sent a request with these headers (names in lower case).

        Raises:
            NotAuthenticatedError: when the headers prove nobody's identity.
        """


class NoAuthentication:
    """Authentication switched off: everybody is administrator of the one default project.

    Identity headers are not even looked at, so what a caller claims about itself changes nothing.
    """

    _CALLER: Final = Caller(DEFAULT_PROJECT, roles=frozenset({"admin"}), is_admin=True)

    async def authenticate(self, headers: Mapping[str, str]) -> Caller:
        return self._CALLER
