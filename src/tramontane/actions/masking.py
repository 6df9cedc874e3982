"""Keeping secrets out of logs (action specification, section 4).

Two ways, for two kinds of text: :func:`mask` copies a structure with the values under
sensitive keys replaced; :func:`scrub` removes the secrets of a known input from a text that
somebody else wrote, such as the trace of an exception.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus, unquote

MASK = "***"

_SENSITIVE_KEY = re.compile(
    "passwd|password|token|secret|auth|api[_-]?key|credential|cookie|private_key", re.IGNORECASE
)
_USERINFO = re.compile(r"(?<=://)[^/\s?#]*@")
_USERINFO_PASSWORD = re.compile(r"://[^/\s?#:]*:([^/\s?#]*)@")
_QUERY_PAIR = re.compile(r"(?<=[?&])([^=&#\s]+)=([^&#\s]*)")
_SHORTEST_SECRET = 3  # replacing anything shorter would riddle the text without hiding much


def is_sensitive(key: Any) -> bool:
    """Tell whether a value under ``key`` is likely a secret; keys that aren't text never are."""
    return isinstance(key, str) and _SENSITIVE_KEY.search(key) is not None


def mask(value: Any) -> Any:
    """Copy ``value`` with everything under a sensitive key replaced."""
    if isinstance(value, Mapping):
        return {key: MASK if is_sensitive(key) else mask(item) for key, item in value.items()}
    if isinstance(value, list):
        return [mask(item) for item in value]
    if isinstance(value, tuple):
        return tuple(mask(item) for item in value)
    return value


def mask_url(url: str) -> str:
    """Hide the user part and the sensitive parameters of the query of a URL (or of any in a text)."""
    return _QUERY_PAIR.sub(_mask_pair, _USERINFO.sub(MASK + "@", url))


def _mask_pair(pair: re.Match[str]) -> str:
    return f"{pair[1]}={MASK}" if is_sensitive(unquote(pair[1])) else pair[0]


def secrets_in(value: Any) -> frozenset[str]:
    """Collect the texts that must not be logged: leaves under sensitive keys, passwords in URLs."""
    found: set[str] = set()
    for text in _secret_leaves(value, sensitive=False):
        # "user:password", "Bearer token": the second part may turn up alone
        for part in (text, text.partition(":")[2], text.rpartition(" ")[2]):
            found.update({part, quote(part), quote_plus(part), repr(part)[1:-1]})
    return frozenset(text for text in found if len(text) >= _SHORTEST_SECRET)


def _secret_leaves(value: Any, *, sensitive: bool) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _secret_leaves(item, sensitive=sensitive or is_sensitive(key))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _secret_leaves(item, sensitive=sensitive)
    elif sensitive and value is not None and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, str):
        yield from _USERINFO_PASSWORD.findall(value)


def scrub(text: str, secrets: Iterable[str]) -> str:
    """Replace every one of ``secrets`` in ``text``, and what URLs in it give away."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return mask_url(text)
