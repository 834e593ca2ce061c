"""The upload of sales history, for shops without sessions: its only key to a shopper is the e-mail (contract 2.8)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from app.gateways.vendors.retailrocket.feed.yml import amount
from app.gateways.vendors.retailrocket.offers import clean

MOST_BYTES: Final = 4 * 1024 * 1024
"""Of one file (contract 2.8)."""


def rows(order_refnum: str, ordered_at: datetime, email: str, lines: Sequence[tuple[int, int, Decimal]]) -> bytes:
    """A file without header: of each (product, units, unit price) a row, the time with its zone."""
    at = f"{ordered_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} +00"
    written = [
        f"{at},{_quoted(order_refnum)},{_quoted(str(product))},{_quoted(amount(price))},{_quoted(email)},{units}\n"
        for product, units, price in lines
    ]
    return "".join(written).encode()


def _quoted(text: str) -> str:
    """One field on one line: the vendor shows quotes, and never how a line break would read."""
    plain = " ".join(clean(text).split())
    return '"' + plain.replace('"', '""') + '"'
