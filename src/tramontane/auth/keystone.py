"""Tokens of OpenStack's identity service (REST specification, section 6.1).

Each token is checked by Keystone itself (``GET /v3/auth/tokens``) on the service's own account, or,
if it has none, on the token's: Keystone lets everybody check their own. What it says is remembered for
a while, at most until the token expires. Catalogues aren't asked for: they are large, and whoever
needs one gets it by the token.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from tramontane.auth.authenticator import NotAuthenticatedError, required_token, token_of
from tramontane.auth.cache import Cache, hash_of
from tramontane.auth.caller import LONGEST_PROJECT, Caller, authenticated
from tramontane.auth.identity_server import IdentityServer, IdentityServerError, Reply
from tramontane.clock import Clock
from tramontane.values import FrozenDict

log = logging.getLogger(__name__)

_RENEW_BEFORE_SECONDS: Final = 60.0
_INVALID_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class KeystoneSettings:
    """``url``: Keystone's, with or without a version. ``username`` empty: the service has no account.

    ``service_roles``: the roles by one of which an ``X-Service-Token`` counts. ``ca_file`` and
    ``insecure`` are for actions, which reach the same cloud.
    """

    url: str
    username: str = ""
    password: str = ""
    project: str = "service"
    user_domain: str = "Default"
    project_domain: str = "Default"
    service_roles: frozenset[str] = frozenset({"service"})
    cache_seconds: float = 60.0
    ca_file: str | None = None
    insecure: bool = False

    @property
    def base(self) -> str:
        url = self.url.rstrip("/")
        for version in ("/v3", "/v2.0"):
            url = url.removesuffix(version)
        return f"{url}/v3"


class KeystoneAuthentication:
    """Knows callers by what Keystone says of their tokens."""

    def __init__(self, settings: KeystoneSettings, server: IdentityServer, clock: Clock) -> None:
        self._settings = settings
        self._server = server
        self._account = _Account(settings, server, clock) if settings.username else None
        self._cache: Cache[Caller | None] = Cache(clock)

    async def authenticate(self, headers: Mapping[str, str]) -> Caller:
        """Tell who sent a request.

        A service token makes the user's own count for a while beyond its end, and counts alone.
        """
        service_token = token_of(headers, "x-service-token")
        service = None if service_token is None else await self._service(service_token)
        if service is not None and token_of(headers) is None:
            return _in_region(service, headers)
        token = required_token(headers)
        caller = await self._check(token, allow_expired=service is not None) or service
        if caller is None:
            raise NotAuthenticatedError("The token is invalid, expired or bound to no project.")
        return _in_region(caller, headers)

    async def _service(self, token: str) -> Caller | None:
        caller = await self._check(token, allow_expired=False)
        return caller if caller is not None and caller.roles & self._settings.service_roles else None

    async def _check(self, token: str, *, allow_expired: bool) -> Caller | None:
        async def ask() -> tuple[Caller | None, float]:
            return await self._ask(token, allow_expired)

        return await self._cache.get(f"{hash_of(token)} {allow_expired}", ask)

    async def _ask(self, token: str, allow_expired: bool) -> tuple[Caller | None, float]:
        now = self._cache.now()
        url = f"{self._settings.base}/auth/tokens?nocatalog{'&allow_expired=1' if allow_expired else ''}"
        reply = await self._asked(url, token)
        facts = reply.data.get("token") if isinstance(reply.data, dict) else None
        if reply.status == 200 and isinstance(facts, dict):
            expires = _seconds(facts.get("expires_at"))
            caller = self._caller(token, facts)
            if caller is None or (expires <= now and not allow_expired):
                return None, now + _INVALID_SECONDS
            until = now + self._settings.cache_seconds
            return caller, until if allow_expired else min(until, expires)
        if reply.status == 404 or (reply.status == 401 and self._account is None):
            return None, now + _INVALID_SECONDS
        log.error("Keystone doesn't check tokens for this service status=%d", reply.status)
        raise IdentityServerError(f"Keystone doesn't check tokens for this service (status {reply.status}).")

    async def _asked(self, url: str, token: str) -> Reply:
        if self._account is None:
            return await self._server.ask("GET", url, {"X-Auth-Token": token, "X-Subject-Token": token})
        own = await self._account.token()
        reply = await self._server.ask("GET", url, {"X-Auth-Token": own, "X-Subject-Token": token})
        if reply.status == 401:  # the service's own token was revoked, or Keystone's keys changed
            own = await self._account.token(instead_of=own)
            reply = await self._server.ask("GET", url, {"X-Auth-Token": own, "X-Subject-Token": token})
        return reply

    def _caller(self, token: str, facts: Mapping[str, Any]) -> Caller | None:
        """Give the caller, or None: the token isn't one for work in a project."""
        project, user = facts.get("project"), facts.get("user")
        if not isinstance(project, dict) or not isinstance(user, dict):
            return None
        project_id = str(project.get("id") or "")
        if not project_id or len(project_id) > LONGEST_PROJECT:
            return None
        trust = facts.get("OS-TRUST:trust")
        return authenticated(
            project_id,
            str(user.get("id")),
            user.get("name"),
            [str(role["name"]) for role in facts.get("roles") or () if "name" in role],
            project_name=project.get("name"),
            auth_token=token,
            expires_at=facts.get("expires_at"),
            auth_uri=self._settings.base,
            auth_cacert=self._settings.ca_file,
            insecure=self._settings.insecure,
            is_trust_scoped=isinstance(trust, dict),
            trust_id=trust.get("id") if isinstance(trust, dict) else None,
        )


class _Account:
    """The service's own account at Keystone, and the token that it has there now."""

    def __init__(self, settings: KeystoneSettings, server: IdentityServer, clock: Clock) -> None:
        self._settings = settings
        self._server = server
        self._clock = clock
        self._token = ""
        self._expires = 0.0
        self._renewing = asyncio.Lock()

    async def token(self, instead_of: str | None = None) -> str:
        """Give a token that is still good for a while; ``instead_of``: one that has turned out bad.

        Raises:
            IdentityServerError: Keystone gives none.
        """
        async with self._renewing:
            is_due = self._clock.now().timestamp() > self._expires - _RENEW_BEFORE_SECONDS
            if is_due or self._token == instead_of:
                await self._renew()
            return self._token

    async def _renew(self) -> None:
        reply = await self._server.ask(
            "POST", f"{self._settings.base}/auth/tokens?nocatalog", body=_credentials(self._settings)
        )
        token = reply.headers.get("X-Subject-Token")
        if reply.status != 201 or not token:
            log.error("Keystone refuses this service's account status=%d", reply.status)
            raise IdentityServerError(f"Keystone refuses this service's account (status {reply.status}).")
        self._token = token
        self._expires = _seconds(reply.data["token"].get("expires_at"))


def _credentials(settings: KeystoneSettings) -> dict[str, Any]:
    user = {
        "name": settings.username,
        "domain": {"name": settings.user_domain},
        "password": settings.password,
    }
    project = {"name": settings.project, "domain": {"name": settings.project_domain}}
    return {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": project},
        }
    }


def _seconds(moment: Any) -> float:
    """Read a moment as Keystone writes it; what can't be read is past."""
    try:
        return datetime.fromisoformat(str(moment)).timestamp()
    except ValueError:
        return 0.0


def _in_region(caller: Caller, headers: Mapping[str, str]) -> Caller:
    region = headers.get("x-region-name")
    if not region:
        return caller
    return replace(caller, security=FrozenDict({**caller.security, "region_name": region}))
