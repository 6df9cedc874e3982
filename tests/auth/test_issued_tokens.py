"""Tokens that the service issues itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import pytest
import sqlalchemy as sa
from tests.auth.lab import caller_of, refusal

from tramontane.auth.cache import hash_of
from tramontane.auth.issued import TokenAuthentication, new_token
from tramontane.clock import ManualClock
from tramontane.store import schema
from tramontane.store.database import Database, open_database
from tramontane.store.tokens import TokenRow, Tokens

T = TypeVar("T")


@dataclass
class World:
    """A register of tokens and who asks it."""

    database: Database
    clock: ManualClock

    def __post_init__(self) -> None:
        self.tokens = Tokens(self.database)
        self.authenticator = TokenAuthentication(self.tokens, self.clock)

    @property
    def now(self) -> int:
        return int(self.clock.now().timestamp() * 1_000_000)

    async def issue(self, token: str, *roles: str, seconds: float | None = None) -> TokenRow:
        expires = None if seconds is None else self.now + int(seconds * 1_000_000)
        row = TokenRow(f"id of {token}"[:36], hash_of(token), "a name", "shop", roles, self.now, expires)
        await self.tokens.add(row)
        return row

    async def last_used(self, row: TokenRow) -> int | None:
        found = await self.tokens.get(row.id)
        assert found is not None
        return found.last_used_at


Test = Callable[[World], Awaitable[None]]


@pytest.fixture
def go(database_url: str) -> Iterator[Callable[[Test], None]]:
    """Runs a test's coroutine with a world on each kind of database."""

    def run(test: Test) -> None:
        async def main() -> None:
            database = await open_database(database_url)
            try:
                await test(World(database, ManualClock()))
            finally:
                await database.close()

        asyncio.run(main())

    yield run


def test_a_token_says_project_and_roles(go: Callable[[Test], None]) -> None:
    async def test(at: World) -> None:
        row = await at.issue("t1", "member", "lead")
        await at.issue("t2", "admin")
        caller = await caller_of(at.authenticator, "t1")
        assert (caller.project_id, caller.user_id, caller.is_admin) == ("shop", row.id, False)
        assert caller.roles == {"member", "lead"}
        assert caller.security["user_name"] == "a name"
        assert (await caller_of(at.authenticator, "t2")).is_admin
        bearer = await at.authenticator.authenticate({"authorization": "Bearer t1"})
        assert bearer == caller

    go(test)


def test_unknown_expired_and_revoked_tokens_are_refused_alike(go: Callable[[Test], None]) -> None:
    async def test(at: World) -> None:
        row = await at.issue("revoked")
        await at.issue("expired", seconds=10)
        for token in ("revoked", "expired"):
            await caller_of(at.authenticator, token)
        assert await at.tokens.revoke(row.id, at.now)
        assert not await at.tokens.revoke(row.id, at.now)
        assert not await at.tokens.revoke("nothing", at.now)
        at.clock.advance(10)
        reasons = {await refusal(at.authenticator, token) for token in ("revoked", "expired", "unknown")}
        assert len(reasons) == 1

    go(test)


def test_a_revoked_token_is_worthless_after_two_seconds(go: Callable[[Test], None]) -> None:
    async def test(at: World) -> None:
        row = await at.issue("t")
        await caller_of(at.authenticator, "t")
        await at.tokens.revoke(row.id, at.now)
        at.clock.advance(2)
        await refusal(at.authenticator, "t")

    go(test)


def test_a_token_expires_to_the_moment_although_it_is_remembered(go: Callable[[Test], None]) -> None:
    async def test(at: World) -> None:
        await at.issue("t", seconds=1)
        await caller_of(at.authenticator, "t")
        at.clock.advance(0.9)
        await caller_of(at.authenticator, "t")
        at.clock.advance(0.1)
        await refusal(at.authenticator, "t")

    go(test)


def test_a_new_token_counts_at_once_although_it_was_unknown_before(go: Callable[[Test], None]) -> None:
    async def test(at: World) -> None:
        await refusal(at.authenticator, "t")
        await at.issue("t")
        await caller_of(at.authenticator, "t")

    go(test)


def test_the_last_use_is_noted_now_and_then(go: Callable[[Test], None]) -> None:
    async def test(at: World) -> None:
        row = await at.issue("t")
        assert await at.last_used(row) is None
        first = at.now
        await caller_of(at.authenticator, "t")
        at.clock.advance(300)
        await caller_of(at.authenticator, "t")
        assert await at.last_used(row) == first
        at.clock.advance(301)
        await caller_of(at.authenticator, "t")
        assert await at.last_used(row) == at.now

    go(test)


def test_the_database_holds_no_token(go: Callable[[Test], None]) -> None:
    async def test(at: World) -> None:
        token = new_token()
        await at.issue(token)
        async with at.database.read() as connection:
            (row,) = (await connection.execute(sa.select(schema.tokens))).all()
        assert token not in "".join(map(str, replace_id(row)))
        assert len(row.hash) == 64

    def replace_id(row: sa.Row[tuple[object, ...]]) -> list[object]:
        return [value for name, value in row._mapping.items() if name != "id"]

    go(test)


def test_requests_at_the_same_time_look_once() -> None:
    class Counted(Tokens):
        def __init__(self) -> None:
            self.looks = 0

        async def find(self, hash: str) -> TokenRow | None:
            self.looks += 1
            await asyncio.sleep(0)
            return TokenRow("i", hash, "", "shop", (), 0, None, None, 2**60)

    async def main() -> None:
        tokens = Counted()
        authenticator = TokenAuthentication(tokens, ManualClock())
        first, *others = (asyncio.create_task(caller_of(authenticator, "t")) for _ in range(20))
        await asyncio.sleep(0)
        first.cancel()
        assert {caller.project_id for caller in await asyncio.gather(*others)} == {"shop"}
        assert tokens.looks == 1

    asyncio.run(main())


def test_tokens_are_long_and_never_the_same() -> None:
    made = {new_token() for _ in range(100)}
    assert len(made) == 100
    assert min(map(len, made)) >= 43 + len("tramontane_")


def test_a_row_is_valid_until_its_end() -> None:
    row = TokenRow("i", "h", "", "p", (), 0, expires_at=10)
    assert row.is_valid(9)
    assert not row.is_valid(10)
    assert not replace(row, expires_at=None, revoked_at=5).is_valid(6)
    assert replace(row, expires_at=None).is_valid(2**60)
