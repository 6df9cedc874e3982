from __future__ import annotations

import socket

import pytest

from tramontane.cli.listener import ListenError, bind, is_loopback, url_of


def test_port_0_takes_a_free_port_and_tells_which() -> None:
    with bind("127.0.0.1", 0) as listener:
        assert url_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert not url_of(listener).endswith(":0")


def test_a_port_in_use_is_refused_with_its_address() -> None:
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(
            ListenError, match=rf"can't listen on 127\.0\.0\.1:{port}: Address already in use"
        ):
            bind("127.0.0.1", port)


def test_an_unknown_host_is_refused() -> None:
    with pytest.raises(ListenError, match="can't listen on no such host:1"):
        bind("no such host", 1)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "::1"])
def test_addresses_of_this_machine_alone_are_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "", "no such host"])
def test_all_others_are_not(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_ipv6_addresses_stand_in_brackets() -> None:
    try:
        listener = bind("::1", 0)
    except ListenError:
        pytest.skip("this machine has no IPv6 loopback")
    with listener:
        assert url_of(listener).startswith("http://[::1]:")
