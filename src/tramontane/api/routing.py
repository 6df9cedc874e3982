"""From a path to what answers it: a tree of segments, literal ones before variable ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.responses import Response

from tramontane.api.faults import HttpError
from tramontane.api.request import Request

if TYPE_CHECKING:
    from tramontane.api.context import Api

Handler = Callable[["Api", Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one path.

    ``rule`` is the policy rule that a caller must pass (None: none). ``is_public``: no token is
    needed. ``also_accepted`` are media types that a client may ask for instead of JSON: plain text, for
    uploads of definitions, and what an endpoint answers that isn't JSON.
    """

    handler: Handler
    rule: str | None = None
    is_public: bool = False
    also_accepted: tuple[str, ...] = ()


@dataclass(slots=True)
class _Node:
    literals: dict[str, _Node] = field(default_factory=dict)
    variable: tuple[str, _Node] | None = None
    methods: dict[str, Endpoint] | None = None


class Router:
    """Finds endpoints. Paths are written ``/v2/tasks/{id}``."""

    def __init__(self, routes: Mapping[str, Mapping[str, Endpoint]]) -> None:
        self._root = _Node()
        for path, methods in routes.items():
            self._add(path, dict(methods))

    def _add(self, path: str, methods: dict[str, Endpoint]) -> None:
        node = self._root
        for segment in path.strip("/").split("/") if path != "/" else ():
            if segment.startswith("{"):
                if node.variable is None:
                    node.variable = (segment[1:-1], _Node())
                node = node.variable[1]
            else:
                node = node.literals.setdefault(segment, _Node())
        node.methods = methods

    def find(self, segments: Sequence[str], method: str) -> tuple[Endpoint, dict[str, str]]:
        """Find the endpoint and the values of the path's variables.

        Raises:
            HttpError: 404 for an unknown path, 405 (with ``Allow``) for a method that it doesn't take.
        """
        node = self._root
        arguments: dict[str, str] = {}
        for segment in segments:
            literal = node.literals.get(segment)
            if literal is not None:
                node = literal
            elif node.variable is not None and segment and "\0" not in segment:
                arguments[node.variable[0]] = segment
                node = node.variable[1]
            else:
                raise _no_route(segments)
        if node.methods is None:
            raise _no_route(segments)
        endpoint = node.methods.get(method)
        if endpoint is None:
            allowed = ", ".join(sorted(node.methods))
            raise HttpError(
                405, f"The method {method} isn't allowed here; allowed: {allowed}.", {"Allow": allowed}
            )
        return endpoint, arguments


def _no_route(segments: Sequence[str]) -> HttpError:
    return HttpError(404, f"There is nothing at '/{'/'.join(segments)}'.")
