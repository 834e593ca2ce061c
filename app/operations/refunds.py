"""The ledger of payments and refunds: lists with filters, one entry, and what can be released of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection

from app.domain.moments import to_ms
from app.operations import acts
from app.operations.acts import ReleaseOutcome
from app.operations.operators import Operator
from app.operations.paging import PAGE, SEARCHED, Page, cursor, place
from app.operations.scope import Scope
from app.records import payment_ledger, refund_releases
from app.records import refunds as ledger
from app.records.database import Database
from app.records.payment_ledger import Charge
from app.records.refund_releases import Release
from app.records.refunds import Entry, RefundChoice

__all__ = ["Charge", "Entry", "RefundChoice", "RefundInFull", "RefundRow", "Release", "find", "one", "release"]


@dataclass(frozen=True)
class RefundRow:
    """One entry of the ledger, and what releasing it would come to."""

    entry: Entry
    """`channel` is the key of the records."""
    release: Release
    """pays_next or given_free where it can be released; else why it cannot."""

    @property
    def shown(self) -> str:
        """Names the standing it is shown in, for `release`."""
        released_at = self.entry.released_at
        return f"{self.entry.state}.{to_ms(released_at) if released_at else 0}"

    @property
    def can_be_released(self) -> bool:
        """Whether an operator may let go of what it holds up."""
        return self.release in ("pays_next", "given_free")


@dataclass(frozen=True)
class RefundInFull:
    """One entry beside all that is known of its order's money."""

    row: RefundRow
    charges: tuple[Charge, ...]
    """What was charged for the order, and what is left of it."""
    others: tuple[Entry, ...]
    """The order's other entries, oldest first."""

    @property
    def given_back(self) -> Decimal:
        """What is held or has gone back of the order's money, this entry included."""
        entries = (self.row.entry, *self.others)
        return sum((entry.amount for entry in entries if entry.is_in_effect), Decimal(0))


def find(database: Database, scope: Scope, chosen: RefundChoice, *, after: str = "") -> Page[RefundRow]:
    """The entries, newest first.  Raises `DatabaseUnavailable`."""
    before = place(after, 1)
    with database.read() as connection:
        entries, found = ledger.page(
            connection, chosen, channels=scope.keys, before=before[0] if before else None, limit=PAGE, searched=SEARCHED
        )
        rows = tuple(_row(connection, entry) for entry in entries)
    return Page(rows, cursor(*found.last) if found.last else "", found.searched_to)


def one(database: Database, scope: Scope, refund_id: int) -> RefundInFull | None:
    """The entry of this number; None where there is none in the scope.  Raises `DatabaseUnavailable`."""
    with database.read() as connection:
        entry = ledger.find(connection, refund_id)
        if entry is None or not scope.sees(entry.channel):
            return None
        charges = payment_ledger.charges(connection, entry.channel, entry.order_refnum)
        others = [
            item for item in ledger.of_order(connection, entry.channel, entry.order_refnum) if item.id != entry.id
        ]
        return RefundInFull(_row(connection, entry), tuple(charges), tuple(others))


def release(
    database: Database, scope: Scope, operator: Operator, refund_id: int, shown: str, now: datetime
) -> ReleaseOutcome:
    """Let go of what an entry holds up, if it stands as it was `shown`; see `acts.release`.

    Raises `DatabaseUnavailable`, and `ValueError` where the reason is missing.
    """
    if not operator.reason:
        raise ValueError("this act needs a reason")
    found = one(database, scope, refund_id)
    if found is None:
        return "unknown"
    if found.row.shown != shown:
        return "changed"
    return acts.release(database, operator, refund_id, now, expected=found.row.entry)


def _row(connection: Connection, entry: Entry) -> RefundRow:
    return RefundRow(entry, refund_releases.release_outcome(connection, entry))
