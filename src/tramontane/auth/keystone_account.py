"""The service's own account at Keystone: by it tokens are checked, and to it triggers' owners give trusts."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from tramontane.auth.identity_server import IdentityServer, IdentityServerError, Reply
from tramontane.clock import Clock

log = logging.getLogger(__name__)

_RENEW_BEFORE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class KeystoneSettings:
    """``url``: Keystone's, with or without a version. ``username`` empty: the service has no account.

    A domain is known by its id, or without one by its name. ``service_roles``: the roles by one of which an
    ``X-Service-Token`` counts. ``ca_file`` and ``insecure`` are for actions, which reach the same cloud.
    """

    url: str
    username: str = ""
    password: str = field(default="", repr=False)
    project: str = "service"
    user_domain: str = "Default"
    user_domain_id: str = ""
    project_domain: str = "Default"
    project_domain_id: str = ""
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


class KeystoneAccount:
    """Signs in, and keeps the token that the account has now."""

    def __init__(self, settings: KeystoneSettings, server: IdentityServer, clock: Clock) -> None:
        self._settings = settings
        self._server = server
        self._clock = clock
        self._token = ""
        self._user_id = ""
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

    async def user_id(self) -> str:
        """Give the id of the account.

        Raises:
            IdentityServerError: Keystone doesn't tell.
        """
        await self.token()
        return self._user_id

    async def sign_in(self, scope: dict[str, Any]) -> Reply:
        """Ask for a token of this scope; whether there is one (status 201) is the caller's matter.

        Raises:
            IdentityServerError: there is no answer.
        """
        body = {"auth": {"identity": _identity(self._settings), "scope": scope}}
        return await self._server.ask("POST", f"{self._settings.base}/auth/tokens?nocatalog", body=body)

    async def _renew(self) -> None:
        settings = self._settings
        domain = _domain(settings.project_domain_id, settings.project_domain)
        reply = await self.sign_in({"project": {"name": settings.project, "domain": domain}})
        token = reply.headers.get("X-Subject-Token")
        if reply.status != 201 or not token:
            log.error("Keystone refuses this service's account status=%d", reply.status)
            raise IdentityServerError(f"Keystone refuses this service's account (status {reply.status}).")
        self._token = token
        self._user_id = str(reply.data["token"].get("user", {}).get("id", ""))
        self._expires = seconds(reply.data["token"].get("expires_at"))


def _identity(settings: KeystoneSettings) -> dict[str, Any]:
    user = {
        "name": settings.username,
        "domain": _domain(settings.user_domain_id, settings.user_domain),
        "password": settings.password,
    }
    return {"methods": ["password"], "password": {"user": user}}


def _domain(domain_id: str, name: str) -> dict[str, str]:
    return {"id": domain_id} if domain_id else {"name": name}


def seconds(moment: Any) -> float:
    """Read a moment as Keystone writes it, in seconds since 1970; what can't be read is past."""
    try:
        return datetime.fromisoformat(str(moment)).timestamp()
    except ValueError:
        return 0.0
