from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tramontane.actions.masking import is_sensitive, mask, mask_url, scrub, secrets_in

SENSITIVE = [
    "password", "Admin_Passwd", "X-Auth-Token", "client_secret", "api_key", "API-KEY", "apikey",
    "Credentials", "cookies", "ssh_private_key",
]  # fmt: skip


@pytest.mark.spec("ACT44")
@pytest.mark.parametrize("key", SENSITIVE)
def test_keys_that_look_sensitive_are_found_anywhere_and_in_any_case(key: str) -> None:
    assert is_sensitive(key)


@pytest.mark.parametrize("key", ["name", "key", "private", "", 7, None, ("password",)])
def test_other_keys_are_not_sensitive(key: Any) -> None:
    assert not is_sensitive(key)


def test_masking_copies_maps_lists_and_tuples() -> None:
    value = {"a": [{"token": [1]}, ({"secret": None}, 2)], 5: "x"}
    assert mask(value) == {"a": [{"token": "***"}, ({"secret": "***"}, 2)], 5: "x"}
    assert value["a"][0] == {"token": [1]}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://me:pw@host/p", "http://***@host/p"),
        ("http://token@host", "http://***@host"),
        ("http://host/?a=1&access_token=xyz#f", "http://host/?a=1&access_token=***#f"),
        ("http://host/?pass%77ord=xyz", "http://host/?pass%77ord=***"),
        ("http://host/mail@me?b=2", "http://host/mail@me?b=2"),
    ],
)
def test_urls_are_shown_without_user_and_secret_parameters(url: str, shown: str) -> None:
    assert mask_url(url) == shown


@given(st.text(min_size=3).filter(lambda text: "*" not in text))
def test_a_secret_of_the_input_never_stays_in_a_text(secret: str) -> None:
    given = {"deep": [{"my_password": secret}], "url": "http://u:abcdef@host"}
    text = scrub(f"tried {secret} and {secret!r} and abcdef", secrets_in(given))
    assert secret not in text
    assert "abcdef" not in text


def test_parts_of_credentials_are_secrets_too() -> None:
    secrets = secrets_in(
        {"auth": "me:hunter2", "headers": {"Authorization": "Bearer abcdef"}, "pin_token": 12345}
    )
    assert scrub("hunter2 abcdef 12345", secrets) == "*** *** ***"


def test_names_and_short_or_empty_secrets_leave_a_text_alone() -> None:
    assert (
        scrub("a plain text", secrets_in({"password": "a", "token": None, "auth": True, "name": "plain"}))
        == "a plain text"
    )
