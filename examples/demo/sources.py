"""The services that the demo's workflow asks: a stock, a weather forecast, suppliers, an exchange.

They answer like real ones do: not at once, and one of them fails its first two callers.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

_OFFERS: Final = {"alder": 7.9, "birch": 6.4, "cedar": 8.25, "damson": 6.95}
_FAILURES: Final = 2
_LATENCY: Final = 0.4  # seconds that each answer takes

Answer = tuple[int, Any]


class Sources:
    """What the services know, and how often the exchange was asked."""

    def __init__(self) -> None:
        self._rate_calls = itertools.count(1)
        self._numbers = itertools.count(4711)

    def get(self, path: list[str]) -> Answer:
        match path:
            case ["stock", product]:
                return 200, {"product": product, "on_hand": 25}
            case ["weather"]:
                return 200, {
                    "days": [{"day": day, "rain_mm": rain} for day, rain in enumerate((0, 4, 7, 1, 3))]
                }
            case ["offers", supplier, product] if supplier in _OFFERS:
                return 200, {"supplier": supplier, "product": product, "price": _OFFERS[supplier]}
            case ["rate"]:
                return self._rate()
        return 404, {"error": f"there is no /{'/'.join(path)}"}

    def post(self, path: list[str], body: Any) -> Answer:
        match path:
            case ["reservations"]:
                return 201, {"id": f"R-{next(self._numbers)}", **body}
            case ["orders"]:
                return 201, {"number": next(self._numbers), **body}
        return 404, {"error": f"there is no /{'/'.join(path)}"}

    def _rate(self) -> Answer:
        if next(self._rate_calls) <= _FAILURES:
            return 503, {"error": "the exchange is busy, come back later"}
        return 200, {"from": "EUR", "to": "USD", "rate": 1.08}


def _handler(sources: Sources) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(lambda path: sources.get(path))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            self._answer(lambda path: sources.post(path, body))

        def _answer(self, ask: Callable[[list[str]], Answer]) -> None:
            time.sleep(_LATENCY)
            status, answer = ask(self.path.strip("/").split("/"))
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Keep quiet: the demo shows what happens."""

    return Handler


@contextmanager
def serve_sources() -> Iterator[str]:
    """Answer on a free port of this machine for the time of the block; gives the URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(Sources()))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
