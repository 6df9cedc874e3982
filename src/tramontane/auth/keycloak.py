"""Tokens of Keycloak as Mistral takes them: each realm is a project (REST specification, section 6.2).

The realm is what the issuer's address ends with, and realm roles are the roles. A token is checked by
the realm's keys, or, if its address is set, by the user-info endpoint. Whatever goes wrong meanwhile is a
401, as clients expect.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import jwt

from tramontane.auth.authenticator import NotAuthenticatedError, required_token
from tramontane.auth.cache import Cache, hash_of
from tramontane.auth.caller import LONGEST_PROJECT, Caller, authenticated
from tramontane.auth.identity_server import IdentityServer, IdentityServerError
from tramontane.auth.oidc import claim, role_names, verified
from tramontane.auth.signing_keys import SigningKeys
from tramontane.clock import Clock

_ALGORITHMS: Final = {"RS256": "RSA"}
_REALMS: Final = 32
_USER_INFO_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class KeycloakSettings:
    """``%s`` stands for the realm.

    ``user_info_url``: a whole URL has tokens checked there; a path, or nothing, has them checked by the
    keys at ``url`` + ``certs_path``. ``issuer``: what a token's issuer must be; empty: anything.
    """

    url: str
    certs_path: str = "/realms/%s/protocol/openid-connect/certs"
    user_info_url: str = ""
    issuer: str = ""

    @property
    def asks_user_info(self) -> bool:
        return self.user_info_url.startswith(("http://", "https://"))


class KeycloakAuthentication:
    """Knows callers by tokens of any realm of one Keycloak."""

    def __init__(self, settings: KeycloakSettings, server: IdentityServer, clock: Clock) -> None:
        self._settings = settings
        self._server = server
        self._clock = clock
        self._realms: OrderedDict[str, SigningKeys] = OrderedDict()
        self._confirmed: Cache[bool] = Cache(clock)

    async def authenticate(self, headers: Mapping[str, str]) -> Caller:
        token = required_token(headers)
        try:
            claims = _unverified(token)
            realm = _realm_of(claims)
            if self._settings.asks_user_info:
                await self._confirm(token, realm)
            else:
                claims = await self._verify(token, realm)
        except IdentityServerError as error:
            raise NotAuthenticatedError(f"The token can't be checked: {error.message}") from None
        user = claims.get("sub")
        user_id = None if user is None else str(user)
        return authenticated(
            realm,
            user_id,
            str(claims.get("preferred_username") or user_id),
            role_names(claim(claims, "realm_access.roles")),
        )

    async def _verify(self, token: str, realm: str) -> Mapping[str, Any]:
        """Check the token by its realm's keys; whom it is meant for isn't looked at."""
        keys = self._realms.get(realm) or self._new_keys(realm)
        key, algorithm = await keys.key_for(token, _ALGORITHMS)
        issuer = self._settings.issuer.replace("%s", realm) or None
        claims = verified(token, key, algorithm, None, issuer)
        self._remember(realm, keys)
        return claims

    def _new_keys(self, realm: str) -> SigningKeys:
        url = self._settings.url.rstrip("/") + _for_realm(self._settings.certs_path, realm)
        return SigningKeys(lambda: self._server.get_object(url), self._clock)

    def _remember(self, realm: str, keys: SigningKeys) -> None:
        """Keep the keys of a realm that has proved to exist: made-up ones push no other out."""
        self._realms[realm] = keys
        self._realms.move_to_end(realm)
        if len(self._realms) > _REALMS:
            self._realms.popitem(last=False)

    async def _confirm(self, token: str, realm: str) -> None:
        """Have the user-info endpoint check the token; a good one is believed for ten seconds."""

        async def ask() -> tuple[bool, float]:
            url = _for_realm(self._settings.user_info_url, realm)
            reply = await self._server.ask("GET", url, {"Authorization": f"Bearer {token}"})
            if not 200 <= reply.status < 300:
                raise NotAuthenticatedError(f"Keycloak refuses the token (status {reply.status}).")
            return True, self._confirmed.now() + _USER_INFO_SECONDS

        await self._confirmed.get(hash_of(token), ask)


def _unverified(token: str) -> Mapping[str, Any]:
    """Read what a token says of itself, to find out who can check it."""
    try:
        claims: Mapping[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        raise NotAuthenticatedError("The token is no JSON Web Token.") from None
    return claims


def _realm_of(claims: Mapping[str, Any]) -> str:
    """The realm becomes part of an address, so it must be one segment of a path."""
    _, found, realm = str(claims.get("iss", "")).rpartition("/realms/")
    if not found or not realm or len(realm) > LONGEST_PROJECT or "/" in realm or realm in (".", ".."):
        raise NotAuthenticatedError("The token's issuer names no realm.")
    return realm


def _for_realm(address: str, realm: str) -> str:
    return address.replace("%s", quote(realm, safe=""))
