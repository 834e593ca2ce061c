"""Indexes of the few rows that are odd or over, so that none of them is looked for in a table that grows."""

from __future__ import annotations

from app.records.migrations import indexes

revision = "0220"
down_revision = "0170"
usable_from = "0100"


BLANKS = (
    " \t\n\v\f\r\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)


def upgrade() -> None:
    indexes.add("ix_catalogue_blanks", "catalogue", ["channel", "sku"], where=f"sku <> trim(sku, '{BLANKS}')")
    tired = "acknowledged_at IS NULL AND state = 'open' AND times >= 5"
    indexes.add("ix_handed_out_tired", "handed_out", ["channel", "refnum"], where=tired)
    indexes.add("ix_refunds_parked", "refunds", ["channel", "id"], where="state = 'parked'")
    indexes.remove("ix_refunds_in_doubt", "refunds")  # it has no channel: who saw one read all its refunds
    indexes.add("ix_late_events_dismissed", "late_events", ["dismissed_at"], where="dismissed_at is not null")
