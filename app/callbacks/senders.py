"""Finds which channel a request is for before anything of it is verified: only its share of the threads goes by it.

Whoever lies about it waits in another queue than its own, and is refused as ever when its turn has come.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence
from typing import IO, Final

from app.channel_settings import Channel
from app.gateways import VENDORS

HEALTH: Final = "/health"
"""The sender of the platform's checks, which must not wait behind anybody; no channel's key looks so."""

PEOPLE: Final = "/people"
"""The sender of what is looked at by people who are signed in, and by programs with their token."""

VISITORS: Final = "/visitors"
"""The sender of what is looked at by all others, as the documentation."""

SIGNING_IN: Final = "/signing-in"
"""The sender of the login page and its form: other visitors, however many they are, keep nobody from signing in."""

EVERYBODY: Final = "/everybody"
"""The sender of all requests of an application that knows no channels."""

STRANGERS: Final = ""
"""The sender of all that names no channel of ours: they share one share, however many they are."""

_CHECKS: Final = frozenset({"healthz", "readyz"})
_LOOKED_AT_BY_PEOPLE: Final = frozenset({"console", "metrics", "docs", "openapi.json"})
_LOGIN: Final = ["console", "login"]

Headers = Sequence[tuple[str, str]]
"""Names in upper case with their values."""

_LOOKED_AT: Final = 8 * 1024
"""Bytes of either end of a body in which the key is looked for: RetailOps' own fields stand before or after a list."""

_KEY: Final = re.compile(rb'"integration_auth_token"\s*:\s*"([^"\\]{1,512})"')
_CHANNEL_ID: Final = re.compile(rb'"channel_info"\s*:\s*\{[^{}]*?"id"\s*:\s*"?([0-9]{1,18})')


class Senders:
    """What names the configured channels in requests: keys in callbacks, parts of the addresses of hooks and feeds."""

    def __init__(
        self, channels: Sequence[Channel], is_signed_in: Callable[[Headers], bool] = lambda headers: False
    ) -> None:
        """`channels` have the keys of their records.

        `is_signed_in` verifies the session or token of a request for people: a claim alone gives no share (P15).
        """
        self._is_signed_in = is_signed_in
        self._by_key: dict[bytes, dict[int, str]] = {}
        self._by_part: dict[str, str] = {}
        for channel in channels:
            for key in channel.auth_keys:
                self._by_key.setdefault(key.encode(), {})[channel.channel_id] = channel.key
            for token, options in channel.vendors.items():
                parts = VENDORS[token].address_parts(options, (channel.name, *channel.former_name))
                self._by_part.update(dict.fromkeys(parts, channel.key))

    def of(self, path: str, headers: Headers, body: IO[bytes]) -> str:
        """The key of the channel's records, or one of the names above; `body` is whole and left at its beginning."""
        parts = [part for part in path.split("/") if part]
        first = parts[0] if parts else ""
        if first == "api":
            return self._of_body(headers, body)
        if first in _CHECKS:
            return HEALTH
        if first in _LOOKED_AT_BY_PEOPLE:
            others = SIGNING_IN if parts[:2] == _LOGIN else VISITORS
            return PEOPLE if self._is_signed_in(headers) else others
        return next((self._by_part[part] for part in parts if part in self._by_part), STRANGERS)

    def _of_body(self, headers: Headers, body: IO[bytes]) -> str:
        ends = _ends(body)
        if any(name == "CONTENT-ENCODING" and "gzip" in value.lower() for name, value in headers):
            ends = _inflated(ends)
        found = _KEY.search(ends)
        named = self._by_key.get(found[1]) if found else None
        if named is None:
            return STRANGERS
        if len(named) > 1 and (channel_id := _CHANNEL_ID.search(ends)):
            return named.get(int(channel_id[1]), STRANGERS)
        return next(iter(named.values()))


def _ends(body: IO[bytes]) -> bytes:
    """Both ends of a body; nothing of one that cannot be read twice."""
    if not hasattr(body, "seek"):
        return b""
    head = body.read(_LOOKED_AT)
    tail = b""
    if len(head) == _LOOKED_AT:
        body.seek(max(body.seek(0, 2) - _LOOKED_AT, _LOOKED_AT))
        tail = body.read(_LOOKED_AT)
    body.seek(0)
    return head + tail


def _inflated(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, _LOOKED_AT)
    except zlib.error:
        return b""
