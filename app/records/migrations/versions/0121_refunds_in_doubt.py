"""An index of the few refunds that a person has to decide on."""

from __future__ import annotations

from app.records.migrations import indexes

revision = "0121"
down_revision = "0120"
usable_from = "0100"


def upgrade() -> None:
    indexes.add("ix_refunds_in_doubt", "refunds", ["id"], where="state = 'parked'")
