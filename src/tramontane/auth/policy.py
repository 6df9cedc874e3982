"""Which rule lets whom through (REST specification, section 8).

Rules are named as existing policy files name them. By default a rule admits every authenticated
caller, save for those below, which want an administrator.
"""

from __future__ import annotations

from typing import Final, Protocol

from tramontane.auth.caller import Caller
from tramontane.errors import NotAllowedError

_ADMIN_RESOURCES: Final = ("code_sources:", "dynamic_actions:")
_ADMIN_ENDINGS: Final = (":publicize", ":list:all_projects")
_ADMIN_RULES: Final = frozenset({"maintenance:update"})


class Rules(Protocol):
    def allows(self, rule: str, caller: Caller) -> bool:
        """Tell whether ``caller`` passes the rule of this name."""


class PolicyRules:
    """The rules as they are when no policy file changes them."""

    def allows(self, rule: str, caller: Caller) -> bool:
        return caller.is_admin or not _wants_admin(rule)


def _wants_admin(rule: str) -> bool:
    return rule in _ADMIN_RULES or rule.startswith(_ADMIN_RESOURCES) or rule.endswith(_ADMIN_ENDINGS)


def enforce(rules: Rules, rule: str, caller: Caller) -> None:
    """Let ``caller`` pass or raise.

    Raises:
        NotAllowedError: when the rule refuses.
    """
    if not rules.allows(rule, caller):
        raise NotAllowedError(f"The policy doesn't allow {rule} to be performed by this caller.")
