"""Tokens of an OpenID Connect provider: what counts, what doesn't, and keys that change."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.auth.issuer import Issuer, issuer, rsa_key
from tests.auth.lab import caller_of, refusal, run

from tramontane.auth import NotAuthenticatedError
from tramontane.auth.identity_server import IdentityServer, IdentityServerError
from tramontane.auth.oidc import OidcAuthentication, OidcSettings, claim, role_names
from tramontane.clock import ManualClock

CLAIMS = {"project_id": "shop", "roles": ["member"]}


@dataclass
class World:
    issuer: Issuer
    authenticator: OidcAuthentication
    clock: ManualClock

    def token(self, key: int = 1, **more: Any) -> str:
        return self.issuer.token(key, **{**CLAIMS, **more})


@asynccontextmanager
async def world(**settings: Any) -> AsyncIterator[World]:
    clock = ManualClock()
    async with issuer() as found:
        server = IdentityServer()
        try:
            chosen = OidcSettings(**{"issuer": found.url, "audience": ("tramontane", "other"), **settings})
            yield World(found, OidcAuthentication(chosen, server, clock), clock)
        finally:
            await server.close()


def test_claims_say_who_calls() -> None:
    async def test() -> None:
        async with world() as at:
            caller = await caller_of(at.authenticator, at.token(preferred_username="alice"))
            assert (caller.project_id, caller.user_id, caller.roles, caller.is_admin) == (
                "shop",
                "u1",
                frozenset({"member"}),
                False,
            )
            assert caller.security["user_name"] == "alice"
            assert "auth_token" not in caller.security
            assert (await caller_of(at.authenticator, at.token(roles=["x", "admin"]))).is_admin
            assert not (await caller_of(at.authenticator, at.token(roles=["Admin"]))).is_admin
            bearer = {"authorization": f"bearer {at.token()}"}
            assert (await at.authenticator.authenticate(bearer)).project_id == "shop"
            assert at.issuer.asked["/keys"] == 1

    run(test())


def test_claims_are_found_where_the_settings_say() -> None:
    async def test() -> None:
        names = {
            "project_claim": "https://x.org/team",
            "roles_claim": "realm_access.roles",
            "user_claim": "email",
        }
        named: dict[str, Any] = {"https://x.org/team": "ops"}
        async with world(**names) as at:
            token = at.token(email="a@x.org", realm_access={"roles": ["lead"]}, **named)
            caller = await caller_of(at.authenticator, token)
            assert (caller.project_id, caller.user_id, caller.roles) == (
                "ops",
                "a@x.org",
                frozenset({"lead"}),
            )

    run(test())


def past(seconds: int) -> int:
    return int(time.time()) - seconds


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"exp": past(60)}, "expired"),
        ({"leave_out": ("exp",)}, "exp"),
        ({"nbf": past(-86_400)}, "can't be trusted"),
        ({"aud": "someone"}, "another service"),
        ({"leave_out": ("aud",)}, "aud"),
        ({"iss": "http://evil.example"}, "another issuer"),
        ({"leave_out": ("iss",)}, "iss"),
        ({"project_id": None}, "names no project"),
        ({"project_id": ["a", "b"]}, "names no project"),
        ({"project_id": "p" * 81}, "names no project"),
        ({"key": 2}, "key that its issuer doesn't have"),
        ({"key": 2, "headers": {"kid": "key-1"}}, "can't be trusted"),
        ({"headers": {"kid": "other"}}, "key that its issuer doesn't have"),
    ],
)
def test_a_token_that_isn_t_good_is_refused_with_the_reason(changes: dict[str, Any], words: str) -> None:
    async def test() -> None:
        async with world() as at:
            assert words in await refusal(at.authenticator, at.token(**changes))

    run(test())


def unsigned(token: str, algorithm: str) -> str:
    """The same claims under a header that names another algorithm, without a signature."""
    header = base64.urlsafe_b64encode(json.dumps({"alg": algorithm, "kid": "key-1"}).encode())
    return f"{header.decode().rstrip('=')}.{token.split('.')[1]}."


def test_signatures_that_others_could_make_never_count() -> None:
    async def test() -> None:
        async with world() as at:
            good = at.token()
            public = rsa_key(1).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            secret = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
            start = unsigned(good, "HS256").rstrip(".")
            mac = base64.urlsafe_b64encode(secret.sign(start.encode(), public)).decode().rstrip("=")
            for token in (unsigned(good, "none"), unsigned(good, "RS256"), f"{start}.{mac}"):
                await refusal(at.authenticator, token)
            body = good.split(".")
            claims = json.loads(base64.urlsafe_b64decode(body[1] + "=="))
            changed = base64.urlsafe_b64encode(json.dumps({**claims, "project_id": "bank"}).encode())
            forged = f"{body[0]}.{changed.decode().rstrip('=')}.{body[2]}"
            assert "can't be trusted" in await refusal(at.authenticator, forged)

    run(test())


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "tramontane_abc", "x" * 20_000, "ä.ö.ü"])
def test_what_is_no_token_is_refused(token: str) -> None:
    async def test() -> None:
        async with world() as at:
            await refusal(at.authenticator, token)
            assert not at.issuer.asked

    run(test())


def test_new_keys_are_taken_up_and_withdrawn_ones_end() -> None:
    async def test() -> None:
        async with world() as at:
            await caller_of(at.authenticator, at.token(1))
            at.issuer.keys = [2]
            assert "doesn't have" in await refusal(at.authenticator, at.token(2))  # asked a moment ago
            at.clock.advance(11)
            await caller_of(at.authenticator, at.token(2))
            assert "doesn't have" in await refusal(at.authenticator, at.token(1))
            at.issuer.keys = [3]
            await caller_of(at.authenticator, at.token(2))
            at.clock.advance(301)
            assert "doesn't have" in await refusal(at.authenticator, at.token(2))

    run(test())


def test_made_up_keys_don_t_make_the_issuer_be_asked_again_and_again() -> None:
    async def test() -> None:
        async with world() as at:
            for number in range(20):
                await refusal(at.authenticator, at.token(headers={"kid": f"x{number}"}))
            assert at.issuer.asked["/keys"] == 1

    run(test())


def test_while_the_issuer_is_away_its_keys_go_on_counting_and_without_any_the_answer_is_later() -> None:
    async def test() -> None:
        async with world() as at:
            at.issuer.is_down = True
            with pytest.raises(IdentityServerError):
                await caller_of(at.authenticator, at.token())
            at.issuer.is_down = False
            await caller_of(at.authenticator, at.token())
            at.issuer.is_down = True
            at.clock.advance(301)
            await caller_of(at.authenticator, at.token())

    run(test())


def test_an_issuer_of_another_name_is_not_believed() -> None:
    async def test() -> None:
        async with world() as at:
            at.issuer.calls_itself = "http://other.example"
            with pytest.raises(IdentityServerError, match="calls itself"):
                await caller_of(at.authenticator, at.token())

    run(test())


def test_roles_and_claims_are_read_from_any_form() -> None:
    assert role_names("a b,c") == ["a", "b", "c"]
    assert role_names(["a", 1, None]) == ["a"]
    assert role_names(None) == role_names({"a": 1}) == []
    assert claim({"a.b": 1, "a": {"b": 2}}, "a.b") == 1
    assert claim({"a": {"b": 2}}, "a.b") == 2
    assert claim({"a": "text"}, "a.b") is None


def test_a_request_without_a_token_is_told_how_to_send_one() -> None:
    async def test() -> None:
        async with world() as at:
            for headers in ({}, {"x-auth-token": "  "}, {"authorization": "Basic YTpi"}):
                with pytest.raises(NotAuthenticatedError, match="X-Auth-Token"):
                    await at.authenticator.authenticate(headers)

    run(test())
