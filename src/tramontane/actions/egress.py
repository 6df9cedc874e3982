"""Where actions may connect to (action specification, section 3).

A policy judges a URL twice. :meth:`EgressPolicy.check` looks at what is written: scheme, allowed
hosts, addresses in any notation. :class:`GuardedResolver` looks at what a name resolves to, inside
the connector: the addresses that it lets through are the ones connected to, so that a name can't
mean one thing when it is checked and another when it is used. Proxies and redirects are judged
like any other URL.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, unquote, urlsplit

import yarl
from aiohttp.abc import AbstractResolver, ResolveResult

from tramontane.actions.base import ActionError

log = logging.getLogger(__name__)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

DEFAULT_DENIED_CIDRS = ("127.0.0.0/8", "::1/128", "169.254.0.0/16", "fe80::/10")

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_LOOPBACK: dict[int, Address] = {4: ipaddress.IPv4Address("127.0.0.1"), 6: ipaddress.IPv6Address("::1")}
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


class EgressError(ActionError):
    """The operator doesn't let actions talk to this place; nothing was sent."""

    code = "egress"


class InvalidUrlError(ValueError):
    """A text that is no URL that can be requested."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart once: everything later is about these parts, never about the text again.

    ``host`` is lower-case ASCII, an address in its usual notation when it was one in any; ``url``
    is without user part and fragment; ``address`` is None for a name.
    """

    scheme: str
    host: str
    url: yarl.URL
    address: Address | None = None
    credentials: tuple[str, str] | None = None


def parse_target(text: str, query: str = "") -> Target:
    """Take a URL apart; ``query`` (encoded) is added to its own.

    Raises:
        InvalidUrlError: when host or port can't be made out.
        EgressError: when the scheme isn't http or https, or there is no host.
    """
    try:
        parts = urlsplit(text.strip())
        port = parts.port
        host = _ascii_host(parts.hostname or "")
    except ValueError as error:
        raise InvalidUrlError(f"the URL can't be read ({error})") from None
    if parts.scheme not in ("http", "https"):
        raise EgressError(f"URL scheme '{parts.scheme}' is not allowed; use http or https.")
    if not host:
        raise EgressError("The URL has no host.")
    address = _read_address(host)
    host = str(address) if address is not None else host
    shown = f"[{host}]" if ":" in host else host
    authority = shown if port is None else f"{shown}:{port}"
    whole = f"{parts.scheme}://{authority}{_path(parts)}"
    if added := "&".join(part for part in (_encoded(parts.query), query) if part):
        whole += f"?{added}"
    return Target(parts.scheme, host, yarl.URL(whole, encoded=True), address, _credentials(parts))


def _ascii_host(host: str) -> str:
    ascii_host = host if host.isascii() else host.encode("idna").decode()
    if re.search(r"[\s/\\?#@<>\"'|^`{}\x00-\x20\x7f]", ascii_host):
        raise ValueError("its host has a character that no host has")
    return ascii_host


def _read_address(host: str) -> Address | None:
    """Read an address in any notation that the system would take for one (``127.1``, ``0x7f000001``)."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        if ":" in host:
            raise InvalidUrlError("its host is no valid IPv6 address") from None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        if host.replace(".", "").isdigit():
            raise InvalidUrlError("its host is no valid IPv4 address") from None
        return None


def _path(parts: SplitResult) -> str:
    return _encoded(parts.path) or "/"


def _encoded(text: str) -> str:
    """Escape what a URL can't hold and leave alone what is escaped already."""
    return quote(_STRAY_PERCENT.sub("%25", text), safe="!#$%&'()*+,/:;=?@[]~")


def _credentials(parts: SplitResult) -> tuple[str, str] | None:
    if parts.username is None:
        return None
    return unquote(parts.username), unquote(parts.password or "")


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """``allowed_hosts``: if there are any, only these; ``denied``: networks that nobody may reach."""

    allowed_hosts: frozenset[str]
    denied: tuple[Network, ...]

    @classmethod
    def of(cls, allowed_hosts: Iterable[str], denied_cidrs: Iterable[str]) -> EgressPolicy:
        """Build a policy from its settings; entries that are no networks are left out with a warning."""
        denied: list[Network] = []
        for text in denied_cidrs:
            try:
                denied.append(ipaddress.ip_network(text.strip(), strict=False))
            except ValueError:
                log.warning("denied network '%s' is no network in CIDR notation; it is ignored", text)
        return cls(frozenset(host.strip().lower() for host in allowed_hosts), tuple(denied))

    def check(self, target: Target) -> None:
        """Judge what the URL says.

        Raises:
            EgressError: when the host isn't among the allowed ones or its address is denied.
        """
        if self.allowed_hosts and target.host not in self.allowed_hosts:
            raise EgressError(f"Host '{target.host}' is not in the list of allowed hosts.")
        if target.address is not None and self.denies(target.address):
            raise EgressError(f"Host '{target.host}' is a blocked address.")

    def denies(self, address: Address) -> bool:
        """Tell whether an address, or one that it stands for, is in a denied network."""
        return any(
            seen in network
            for seen in _meanings(address)
            for network in self.denied
            if seen.version == network.version
        )

    def check_resolved(self, host: str, addresses: Iterable[str]) -> None:
        """Judge what a name resolves to: one denied address is enough.

        Raises:
            EgressError: when an address is denied.
        """
        for text in addresses:
            if self.denies(ipaddress.ip_address(text.partition("%")[0])):
                raise EgressError(f"Host '{host}' resolves to a blocked address.")


def _meanings(address: Address) -> list[Address]:
    """List the addresses that a packet to ``address`` may end up at."""
    found: list[Address] = [address]
    if isinstance(address, ipaddress.IPv6Address):
        embedded = address.ipv4_mapped or address.sixtofour
        if embedded is None and (address in _NAT64 or 1 < int(address) < 2**32):
            embedded = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if embedded is not None:
            found.append(embedded)
    # The unspecified address connects to this very machine.
    found.extend(_LOOPBACK[item.version] for item in list(found) if item.is_unspecified)
    return found


class GuardedResolver(AbstractResolver):
    """Resolves names for connections and refuses those that lead to a denied address."""

    def __init__(self, policy: EgressPolicy, inner: AbstractResolver) -> None:
        self._policy = policy
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        self._policy.check_resolved(host, (item["host"] for item in found))
        return found

    async def check(self, target: Target) -> None:
        """Judge a name that somebody else will resolve (a proxy); one that can't be resolved passes.

        Raises:
            EgressError: when it resolves to a denied address.
        """
        if target.address is not None:
            return
        try:
            await self.resolve(target.host, target.url.port or 0)
        except OSError:
            return

    async def close(self) -> None:
        await self._inner.close()
