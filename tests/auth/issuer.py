"""A real issuer of JSON Web Tokens: RSA keys, discovery, key sets, user info, on a port of its own."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from tests.auth.lab import served


@cache
def rsa_key(number: int) -> RSAPrivateKey:  # noqa: ARG001 (what it is remembered by)
    """A key by number; making one takes a while."""
    return generate_private_key(65537, 2048)


def public_entry(number: int) -> dict[str, Any]:
    """A key as key sets show it."""
    entry = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(rsa_key(number).public_key()))
    return {
        "kty": "RSA",
        "n": entry["n"],
        "e": entry["e"],
        "kid": f"key-{number}",
        "use": "sig",
        "alg": "RS256",
    }


@dataclass
class Issuer:
    """``keys``: numbers of those that count now; ``good``: tokens that the user-info endpoint takes."""

    url: str = ""
    keys: list[int] = field(default_factory=lambda: [1])
    good: set[str] = field(default_factory=set)
    asked: Counter[str] = field(default_factory=Counter)
    is_down: bool = False
    calls_itself: str | None = None

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked[request.path] += 1
        if self.is_down:
            return web.Response(status=500)
        if request.path == "/.well-known/openid-configuration":
            return web.json_response(
                {"issuer": self.calls_itself or self.url, "jwks_uri": f"{self.url}/keys"}
            )
        if request.path in ("/keys", "/realms/shop/protocol/openid-connect/certs"):
            encryption = {**public_entry(9), "use": "enc", "kid": "other"}
            return web.json_response({"keys": [encryption, *map(public_entry, self.keys)]})
        if request.path == "/userinfo":
            token = request.headers.get("Authorization", "").removeprefix("Bearer ")
            return web.json_response({}, status=200 if token in self.good else 401)
        return web.Response(status=404)

    def token(
        self,
        key: int = 1,
        *,
        headers: Mapping[str, Any] | None = None,
        leave_out: tuple[str, ...] = (),
        **claims: Any,
    ) -> str:
        """A token that is good for an hour; ``claims`` are added, those of ``leave_out`` taken away."""
        now = int(time.time())
        known = {"iss": self.url, "aud": "tramontane", "iat": now, "exp": now + 3600, "sub": "u1", **claims}
        kept = {name: value for name, value in known.items() if name not in leave_out}
        return jwt.encode(kept, rsa_key(key), "RS256", {"kid": f"key-{key}", **(headers or {})})


@asynccontextmanager
async def issuer() -> AsyncIterator[Issuer]:
    found = Issuer()
    async with served(found.answer) as url:
        found.url = url
        yield found
