"""Tokens that the service issues itself: a random text each, of which the database has the hash alone.

They are made, listed and revoked on the command line (``tramontane token``).
"""

from __future__ import annotations

import hmac
import logging
import secrets
from collections.abc import Mapping
from typing import Final

from tramontane.auth.authenticator import NotAuthenticatedError, required_token
from tramontane.auth.cache import Cache, hash_of
from tramontane.auth.caller import Caller, authenticated
from tramontane.clock import Clock
from tramontane.errors import UnavailableError
from tramontane.store.tokens import TokenRow, Tokens

log = logging.getLogger(__name__)

PREFIX: Final = "tramontane_"
"""What tokens begin with, so that people and scanners for lost secrets know them."""

_BYTES: Final = 32
_REMEMBERED_SECONDS: Final = 2.0
_COARSE_SECONDS: Final = 600.0


def new_token() -> str:
    """Make a token: 256 random bits behind a prefix."""
    return PREFIX + secrets.token_urlsafe(_BYTES)


class TokenAuthentication:
    """Knows callers by tokens of the register. A revoked one is refused after two seconds at most."""

    def __init__(self, tokens: Tokens, clock: Clock) -> None:
        self._tokens = tokens
        self._cache: Cache[TokenRow] = Cache(clock)

    async def authenticate(self, headers: Mapping[str, str]) -> Caller:
        token = required_token(headers)
        key = hash_of(token)

        async def look() -> tuple[TokenRow, float]:
            return await self._look(key), self._cache.now() + _REMEMBERED_SECONDS

        row = await self._cache.get(key, look)
        if not row.is_valid(self._micros()):
            self._cache.forget(key)
            raise _refused()
        return authenticated(row.project_id, row.id, row.name, row.roles)

    async def _look(self, key: str) -> TokenRow:
        row = await self._tokens.find(key)
        # The database has found it by an index already; comparing in constant time costs nothing.
        if row is None or not hmac.compare_digest(row.hash, key) or not row.is_valid(self._micros()):
            raise _refused()
        now = self._micros()
        if row.last_used_at is None or now - row.last_used_at > _COARSE_SECONDS * 1e6:
            try:
                await self._tokens.touch(row.id, now)
            except UnavailableError as error:
                log.warning("use of a token not noted token_id=%s error=%s", row.id, error.message)
        return row

    def _micros(self) -> int:
        return int(self._cache.now() * 1_000_000)


def _refused() -> NotAuthenticatedError:
    return NotAuthenticatedError("The token is unknown, expired or revoked.")
