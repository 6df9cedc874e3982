"""``tramontane token`` as operators see it, beside a service that runs."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from tests.cli import program
from tests.cli.program import assert_one_clear_line
from tests.cli.test_serve import service

DATABASE = ("--database", "sqlite:///state.sqlite")


def token(folder: Path, *arguments: str) -> str:
    """Run the command; gives what it prints."""
    end = program.run("token", *arguments, *DATABASE, cwd=folder)
    assert end.status == 0, end.err
    return end.out


def call(url: str, token: str | None, **headers: str) -> tuple[int, Any]:
    sent = headers if token is None else {"X-Auth-Token": token, **headers}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=sent), timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def listed(folder: Path, *arguments: str) -> list[list[str]]:
    """The lines of the list, without the title."""
    title, *lines = token(folder, "list", *arguments).splitlines()
    assert title.split()[:3] == ["ID", "PROJECT", "ROLES"]
    return [line.split() for line in lines]


def test_tokens_are_issued_before_and_while_the_service_runs(tmp_path: Path) -> None:
    before = token(tmp_path, "create", "--project", "shop", "--role", "admin").strip()
    with service(tmp_path, "--auth", "token") as (_, url):
        assert call(f"{url}/v2/workflows", before)[0] == 200
        assert call(f"{url}/v2/code_sources", before)[0] == 200
        assert call(f"{url}/v2", None)[0] == 200
        assert call(f"{url}/v2/workflows", None)[0] == 401
        during = token(
            tmp_path, "create", "--project", "shop", "--name", "a laptop", "--expires", "90d"
        ).strip()
        assert call(f"{url}/v2/workflows", during)[0] == 200
        status, body = call(f"{url}/v2/code_sources", during, **{"X-Roles": "admin"})
        assert status == 403
        assert "policy" in body["faultstring"]


def test_a_revoked_token_isn_t_listed_any_more_and_no_list_shows_tokens(tmp_path: Path) -> None:
    secret = token(tmp_path, "create", "--project", "shop", "--role", "member", "--role", "lead").strip()
    kept = token(tmp_path, "create", "--project", "bank", "--name", "a laptop").strip()
    ((token_id, project, roles, *_), second) = listed(tmp_path)
    assert (project, roles) == ("shop", "member,lead")
    assert second[-2:] == ["a", "laptop"]
    assert "revoked" in token(tmp_path, "revoke", token_id)
    assert "already" in token(tmp_path, "revoke", token_id)
    assert [line[1] for line in listed(tmp_path)] == ["bank"]
    everything = token(tmp_path, "list", "--all")
    assert "revoked" in everything
    for each in (secret, kept):
        assert each not in everything
        assert each.encode() not in (tmp_path / "state.sqlite").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["create", "--project", "p", "--expires", "soon"], 2),
        (["create", "--project", "p", "--expires", "0d"], 2),
        (["create", "--project", " "], 2),
        (["create", "--project", "p" * 81], 2),
        (["revoke", "nothing"], 1),
    ],
)
def test_what_can_t_be_meant_is_one_line(tmp_path: Path, arguments: list[str], status: int) -> None:
    end = program.run("token", *arguments, *DATABASE, cwd=tmp_path)
    assert end.status == status
    assert_one_clear_line(end.err)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--auth", "oidc", "--oidc-issuer", "https://x.org"], "oidc_audience"),
        (["--auth", "keystone"], "keystone_url"),
        (["--auth", "keycloak"], "keycloak_url"),
        (["--auth", "keystone", "--keystone-url", "x.org"], "https://"),
        (["--auth", "basic"], "must be one of none, token"),
    ],
)
def test_a_way_of_authenticating_that_lacks_something_is_refused(
    tmp_path: Path, options: list[str], words: str
) -> None:
    end = program.run("serve", "--port", "0", *DATABASE, *options, cwd=tmp_path)
    assert end.status == 2
    assert words in end.err


def test_a_policy_file_that_can_t_be_used_keeps_the_service_from_starting(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text('"workflows:list": role:a or\n')
    end = program.run("serve", "--port", "0", *DATABASE, "--policy-file", "policy.yaml", cwd=tmp_path)
    assert end.status == 1
    assert "line 1" in end.err
    assert "Traceback" not in end.err


def test_with_authentication_the_service_listens_where_others_reach_it(tmp_path: Path) -> None:
    arguments = ["serve", "--port", "0", "--host", "0.0.0.0", "--auth", "token", *DATABASE]
    with program.started(arguments, tmp_path) as process:
        assert process.stdout is not None
        assert "ready" in process.stdout.readline()
