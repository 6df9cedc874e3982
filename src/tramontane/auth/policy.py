"""Which rule lets whom through (REST specification, section 8).

Rules are named as existing policy files name them. A file may replace any of them
(:mod:`tramontane.auth.policy_file`); what it doesn't name stays as below. A name that isn't below is an
administrator's matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from tramontane.auth.caller import Caller
from tramontane.auth.policy_language import Rule, parse
from tramontane.errors import NotAllowedError

_ADMIN: Final = "rule:admin_only"
_ANYBODY: Final = "rule:admin_or_owner"
_ALL: Final = ("create", "delete", "get", "list", "update")


def _rules(resource: str, names: tuple[str, ...], text: str) -> dict[str, str]:
    return {f"{resource}:{name}": text for name in names}


DEFAULTS: Final[Mapping[str, str]] = {
    "admin_only": "is_admin:True",
    "admin_or_owner": "is_admin:True or project_id:%(project_id)s",
    **_rules("actions", _ALL, _ANYBODY),
    **_rules("actions", ("publicize",), _ADMIN),
    **_rules("action_executions", _ALL, _ANYBODY),
    **_rules("code_sources", (*_ALL, "publicize"), _ADMIN),
    **_rules("dynamic_actions", (*_ALL, "publicize"), _ADMIN),
    **_rules("cron_triggers", ("create", "delete", "get", "list"), _ANYBODY),
    **_rules("cron_triggers", ("publicize", "list:all_projects"), _ADMIN),
    **_rules("environments", _ALL, _ANYBODY),
    **_rules("environments", ("publicize",), _ADMIN),
    **_rules("event_triggers", _ALL, _ANYBODY),
    **_rules("event_triggers", ("publicize", "list:all_projects"), _ADMIN),
    **_rules("executions", _ALL, _ANYBODY),
    **_rules("executions", ("list:all_projects", "prioritize"), _ADMIN),
    **_rules("limits", ("list",), _ANYBODY),
    **_rules("limits", ("update",), _ADMIN),
    **_rules("maintenance", ("update",), _ADMIN),
    **_rules("members", _ALL, _ANYBODY),
    **_rules("metrics", ("get",), _ADMIN),
    **_rules("services", ("list",), _ANYBODY),
    **_rules("tasks", ("get", "list", "update"), _ANYBODY),
    **_rules("workbooks", _ALL, _ANYBODY),
    **_rules("workbooks", ("publicize",), _ADMIN),
    **_rules("workers", ("poll",), _ANYBODY),
    **_rules("workflows", _ALL, _ANYBODY),
    **_rules("workflows", ("publicize", "list:all_projects"), _ADMIN),
}
"""Name of a rule -> its text. The first two are what others refer to."""


class Rules(Protocol):
    def allows(self, rule: str, caller: Caller) -> bool:
        """Tell whether ``caller`` passes the rule of this name."""


class PolicyRules:
    """The default rules, some of which may be replaced.

    No rule may refer to one that doesn't exist, nor, over others, to itself.
    """

    def __init__(self, replaced: Mapping[str, Rule] | None = None) -> None:
        self._rules = {**_PARSED, **(replaced or {})}

    def allows(self, rule: str, caller: Caller) -> bool:
        found = self._rules.get(rule)
        if found is None:
            return caller.is_admin
        return found.check(caller, lambda name: self.allows(name, caller))


_PARSED: Final = {name: parse(text) for name, text in DEFAULTS.items()}


def enforce(rules: Rules, rule: str, caller: Caller) -> None:
    """Let ``caller`` pass or raise.

    Raises:
        NotAllowedError: when the rule refuses.
    """
    if not rules.allows(rule, caller):
        raise NotAllowedError(f"The policy doesn't allow {rule} to be performed by this caller.")
