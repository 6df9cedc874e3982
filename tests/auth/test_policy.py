"""Rules of who may do what: their language, their file, their defaults."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tramontane.api.routes import ROUTES
from tramontane.auth import Caller, PolicyRules
from tramontane.auth.policy import DEFAULTS
from tramontane.auth.policy_file import PolicyFileError, WatchedRules, load_rules
from tramontane.auth.policy_language import RuleSyntaxError, parse

MEMBER = Caller("shop", "alice", frozenset({"member", "Lead"}))
ADMIN = Caller("shop", "root", frozenset({"admin"}), is_admin=True)


def passes(text: str, caller: Caller) -> bool:
    return parse(text).check(caller, lambda name: name == "open")


@pytest.mark.parametrize(
    ("text", "member", "admin"),
    [
        ("", True, True),
        ("@", True, True),
        ("!", False, False),
        ("is_admin:True", False, True),
        ("is_admin:False", True, False),
        ("role:member", True, False),
        ("role:lead", True, False),
        ("project_id:%(project_id)s", True, True),
        ("tenant:%(tenant_id)s", True, True),
        ("user_id:%(project_id)s", False, False),
        ("project_id:shop and user_id:alice", True, False),
        ("rule:open", True, True),
        ("rule:closed", False, False),
        ("not role:member", False, True),
        ("not not role:member", True, False),
        ("role:x or role:member and role:lead", True, False),
        ("(role:x or role:member) and role:y", False, False),
        ("not role:x and role:member", True, False),
        ("not (role:x or role:member)", False, True),
        ("role:member AND NOT role:x", True, False),
        ("(is_admin:True)", False, True),
    ],
)
def test_rules_mean_what_they_say(text: str, member: bool, admin: bool) -> None:
    assert passes(text, MEMBER) is member
    assert passes(text, ADMIN) is admin


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("role", "no check"),
        ("role:", "no check"),
        ("role:a role:b", "isn't expected"),
        ("(role:a", "isn't closed"),
        ("role:a)", "isn't expected"),
        ("role:a and", "ends too early"),
        ("not", "ends too early"),
        ("http://opa/check", "no check 'http:'"),
        ("domain_id:x", "no check 'domain_id:'"),
        ("project_id:%(target.project)s", "isn't known"),
    ],
)
def test_what_can_t_be_read_is_explained(text: str, words: str) -> None:
    with pytest.raises(RuleSyntaxError, match=words.replace("(", r"\(")):
        parse(text)


def a_file(folder: Path, text: str) -> Path:
    path = folder / "policy.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.spec("API80")
def test_a_file_replaces_what_it_names_and_leaves_the_rest(tmp_path: Path) -> None:
    rules = load_rules(
        a_file(
            tmp_path,
            """
operator: role:operator or rule:admin_only
"executions:create": rule:operator
"workflows:publicize": "@"
"workflows:delete": "!"
""",
        )
    )
    assert not rules.allows("executions:create", MEMBER)
    assert rules.allows("executions:create", ADMIN)
    assert rules.allows("executions:create", Caller("p", roles=frozenset({"operator"})))
    assert rules.allows("workflows:publicize", MEMBER)
    assert not rules.allows("workflows:delete", ADMIN)
    assert rules.allows("workflows:create", MEMBER)
    assert not rules.allows("code_sources:list", MEMBER)


def test_a_base_rule_can_be_replaced_for_all_that_refer_to_it(tmp_path: Path) -> None:
    rules = load_rules(a_file(tmp_path, "admin_only: role:lead\n"))
    assert rules.allows("code_sources:list", MEMBER)
    assert not rules.allows("code_sources:list", ADMIN)
    assert rules.allows("workflows:list", ADMIN)


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}\n"])
def test_an_empty_file_changes_nothing(tmp_path: Path, text: str) -> None:
    assert load_rules(a_file(tmp_path, text)).allows("workflows:list", MEMBER)


def test_a_changed_file_counts_soon_and_one_that_can_t_be_used_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = 0.0
    file = a_file(tmp_path, '"workflows:list": "!"\n')
    rules = WatchedRules(file, lambda: now)

    def allows_after(text: str | None, seconds: float = 2.0) -> bool:
        nonlocal now
        file.unlink(missing_ok=True)
        if text is not None:
            a_file(tmp_path, text)
        now += seconds
        return rules.allows("workflows:list", MEMBER)

    assert not rules.allows("workflows:list", MEMBER)
    assert allows_after('"workflows:list": "@"\n')
    assert allows_after('"workflows:list": role:a or\n')
    assert "not taken up" in caplog.text and "line 1" in caplog.text
    assert allows_after(None), "a file that is gone leaves the rules"
    assert allows_after('"workflows:list": "!" \n', 0.1), "it isn't looked at all the time"
    assert not allows_after('"workflows:list": "!"  \n')


def test_everything_that_is_wrong_is_told_with_its_line(tmp_path: Path) -> None:
    text = """\
"workflows:list": role:a or
"workflows:get": [role:a]
"workflows:list": "@"
"tasks:get": rule:admin_onli
a: rule:b
b: rule:a
"tasks:list": true
"""
    with pytest.raises(PolicyFileError) as caught:
        load_rules(a_file(tmp_path, text))
    lines = caught.value.message.splitlines()
    assert [line.split(":")[0].strip() for line in lines[1:]] == [f"line {n}" for n in range(1, 8)]
    for part in (
        "ends too early",
        "must be a text",
        "line 1 has it already",
        "'admin_onli', which is no rule; did you mean 'admin_only'?",
        "'a' refers to itself",
    ):
        assert part in caught.value.message


@pytest.mark.parametrize(
    ("text", "words"),
    [("a: [", "line 1: this is no YAML"), ("- a\n", "must be a map"), ("a: @\n", "line 1: this is no YAML")],
)
def test_what_is_no_map_of_rules_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(PolicyFileError, match=words):
        load_rules(a_file(tmp_path, text))


def test_a_file_that_isn_t_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyFileError, match=r"nothing\.yaml"):
        load_rules(tmp_path / "nothing.yaml")


def test_unknown_rules_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = 'used: "@"\n"workflows:list": rule:used\n"workflow:list": "!"\n'
    with caplog.at_level(logging.WARNING):
        load_rules(a_file(tmp_path, text))
    (record,) = caplog.records
    assert "line=3" in record.getMessage()
    assert "rule=workflow:list" in record.getMessage()
    assert "did you mean 'workflows:list'?" in record.getMessage()


ADMINS = ("publicize", "list:all_projects")


@pytest.mark.parametrize("name", [name for name in DEFAULTS if ":" in name])
def test_by_default_a_rule_admits_everybody_but_for_what_is_for_administrators(name: str) -> None:
    wants_admin = name.endswith(ADMINS) or name.startswith(
        tuple(f"{resource}:" for resource in ("code_sources", "dynamic_actions", "maintenance", "metrics"))
    )
    wants_admin = wants_admin or name in ("limits:update", "executions:prioritize")
    assert PolicyRules().allows(name, MEMBER) is not wants_admin
    assert PolicyRules().allows(name, ADMIN)


def test_a_rule_without_a_default_is_an_administrator_s_matter() -> None:
    assert not PolicyRules().allows("nothing:create", MEMBER)
    assert PolicyRules().allows("nothing:create", ADMIN)


def test_every_rule_of_an_endpoint_has_a_default() -> None:
    used = {endpoint.rule for methods in ROUTES.values() for endpoint in methods.values()} - {None}
    assert used - DEFAULTS.keys() == set()
