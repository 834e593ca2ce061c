"""The journal is searched by the id of a request, and for what vendors called here."""

from __future__ import annotations

from app.records.migrations import indexes

revision = "0111"
down_revision = "0110"
usable_from = "0100"


def upgrade() -> None:
    indexes.add("ix_journal_request_id", "journal", ["request_id"], ops={"request_id": "varchar_pattern_ops"})
    indexes.add("ix_journal_hooks", "journal", ["at", "id"], where="kind = 'hook'")
