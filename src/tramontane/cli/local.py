"""A whole service inside this process, for one command: its database vanishes with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from tramontane.actions.egress import DEFAULT_DENIED_CIDRS
from tramontane.cli.rest import RestClient, send_to_app
from tramontane.compose import open_node
from tramontane.config import Settings

LOOPBACK: Final = frozenset({"127.0.0.0/8", "::1/128"})


@asynccontextmanager
async def local_service(allow_loopback: bool) -> AsyncIterator[RestClient]:
    """Run a node with the API in front of it; ``allow_loopback`` lets HTTP actions reach this machine."""
    denied = [network for network in DEFAULT_DENIED_CIDRS if not (allow_loopback and network in LOOPBACK)]
    settings = Settings(database="sqlite://", http_denied_cidrs=tuple(denied), shutdown_grace_seconds=0.0)
    async with open_node(settings) as node:
        yield RestClient(send_to_app(node.app()))
