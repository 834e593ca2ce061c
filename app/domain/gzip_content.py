"""Inflates gzip piece by piece, so that neither a body nor an answer ever becomes larger than allowed."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Final

PIECE: Final = 64 * 1024
"""Bytes of one piece at most, packed or inflated."""

MOST_MEMBERS: Final = 1000
"""Members of a gzip stream at most: writers that split do so every 64 KiB or more, and each one costs a copy."""


class BrokenGzip(ValueError):
    """The bytes are no gzip, or end before the end mark."""


class TooLarge(ValueError):
    """More than was allowed, packed or inflated, or in too many members."""


def inflated(read: Callable[[int], bytes], limit: int, *, ignores_rest: bool = False) -> Iterator[bytes]:
    """The content of every member of a gzip stream (RFC 1952, 2.2), in pieces.

    `read` gives at most so many bytes, none at the end.  Raises `TooLarge` above `limit` bytes, counted as they come
    and as they are inflated, and `BrokenGzip`; with `ignores_rest` not for what follows a whole member and is none.
    """
    inflater = _new_member()
    received = given = 0
    members = 1
    rest = b""
    try:
        while raw := rest or read(PIECE):
            received += 0 if rest else len(raw)
            if inflater.eof:
                inflater = _new_member()
                members += 1
            piece = inflater.decompress(raw, PIECE)
            rest = inflater.unconsumed_tail or inflater.unused_data
            given += len(piece)
            if max(received, given) > limit or members > MOST_MEMBERS:  # members may be empty: what comes in counts too
                raise TooLarge
            yield piece
    except zlib.error:
        if ignores_rest and members > 1:
            return
        raise BrokenGzip from None
    if not inflater.eof:
        raise BrokenGzip


def _new_member() -> zlib._Decompress:
    return zlib.decompressobj(zlib.MAX_WBITS | 16)
