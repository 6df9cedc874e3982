"""From settings to who may call: the way of authenticating, and the rules."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from tramontane.auth import Authenticator, NoAuthentication, PolicyRules, Rules
from tramontane.auth.identity_server import IdentityServer, Tls
from tramontane.auth.issued import TokenAuthentication
from tramontane.auth.keycloak import KeycloakAuthentication, KeycloakSettings
from tramontane.auth.keystone import KeystoneAuthentication
from tramontane.auth.keystone_account import KeystoneAccount, KeystoneSettings
from tramontane.auth.keystone_trusts import KeystoneTrusts
from tramontane.auth.oidc import OidcAuthentication, OidcSettings
from tramontane.auth.policy_file import WatchedRules
from tramontane.clock import Clock
from tramontane.config import Settings
from tramontane.service.trusts import NoTrusts, Trusts
from tramontane.store.database import Database
from tramontane.store.tokens import Tokens


def policy_rules(settings: Settings) -> Rules:
    """Give the rules of who may do what.

    Raises:
        PolicyFileError: those of the file can't be used.
    """
    return PolicyRules() if settings.policy_file is None else WatchedRules(settings.policy_file)


@dataclass(frozen=True, slots=True)
class Identity:
    """What finds out who calls, and what lets triggers act for their owners."""

    authenticator: Authenticator
    trusts: Trusts = field(default_factory=NoTrusts)


def secrets_of(settings: Settings) -> Sequence[str]:
    """Give what stored credentials are sealed by: where no key is set, Keystone's password of the service,
    which all its processes have."""
    if settings.secret_keys:
        return settings.secret_keys
    return [settings.keystone_password] if settings.keystone_password else []


def open_identity(settings: Settings, database: Database, clock: Clock, stack: AsyncExitStack) -> Identity:
    """Give what knows callers; its connections last as long as ``stack``.

    Raises:
        IdentitySetupError: certificates can't be used.
    """
    match settings.auth:
        case "none":
            return Identity(NoAuthentication())
        case "token":
            return Identity(TokenAuthentication(Tokens(database), clock))
        case "keystone":
            return _open_keystone(settings, clock, stack)
        case "oidc":
            oidc = OidcSettings(
                issuer=settings.oidc_issuer,
                audience=settings.oidc_audience,
                project_claim=settings.oidc_project_claim,
                roles_claim=settings.oidc_roles_claim,
                user_claim=settings.oidc_user_claim,
            )
            return Identity(OidcAuthentication(oidc, _server(settings, stack), clock))
        case "keycloak":
            keycloak = KeycloakSettings(
                url=settings.keycloak_url,
                certs_path=settings.keycloak_certs_path,
                user_info_url=settings.keycloak_user_info_url,
                issuer=settings.keycloak_issuer,
            )
            return Identity(KeycloakAuthentication(keycloak, _server(settings, stack), clock))


def _open_keystone(settings: Settings, clock: Clock, stack: AsyncExitStack) -> Identity:
    keystone, server = _keystone(settings), _server(settings, stack)
    account = KeystoneAccount(keystone, server, clock) if keystone.username else None
    authenticator = KeystoneAuthentication(keystone, server, clock, account)
    if account is None:
        return Identity(authenticator)
    return Identity(authenticator, KeystoneTrusts(keystone, server, account, clock))


def open_trusts(settings: Settings, clock: Clock, stack: AsyncExitStack) -> Trusts:
    """Give what a process without an API needs to act for the owners of triggers.

    Raises:
        IdentitySetupError: certificates can't be used.
    """
    return _open_keystone(settings, clock, stack).trusts if settings.keystone_url else NoTrusts()


def _server(settings: Settings, stack: AsyncExitStack) -> IdentityServer:
    server = IdentityServer(
        Tls(
            settings.identity_ca_file,
            settings.identity_cert_file,
            settings.identity_key_file,
            settings.identity_insecure,
        )
    )
    stack.push_async_callback(server.close)
    return server


def _keystone(settings: Settings) -> KeystoneSettings:
    ca_file = settings.identity_ca_file
    return KeystoneSettings(
        url=settings.keystone_url,
        username=settings.keystone_username,
        password=settings.keystone_password,
        project=settings.keystone_project,
        user_domain=settings.keystone_user_domain,
        user_domain_id=settings.keystone_user_domain_id,
        project_domain=settings.keystone_project_domain,
        project_domain_id=settings.keystone_project_domain_id,
        service_roles=frozenset(settings.keystone_service_roles),
        cache_seconds=settings.keystone_cache_seconds,
        ca_file=None if ca_file is None else str(ca_file),
        insecure=settings.identity_insecure,
    )
