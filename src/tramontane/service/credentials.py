"""What a caller's actions may do elsewhere: kept sealed, opened when an action begins.

An execution may go on for months, on other nodes and executors than the one that was called, and what its
caller sent along (a token, the catalogue of another cloud) must be there when an action needs it. So it is
stored with the execution and its jobs, encrypted and authenticated (Fernet), and everything between a
caller's request and an action sees the sealed text alone. What runs under a trust has no token stored:
it gets one when its action begins. See docs/decisions/0009-stored-credentials.md.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import logging
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from tramontane.errors import NotFoundError, TramontaneError, UnavailableError
from tramontane.service.trusts import Trusts
from tramontane.values import EMPTY, FrozenDict, decode, encode, freeze

log = logging.getLogger(__name__)

SECRETS: Final = ("auth_token", "service_catalog")
"""What is sealed, by the names of a security context."""

_SEAL: Final = "sealed:"
_PAUSE: Final = 1.0
_PATIENCE: Final = 60.0
_REMEMBERED: Final = 1024


class CredentialsError(TramontaneError):
    """An action can't act on behalf of whom it should; the action fails with this message."""

    code = "credentials"


class Credentials:
    """Seals and opens. Processes with the same keys can open what the others have sealed.

    ``secrets``: texts to make keys of, of which the first seals and all open; none: a key that nobody
    else has, and that ends with the process.
    """

    def __init__(self, secrets: Sequence[str], trusts: Trusts, *, patience: float = _PATIENCE) -> None:
        """``patience``: seconds that an action waits for an identity service that doesn't answer."""
        keys = [_key(secret) for secret in secrets] or [Fernet.generate_key()]
        self._keys = MultiFernet([Fernet(key) for key in keys])
        self._trusts = trusts
        self._patience = patience
        # A caller starts many executions with one token, and one execution runs many actions.
        self._sealed = functools.lru_cache(_REMEMBERED)(self._seal_text)
        self._opened = functools.lru_cache(_REMEMBERED)(self._open_text)

    def sealed(self, security: FrozenDict | None) -> FrozenDict | None:
        """Give a security context as it may be stored."""
        if security is None or not any(security.get(name) for name in SECRETS):
            return security
        hidden = {name: self._sealed(encode(security[name])) for name in SECRETS if security.get(name)}
        return FrozenDict({**security, **hidden})

    async def opened(self, context: Mapping[str, Any]) -> Mapping[str, Any]:
        """Give the context of an action with what it needs to act elsewhere.

        Raises:
            CredentialsError: the trust that it runs under gives no token. One that was ended, with its
                trigger, is no error: what the trigger has started goes on, without a token.
        """
        security = context.get("security")
        if security is None:
            return context
        shown = {name: self._open(security[name]) for name in SECRETS if security.get(name)}
        if security.get("trust_id") and not security.get("auth_token"):
            shown = {**shown, **await self._under_trust(security["trust_id"])}
        return {**context, "security": FrozenDict({**security, **shown})} if shown else context

    async def _under_trust(self, trust_id: str) -> FrozenDict:
        deadline = asyncio.get_running_loop().time() + self._patience
        while True:
            try:
                return await self._trusts.credentials(trust_id)
            except NotFoundError as error:
                log.warning("an action begins without a token: %s", error.message)
                return EMPTY
            except UnavailableError as error:
                if asyncio.get_running_loop().time() >= deadline:
                    raise CredentialsError(f"The action has no token to run with: {error.message}") from None
            except TramontaneError as error:
                raise CredentialsError(f"The action has no token to run with: {error.message}") from None
            await asyncio.sleep(_PAUSE)

    def _seal_text(self, text: str) -> str:
        return _SEAL + self._keys.encrypt(text.encode()).decode()

    def _open(self, value: Any) -> Any:
        # What earlier versions have stored isn't sealed.
        return self._opened(value) if isinstance(value, str) and value.startswith(_SEAL) else value

    def _open_text(self, text: str) -> Any:
        try:
            return freeze(decode(self._keys.decrypt(text.removeprefix(_SEAL)).decode()))
        except InvalidToken:
            log.warning(
                "a caller's token was sealed with a key that this process doesn't have, "
                "an action begins without it; set secret_keys alike everywhere"
            )
            return None


def _key(secret: str) -> bytes:
    """Make a key of a text: always the same one, and slow to guess."""
    made = hashlib.scrypt(secret.encode(), salt=b"tramontane credentials", n=2**14, r=8, p=1, dklen=32)
    return urlsafe_b64encode(made)
