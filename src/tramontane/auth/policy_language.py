"""The language of rules in policy files, as far as this service takes it.

A rule is ``@`` (everybody, as is an empty rule), ``!`` (nobody), or checks with ``not``, ``and``, ``or``
and parentheses between them (``not`` binds strongest, ``or`` weakest). A check is one of

* ``role:NAME``: the caller has the role, in whatever case;
* ``rule:NAME``: another rule lets the caller through;
* ``is_admin:True``, ``project_id:VALUE``, ``user_id:VALUE``: what is known of the caller has this value,
  where ``%(project_id)s`` and ``%(user_id)s`` stand for the object's. That is always the caller's own:
  whose objects a caller reaches isn't a matter of rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tramontane.auth.caller import Caller

Check = Callable[[Caller, Callable[[str], bool]], bool]
"""Tells whether a caller passes; the function does so for other rules by name."""


class RuleSyntaxError(ValueError):
    """A rule can't be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule and the names of those that it refers to."""

    check: Check
    refers_to: frozenset[str]


_WORDS: Final = re.compile(r"\s*(\(|\)|(?:%\([^)\s]*\)s|[^\s()])+)")
_ATTRIBUTES: Final[dict[str, Callable[[Caller], str]]] = {
    "is_admin": lambda caller: str(caller.is_admin),
    "project_id": lambda caller: caller.project_id,
    "tenant_id": lambda caller: caller.project_id,
    "tenant": lambda caller: caller.project_id,
    "user_id": lambda caller: caller.user_id or "",
    "user": lambda caller: caller.user_id or "",
}
_TARGETS: Final = {f"%({name})s": _ATTRIBUTES[name] for name in ("project_id", "tenant_id", "user_id")}


def parse(text: str) -> Rule:
    """Read a rule.

    Raises:
        RuleSyntaxError: it can't be read.
    """
    if not text.strip():
        return Rule(lambda _who, _ask: True, frozenset())
    parser = _Parser(_WORDS.findall(text))
    check = parser.alternatives()
    if parser.word is not None:
        raise RuleSyntaxError(f"'{parser.word}' isn't expected here")
    return Rule(check, frozenset(parser.refers_to))


class _Parser:
    """Goes through the words of a rule from the left."""

    def __init__(self, words: list[str]) -> None:
        self._words = words
        self._place = 0
        self.refers_to: set[str] = set()

    @property
    def word(self) -> str | None:
        return self._words[self._place] if self._place < len(self._words) else None

    def _takes(self, keyword: str) -> bool:
        if self.word is None or self.word.lower() != keyword:
            return False
        self._place += 1
        return True

    def alternatives(self) -> Check:
        checks = [self._conditions()]
        while self._takes("or"):
            checks.append(self._conditions())
        return checks[0] if len(checks) == 1 else lambda who, ask: any(check(who, ask) for check in checks)

    def _conditions(self) -> Check:
        checks = [self._negation()]
        while self._takes("and"):
            checks.append(self._negation())
        return checks[0] if len(checks) == 1 else lambda who, ask: all(check(who, ask) for check in checks)

    def _negation(self) -> Check:
        if self._takes("not"):
            check = self._negation()
            return lambda who, ask: not check(who, ask)
        if self._takes("("):
            check = self.alternatives()
            if not self._takes(")"):
                raise RuleSyntaxError("a parenthesis isn't closed")
            return check
        word = self.word
        if word is None:
            raise RuleSyntaxError("it ends too early")
        self._place += 1
        return self._check(word)

    def _check(self, word: str) -> Check:
        if word == "@":
            return lambda _who, _ask: True
        if word == "!":
            return lambda _who, _ask: False
        kind, colon, match = word.partition(":")
        if not colon or not match:
            raise RuleSyntaxError(f"'{word}' is no check; write one such as role:admin or rule:admin_only")
        if kind == "rule":
            self.refers_to.add(match)
            return lambda _who, ask: ask(match)
        if kind == "role":
            wanted = match.lower()
            return lambda who, _ask: any(role.lower() == wanted for role in who.roles)
        return _attribute_check(kind, match)


def _attribute_check(kind: str, match: str) -> Check:
    attribute = _ATTRIBUTES.get(kind)
    if attribute is None:
        known = ", ".join(("role", "rule", *_ATTRIBUTES))
        raise RuleSyntaxError(f"there is no check '{kind}:'; there are {known}")
    if not match.startswith("%("):
        return lambda who, _ask: attribute(who) == match
    target = _TARGETS.get(match)
    if target is None:
        raise RuleSyntaxError(f"'{match}' isn't known; there are {', '.join(_TARGETS)}")
    return lambda who, _ask: attribute(who) == target(who)
