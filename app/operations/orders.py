"""Orders for people who look: a list by state, channel, vendor and time, and one order's facts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

from app.operations.scope import Scope
from app.records.database import Database

PER_PAGE = 50

OrderState = Literal[
    "unpaid", "review", "held back", "waiting", "handed out", "acknowledged", "left open", "completed", "cancelled",
    "refunded",
]  # fmt: skip
"""unpaid: its source may still change it, or waits for the money.  review: held for a fraud review.  held back: it
cannot be sent as it is, and a person has to look.  waiting: RetailOps has not fetched it yet.  handed out: fetched, not
acknowledged.  acknowledged: RetailOps has it.  left open: completed with units that are still open.  The others say it
themselves."""

STATES: tuple[OrderState, ...] = (
    "unpaid", "review", "held back", "waiting", "handed out", "acknowledged", "left open", "completed", "cancelled",
    "refunded",
)  # fmt: skip


@dataclass(frozen=True)
class OrderFilter:
    """Which orders; what is empty does not restrict.  Times are when this server first knew the order.

    `channel` is a key of records, `vendor` the token of the order's source.
    """

    state: OrderState | None = None
    channel: str = ""
    vendor: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class OrderRow:
    """One order of a list.  `vendor` is "" where the channel has no source of orders any more."""

    channel: str
    refnum: str
    vendor: str
    state: OrderState
    known_at: datetime | None
    retailops_order_id: str
    handed_out_times: int
    acknowledged_at: datetime | None
    held_back_because: str = ""


@dataclass(frozen=True)
class OrderPage:
    """`next_after` is where the next page begins, "" after the last one."""

    rows: tuple[OrderRow, ...]
    next_after: str


@dataclass(frozen=True)
class LineFacts:
    """A line: units as bought and as they are now, and what became of them; `charged` without tax."""

    refnum: str
    sku: str
    bought: int
    ordered: int
    shipped: int
    unshipped: int
    """Units that never ship, as a completion said."""
    returned: int
    charged: Decimal | None
    tax: Decimal | None


@dataclass(frozen=True)
class PackageFacts:
    """A package RetailOps stated; units by line."""

    key: str
    retailops_shipment_id: str
    registered_at: datetime
    units: Mapping[str, int]


@dataclass(frozen=True)
class PaymentFacts:
    """What was charged, and what may still go back of it."""

    refnum: str
    payment_type: str
    amount: Decimal
    left: Decimal
    currency_code: str


@dataclass(frozen=True)
class RefundFacts:
    """A row of the ledger of refunds (`records.refunds.State` says what the states mean)."""

    id: int
    refnum: str
    payment_refnum: str
    callback: str
    amount: Decimal
    currency_code: str
    state: str
    created_at: datetime | None


@dataclass(frozen=True)
class CallFacts:
    """A call to a vendor that is still open; `attempts` and `state` are what an act has to name."""

    id: int
    vendor: str
    verb: str
    state: str
    attempts: int
    next_try_at: datetime
    last_code: str
    last_error: str
    created_at: datetime


@dataclass(frozen=True)
class OrderFacts:
    """Everything about one order but its timeline.  `now` are sentences: how it stands, and what to do."""

    row: OrderRow
    now: tuple[str, ...]
    numbers: tuple[tuple[str, str], ...] = ()
    """What else it and its parts are known by: kind (`find.Kind`) and number."""
    currency_code: str = ""
    lines: tuple[LineFacts, ...] = ()
    packages: tuple[PackageFacts, ...] = ()
    payments: tuple[PaymentFacts, ...] = ()
    refunds: tuple[RefundFacts, ...] = ()
    open_calls: tuple[CallFacts, ...] = ()


@dataclass(frozen=True)
class Sources:
    """Which vendor orders come from, by the key of the channel (R17)."""

    by_channel: Mapping[str, str] = field(default_factory=dict)

    def channels_of(self, vendor: str) -> Collection[str]:
        """The channels whose orders come from this vendor."""
        return [channel for channel, token in self.by_channel.items() if token == vendor]


def listing(
    database: Database, scope: Scope, sources: Sources, wanted: OrderFilter, after: str = "", limit: int = PER_PAGE
) -> OrderPage:
    """A page of orders, the newest first.  `after` is the `next_after` of the page before; one that cannot be read
    counts as "".  Raises `DatabaseUnavailable`."""
    return OrderPage((), "")


def facts(database: Database, scope: Scope, sources: Sources, channel: str, refnum: str) -> OrderFacts | None:
    """One order by its channel's key and number; None where there is none.  Raises `DatabaseUnavailable`."""
    return None
