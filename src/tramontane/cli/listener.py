"""The HTTP server of ``serve``: its socket, its stop, and what it tells when it is ready."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from tramontane.cli.workers import READY, STOP_AT_ONCE
from tramontane.errors import TramontaneError

_BACKLOG = 2048


class ListenError(TramontaneError):
    """The address can't be listened on."""

    code = "listen"


def bind(host: str, port: int) -> socket.socket:
    """Take the address for this process; port 0 takes any free one.

    Raises:
        ListenError: when it is in use, not of this machine, or not permitted.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise ListenError(f"can't listen on {host}:{port}: {error.strerror or error}") from None
    return listener


def url_of(listener: socket.socket) -> str:
    """Write the address that a socket listens on as people open it."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(host: str) -> bool:
    """Tell whether all addresses of ``host`` are reached from this machine alone."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        return False
    return all(ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback for *_, address in found)


class Server(uvicorn.Server):
    """Serves on one socket until it is to stop: then it refuses requests, and answers those it has.

    SIGTERM and SIGINT tell it, and a second one that it mustn't wait for them; or a parent does.
    """

    def __init__(
        self,
        app: ASGIApp,
        listener: socket.socket,
        drain_seconds: int,
        when_stopping: Callable[[], Awaitable[None]],
        leash: socket.socket | None = None,
    ) -> None:
        """``when_stopping`` is awaited at the first signal, before the socket is closed; ``leash`` leads to
        the parent (:mod:`tramontane.cli.workers`)."""
        super().__init__(
            uvicorn.Config(
                app,
                http="httptools",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=drain_seconds,
            )
        )
        self._listener = listener
        self._when_stopping = when_stopping
        self._when_ready: Callable[[], None] = lambda: None
        self._leash = leash
        self._stopping: asyncio.Task[None] | None = None

    async def run_until_stopped(self, when_ready: Callable[[], None]) -> None:
        """Serve; ``when_ready`` is called once requests are taken."""
        self._when_ready = when_ready
        await self.serve([self._listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._when_ready()

    def tell_parent(self) -> None:
        """Say to the parent that requests are taken."""
        assert self._leash is not None
        self._leash.send(READY)

    def stop(self) -> None:
        """Begin to stop; called again, stop at once."""
        if self._stopping is None:
            self.begin_to_stop()
        else:
            self.force_exit = self.should_exit = True

    def begin_to_stop(self) -> None:
        """Begin to stop; called again, nothing happens."""
        if self._stopping is None:
            self._stopping = asyncio.get_running_loop().create_task(self._stop(), name="stop")

    async def _stop(self) -> None:
        try:
            await self._when_stopping()
        finally:
            self.should_exit = True

    def _hear_parent(self) -> None:
        assert self._leash is not None
        word = self._leash.recv(1)
        if not word:
            asyncio.get_running_loop().remove_reader(self._leash)  # the parent is gone
        self.begin_to_stop()
        if word == STOP_AT_ONCE:
            self.force_exit = self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop for a signal, and end like any other program afterwards: with a status, not by the signal."""
        loop = asyncio.get_running_loop()
        if self._leash is None:
            handlers = {signal.SIGTERM: self.stop, signal.SIGINT: self.stop}
        else:
            # Who ends all processes of a service tells each of them, and the parent tells them again.
            handlers = {signal.SIGTERM: self.begin_to_stop}
            loop.add_reader(self._leash, self._hear_parent)
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)
            if self._leash is not None:
                loop.remove_reader(self._leash)
