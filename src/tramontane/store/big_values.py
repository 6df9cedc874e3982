"""Big values of one database: fetched for rows that refer to them, written before those are.

Texts are rows of ``big_values``. Where they are kept outside (:mod:`tramontane.store.outside`), the row
has the place instead of the text: it is the row that says what exists and what a tree's deletion takes
along. What the row of a turn lacks when it is committed is written into the database itself, so nothing
ever depends on what this process believes to be stored.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote, unquote

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tramontane.store import schema
from tramontane.store.batch import big_value_row
from tramontane.store.codec import FindValue, RowReader
from tramontane.store.dialect import Dialect
from tramontane.store.errors import LostValueError, ValueStoreUnavailableError
from tramontane.store.outside import Outside
from tramontane.store.packing import BigValue, Found, Key, Memory, Packing, hash_of
from tramontane.store.references import MARK, expand, hashes, restore
from tramontane.store.statements import BIG_VALUES
from tramontane.values import FrozenDict, FrozenList, decode, encode, parse

log = logging.getLogger(__name__)

T = TypeVar("T")

_PLACE = re.compile(r"([^/]+)/\.?([0-9a-f]{64})\.[0-9a-f]{8}")
_KEYS = 500
_AT_ONCE = 8
_PLACED = 10_000
_GRACE = 3600.0
"""Seconds for which a text outside may be there without a row: its commit may be under way."""


@dataclass(frozen=True, slots=True)
class Swept:
    """How many texts nothing referred to: rows of the database, and texts outside."""

    rows: int
    texts: int


@dataclass(frozen=True, slots=True)
class _Stored:
    root_id: str
    size: int
    text: str


class BigValues:
    """Reads and writes big values of one database."""

    def __init__(self, dialect: Dialect, outside: Outside | None = None) -> None:
        self.memory = Memory()
        self._dialect = dialect
        self._outside = outside
        # Written outside, not committed yet: the place, and when. Retries of a commit find it here.
        self._placed: OrderedDict[Key, tuple[str, float]] = OrderedDict()
        self._query = (
            "SELECT b.root_id, b.hash, b.size, b.place, b.data FROM big_values AS b "
            f"WHERE b.root_id {dialect.any_of(1)} AND b.hash {dialect.any_of(2)}"
        )
        self._places = (
            "SELECT b.root_id, b.hash, b.place FROM big_values AS b "
            f"WHERE b.root_id {dialect.any_of(1)} AND b.hash {dialect.any_of(2)}"
        )

    def packing(self) -> Packing:
        """What writes columns."""
        return Packing(self.memory)

    # -- reading --------------------------------------------------------------------------

    async def records(self, reader: RowReader, rows: Iterable[Sequence[Any]]) -> list[Any]:
        """Build the records of rows, with all that they refer to.

        Raises:
            LostValueError, DatabaseUnavailableError
        """
        rows = list(rows)
        find = await self.fetch(key for row in rows for key in reader.references(row))
        return [reader(row, find) for row in rows]

    async def fetch(self, keys: Iterable[Key]) -> FindValue | None:
        """Fetch values; give what finds them by their hashes (None: there was nothing to fetch).

        Raises:
            LostValueError, DatabaseUnavailableError
        """
        wanted = set(keys)
        if not wanted:
            return None
        known: dict[str, tuple[BigValue, Any]] = {}

        def is_known(content_hash: str) -> bool:
            found = known.get(content_hash) or self.memory.find(content_hash)
            if found is not None:
                known[content_hash] = found
            return found is not None

        stored = await self._fetch_all(wanted, is_known)

        def find(content_hash: str) -> Any:
            if content_hash not in known:
                known[content_hash] = self._read(content_hash, stored[content_hash], find, known)
            return known[content_hash][1]

        for _, content_hash in wanted:
            find(content_hash)
        return find

    def _read(
        self,
        content_hash: str,
        stored: _Stored,
        find: FindValue,
        known: Mapping[str, tuple[BigValue, Any]],
    ) -> tuple[BigValue, Any]:
        parts: dict[str, tuple[BigValue, Any]] = {}

        def part(inner: str) -> Any:
            value = find(inner)
            parts[inner] = known[inner]
            return value

        text = stored.text
        value = restore(parse(text), part) if MARK in text else decode(text)
        big = BigValue(content_hash, stored.size, tuple(parts.values()))
        big.root_id = stored.root_id
        if type(value) is FrozenDict or type(value) is FrozenList:
            value._big = big
        self.memory.keep(big, value)
        return big, value

    async def texts(self, keys: Iterable[Key]) -> Callable[[str], str]:
        """Fetch the texts of values, whole; give what finds them by their hashes.

        Raises:
            LostValueError, DatabaseUnavailableError
        """
        known: dict[str, str] = {}

        def is_known(content_hash: str) -> bool:
            found = self.memory.find(content_hash)
            if found is not None and content_hash not in known:
                known[content_hash] = encode(found[1])
            return content_hash in known

        stored = await self._fetch_all(set(keys), is_known)

        def find(content_hash: str) -> str:
            if content_hash not in known:
                known[content_hash] = expand(stored[content_hash].text, find)
            return known[content_hash]

        return find

    async def _fetch_all(self, wanted: set[Key], is_known: Callable[[str], bool]) -> dict[str, _Stored]:
        """Fetch stored texts with those inside of them, level by level."""
        found: dict[str, _Stored] = {}
        while wanted:
            missing = sorted(key for key in wanted if key[1] not in found and not is_known(key[1]))
            wanted = set()
            for start in range(0, len(missing), _KEYS):
                some = await self._fetch_some(missing[start : start + _KEYS])
                found.update(some)
                wanted.update((each.root_id, inner) for each in some.values() for inner in hashes(each.text))
        return found

    async def _fetch_some(self, keys: Sequence[Key]) -> dict[str, _Stored]:
        rows = (await self._dialect.fetch([(self._query, self._arrays(keys))]))[0]
        asked = set(keys)
        found = {
            content_hash: (root_id, size, place, data)
            for root_id, content_hash, size, place, data in rows
            if (root_id, content_hash) in asked
        }
        for root_id, content_hash in keys:
            if content_hash not in found:
                raise LostValueError(content_hash, root_id)
        places = {content_hash: (row[0], row[2]) for content_hash, row in found.items() if row[3] is None}
        read = await _together([self._get(content_hash, *where) for content_hash, where in places.items()])
        outside = dict(zip(places, read, strict=True))
        return {
            content_hash: _Stored(row[0], row[1], outside[content_hash] if row[3] is None else row[3])
            for content_hash, row in found.items()
        }

    async def _get(self, content_hash: str, root_id: str, place: str) -> str:
        if self._outside is None:
            raise LostValueError(
                content_hash, root_id, f"it is kept as '{place}' outside of the database; see 'big_values'"
            )
        data = await self._outside.get(place)
        if data is None:
            raise LostValueError(content_hash, root_id, f"there is no '{place}' at {self._outside.shown}")
        if hash_of(data) != content_hash:
            raise LostValueError(content_hash, root_id, f"'{place}' at {self._outside.shown} was changed")
        return data.decode()

    def _arrays(self, keys: Collection[Key]) -> tuple[Any, Any]:
        array = self._dialect.array
        return array(sorted({key[0] for key in keys})), array(sorted({key[1] for key in keys}))

    # -- writing --------------------------------------------------------------------------

    async def place(self, found: Mapping[Key, Found]) -> None:
        """Write texts outside that may not be there yet; to be called before what refers to them is
        committed.

        Raises:
            ValueStoreUnavailableError, DatabaseUnavailableError
        """
        if self._outside is None or not found:
            return
        new = {}
        for key, each in found.items():
            each.place = self._placed_lately(key)
            if each.place is None and each.big.root_id != key[0]:
                new[key] = each
        for key in await self._known_places(new):
            del new[key]
        await _together([self._put(self._outside, key, each) for key, each in new.items()])

    def _placed_lately(self, key: Key) -> str | None:
        """Where a text was written; one that a sweep may have taken for a left-over counts no more."""
        place, at = self._placed.get(key, (None, 0.0))
        return place if time.monotonic() - at < _GRACE / 4 else None

    async def _known_places(self, keys: Mapping[Key, Found]) -> set[Key]:
        known: set[Key] = set()
        ordered = list(keys)
        for start in range(0, len(ordered), _KEYS):
            query = self._places, self._arrays(ordered[start : start + _KEYS])
            rows = (await self._dialect.fetch([query]))[0]
            known.update((row[0], row[1]) for row in rows)
        return known & keys.keys()

    async def _put(self, outside: Outside, key: Key, found: Found) -> None:
        root_id, content_hash = key
        # A name of its own: what one tree's deletion takes along, no later tree of this id relies on.
        place = f"{quote(root_id, safe='')}/{content_hash}.{secrets.token_hex(4)}"
        await outside.put(place, found.text().encode())
        found.place = place
        self._placed[key] = place, time.monotonic()
        if len(self._placed) > _PLACED:
            self._placed.popitem(last=False)

    def committed(self, found: Mapping[Key, Found]) -> None:
        """Take note that what was found is stored for its trees."""
        for key, each in found.items():
            each.big.root_id = key[0]
            self._placed.pop(key, None)

    def doubted(self, found: Iterable[Key]) -> None:
        """Forget where texts were written whose commit may have happened: if it has, a deletion of the tree
        takes them along."""
        for key in found:
            self._placed.pop(key, None)

    async def add(self, connection: AsyncConnection, found: Mapping[Key, Found]) -> None:
        """Write values that aren't there in a transaction of the caller."""
        table = schema.big_values
        for key in sorted(found):
            known = await connection.scalar(
                sa.select(table.c.hash).where(table.c.root_id == key[0], table.c.hash == key[1])
            )
            if known is None:
                row = dict(zip(BIG_VALUES.columns, big_value_row(key, found[key]), strict=True))
                with suppress(IntegrityError):  # somebody else was faster
                    async with connection.begin_nested():
                        await connection.execute(sa.insert(table), row)

    # -- deleting -------------------------------------------------------------------------

    async def delete(self, connection: AsyncConnection, root_ids: Collection[str]) -> list[str]:
        """Delete all values of trees in a transaction of the caller; give the places that are to be
        cleared (:meth:`clear`) once it is committed."""
        table = schema.big_values
        of_trees = table.c.root_id.in_(root_ids)
        places = list(
            (
                await connection.execute(sa.select(table.c.place).where(of_trees, table.c.place.is_not(None)))
            ).scalars()
        )
        await connection.execute(sa.delete(table).where(of_trees))
        return places

    async def clear(self, places: Sequence[str]) -> None:
        """Delete texts outside that nothing refers to any more. What can't be deleted now is left over."""
        if not places or self._outside is None:
            return
        try:
            await self._outside.delete(places)
        except ValueStoreUnavailableError as error:
            log.warning("texts of big values left over count=%d error=%s", len(places), error.message)

    async def sweep(self, *, grace: float = _GRACE, only_count: bool = False) -> Swept:
        """Delete what nothing refers to: values of trees that don't exist, and texts outside without a
        row that are older than ``grace`` seconds.

        Raises:
            DatabaseUnavailableError, ValueStoreUnavailableError
        """
        rows = await self._orphans(only_count)
        if self._outside is None:
            return Swept(rows, 0)
        before = time.time() - grace
        texts, old = 0, []
        async for place, written_at in self._outside.all():
            if written_at < before:
                old.append(place)
            if len(old) == _KEYS:
                texts += await self._clear_unknown(self._outside, old, only_count)
                old = []
        return Swept(rows, texts + await self._clear_unknown(self._outside, old, only_count))

    async def _orphans(self, only_count: bool) -> int:
        """Rows of trees that don't exist: results that came for an execution while it was deleted."""
        table, heads, actions = schema.big_values, schema.heads, schema.action_executions
        is_orphan = sa.and_(
            ~sa.exists().where(heads.c.id == table.c.root_id),
            ~sa.exists().where(actions.c.id == table.c.root_id),
        )
        async with self._dialect.exclusive(), self._dialect.writer.begin() as connection:
            if only_count:
                count = await connection.scalar(
                    sa.select(sa.func.count()).select_from(table).where(is_orphan)
                )
                return int(count or 0)
            return (await connection.execute(sa.delete(table).where(is_orphan))).rowcount

    async def _clear_unknown(self, outside: Outside, places: Sequence[str], only_count: bool) -> int:
        """Delete those texts that no row names."""
        keys = [key for key in map(_key_of, places) if key is not None]
        query = self._places, self._arrays(keys)
        known = {row[2] for row in (await self._dialect.fetch([query]))[0]} if keys else set()
        unknown = [place for place in places if place not in known and _key_of(place) is not None]
        if unknown and not only_count:
            await outside.delete(unknown)
        return len(unknown)


def _key_of(place: str) -> Key | None:
    """What a text outside was written for; None: it isn't ours."""
    found = _PLACE.fullmatch(place)
    return None if found is None else (unquote(found[1]), found[2])


async def _together(works: Sequence[Awaitable[T]]) -> list[T]:
    """Wait for all, a few at a time; the first error ends it."""
    limit = asyncio.Semaphore(_AT_ONCE)

    async def bounded(work: Awaitable[T]) -> T:
        async with limit:
            return await work

    return list(await asyncio.gather(*(bounded(work) for work in works)))
