"""Tokens of an OpenID Connect provider: JSON Web Tokens, checked here against the issuer's keys.

The keys' address comes from the issuer's discovery document. A token must be meant for this service
(audience), of this issuer, and not expired; project, user and roles are claims that the operator names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import jwt

from tramontane.auth.authenticator import NotAuthenticatedError, required_token
from tramontane.auth.caller import LONGEST_PROJECT, Caller, authenticated
from tramontane.auth.identity_server import IdentityServer, IdentityServerError
from tramontane.auth.signing_keys import SigningKey, SigningKeys
from tramontane.clock import Clock

_LEEWAY_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """Claims are named as they are in the token; ``a.b`` is ``b`` inside of ``a``."""

    issuer: str
    audience: tuple[str, ...]
    project_claim: str = "project_id"
    roles_claim: str = "roles"
    user_claim: str = "sub"


class OidcAuthentication:
    """Knows callers by the claims of tokens that one issuer has signed."""

    def __init__(self, settings: OidcSettings, server: IdentityServer, clock: Clock) -> None:
        self._settings = settings
        self._server = server
        self._keys = SigningKeys(self._fetch_keys, clock)

    async def authenticate(self, headers: Mapping[str, str]) -> Caller:
        token = required_token(headers)
        key, algorithm = await self._keys.key_for(token)
        claims = verified(token, key, algorithm, self._settings.audience, self._settings.issuer)
        project = claim(claims, self._settings.project_claim)
        if not isinstance(project, str) or not project or len(project) > LONGEST_PROJECT:
            raise NotAuthenticatedError(
                f"The token names no project: its claim '{self._settings.project_claim}' must be a text."
            )
        user = claim(claims, self._settings.user_claim)
        user_id = None if user is None else str(user)
        return authenticated(
            project,
            user_id,
            str(claims.get("preferred_username") or user_id),
            role_names(claim(claims, self._settings.roles_claim)),
        )

    async def _fetch_keys(self) -> Mapping[str, Any]:
        issuer = self._settings.issuer
        discovered = await self._server.get_object(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if discovered.get("issuer") != issuer:
            raise IdentityServerError(
                f"The issuer calls itself '{discovered.get('issuer')}', but the setting is '{issuer}'."
            )
        return await self._server.get_object(str(discovered.get("jwks_uri")))


def verified(
    token: str, key: SigningKey, algorithm: str, audience: tuple[str, ...] | None, issuer: str | None
) -> Mapping[str, Any]:
    """Give the claims of a token that is what it says; None: no matter which audience or issuer.

    Raises:
        NotAuthenticatedError: it isn't.
    """
    required = ["exp", *(["aud"] if audience is not None else ()), *(["iss"] if issuer is not None else ())]
    try:
        return jwt.decode(
            token,
            key.public_key,
            algorithms=[algorithm],
            audience=audience,
            issuer=issuer,
            leeway=_LEEWAY_SECONDS,
            options={"require": required, "verify_aud": audience is not None},
        )
    except jwt.ExpiredSignatureError:
        raise NotAuthenticatedError("The token has expired.") from None
    except jwt.InvalidAudienceError:
        raise NotAuthenticatedError("The token is meant for another service.") from None
    except jwt.InvalidIssuerError:
        raise NotAuthenticatedError("The token is of another issuer.") from None
    except jwt.PyJWTError as error:
        raise NotAuthenticatedError(f"The token can't be trusted: {error}.") from None


def claim(claims: Mapping[str, Any], name: str) -> Any:
    """Find a claim by its name, or else by its path; None: there is none."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        if not isinstance(found, dict) or part not in found:
            return None
        found = found[part]
    return found


def role_names(value: Any) -> list[str]:
    """Read roles: a list of texts, or a text with spaces or commas between them."""
    if isinstance(value, str):
        return value.replace(",", " ").split()
    return [role for role in value if isinstance(role, str)] if isinstance(value, list) else []
