"""Where the texts of big values may be kept instead of the database: a directory, or an S3 bucket.

A text is written once under a name of its own and never changed. It is durable before anything that
refers to it is committed; names that nothing refers to are harmless left-overs.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from tramontane.store.errors import DatabaseSetupError, ValueStoreUnavailableError

URL_FORMS = "database, file:///directory or s3://bucket/prefix?endpoint=https://host:port&region=name"


class Outside(Protocol):
    """A store of texts by name; ``shown`` names it to people, without credentials."""

    shown: str

    async def check(self) -> None:
        """Make sure that it can be used.

        Raises:
            DatabaseSetupError: it can't, whatever may come.
            ValueStoreUnavailableError: not now.
        """

    async def put(self, place: str, data: bytes) -> None:
        """Store a text; when this returns, it is durable.

        Raises:
            ValueStoreUnavailableError
        """

    async def get(self, place: str) -> bytes | None:
        """Read a text; None: there is none of this name.

        Raises:
            ValueStoreUnavailableError
        """

    async def delete(self, places: Sequence[str]) -> None:
        """Delete texts; names that don't exist are no error.

        Raises:
            ValueStoreUnavailableError
        """

    def all(self) -> AsyncIterator[tuple[str, float]]:
        """All names, with the time (seconds since 1970) of their writing.

        Raises:
            ValueStoreUnavailableError
        """


class Directory:
    """Files below a directory: one directory for each root."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.shown = f"file://{path}"

    async def check(self) -> None:
        await asyncio.to_thread(self._check)

    def _check(self) -> None:
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            trial = self._path / f".{uuid.uuid4().hex}"
            self._write(trial, b"")
            trial.unlink()
        except OSError as error:
            raise DatabaseSetupError(
                f"the directory '{self._path}' for big values can't be written: {error.strerror}"
            ) from error

    async def put(self, place: str, data: bytes) -> None:
        await asyncio.to_thread(self._put, place, data)

    def _put(self, place: str, data: bytes) -> None:
        path = self._path / place
        with self._errors("written"):
            if not path.parent.is_dir():
                path.parent.mkdir(exist_ok=True)
                _sync(self._path)
            unfinished = path.with_name(f".{path.name}")
            self._write(unfinished, data)
            unfinished.rename(path)
            _sync(path.parent)

    @staticmethod
    def _write(path: Path, data: bytes) -> None:
        with path.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    async def get(self, place: str) -> bytes | None:
        return await asyncio.to_thread(self._get, place)

    def _get(self, place: str) -> bytes | None:
        with self._errors("read"):
            try:
                return (self._path / place).read_bytes()
            except FileNotFoundError:
                if self._path.is_dir():
                    return None
                raise  # the file system isn't there

    async def delete(self, places: Sequence[str]) -> None:
        await asyncio.to_thread(self._delete, places)

    def _delete(self, places: Sequence[str]) -> None:
        with self._errors("written"):
            for place in places:
                (self._path / place).unlink(missing_ok=True)
            for parent in {(self._path / place).parent for place in places}:
                with suppress(OSError):  # it holds something else
                    parent.rmdir()

    async def all(self) -> AsyncIterator[tuple[str, float]]:
        for found in await asyncio.to_thread(lambda: list(self._all())):
            yield found

    def _all(self) -> Iterator[tuple[str, float]]:
        with self._errors("read"):
            for path in self._path.glob("*/*"):
                with suppress(FileNotFoundError):
                    yield f"{path.parent.name}/{path.name}", path.stat().st_mtime

    @contextmanager
    def _errors(self, done: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ValueStoreUnavailableError(
                f"the directory '{self._path}' of big values can't be {done}: {error.strerror}"
            ) from error


def _sync(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_outside(url: str) -> Outside | None:
    """Make the store that a setting names; None: big values are kept in the database.

    Raises:
        DatabaseSetupError: the URL is wrong, or what it needs isn't installed.
    """
    if url == "database":
        return None
    parsed = urlsplit(url)
    if parsed.scheme == "file" and not parsed.netloc and parsed.path.startswith("/") and not parsed.query:
        return Directory(Path(unquote(parsed.path)))
    if parsed.scheme == "s3" and parsed.netloc:
        return _bucket(url)
    raise DatabaseSetupError(f"big values can't be kept at '{url}'; write {URL_FORMS}")


def _bucket(url: str) -> Outside:
    """Open a bucket by a library that only those install who use it."""
    try:
        from tramontane.store.s3 import Bucket  # noqa: PLC0415 (an optional dependency)
    except ImportError:
        raise DatabaseSetupError(
            "the library for S3 isn't installed; install it with: pip install 'tramontane[s3]'"
        ) from None
    return Bucket(url)
