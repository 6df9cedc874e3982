"""A running node that answers over HTTP, with callers told apart by their tokens."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import uvicorn
from tests.api.library import TokenProjects

from tramontane.api.app import create_app
from tramontane.compose import open_node
from tramontane.config import Settings


@contextmanager
def served_with_tokens(database: str) -> Iterator[str]:
    """Serve for the length of the block; gives the URL. The token is the project, as in TokenProjects."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        end = threading.Event()
        thread = threading.Thread(target=asyncio.run, args=(_serve(database, listener, end),))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v2"
        finally:
            end.set()
            thread.join()


async def _serve(database: str, listener: socket.socket, end: threading.Event) -> None:
    async with open_node(Settings(database=database, load_action_plugins=False)) as node:
        app = create_app(replace(node.api(), authenticator=TokenProjects()))
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="error"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await asyncio.to_thread(end.wait)
        server.should_exit = True
        await serving
