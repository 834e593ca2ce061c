"""The numbers of the goods that a feed lists, as they are kept with it: a bit for each, compressed."""

from __future__ import annotations

import zlib
from collections.abc import Iterator


class Numbers:
    """A set of the small whole numbers we give goods, a bit for each."""

    def __init__(self, packed: bytes = b"") -> None:
        self._bits = bytearray(zlib.decompress(packed)) if packed else bytearray()

    def add(self, number: int) -> bool:
        """False when it was in already."""
        place, bit = number >> 3, 1 << (number & 7)
        if place >= len(self._bits):
            self._bits.extend(bytes(place + 1 - len(self._bits) + 1024))
        if self._bits[place] & bit:
            return False
        self._bits[place] |= bit
        return True

    def __contains__(self, number: int) -> bool:
        place = number >> 3
        return place < len(self._bits) and bool(self._bits[place] & (1 << (number & 7)))

    def packed(self) -> bytes:
        return zlib.compress(bytes(self._bits))

    def without(self, other: Numbers) -> Iterator[int]:
        """Those of ours the other has not, ascending."""
        for place, byte in enumerate(self._bits):
            there = other._bits[place] if place < len(other._bits) else 0
            if rest := byte & ~there:
                for bit in range(8):
                    if rest & (1 << bit):
                        yield place * 8 + bit
