"""The limiters of this process: one for each vendor key, whichever and however many channels call with it (R14)."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from app.transport.limits import CallLimiter, Rate
from app.transport.rates import RatePlan

RateOf = Callable[[str, RatePlan], Rate]
"""Gives the rate of one vendor key."""


@dataclass(frozen=True)
class Limit:
    """How one gateway of a channel is limited: one vendor key, known by a digest."""

    channel: str
    """The key of the channel's records."""
    vendor: str
    key: str
    plan: RatePlan
    limiter: CallLimiter


_lock: Final = threading.Lock()
_limiters: Final[weakref.WeakValueDictionary[tuple[str, str, RateOf], CallLimiter]] = weakref.WeakValueDictionary()


def limiter_of(
    vendor: str, key: str, plan: RatePlan, *, rate_of: RateOf, threads: int, concurrency: int = 0
) -> CallLimiter:
    """The limiter of one vendor key; its first user decides on plan, threads and concurrency (see `CallLimiter`).

    `key` says which one, by a digest and never by the key itself.  Another `rate_of` has limiters of its own.
    """
    name = vendor, key, rate_of
    with _lock:
        limiter = _limiters.get(name)
        if limiter is None:
            limiter = CallLimiter(vendor, rate=rate_of(key, plan), threads=threads, concurrency=concurrency)
            _limiters[name] = limiter
        return limiter
