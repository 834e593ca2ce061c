"""Keeps the memory of a process flat under large requests, where the C library is glibc.

glibc gives every thread an arena of its own and keeps in it what was freed, so that a process with 16 threads
holds 16 times what one large request took.  After a large buffer is freed it also puts the next ones between small
objects, where the gaps they leave are of little use.  Set here and not by the process file, so that it holds however
the server is started.
"""

from __future__ import annotations

import ctypes
from typing import Final

ARENAS: Final = 2

LARGE: Final = 256 * 1024
"""Bytes from which on a buffer has pages of its own, which go back to the system with it."""

KEPT: Final = 1024 * 1024
"""Bytes that may stay free at the end of an arena."""

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
"""Their numbers in glibc's `malloc.h`."""


def keep_flat() -> None:
    """Few arenas for all threads, and nothing large in them.

    To be called before a process has any; changes nothing under another C library.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_ARENA_MAX, ARENAS)
    mallopt(_M_MMAP_THRESHOLD, LARGE)
    mallopt(_M_TRIM_THRESHOLD, KEPT)
