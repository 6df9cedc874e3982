"""From settings to who may call: the way of authenticating, and the rules."""

from __future__ import annotations

from contextlib import AsyncExitStack

from tramontane.auth import Authenticator, NoAuthentication, PolicyRules
from tramontane.auth.identity_server import IdentityServer, Tls
from tramontane.auth.issued import TokenAuthentication
from tramontane.auth.keycloak import KeycloakAuthentication, KeycloakSettings
from tramontane.auth.keystone import KeystoneAuthentication, KeystoneSettings
from tramontane.auth.oidc import OidcAuthentication, OidcSettings
from tramontane.auth.policy_file import load_rules
from tramontane.clock import Clock
from tramontane.config import Settings
from tramontane.store.database import Database
from tramontane.store.tokens import Tokens


def policy_rules(settings: Settings) -> PolicyRules:
    """Give the rules of who may do what.

    Raises:
        PolicyFileError: those of the file can't be used.
    """
    return PolicyRules() if settings.policy_file is None else load_rules(settings.policy_file)


def open_authenticator(
    settings: Settings, database: Database, clock: Clock, stack: AsyncExitStack
) -> Authenticator:
    """Give what finds out who calls; its connections last as long as ``stack``.

    Raises:
        IdentitySetupError: certificates can't be used.
    """
    match settings.auth:
        case "none":
            return NoAuthentication()
        case "token":
            return TokenAuthentication(Tokens(database), clock)
        case "keystone":
            return KeystoneAuthentication(_keystone(settings), _server(settings, stack), clock)
        case "oidc":
            oidc = OidcSettings(
                issuer=settings.oidc_issuer,
                audience=settings.oidc_audience,
                project_claim=settings.oidc_project_claim,
                roles_claim=settings.oidc_roles_claim,
                user_claim=settings.oidc_user_claim,
            )
            return OidcAuthentication(oidc, _server(settings, stack), clock)
        case "keycloak":
            keycloak = KeycloakSettings(
                url=settings.keycloak_url,
                certs_path=settings.keycloak_certs_path,
                user_info_url=settings.keycloak_user_info_url,
                issuer=settings.keycloak_issuer,
            )
            return KeycloakAuthentication(keycloak, _server(settings, stack), clock)


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
        project_domain=settings.keystone_project_domain,
        service_roles=frozenset(settings.keystone_service_roles),
        cache_seconds=settings.keystone_cache_seconds,
        ca_file=None if ca_file is None else str(ca_file),
        insecure=settings.identity_insecure,
    )
