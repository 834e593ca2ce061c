"""An index of the few SKUs of stock that have a blank at an end."""

from __future__ import annotations

from app.records.migrations import indexes

revision = "0140"
down_revision = "0130"
usable_from = "0100"


def upgrade() -> None:
    indexes.add("ix_stock_blanks", "stock", ["channel", "sku"], where="sku <> trim(sku)")
