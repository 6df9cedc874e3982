"""Tokens of OpenStack's identity service (REST specification, section 6.1).

Each token is checked by Keystone itself (``GET /v3/auth/tokens``) on the service's own account, or,
if it has none, on the token's: Keystone lets everybody check their own. What it says is remembered for
a while, at most until the token expires. Catalogues aren't asked for: they are large, and whoever
needs one gets it by the token.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from tramontane.auth.authenticator import NotAuthenticatedError, required_token, token_of
from tramontane.auth.cache import Cache, hash_of
from tramontane.auth.caller import LONGEST_PROJECT, Caller, authenticated
from tramontane.auth.identity_server import IdentityServer, IdentityServerError, Reply
from tramontane.auth.keystone_account import KeystoneAccount, KeystoneSettings, seconds
from tramontane.clock import Clock
from tramontane.values import FrozenDict

log = logging.getLogger(__name__)

_INVALID_SECONDS: Final = 5.0


class KeystoneAuthentication:
    """Knows callers by what Keystone says of their tokens."""

    def __init__(
        self,
        settings: KeystoneSettings,
        server: IdentityServer,
        clock: Clock,
        account: KeystoneAccount | None = None,
    ) -> None:
        """``account`` None: the service has none."""
        self._settings = settings
        self._server = server
        self._account = account
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
            expires = seconds(facts.get("expires_at"))
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


def _in_region(caller: Caller, headers: Mapping[str, str]) -> Caller:
    region = headers.get("x-region-name")
    if not region:
        return caller
    return replace(caller, security=FrozenDict({**caller.security, "region_name": region}))
