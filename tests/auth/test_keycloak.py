"""Keycloak's tokens, whose realm is the project."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.auth.issuer import Issuer, issuer
from tests.auth.lab import caller_of, refusal, run

from tramontane.auth.identity_server import IdentityServer
from tramontane.auth.keycloak import KeycloakAuthentication, KeycloakSettings
from tramontane.clock import ManualClock


@asynccontextmanager
async def keycloak(**settings: Any) -> AsyncIterator[tuple[Issuer, KeycloakAuthentication]]:
    async with issuer() as found:
        server = IdentityServer()
        given = {name: value.replace("URL", found.url) for name, value in settings.items()}
        try:
            chosen = KeycloakSettings(url=f"{found.url}/", **given)
            yield found, KeycloakAuthentication(chosen, server, ManualClock())
        finally:
            await server.close()


def of_realm(found: Issuer, realm: str = "shop", key: int = 1, **claims: Any) -> str:
    return found.token(key, iss=f"{found.url}/realms/{realm}", **claims)


@pytest.mark.spec("API72")
def test_the_realm_is_the_project_and_realm_roles_are_the_roles() -> None:
    async def test() -> None:
        async with keycloak() as (found, authenticator):
            roles = {"roles": ["member", "admin"]}
            caller = await caller_of(authenticator, of_realm(found, realm_access=roles, aud="whoever"))
            assert (caller.project_id, caller.roles) == ("shop", frozenset({"member", "admin"}))
            assert caller.is_admin
            without = await caller_of(authenticator, of_realm(found))
            assert (without.project_id, without.roles) == ("shop", frozenset())

    run(test())


@pytest.mark.spec("API72")
@pytest.mark.parametrize("token", ["", "garbage", "a.b.c"])
def test_no_token_and_garbage_are_refused(token: str) -> None:
    async def test() -> None:
        async with keycloak() as (_, authenticator):
            await refusal(authenticator, token)

    run(test())


def test_tokens_of_unknown_realms_and_foreign_keys_are_refused() -> None:
    async def test() -> None:
        async with keycloak(issuer="URL/realms/%s") as (found, authenticator):
            await caller_of(authenticator, of_realm(found))
            for realm in ("unknown", "a/b", "..", "", "x" * 81):
                await refusal(authenticator, of_realm(found, realm))
            await refusal(authenticator, found.token())
            await refusal(authenticator, of_realm(found, key=2))
            await refusal(authenticator, of_realm(found, exp=1))
            elsewhere = found.token(iss="http://evil.example/realms/shop")
            assert "another issuer" in await refusal(authenticator, elsewhere)

    run(test())


@pytest.mark.spec("API73")
def test_the_user_info_endpoint_decides_where_it_is_set() -> None:
    async def test() -> None:
        async with keycloak(user_info_url="URL/userinfo") as (found, authenticator):
            token = of_realm(found, realm_access={"roles": ["member"]})
            assert "status 401" in await refusal(authenticator, token)
            found.good.add(token)
            assert (await caller_of(authenticator, token)).project_id == "shop"

    run(test())


@pytest.mark.spec("API73")
@pytest.mark.parametrize("settings", [{}, {"user_info_url": "http://127.0.0.1:1/userinfo"}])
def test_a_server_that_can_t_be_reached_is_a_refusal(settings: dict[str, str]) -> None:
    async def test() -> None:
        async with keycloak(**settings) as (found, authenticator):
            found.is_down = True
            assert "can't be checked" in await refusal(authenticator, of_realm(found))

    run(test())
