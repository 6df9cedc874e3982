"""Settings: four sources, clear errors, and every option does what it says."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from tests.service.harness import ALICE, a_node, play, run, upload

from tramontane.config import Settings, SettingsError, load_settings
from tramontane.errors import BadRequestError
from tramontane.service.services import RunOrder
from tramontane.values import freeze


def a_file(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_arguments_beat_the_environment_which_beats_the_file(tmp_path: Path) -> None:
    file = a_file(tmp_path, "t.toml", 'host = "file"\nport = 1\nmax_limit = 7\n')
    found = load_settings(file, {"TRAMONTANE_HOST": "environment", "TRAMONTANE_PORT": "2"}, port=3)
    assert (found.host, found.port, found.max_limit) == ("environment", 3, 7)
    assert found.database == Settings().database


def test_an_argument_that_is_none_counts_as_not_given() -> None:
    assert load_settings(None, {"TRAMONTANE_PORT": "2"}, port=None).port == 2


@pytest.mark.spec("CFG4")
@pytest.mark.parametrize("variable", ["TRAMONTANE_CONFIG_FILE", "MISTRAL_CONFIG_FILE"])
def test_the_environment_may_name_the_file(variable: str, tmp_path: Path) -> None:
    file = a_file(tmp_path, "mistral.conf", "[api]\nport = 4321\n")
    assert load_settings(None, {variable: str(file)}).port == 4321


@pytest.mark.spec("CFG1")
def test_an_existing_mistral_conf_is_read_and_what_is_unknown_in_it_ignored(tmp_path: Path) -> None:
    file = a_file(
        tmp_path,
        "mistral.conf",
        """
[DEFAULT]
rpc_response_timeout = 30
js_implementation = pyv8
[api]
host = 0.0.0.0
max_limit = 50
enable_info_endpoint = true
[engine]
execution_field_size_limit_kb = -1
merge_strategy = merge
[database]
connection = postgresql://u:p%40w@h/mistral
[action_std_http]
denied_cidrs = 10.0.0.0/8, ::1/128
[action_logging]
hide_request_body = false
[context_versioning]
enabled = False
[nobody]
knows = this
""",
    )
    found = load_settings(file, {})
    assert (found.host, found.max_limit, found.caller_seconds) == ("0.0.0.0", 50, 30.0)
    assert (found.field_size_limit_kb, found.merge_strategy) == (-1, "merge")
    assert found.database == "postgresql://u:p%40w@h/mistral"
    assert found.http_denied_cidrs == ("10.0.0.0/8", "::1/128")
    assert (found.log_request_bodies, found.log_response_bodies) == (True, False)
    assert (found.context_versioning, found.info_file) == (False, Path("info.json"))


@pytest.mark.spec("CFG2")
def test_everything_that_is_wrong_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    file = a_file(
        tmp_path, "t.toml", 'max_limt = 5\nmerge_strategy = "mix"\nstrict_definitions = "perhaps"\n'
    )
    environ = {"TRAMONTANE_PORT": "70000", "TRAMONTANE_HTTP_DENIED_CIDRS": "10.0.0.0/8,nonsense"}
    with pytest.raises(SettingsError) as caught:
        load_settings(file, environ, executor_threads=0, lease_secondz=5)
    text = caught.value.message
    for part in (
        "did you mean 'max_limit'",
        "'merge_strategy' in",
        "must be one of replace, merge",
        "must be true or false",
        "TRAMONTANE_PORT must be from 0 to 65535, not '70000'",
        "'nonsense', which is no network",
        "'executor_threads' must be a whole number from 1 on",
        "did you mean 'lease_seconds'",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("name", "text"), [("a.toml", "port = ["), ("a.conf", "no section"), ("missing.conf", None)]
)
def test_a_file_that_can_t_be_read_is_named(name: str, text: str | None, tmp_path: Path) -> None:
    file = tmp_path / name if text is None else a_file(tmp_path, name, text)
    with pytest.raises(SettingsError, match=name):
        load_settings(file, {})


def test_a_lease_shorter_than_three_heartbeats_is_refused() -> None:
    with pytest.raises(SettingsError, match="three times"):
        load_settings(None, {}, heartbeat_seconds=5, lease_seconds=10)


def test_defaults_survive_their_own_conversion() -> None:
    default = Settings()
    for setting in fields(Settings):
        value = getattr(default, setting.name)
        assert setting.metadata["convert"](value) == value or value is None


@pytest.mark.spec("CFG10")
def test_merge_strategy_merge_joins_published_maps(sqlite_url: str) -> None:
    text = """
wf:
  output: {aa: <% $.aa %>}
  tasks:
    a: {action: std.noop, publish: {aa: {cc: 1}}, on-success: b}
    b: {action: std.noop, publish: {aa: {bb: 2}}}
"""

    async def test(strategy: str, wanted: object) -> None:
        async with a_node(sqlite_url, merge_strategy=strategy) as node:
            if strategy == "merge":
                await upload(node, text)
            assert (await play(node, "wf")).output == {"aa": wanted}

    run(test("merge", {"cc": 1, "bb": 2}))
    run(test("replace", {"bb": 2}))


@pytest.mark.spec("CFG8")
def test_the_field_size_limit_is_kept_and_can_be_lifted(sqlite_url: str) -> None:
    text = "wf: {output: {x: <% 'ab' * 1500 %>}, tasks: {a: {action: std.noop}}}"

    async def test(limit: int, state: str) -> None:
        async with a_node(sqlite_url, field_size_limit_kb=limit) as node:
            if limit > 0:
                await upload(node, text)
            assert (await play(node, "wf")).state == state

    run(test(1, "ERROR"))
    run(test(-1, "SUCCESS"))


@pytest.mark.spec("CFG20")
def test_a_denied_action_isn_t_there(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url, action_denylist=("std.ec*",)) as node:
            await upload(node, "wf: {tasks: {a: {action: std.echo output=1}}}")
            done = await play(node, "wf")
            assert done.state == "ERROR" and "Failed to find action" in (done.state_info or "")
            with pytest.raises(BadRequestError, match="Failed to find action"):
                await node.services.action_executions.run(
                    ALICE, RunOrder("std.echo", input=freeze({"output": 1}))
                )

    run(test())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[DEFAULT]\n", "none"),
        ("[pecan]\nauth_enable = false\n[keystone_authtoken]\nauth_url = http://k\n", "none"),
        ("[keystone_authtoken]\nauth_url = http://k\n", "keystone"),
        ("[pecan]\nauth_enable = true\n[keystone_authtoken]\nauth_url = http://k\n", "keystone"),
        ("[DEFAULT]\nauth_type = keycloak-oidc\n[keycloak_oidc]\nauth_url = http://k\n", "keycloak"),
    ],
)
def test_a_mistral_conf_says_how_callers_are_known(tmp_path: Path, text: str, expected: str) -> None:
    assert load_settings(a_file(tmp_path, "mistral.conf", text), {}).auth == expected


def test_a_mistral_conf_says_how_its_identity_server_is_reached(tmp_path: Path) -> None:
    text = (
        "[keystone_authtoken]\nauth_url = https://k:5000\nusername = mistral\npassword = pw\n"
        "cafile = /ca.pem\ninsecure = true\nproject_name = services\n"
        "[keycloak_oidc]\ncafile = /other.pem\n[oslo_policy]\npolicy_file = policy.yaml\n"
    )
    settings = load_settings(a_file(tmp_path, "mistral.conf", text), {})
    assert (settings.keystone_url, settings.keystone_username) == ("https://k:5000", "mistral")
    assert (settings.keystone_password, settings.keystone_project) == ("pw", "services")
    assert settings.identity_ca_file == Path("/ca.pem")
    assert settings.identity_insecure
    assert settings.policy_file == tmp_path / "policy.yaml"
    assert "pw" not in repr(settings)


def test_domains_of_the_account_may_be_given_by_their_ids(tmp_path: Path) -> None:
    text = "[keystone_authtoken]\nauth_url = https://k\nuser_domain_id = u1\nproject_domain_id = p1\n"
    settings = load_settings(a_file(tmp_path, "mistral.conf", text), {})
    assert (settings.keystone_user_domain_id, settings.keystone_project_domain_id) == ("u1", "p1")


def test_no_message_and_no_representation_of_settings_shows_a_secret(tmp_path: Path) -> None:
    secrets = {
        "keystone_password": "pass-word",
        "database": "postgresql://u:pass-word@h/d",
        "secret_keys": "pass-word" * 5,
    }
    assert "pass-word" not in repr(load_settings(None, {}, **secrets))
    with pytest.raises(SettingsError, match="SECRET_KEYS must be texts of at least 32") as caught:
        load_settings(None, {"TRAMONTANE_SECRET_KEYS": "pass-word"})
    assert "pass-word" not in caught.value.message
    wrong = a_file(tmp_path, "t.toml", "keystone_password = 4711\n")
    with pytest.raises(SettingsError, match="keystone_password") as caught:
        load_settings(wrong, {})
    assert "4711" not in caught.value.message


def test_authentication_that_a_mistral_conf_asks_for_needs_its_server(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="keystone_url"):
        load_settings(a_file(tmp_path, "mistral.conf", "[pecan]\nauth_enable = true\n"), {})
    with pytest.raises(SettingsError, match="auth_type"):
        load_settings(a_file(tmp_path, "b.conf", "[DEFAULT]\nauth_type = magic\n"), {})
