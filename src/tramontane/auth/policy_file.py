"""Policy files: YAML, a map of names to rules, as Mistral's deployments have them.

Everything that is wrong is reported at once, with its line. A rule that the service doesn't know and no
other refers to changes nothing and is warned of: most likely its name is misspelt.
"""

from __future__ import annotations

import difflib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import yaml

from tramontane.auth.caller import Caller
from tramontane.auth.policy import DEFAULTS, PolicyRules
from tramontane.auth.policy_language import Rule, RuleSyntaxError, parse
from tramontane.errors import TramontaneError

log = logging.getLogger(__name__)

_TEXT: Final = "tag:yaml.org,2002:str"


_LOOK_SECONDS: Final = 1.0


class PolicyFileError(TramontaneError):
    """A policy file can't be used; the message has a line for everything that is wrong with it."""

    code = "policy-file"


def load_rules(file: Path) -> PolicyRules:
    """Read the rules of a file; the defaults stand for those that it doesn't name.

    Raises:
        PolicyFileError: with everything that is wrong.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyFileError(f"the policy file '{file}' can't be read: {error}") from None
    rules, lines, problems = _read(text)
    problems += _wrong_references(rules, lines)
    if problems:
        listed = "\n".join(f"  line {line}: {problem}" for line, problem in sorted(problems))
        raise PolicyFileError(f"the policy file '{file}' can't be used:\n{listed}")
    for name in _unused(rules):
        log.warning(
            "unknown rule in policy file file=%s line=%d rule=%s%s", file, lines[name], name, _hint(name)
        )
    return PolicyRules(rules)


class WatchedRules:
    """The rules of a file as it is now: a changed file counts within a second or so.

    One that can't be used, or isn't there any more, changes nothing; the log says why.
    """

    def __init__(self, file: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        """
        Raises:
            PolicyFileError: with everything that is wrong.
        """
        self._file = file
        self._monotonic = monotonic
        self._version = _version(file)
        self._rules = load_rules(file)
        self._look_at = monotonic() + _LOOK_SECONDS

    def allows(self, rule: str, caller: Caller) -> bool:
        now = self._monotonic()
        if now >= self._look_at:
            self._look_at = now + _LOOK_SECONDS
            self._look()
        return self._rules.allows(rule, caller)

    def _look(self) -> None:
        version = _version(self._file)
        if version == self._version:
            return
        self._version = version
        try:
            self._rules = load_rules(self._file)
        except PolicyFileError as error:
            log.error("policy file not taken up, the rules stay as they are: %s", error.message)
        else:
            log.info("policy file taken up file=%s", self._file)


def _version(file: Path) -> tuple[int, ...] | None:
    """Tell versions of a file apart; None: there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


Problems = list[tuple[int, str]]
"""Line (from 1) and what is wrong there."""


def _read(text: str) -> tuple[dict[str, Rule], dict[str, int], Problems]:
    try:
        document = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        return {}, {}, [(line, f"this is no YAML: {error.problem}")]
    except yaml.YAMLError as error:
        return {}, {}, [(1, f"this is no YAML: {error}")]
    if document is None:
        return {}, {}, []
    if not isinstance(document, yaml.MappingNode):
        return {}, {}, [(1, "it must be a map of names to rules")]
    rules: dict[str, Rule] = {}
    lines: dict[str, int] = {}
    problems: Problems = []
    for key, value in document.value:
        name, line = str(key.value), key.start_mark.line + 1
        if name in lines:
            problems.append((line, f"'{name}' stands here again; line {lines[name]} has it already"))
            continue
        lines[name] = line
        if not isinstance(value, yaml.ScalarNode) or value.tag != _TEXT:
            problems.append(
                (value.start_mark.line + 1, f"'{name}' must be a text, such as \"rule:admin_only\"")
            )
            continue
        try:
            rules[name] = parse(value.value)
        except RuleSyntaxError as error:
            problems.append((value.start_mark.line + 1, f"'{name}' can't be read: {error}"))
    return rules, lines, problems


def _wrong_references(rules: dict[str, Rule], lines: dict[str, int]) -> Problems:
    problems = []
    known = {**{name: parse(text) for name, text in DEFAULTS.items()}, **rules}
    for name, rule in rules.items():
        problems += [
            (lines[name], f"'{name}' refers to '{other}', which is no rule{_hint(other)}")
            for other in sorted(rule.refers_to - lines.keys() - known.keys())
        ]
        if _leads_to(name, name, known, set()):
            problems.append((lines[name], f"'{name}' refers to itself"))
    return problems


def _leads_to(start: str, wanted: str, rules: dict[str, Rule], seen: set[str]) -> bool:
    """Tell whether a rule refers, maybe over others, to the wanted one."""
    for name in rules[start].refers_to if start in rules else ():
        if name == wanted:
            return True
        if name not in seen:
            seen.add(name)
            if _leads_to(name, wanted, rules, seen):
                return True
    return False


def _unused(rules: dict[str, Rule]) -> list[str]:
    used = set().union(*(rule.refers_to for rule in rules.values())) if rules else set()
    return [name for name in rules if name not in DEFAULTS and name not in used]


def _hint(name: str) -> str:
    close = difflib.get_close_matches(name, DEFAULTS, 1)
    return f"; did you mean '{close[0]}'?" if close else ""
