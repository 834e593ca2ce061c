"""Keeps the memory of a process flat under large requests, where the C library is glibc.

glibc gives every thread an arena of its own and keeps what was freed in it, so that a process with 16 threads
holds 16 times what one large request took.  Set here and not by the process file, so that it holds however the server
is started.
"""

from __future__ import annotations

import ctypes
from typing import Any, Final

ARENAS: Final = 2
_M_ARENA_MAX: Final = -8
"""Its number in glibc's `malloc.h`."""


def _libc() -> Any:
    try:
        library = ctypes.CDLL(None)
        return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
    except OSError:
        return None


_library: Final = _libc()


def keep_flat() -> None:
    """Few arenas.  To be called before a process has threads."""
    if _library is not None:
        _library.mallopt(_M_ARENA_MAX, ARENAS)


def give_back() -> None:
    """Give what is free at the end of the arenas, and whole free pages in them, back to the system."""
    if _library is not None:
        _library.malloc_trim(0)
