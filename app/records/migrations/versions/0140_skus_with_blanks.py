"""An index of the few SKUs of stock that have a blank at an end."""

from __future__ import annotations

from app.records.migrations import indexes

revision = "0140"
down_revision = "0130"
usable_from = "0100"


BLANKS = (
    " \t\n\v\f\r\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)


def upgrade() -> None:
    indexes.add("ix_stock_blanks", "stock", ["channel", "sku"], where=f"sku <> trim(sku, '{BLANKS}')")
