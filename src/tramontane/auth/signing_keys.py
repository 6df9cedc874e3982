"""The keys that an issuer signs tokens with, fetched when they are needed.

Issuers change their keys: an unknown key id makes the set be fetched again, though not more often than
every ten seconds, and a set is fetched anew after five minutes in any case, so that a withdrawn key
stops counting. While the issuer can't be reached, the keys that it had go on counting.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import jwt

from tramontane.auth.authenticator import NotAuthenticatedError
from tramontane.auth.identity_server import IdentityServerError
from tramontane.clock import Clock

log = logging.getLogger(__name__)

ALGORITHMS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
    "EdDSA": "OKP",
}
"""Signatures that only the issuer can make, and the type of key of each. Shared secrets never count."""

_FRESH_SECONDS: Final = 300.0
_PAUSE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key; ``algorithm`` None: any that fits its type (``kty``)."""

    kid: str | None
    kty: str
    algorithm: str | None
    public_key: Any


class SigningKeys:
    """The keys of one issuer. ``fetch`` gives its JSON Web Key Set."""

    def __init__(self, fetch: Callable[[], Awaitable[Mapping[str, Any]]], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: list[SigningKey] | None = None
        self._fetched = 0.0
        self._tried = 0.0
        self._fetching = asyncio.Lock()

    async def key_for(self, token: str, algorithms: Mapping[str, str] = ALGORITHMS) -> tuple[SigningKey, str]:
        """Find the key that a token says it is signed with; give it and the algorithm.

        Raises:
            NotAuthenticatedError: it is no JSON Web Token, or of a key or algorithm that doesn't count.
            IdentityServerError: the issuer can't be reached.
        """
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise NotAuthenticatedError("The token is no JSON Web Token.") from None
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in algorithms:
            raise NotAuthenticatedError(f"The token must be signed with {', '.join(algorithms)}.")
        key = await self._key(header.get("kid"), algorithms[algorithm], algorithm)
        if key is None:
            raise NotAuthenticatedError("The token is signed with a key that its issuer doesn't have.")
        return key, algorithm

    async def _key(self, kid: Any, key_type: str, algorithm: str) -> SigningKey | None:
        now = self._clock.now().timestamp()
        if self._keys is None or now - self._fetched > _FRESH_SECONDS:
            await self._renew(self._fetched)
        key = self._find(kid, key_type, algorithm)
        if key is None and self._clock.now().timestamp() - self._tried > _PAUSE_SECONDS:
            await self._renew(self._fetched)
            key = self._find(kid, key_type, algorithm)
        return key

    def _find(self, kid: Any, key_type: str, algorithm: str) -> SigningKey | None:
        """A token without a key id is meant for the only key that fits."""
        fitting = [
            key
            for key in self._keys or ()
            if key.kty == key_type and key.algorithm in (None, algorithm) and (kid is None or key.kid == kid)
        ]
        return fitting[0] if len(fitting) == 1 or (fitting and kid is not None) else None

    async def _renew(self, seen: float) -> None:
        async with self._fetching:
            if self._fetched != seen and self._keys is not None:
                return  # another request has done it meanwhile
            now = self._clock.now().timestamp()
            if self._keys is not None and now - self._tried <= _PAUSE_SECONDS:
                return
            self._tried = now
            try:
                self._keys = _read(await self._fetch())
            except IdentityServerError as error:
                if self._keys is None:
                    raise
                log.warning("keys of an issuer not renewed error=%s", error.message)
            else:
                self._fetched = now


def _read(data: Mapping[str, Any]) -> list[SigningKey]:
    entries = data.get("keys")
    found = [_read_key(entry) for entry in entries] if isinstance(entries, list) else []
    keys = [key for key in found if key is not None]
    if not keys:
        raise IdentityServerError("The issuer offers no keys that signatures can be checked with.")
    return keys


def _read_key(entry: Any) -> SigningKey | None:
    """Read one key of a set; None: it isn't one that signatures can be checked with here."""
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or "d" in entry:
        return None
    if entry.get("kty") not in ALGORITHMS.values():
        return None
    try:
        public_key = jwt.PyJWK.from_dict(entry).key
    except (jwt.PyJWTError, AttributeError, KeyError, TypeError, ValueError):
        return None  # of a kind that isn't known here; others may be
    return SigningKey(entry.get("kid"), entry["kty"], entry.get("alg"), public_key)
