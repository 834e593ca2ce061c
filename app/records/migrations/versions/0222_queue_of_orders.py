"""An index of the orders that RetailOps may be given, however many it has had."""

from __future__ import annotations

from app.records.migrations import indexes

revision = "0222"
down_revision = "0221"
usable_from = "0100"


def upgrade() -> None:
    queued = "exportable_at is not null and taken_at is null"
    indexes.add("ix_orders_queue", "orders", ["channel", "exportable_at", "refnum"], where=queued)
