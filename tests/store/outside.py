"""Stores outside of the database for tests: a directory, and a bucket on an S3 server of its own."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

import boto3

T = TypeVar("T")

KEY, SECRET = "AKIDEXAMPLE", "a-secret-that-nobody-sees"


class Files(Protocol):
    """What a test sees of a store outside."""

    url: str
    secret: str

    def names(self) -> list[str]: ...
    def overwrite(self, name: str, data: bytes) -> None: ...
    def remove(self, name: str) -> None: ...
    def away(self) -> AbstractContextManager[None]: ...


class DirectoryFiles:
    secret = "no secrets here"

    def __init__(self, path: Path) -> None:
        self._path = path
        self.url = f"file://{path}"

    def names(self) -> list[str]:
        return sorted(str(each.relative_to(self._path)) for each in self._path.glob("*/*"))

    def overwrite(self, name: str, data: bytes) -> None:
        (self._path / name).write_bytes(data)

    def remove(self, name: str) -> None:
        (self._path / name).unlink()

    def read(self, name: str) -> bytes:
        return (self._path / name).read_bytes()

    @contextmanager
    def away(self) -> Iterator[None]:
        hidden = self._path.with_name("away")
        self._path.rename(hidden)
        try:
            yield
        finally:
            hidden.rename(self._path)


class BucketFiles:
    secret = SECRET

    def __init__(self, gate: Gate, port: int, bucket: str) -> None:
        self._gate = gate
        self._client = client(port)
        self._bucket = bucket
        self._client.create_bucket(Bucket=bucket)
        self.url = f"s3://{bucket}/some/prefix?endpoint=http://127.0.0.1:{gate.port}&region=us-east-1"

    def names(self) -> list[str]:
        found = self._client.list_objects_v2(Bucket=self._bucket).get("Contents", [])
        return sorted(each["Key"].removeprefix("some/prefix/") for each in found)

    def overwrite(self, name: str, data: bytes) -> None:
        self._client.put_object(Bucket=self._bucket, Key=f"some/prefix/{name}", Body=data)

    def remove(self, name: str) -> None:
        self._client.delete_object(Bucket=self._bucket, Key=f"some/prefix/{name}")

    @contextmanager
    def away(self) -> Iterator[None]:
        self._gate.close()
        try:
            yield
        finally:
            self._gate.open()


def client(port: int) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
    )


@contextmanager
def s3_server() -> Iterator[int]:
    """Run an S3 server in a process of its own; give its port."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port: int = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port)
        yield port
    finally:
        process.kill()
        process.wait()


def _wait_for(port: int) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


class Gate:
    """Passes connections on to a server on this machine; while it is closed it hangs up on everybody."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._is_open = True
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._call(self._listen())
        self.port: int = self._server.sockets[0].getsockname()[1]

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._pass_on, "127.0.0.1", 0)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._is_open:
            writer.close()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers |= {writer, back}
        await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
        self._writers -= {writer, back}

    @staticmethod
    async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(2**16):
                writer.write(data)
                await writer.drain()
            writer.close()

    def close(self) -> None:
        self._call(self._set(False))

    def open(self) -> None:
        self._call(self._set(True))

    async def _set(self, is_open: bool) -> None:
        self._is_open = is_open
        if not is_open:
            for writer in self._writers:
                writer.transport.abort()

    def stop(self) -> None:
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        await self._set(False)
        await asyncio.sleep(0)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
