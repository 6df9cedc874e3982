from __future__ import annotations

import asyncio
import ipaddress
import socket

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st

from tramontane.actions.egress import (
    DEFAULT_DENIED_CIDRS,
    EgressError,
    EgressPolicy,
    GuardedResolver,
    InvalidUrlError,
    parse_target,
)

DEFAULT = EgressPolicy.of((), DEFAULT_DENIED_CIDRS)
OPEN = EgressPolicy.of((), ())


class Names(AbstractResolver):
    """Resolves from a table; a name that isn't there doesn't exist."""

    def __init__(self, table: dict[str, list[str]]) -> None:
        self.table = table

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if host not in self.table:
            raise OSError(f"no such name: {host}")
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in self.table[host]
        ]

    async def close(self) -> None:
        return None


@pytest.mark.spec("ACT20")
@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.9.9.9", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "１２７.0.0.1",
        "[::1]", "[0:0:0:0:0:0:0:1]", "169.254.169.254", "[fe80::1]", "0.0.0.0", "0", "[::]",
        "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[2002:7f00:1::]", "[64:ff9b::127.0.0.1]",
        "[::ffff:169.254.169.254]", "[::ffff:0.0.0.0]",
    ],
)  # fmt: skip
def test_this_machine_and_link_local_addresses_are_refused_in_any_notation(host: str) -> None:
    target = parse_target(f"http://{host}:8080/x")
    with pytest.raises(EgressError, match="blocked address"):
        DEFAULT.check(target)
    OPEN.check(target)


@pytest.mark.parametrize("host", ["10.0.0.1", "192.168.1.1", "[fd00::1]", "8.8.8.8", "[2001:db8::1]", "name"])
def test_private_and_public_addresses_are_allowed(host: str) -> None:
    DEFAULT.check(parse_target(f"https://{host}/"))


@pytest.mark.spec("ACT19")
@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "gopher://host/", "ftp://host/", "/just/a/path", "host"]
)
def test_other_schemes_are_refused_by_name(url: str) -> None:
    with pytest.raises(EgressError, match=r"URL scheme '\w*' is not allowed"):
        parse_target(url)


def test_a_url_without_host_is_refused() -> None:
    with pytest.raises(EgressError, match="no host"):
        parse_target("http:///path")


@pytest.mark.spec("ACT22")
def test_only_allowed_hosts_pass_when_there_are_any() -> None:
    policy = EgressPolicy.of(("Good.example", "10.0.0.1"), DEFAULT_DENIED_CIDRS)
    policy.check(parse_target("http://good.EXAMPLE/"))
    policy.check(parse_target("http://10.0.0.1/"))
    for url in ("http://other.example/", "http://sub.good.example/", "http://10.0.0.2/"):
        with pytest.raises(EgressError, match="not in the list of allowed hosts"):
            policy.check(parse_target(url))


def test_an_allowed_host_is_still_kept_out_of_denied_networks() -> None:
    with pytest.raises(EgressError, match="blocked address"):
        EgressPolicy.of(("127.0.0.1",), DEFAULT_DENIED_CIDRS).check(parse_target("http://127.0.0.1/"))


def test_an_entry_that_is_no_network_is_ignored_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    policy = EgressPolicy.of((), ("nonsense", "10.0.0.1/8"))
    assert "nonsense" in caplog.text
    assert policy.denied == (ipaddress.ip_network("10.0.0.0/8"),)


@given(st.ip_addresses(v=4))
def test_a_mapped_address_is_judged_like_the_one_that_it_stands_for(address: ipaddress.IPv4Address) -> None:
    mapped = ipaddress.IPv6Address(f"::ffff:{address}")
    assert DEFAULT.denies(mapped) == DEFAULT.denies(address)


@pytest.mark.spec("ACT20")
@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["8.8.8.8", "169.254.169.254"], ["::ffff:127.0.0.1"], ["fe80::1%eth0"]]
)
def test_a_name_with_one_denied_address_is_not_connected_to(addresses: list[str]) -> None:
    resolver = GuardedResolver(DEFAULT, Names({"sneaky": addresses}))
    with pytest.raises(EgressError, match="'sneaky' resolves to a blocked address"):
        asyncio.run(resolver.resolve("sneaky", 80))


def test_only_checked_addresses_are_handed_to_the_connection() -> None:
    names = Names({"host": ["10.0.0.1", "10.0.0.2"]})
    found = asyncio.run(GuardedResolver(DEFAULT, names).resolve("host", 80))
    assert [item["host"] for item in found] == ["10.0.0.1", "10.0.0.2"]


@pytest.mark.spec("ACT23")
def test_a_name_that_does_not_exist_is_no_matter_of_the_policy() -> None:
    resolver = GuardedResolver(DEFAULT, Names({"inside": ["127.0.0.1"]}))
    with pytest.raises(OSError, match="no such name"):
        asyncio.run(resolver.resolve("nowhere"))
    asyncio.run(resolver.check(parse_target("http://nowhere/")))
    with pytest.raises(EgressError):
        asyncio.run(resolver.check(parse_target("http://inside/")))


@pytest.mark.parametrize(
    ("text", "query", "url"),
    [
        ("http://Host", "", "http://host/"),
        (" http://host/a b?c=d e#f", "", "http://host/a%20b?c=d%20e"),
        ("http://host/%2F%41%zz?x=%26", "y=1", "http://host/%2F%41%25zz?x=%26&y=1"),
        ("http://host:8080", "a=1", "http://host:8080/?a=1"),
        ("https://bücher.example/ü", "", "https://xn--bcher-kva.example/%C3%BC"),
        ("http://[2001:DB8::1]:81/", "", "http://[2001:db8::1]:81/"),
    ],
)
def test_a_url_is_sent_as_written_but_for_what_none_can_hold(text: str, query: str, url: str) -> None:
    assert str(parse_target(text, query).url) == url


def test_the_user_part_of_a_url_becomes_credentials() -> None:
    target = parse_target("http://me%40home:p%3Aw@host/")
    assert target.credentials == ("me@home", "p:w")
    assert str(target.url) == "http://host/"


def test_the_host_that_is_checked_is_the_host_that_is_requested() -> None:
    target = parse_target("http://good.example\\@evil.example/")
    assert target.host == target.url.host == "evil.example"


@pytest.mark.parametrize(
    "url",
    [
        "http://host:port/",
        "http://host:99999/",
        "http://[::1/",
        "http://1.2.3.4.5/",
        "http://[::x]/",
        "http://a b/",
    ],
)
def test_a_url_that_cannot_be_read_is_no_matter_of_the_policy(url: str) -> None:
    with pytest.raises(InvalidUrlError):
        parse_target(url)
