"""Keeps the memory of a process flat under large requests, where the C library is glibc.

glibc gives every thread an arena of its own and keeps in it what was freed, so that a process with 16 threads
holds 16 times what one large request took.  Set here and not by the process file, so that it holds however the server
is started.
"""

from __future__ import annotations

import ctypes
from typing import Final

ARENAS: Final = 2

_M_ARENA_MAX: Final = -8
"""Its number in glibc's `malloc.h`."""


def keep_flat() -> None:
    """Few arenas for all threads.  To be called before a process has any; changes nothing under another C library."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_ARENA_MAX, ARENAS)
