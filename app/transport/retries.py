"""When a failed call may be tried again: pure functions, so that tests can pin them."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST_RETRY_AFTER_S: Final = 3600.0
"""A vendor that asks for more is called again after this: a slip in its header must not stop us for days."""


def backoff_s(attempt: int, *, base_s: float = 1.0, cap_s: float = 300.0) -> float:
    """The wait after failed attempt number `attempt` (from 1): base, doubled each time, at most the cap."""
    return min(cap_s, base_s * 2.0 ** min(max(attempt, 1) - 1, 60))


def jittered(delay_s: float, roll: float) -> float:
    """Between half of the delay and all of it, by a roll in [0, 1), so that many do not return as one."""
    return delay_s * (0.5 + 0.5 * roll)


def next_try_s(attempt: int, retry_after_s: float | None, roll: float) -> float:
    """Seconds until the next try: the jittered backoff, but never before the vendor's Retry-After."""
    vendors_s = 0.0 if retry_after_s is None else min(max(retry_after_s, 0.0), LONGEST_RETRY_AFTER_S)
    own = jittered(backoff_s(attempt), roll)
    return own if own >= vendors_s else vendors_s + own * 0.1


def read_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds from a Retry-After header (RFC 9110 10.2.3: seconds or date); None if absent or unreadable."""
    text = (value or "").strip()
    if not text:
        return None
    if text.isascii() and text.replace(".", "", 1).isdigit():
        seconds = float(text)
    else:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, OverflowError, TypeError, IndexError):
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - now).total_seconds()
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_S)
