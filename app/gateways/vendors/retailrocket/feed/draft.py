"""A build of the feed under way: the offers written so far, and what was left out of it."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from app.domain.catalogue import Item
from app.records.feeds import LeftOut, Turn

MOST_NAMED: Final = 500
"""Units left out that are named to the operator; the others are counted."""


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


@dataclass
class Draft:
    """A build under way."""

    turn: Turn
    file: BinaryIO
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    listed: Numbers = field(default_factory=Numbers)
    paths: dict[str, None] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    left_out_count: int = 0
    shortened_count: int = 0
    offers: int = 0
    gone: dict[int, int] = field(default_factory=dict)
    currency: str = ""

    def write(self, piece: bytes) -> None:
        self.file.write(piece)
        self.digest.update(piece)
        self.offers += 1

    def leave_out(self, unit: Item, reason: str) -> None:
        self.left_out_count += 1
        if len(self.left_out) < MOST_NAMED:
            self.left_out.append(LeftOut(unit.sku, unit.product_id, reason))
