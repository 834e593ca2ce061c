"""A build of the feed under way: the offers written so far, and what was left out of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from app.domain.catalogue import Item
from app.records.feeds import LeftOut, Turn
from app.records.listed_numbers import Numbers

MOST_NAMED: Final = 500
"""Units left out that are named to the operator; the others are counted."""


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
