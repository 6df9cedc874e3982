"""Trusts at Keystone: by them the service acts for the owners of triggers (REST specification, section 6.5).

Whoever creates a trigger delegates the roles that he has then, in that project, to the service's account.
With the trust's id alone the account signs in as the owner whenever an action needs a token: so an execution
of a trigger has a fresh one however long it runs, and none is stored.
"""

from __future__ import annotations

import logging
from typing import Any, Final, Protocol

from tramontane.auth.authenticator import NotAuthenticatedError
from tramontane.auth.cache import Cache
from tramontane.auth.identity_server import IdentityServer, IdentityServerError, Reply
from tramontane.auth.keystone_account import KeystoneAccount, KeystoneSettings, seconds
from tramontane.clock import Clock
from tramontane.errors import NotAllowedError, NotFoundError
from tramontane.values import FrozenDict

log = logging.getLogger(__name__)

_LONGEST_MARGIN: Final = 600.0
"""Seconds before a token's end from which on another one is asked for; half of its life at most."""


class Trustor(Protocol):
    """Whoever gives a trust; ``identity`` is what Keystone said of the token."""

    @property
    def roles(self) -> frozenset[str]: ...
    @property
    def identity(self) -> Any: ...


class TrustRefusedError(NotAllowedError):
    """Keystone lets the service not act for somebody, or not any more (HTTP 403)."""

    code = "trust-refused"


class KeystoneTrusts:
    """Implements :class:`tramontane.service.trusts.Trusts`."""

    def __init__(
        self, settings: KeystoneSettings, server: IdentityServer, account: KeystoneAccount, clock: Clock
    ) -> None:
        self._settings = settings
        self._server = server
        self._account = account
        self._cache: Cache[FrozenDict] = Cache(clock)

    async def create(self, caller: Trustor) -> str | None:
        """Have the caller trust the service's account with all roles that he has; give the trust's id.

        A caller who is himself acting under a trust that this service has (a workflow of a trigger that
        creates another trigger) can't give one; the new trigger shares it.

        Raises:
            TrustRefusedError: Keystone lets this caller give none.
            NotAuthenticatedError: his token has come to its end.
            IdentityServerError: Keystone can't be asked.
        """
        known = caller.identity
        shared = known.get("trust_id")
        if shared is not None and await self._is_ours(shared):
            return str(shared)
        trust = {
            "trustor_user_id": known["user_id"],
            "trustee_user_id": await self._account.user_id(),
            "project_id": known["project_id"],
            "impersonation": True,
            "roles": [{"name": role} for role in sorted(caller.roles)],
        }
        reply = await self._server.ask(
            "POST",
            f"{self._settings.base}/OS-TRUST/trusts",
            {"X-Auth-Token": known["auth_token"]},
            {"trust": trust},
        )
        if reply.status == 201 and isinstance(reply.data, dict):
            return str(reply.data["trust"]["id"])
        if reply.status == 401:
            raise NotAuthenticatedError("The token is not valid any more.")
        raise _refusal("lets the caller give this service no trust, which a trigger needs", reply)

    async def delete(self, trust_id: str) -> None:
        """End a trust; one that is gone already is no error.

        Raises:
            TrustRefusedError, IdentityServerError: it couldn't be ended.
        """
        try:
            token = (await self.credentials(trust_id))["auth_token"]
        except NotFoundError:
            return
        self._cache.forget(trust_id)
        url = f"{self._settings.base}/OS-TRUST/trusts/{trust_id}"
        reply = await self._server.ask("DELETE", url, {"X-Auth-Token": token})
        if reply.status not in (204, 404):
            raise _refusal("doesn't end the trust", reply)

    async def credentials(self, trust_id: str) -> FrozenDict:
        """Sign in under a trust: what an action needs to act for its giver, by the names of
        :class:`tramontane.actions.base.SecurityContext`. The token is good for a while.

        Raises:
            NotFoundError: the trust was ended.
            TrustRefusedError: its giver has lost what he gave.
            IdentityServerError: Keystone can't be asked.
        """

        async def ask() -> tuple[FrozenDict, float]:
            return await self._sign_in(trust_id)

        return await self._cache.get(trust_id, ask)

    async def _is_gone(self, trust_id: str) -> bool:
        """Ask for a trust by which nobody could sign in; Keystone's answer to that doesn't say why."""
        url = f"{self._settings.base}/OS-TRUST/trusts/{trust_id}"
        reply = await self._server.ask("GET", url, {"X-Auth-Token": await self._account.token()})
        return reply.status == 404

    async def _is_ours(self, trust_id: str) -> bool:
        try:
            await self.credentials(trust_id)
        except (TrustRefusedError, NotFoundError):
            return False
        return True

    async def _sign_in(self, trust_id: str) -> tuple[FrozenDict, float]:
        reply = await self._account.sign_in({"OS-TRUST:trust": {"id": trust_id}})
        token = reply.headers.get("X-Subject-Token")
        if reply.status != 201 or not token:
            if reply.status in (401, 404) and await self._is_gone(trust_id):
                raise NotFoundError(f"There is no trust '{trust_id}' any more.")
            raise _refusal("gives this service no token for the trust", reply)
        facts = reply.data["token"]
        expires, now = seconds(facts.get("expires_at")), self._cache.now()
        given = {
            "auth_token": token,
            "expires_at": facts.get("expires_at"),
            "trust_id": trust_id,
            "is_trust_scoped": True,
            "is_target": False,
            "project_id": facts["project"]["id"],
            "project_name": facts["project"].get("name"),
            "user_id": facts["user"]["id"],
            "user_name": facts["user"].get("name"),
            "auth_uri": self._settings.base,
            "auth_cacert": self._settings.ca_file,
            "insecure": self._settings.insecure,
        }
        margin = min(_LONGEST_MARGIN, (expires - now) / 2)
        return FrozenDict(given), expires - margin


def _refusal(what: str, reply: Reply) -> NotAllowedError | IdentityServerError:
    """Word an answer that isn't the wished one; from status 500 on, another try may help."""
    if reply.status >= 500:
        log.error("Keystone %s status=%d", what, reply.status)
        return IdentityServerError(f"Keystone {what} now (status {reply.status}).")
    return TrustRefusedError(f"Keystone {what}: {_reason(reply)}")


def _reason(reply: Reply) -> str:
    error = reply.data.get("error") if isinstance(reply.data, dict) else None
    text = error.get("message") if isinstance(error, dict) else None
    return str(text or f"status {reply.status}")[:500]
