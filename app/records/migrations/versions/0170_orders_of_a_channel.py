"""The orders of one channel are listed by an index of their own, however many newer ones others have."""

from __future__ import annotations

from app.records.migrations import indexes

revision = "0170"
down_revision = "0160"
usable_from = "0100"


def upgrade() -> None:
    columns = ["channel", "at", "order_refnum"]
    indexes.add("ix_search_keys_channel_orders", "search_keys", columns, where="kind = 'order'")
