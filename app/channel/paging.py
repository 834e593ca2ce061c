"""The page token of `order_pull`: where the walk stands, small enough for RetailOps' 35 characters.

A walk has two legs.  The first gives fresh orders oldest first; the second those that were handed out
often without an acknowledgement, so that orders RetailOps cannot take never hide the others (R18).
Orders created after the walk began belong to the next one, so a walk ends.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter

from app.domain.orders import Candidate

_LAYOUT = struct.Struct(">B6s8s6s")
_SIGNATURE_BYTES = 5

_FIRST, _SECOND, _FIRST_WITH_TIRED = 1, 2, 3
"""How a token names the leg."""


@dataclass(frozen=True)
class Place:
    """Where the next page begins: after (`after_ms`, `after_key`), within orders created up to `until_ms`.

    `has_passed_tired`: the first leg has left out orders that the second has to give.
    """

    is_second_leg: bool
    after_ms: int
    after_key: bytes
    until_ms: int
    has_passed_tired: bool = False


def key_of(refnum: str) -> bytes:
    """Eight bytes that order two orders created at the same millisecond, always the same way."""
    return hashlib.sha256(refnum.encode("utf-8", "surrogatepass")).digest()[:8]


def ordered(candidates: Sequence[Candidate]) -> list[Candidate]:
    """In the order in which a walk gives them; the keys of orders are made only where the time does not decide."""
    moments = [item.created_ms for item in candidates]
    if len(set(moments)) == len(moments):
        return sorted(candidates, key=attrgetter("created_ms"))
    alike = Counter(moments)
    return sorted(candidates, key=lambda at: (at.created_ms, key_of(at.refnum) if alike[at.created_ms] > 1 else b""))


def after(place: Place, candidates: Iterable[Candidate]) -> Iterator[Candidate]:
    """Those behind the place, in their order."""
    for item in candidates:
        is_same_ms = item.created_ms == place.after_ms
        if key_of(item.refnum) > place.after_key if is_same_ms else item.created_ms > place.after_ms:
            yield item


def start(now_ms: int) -> Place:
    """The beginning of a new walk."""
    return Place(False, 0, b"\0" * 8, now_ms)


def token(place: Place, secret: bytes) -> str:
    """35 characters of A-Za-z0-9-_."""
    leg = _SECOND if place.is_second_leg else _FIRST_WITH_TIRED if place.has_passed_tired else _FIRST
    packed = _LAYOUT.pack(leg, place.after_ms.to_bytes(6, "big"), place.after_key, place.until_ms.to_bytes(6, "big"))
    return base64.urlsafe_b64encode(packed + _signature(packed, secret)).decode().rstrip("=")


def place(text: str, secret: bytes) -> Place | None:
    """The place a token of ours names; None for anything else, which starts a new walk."""
    if len(text) != 35 or not text.isascii():
        return None
    try:
        raw = base64.urlsafe_b64decode(text + "=")
    except ValueError:
        return None
    packed, signature = raw[: _LAYOUT.size], raw[_LAYOUT.size :]
    if not hmac.compare_digest(signature, _signature(packed, secret)):
        return None
    leg, after_ms, after_key, until_ms = _LAYOUT.unpack(packed)
    if leg not in (_FIRST, _SECOND, _FIRST_WITH_TIRED):
        return None
    after, until = int.from_bytes(after_ms, "big"), int.from_bytes(until_ms, "big")
    return Place(leg == _SECOND, after, after_key, until, leg == _FIRST_WITH_TIRED)


def _signature(packed: bytes, secret: bytes) -> bytes:
    return hmac.new(secret, packed, hashlib.sha256).digest()[:_SIGNATURE_BYTES]
