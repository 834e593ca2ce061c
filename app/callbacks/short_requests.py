"""Learns which requests are answered so quickly that giving them to a thread of their own costs more than they do.

Giving a request to another thread takes two switches of threads, a quarter of what a small callback costs.  The thread
of the event loop answers such a request itself.
"""

from __future__ import annotations

import io
from typing import Any, Final

Kind = tuple[str, str]
"""The address of a request and whose it says to be."""

MOST_BYTES: Final = 16 * 1024
"""A request with a larger body is never expected to be short."""

SHORT_CPU_S: Final = 0.001
SHORT_WAIT_S: Final = 0.0005
"""A short answer takes no more CPU, and waits no longer for anything: the database, a vendor, other threads."""

SHORT_COMMIT_S: Final = 0.005
"""A commit that several answers share is short where it takes no longer, with all that is written for them."""

LONG_WAIT_S: Final = 0.025
"""Who waits so long would keep all others waiting."""

ENOUGH: Final = 8
"""What a kind has to have earned to count as short: 2 by each short answer, and 1 is lost by each other one.  Beside
threads that compete for the interpreter half of the short ones wait for it so long that they do not seem to be."""

MOST: Final = 16
LEAST: Final = -8
PENALTY: Final = -200
"""Where a kind stands after a long answer."""

MOST_KINDS: Final = 256


class ShortRequests:
    """What was seen of each kind in one process.  Any thread may add to it: what is lost by that does no harm."""

    def __init__(self) -> None:
        self._earned: dict[Kind, int] = {}

    def is_short(self, kind: Kind | None) -> bool:
        """True where the next request of this kind will very probably be a short one."""
        return kind is not None and self._earned.get(kind, 0) >= ENOUGH

    def add(self, kind: Kind, elapsed_s: float, cpu_s: float, commit_s: float = 0.0) -> None:
        """A request of this kind was answered in so long, with so much CPU of its thread.

        `commit_s`: how long the commit took that it shared, 0 where it shared none.  What such a request waited for
        besides says how many others there were, and not how long it takes where one thread does them together.
        """
        earned = self._earned.get(kind, 0)
        waited_s = elapsed_s - cpu_s
        is_short = cpu_s <= SHORT_CPU_S and waited_s <= SHORT_WAIT_S
        if 0.0 < commit_s <= SHORT_COMMIT_S or (not commit_s and is_short):
            earned = min(earned + 2, MOST)
        elif waited_s > LONG_WAIT_S and not commit_s:
            earned = PENALTY
        elif earned > LEAST:
            earned -= 1
        if kind not in self._earned and len(self._earned) >= MOST_KINDS:
            self._earned.clear()  # anybody may send any address
        self._earned[kind] = earned

    def add_long(self, kind: Kind | None) -> None:
        """A request of this kind is not answered yet and has taken too long."""
        if kind is not None:
            self._earned[kind] = PENALTY


def kind_of(request: Any, sender: str) -> Kind | None:
    """The kind of a whole gunicorn request; None for one whose body may take long."""
    body = request.body
    if type(body) is not io.BytesIO or len(body.getvalue()) > MOST_BYTES:
        return None
    if any(name == "CONTENT-ENCODING" for name, _ in request.headers):
        return None
    return request.path, sender
