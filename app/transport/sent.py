"""Whether this thread has begun a call that may change something at a vendor.

Who catches a fault of ours in the middle of a business verb learns by it whether the vendor may have done anything.
"""

from __future__ import annotations

import threading


class _Mine(threading.local):
    writes = 0


_mine = _Mine()


def note_write() -> None:
    """A call that is no read begins."""
    _mine.writes += 1


def writes() -> int:
    """How many have begun in this thread so far."""
    return _mine.writes
