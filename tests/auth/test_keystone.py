"""Tokens of Keystone: against a real one, and against a faked one for what a real one rarely does."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from tests.auth.keystone import Keystone
from tests.auth.lab import caller_of, refusal, run, served

from tramontane.auth import NotAuthenticatedError
from tramontane.auth.identity_server import IdentityServer, IdentityServerError
from tramontane.auth.keystone import KeystoneAuthentication
from tramontane.auth.keystone_account import KeystoneAccount, KeystoneSettings
from tramontane.clock import Clock, ManualClock, SystemClock


@asynccontextmanager
async def authentication(
    url: str, clock: Clock | None = None, **settings: Any
) -> AsyncIterator[KeystoneAuthentication]:
    given = {"username": "tramontane", "password": "pw", "cache_seconds": 0.0, **settings}
    server = IdentityServer()
    try:
        known, clock = KeystoneSettings(url=url, **given), clock or SystemClock()
        account = KeystoneAccount(known, server, clock) if known.username else None
        yield KeystoneAuthentication(known, server, clock, account)
    finally:
        await server.close()


# -- a real one -----------------------------------------------------------------------------------


@pytest.mark.spec("API71")
@pytest.mark.parametrize("path", ["", "/", "/v3", "/v3/"])
def test_keystone_says_who_calls(keystone: Keystone, path: str) -> None:
    async def test() -> None:
        async with authentication(keystone.url + path) as found:
            token = keystone.token("alice", "shop")
            caller = await caller_of(found, token, x_region_name="Two")
            assert caller.roles >= {"member"}
            assert not caller.is_admin
            security = caller.security
            assert security["project_name"] == "shop"
            assert security["project_id"] == caller.project_id
            assert security["user_name"] == "alice"
            assert security["user_id"] == caller.user_id
            assert security["auth_token"] == token
            assert security["auth_uri"] == f"{keystone.url}/v3"
            assert security["region_name"] == "Two"
            assert security["expires_at"]
            assert (await caller_of(found, keystone.token("root", "shop"))).is_admin

    run(test())


@pytest.mark.spec("API68")
def test_tokens_that_keystone_doesn_t_know_or_that_are_for_no_project_are_refused(keystone: Keystone) -> None:
    async def test() -> None:
        async with authentication(keystone.url) as found:
            for token in ("nonsense", "gAAAAAB" + "x" * 100, keystone.token("alice", None), ""):
                await refusal(found, token)

    run(test())


def test_a_revoked_token_is_refused_when_it_is_asked_about_again(keystone: Keystone) -> None:
    async def test() -> None:
        token = keystone.token("alice", "shop")
        async with (
            authentication(keystone.url) as fresh,
            authentication(keystone.url, cache_seconds=60) as kept,
        ):
            for found in (fresh, kept):
                await caller_of(found, token)
            headers = {"X-Subject-Token": token, "X-Auth-Token": token}
            server = IdentityServer()
            assert (await server.ask("DELETE", f"{keystone.url}/v3/auth/tokens", headers)).status == 204
            await server.close()
            assert "invalid" in await refusal(fresh, token)
            assert (await caller_of(kept, token)).security["user_name"] == "alice"

    run(test())


def test_without_an_account_each_token_checks_itself(keystone: Keystone) -> None:
    async def test() -> None:
        async with authentication(keystone.url, username="") as found:
            assert (await caller_of(found, keystone.token("alice", "shop"))).security["user_name"] == "alice"
            await refusal(found, "nonsense")

    run(test())


@pytest.mark.parametrize("settings", [{"password": "wrong"}, {"username": "alice", "project": "shop"}])
def test_an_account_that_keystone_refuses_is_the_service_s_fault(
    keystone: Keystone, settings: dict[str, Any]
) -> None:
    async def test() -> None:
        async with authentication(keystone.url, **settings) as found:
            with pytest.raises(IdentityServerError):
                await caller_of(found, keystone.token("root", "shop"))

    run(test())


@pytest.mark.spec("API69")
def test_a_service_token_is_accepted_if_it_has_the_role(keystone: Keystone) -> None:
    async def test() -> None:
        async with authentication(keystone.url) as found:
            service, user = keystone.token("nova", "service"), keystone.token("alice", "shop")
            both = await caller_of(found, user, x_service_token=service)
            assert both.security["user_name"] == "alice"
            alone = await found.authenticate({"x-service-token": service})
            assert alone.security["user_name"] == "nova"
            with pytest.raises(NotAuthenticatedError):
                await found.authenticate({"x-service-token": user})

    run(test())


@pytest.mark.spec("API70")
def test_identity_headers_of_a_caller_change_nothing(keystone: Keystone) -> None:
    async def test() -> None:
        claims = {"x_roles": "admin", "x_project_id": "bank", "x_user_id": "root", "x_is_admin": "True"}
        claims |= {"x_identity_status": "Confirmed", "x_service_identity_status": "Confirmed"}
        async with authentication(keystone.url) as found:
            token = keystone.token("alice", "shop")
            assert await caller_of(found, token, **claims) == await caller_of(found, token)
            await refusal(found, "", **claims)

    run(test())


# -- a faked one ----------------------------------------------------------------------------------


@dataclass
class Fake:
    """Answers as Keystone does. ``valid``: tokens in the order of ``expires``; ``own``: the service's."""

    tokens: dict[str, str] = field(default_factory=lambda: {"t": "2026-01-01T01:00:00.000000Z"})
    own: str = "own-1"
    status: int = 200
    asked: Counter[str] = field(default_factory=Counter)
    roles: tuple[str, ...] = ("member",)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            self.asked["sign in"] += 1
            headers = {"X-Subject-Token": self.own}
            return web.json_response(
                {"token": {"expires_at": "2026-01-01T01:00:00Z"}}, status=201, headers=headers
            )
        self.asked["check"] += 1
        if request.headers["X-Auth-Token"] != self.own:
            return web.Response(status=401)
        if self.status != 200:
            return web.Response(status=self.status)
        token = request.headers["X-Subject-Token"]
        is_past = token.startswith("past") and "allow_expired" not in request.query
        if token not in self.tokens or is_past:
            return web.json_response({"error": {"code": 404}}, status=404)
        facts = {
            "expires_at": self.tokens[token],
            "project": {"id": "p1", "name": "shop"},
            "user": {"id": "u1", "name": "alice"},
            "roles": [{"id": "r", "name": "service" if token == "s" else role} for role in self.roles],
        }
        return web.json_response({"token": facts})


def faked(test: Any, **settings: Any) -> None:
    """Run a test with a fake, the authentication that asks it, and the clock (2026-01-01 00:00)."""

    async def main() -> None:
        fake, clock = Fake(), ManualClock()
        async with (
            served(fake.answer) as url,
            authentication(url, clock, **{"cache_seconds": 60.0, **settings}) as found,
        ):
            await test(fake, found, clock)

    run(main())


def test_what_keystone_said_is_believed_for_a_while_but_not_beyond_the_token_s_end() -> None:
    async def test(fake: Fake, found: KeystoneAuthentication, clock: ManualClock) -> None:
        fake.tokens["t"] = "2026-01-01T00:01:30.000000Z"
        for _ in range(3):
            await caller_of(found, "t")
        assert fake.asked["check"] == 1
        clock.advance(61)
        await caller_of(found, "t")
        assert fake.asked["check"] == 2
        clock.advance(30)
        await refusal(found, "t")

    faked(test)


def test_a_token_that_isn_t_one_is_asked_about_once_in_a_while() -> None:
    async def test(fake: Fake, found: KeystoneAuthentication, _: ManualClock) -> None:
        for token in ("x",) * 5:
            await refusal(found, token)
        assert fake.asked["check"] == 1

    faked(test)


def test_the_service_signs_in_again_before_its_token_ends_and_when_it_was_revoked() -> None:
    async def test(fake: Fake, found: KeystoneAuthentication, clock: ManualClock) -> None:
        fake.tokens = dict.fromkeys("abcd", "2027-01-01T00:00:00Z")
        await caller_of(found, "a")
        await caller_of(found, "b")
        assert fake.asked["sign in"] == 1
        fake.own = "own-2"
        await caller_of(found, "c")
        assert fake.asked["sign in"] == 2
        clock.advance(3550)
        await caller_of(found, "d")
        assert fake.asked["sign in"] == 3

    faked(test)


def test_a_service_token_lets_a_user_s_token_count_beyond_its_end() -> None:
    async def test(fake: Fake, found: KeystoneAuthentication, _: ManualClock) -> None:
        fake.tokens |= {"past": "2025-12-31T23:00:00Z", "s": "2027-01-01T00:00:00Z"}
        await refusal(found, "past")
        caller = await caller_of(found, "past", x_service_token="s")
        assert caller.security["auth_token"] == "past"
        await refusal(found, "past")
        await refusal(found, "past", x_service_token="t")

    faked(test)


@pytest.mark.parametrize("status", [403, 500, 503])
def test_a_keystone_that_doesn_t_answer_the_question_makes_the_caller_wait(status: int) -> None:
    async def test(fake: Fake, found: KeystoneAuthentication, clock: ManualClock) -> None:
        await caller_of(found, "t")
        fake.status = status
        await caller_of(found, "t")
        clock.advance(61)
        with pytest.raises(IdentityServerError) as caught:
            await caller_of(found, "t")
        assert caught.value.retry_after > 0

    faked(test)


def test_a_keystone_that_can_t_be_reached_makes_the_caller_wait() -> None:
    async def test() -> None:
        async with authentication("http://127.0.0.1:1") as found:
            with pytest.raises(IdentityServerError, match="doesn't answer"):
                await caller_of(found, "t")

    run(test())


@pytest.mark.spec("API71")
@pytest.mark.parametrize(("role", "expected"), [("admin", True), ("Admin", False), ("administrator", False)])
def test_the_role_admin_makes_an_administrator_and_no_other(role: str, expected: bool) -> None:
    async def test(fake: Fake, found: KeystoneAuthentication, _: ManualClock) -> None:
        fake.roles = ("member", role)
        assert (await caller_of(found, "t")).is_admin is expected

    faked(test)
