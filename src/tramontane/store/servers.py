"""A database URL may name several servers of one cluster: ``mariadb://user:password@db1,db2:3307/name``.

They are tried in turn, from the one that answered last: whoever has no proxy in front of the cluster
needs nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import sqlalchemy as sa

C = TypeVar("C")

_SEVERAL = re.compile(
    r"(?P<before>[\w+]+://(?:[^/?#]*@)?)(?P<servers>[^/?#@]*,[^/?#@]*)(?P<after>(?:[/?#].*)?)", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class ServerURL:
    """``urls``: the URL as it is for each of its servers."""

    urls: Sequence[sa.URL]

    @property
    def first(self) -> sa.URL:
        return self.urls[0]

    def shown(self) -> str:
        """Write it without its password."""
        text = self.first.render_as_string(hide_password=True)
        if len(self.urls) == 1:
            return text
        places = [_place(url) for url in self.urls]
        head, at, tail = text.rpartition("@")
        if not at:
            head, at, tail = text.partition("://")
        return head + at + ",".join(places) + tail.removeprefix(places[0])


def parse(text: str) -> ServerURL:
    """Read a database URL.

    Raises:
        ValueError, sqlalchemy.exc.ArgumentError: it is none.
    """
    several = _SEVERAL.fullmatch(text)
    if several is None:
        return ServerURL((sa.make_url(text),))
    before, servers, after = several.groups()
    urls = tuple(sa.make_url(before + server + after) for server in servers.split(","))
    if not all(url.host for url in urls):
        raise ValueError("a server without a name")
    return ServerURL(urls)


def _place(url: sa.URL) -> str:
    host = f"[{url.host}]" if ":" in (url.host or "") else url.host or ""
    return host if url.port is None else f"{host}:{url.port}"


class Servers:
    """Opens connections to whichever server takes them."""

    def __init__(self, url: ServerURL, errors: tuple[type[BaseException], ...]) -> None:
        """``errors``: what says that the next server may be worth a try."""
        self._urls = url.urls
        self._errors = errors
        self._last = 0

    async def open(self, connect: Callable[[sa.URL], Awaitable[C]]) -> C:
        """Connect to the server that answered last, else to the next one.

        Raises:
            OSError: of several servers none took it; the text says why of each.
            what ``connect`` raised for the only one.
        """
        begin, count = self._last, len(self._urls)
        refusals: list[str] = []
        for number in range(begin, begin + count):
            url = self._urls[number % count]
            try:
                connection = await connect(url)
            except self._errors as error:
                if count == 1:
                    raise
                refusals.append(f"{_place(url)}: {str(error).strip() or type(error).__name__}")
            else:
                self._last = number % count
                return connection
        raise OSError("; ".join(refusals))
