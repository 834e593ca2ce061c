"""Every reading of time in this project, and which clock decides what (R36).

* **The shared clock** (`SharedClock`, each `Database` has one) decides whatever two processes have to agree on:
  leases, when a call is due, how old a figure, a cart or a hand-out is.  With PostgreSQL it is the server's
  `clock_timestamp()`, which each transaction brings along; with SQLite it is one reading of the wall clock, carried
  on by CLOCK_BOOTTIME.  A machine whose own clock is wrong, or is set while we run, decides as every other one does.
* **Time that was seen passing** (`records.heartbeat`) decides when a credit counts as another one and when data is
  purged: a clock that was a day ahead, even the shared one, must not pay twice or delete anything.
* **CLOCK_BOOTTIME** (`boot_s`) decides whether a lease of ours still runs when a call is about to be sent: it goes on
  while this process is stopped and while the machine sleeps, and nobody can set it.
* **The monotonic clock** of Python bounds waiting inside one process: deadlines, pauses, the circuit breaker.
* **The wall clock** says when something happened to whoever reads the log or the journal, and decides nothing.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final

TRUST_S: Final = 1.0
"""A reading of the shared clock that took longer is not used once there is one: this process may have stood still."""

_BOOT_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Where there is no CLOCK_BOOTTIME (macOS), the monotonic clock counts the time of a machine that sleeps as well."""


def utc_now() -> datetime:
    """Now by this machine's wall clock, aware, in UTC.  The only place that reads it (a test can have it set)."""
    return datetime.fromtimestamp(time.time(), UTC)


def boot_s() -> float:
    """Seconds since the machine was started, those it slept included."""
    return time.clock_gettime(_BOOT_CLOCK)


def started_at() -> datetime:
    """When the machine was started, by its wall clock as that stands now.

    Of three pairs of readings the closest counts: between its two clocks this process may stand still for a while.
    """
    readings = []
    for _ in range(3):
        before_s = boot_s()
        now = utc_now()
        after_s = boot_s()
        readings.append((after_s - before_s, now - timedelta(seconds=(before_s + after_s) / 2)))
    return min(readings)[1]


@cache
def boot_id() -> str:
    """What distinguishes this start of the machine from every other; "" where the system does not say."""
    if not sys.platform.startswith("linux"):
        return ""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:64]
    except OSError:
        return ""


class SharedClock:
    """The time that all processes of an installation agree on.  Called, it gives now: aware, in UTC.

    Until the database was read once it is this machine's own.  Thread-safe.
    """

    def __init__(self) -> None:
        self._booted_s: float | None = None

    def __call__(self) -> datetime:
        booted_s = self._booted_s
        return utc_now() if booted_s is None else datetime.fromtimestamp(booted_s + boot_s(), UTC)

    @property
    def is_known(self) -> bool:
        """False until the database was read."""
        return self._booted_s is not None

    def learn(self, shared_s: float, asked_s: float, answered_s: float) -> None:
        """The database said `shared_s` (since 1970) somewhen between these two moments of `boot_s`."""
        earliest_s, latest_s = shared_s - answered_s, shared_s - asked_s
        is_vague = answered_s - asked_s > TRUST_S
        if self._booted_s is not None and (is_vague or earliest_s <= self._booted_s <= latest_s):
            return  # nothing new: a clock that does not move back and forth is better
        self._booted_s = (earliest_s + latest_s) / 2

    def set(self, booted_at: datetime) -> None:
        """The time it was, by the shared clock, when this machine was started."""
        self._booted_s = booted_at.timestamp()
