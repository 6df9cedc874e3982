"""What is in the registry: the standard actions, then the plug-ins that are installed.

Plug-ins are entry points of the group ``mistral.actions`` (plug-in specification, section 1). One
that can't be used is logged and left out; the others, and the process, aren't affected.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from tramontane.actions.http import HttpAction
from tramontane.actions.http_client import HttpClient, HttpSettings
from tramontane.actions.registry import Registry
from tramontane.actions.standard import (
    AsyncNoopAction,
    EchoAction,
    FailAction,
    NoopAction,
    SleepAction,
    TestDictAction,
)

log = logging.getLogger(__name__)

PLUGIN_GROUP: Final = "mistral.actions"

_STANDARD: Final = {
    "std.async_noop": AsyncNoopAction,
    "std.echo": EchoAction,
    "std.fail": FailAction,
    "std.noop": NoopAction,
    "std.sleep": SleepAction,
    "std.test_dict": TestDictAction,
}


@dataclass(frozen=True, slots=True)
class NameFilter:
    """Glob patterns, case-sensitive; an allow list that isn't empty makes the deny list ignored."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()

    def admits(self, name: str) -> bool:
        if self.allow:
            return any(fnmatchcase(name, pattern) for pattern in self.allow)
        return not any(fnmatchcase(name, pattern) for pattern in self.deny)


def standard_registry(
    http: HttpSettings | None = None,
    *,
    names: NameFilter | None = None,
    plugins: Iterable[EntryPoint] | None = None,
) -> Registry:
    """Build the registry of a process: the standard pack and the plug-ins, as far as ``names`` admits.

    ``plugins`` None: those that are installed; an empty list: none. Close the registry within the
    event loop that ran its actions.
    """
    names = names or NameFilter()
    registry = Registry()
    for name, action_class in _STANDARD.items():
        if names.admits(name):
            registry.register(name, action_class, takes_frozen=True)
    if names.admits("std.http"):
        client = HttpClient(http or HttpSettings())
        registry.on_close(client.close)
        registry.register("std.http", HttpAction, shared={"client": client}, takes_frozen=True)
    load_plugins(registry, entry_points(group=PLUGIN_GROUP) if plugins is None else plugins, names)
    return registry


def load_plugins(registry: Registry, plugins: Iterable[EntryPoint], names: NameFilter) -> None:
    """Import the classes of ``plugins`` in the order of their names and register them."""
    for plugin in sorted(plugins, key=lambda item: item.name):
        if not names.admits(plugin.name):
            continue
        try:
            registry.register(plugin.name, plugin.load())
        except (Exception, SystemExit) as error:
            log.warning(
                "action plug-in %s (%s) is left out, it can't be loaded: %s: %s",
                plugin.name,
                plugin.value,
                type(error).__name__,
                error,
            )
