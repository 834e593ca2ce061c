"""One order's facts: lines, packages, payments, refunds and open calls, without a name, an address or a price list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection

from app.channel.refunds import returned_units
from app.domain.orders import SketchLine
from app.operations.orders import OrderRow, Sources, row_of
from app.operations.scope import Scope
from app.records import delivery_rows, handed_out, order_list, payment_ledger, refunds, search_keys
from app.records.database import Database
from app.records.deliveries import OPEN_STATES
from app.records.delivery_rows import DeliveryFilter
from app.records.handed_out import KnownOrder
from app.records.parcels import shipped_units
from app.records.refunds import Entry
from app.storefront import order_store
from app.storefront.order_document import OrderDocument, read_document


@dataclass(frozen=True)
class LineFacts:
    """A line: units as bought and as they are now, and what became of them; money without tax, None where unknown."""

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
    units: Mapping[str, int]


@dataclass(frozen=True)
class PaymentFacts:
    """What came in, and what may still go back of it."""

    refnum: str
    payment_type: str
    amount: Decimal
    left: Decimal
    currency_code: str


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
    """Everything about one order but its timeline, which says how it stands and what to do."""

    row: OrderRow
    numbers: tuple[tuple[str, str], ...]
    """What else it and its parts are known by: kind (`find.Kind`) and number."""
    currency_code: str
    lines: tuple[LineFacts, ...]
    packages: tuple[PackageFacts, ...]
    payments: tuple[PaymentFacts, ...]
    refunds: tuple[Entry, ...]
    """Oldest first (`records.refunds.RefundState` says what their states mean)."""
    open_calls: tuple[CallFacts, ...]

    def sku_of(self, line: str) -> str:
        """What a line is of, in words where that is unknown."""
        return next((it.sku for it in self.lines if it.refnum == line and it.sku), f"line {line}")


def facts(database: Database, scope: Scope, sources: Sources, channel: str, refnum: str) -> OrderFacts | None:
    """One order by its channel's key and number; None where there is none.  Raises `DatabaseUnavailable`."""
    if not scope.sees(channel):
        return None
    now = database.now()
    with database.read() as connection:
        row = order_list.one(connection, channel, refnum, now)
        if row is None:
            return None
        known = handed_out.known(connection, channel, [refnum]).get(refnum)
        stored = order_store.get(connection, channel, refnum)
        document = None if stored is None else read_document(stored.body)
        entries = refunds.of_order(connection, channel, refnum)
        charges = payment_ledger.charges(connection, channel, refnum)
        numbers = search_keys.of_order(connection, channel, refnum)
        calls = _open_calls(connection, channel, refnum)
    payments = tuple(
        PaymentFacts(item.refnum, item.payment_type, item.charged, item.left, item.currency_code)
        for item in reversed(charges)
    )
    currency = next((item.currency_code for item in payments), document.currency if document else "")
    if not payments and document is not None:
        kind = document.payment_method.payment_type if document.payment_method else ""
        payments = tuple(
            PaymentFacts(item.external_id, kind, item.amount, item.amount, currency) for item in document.transactions
        )
    return OrderFacts(
        row_of(row, sources),
        tuple((number.kind, number.number) for number in numbers if number.number != refnum),
        currency,
        _lines(known, document, entries),
        tuple(
            PackageFacts(item.key, item.retailops_shipment_id, dict(item.units))
            for item in (known.parcels if known else ())
        ),
        payments,
        tuple(entries),
        calls,
    )


def _lines(known: KnownOrder | None, document: OrderDocument | None, entries: Iterable[Entry]) -> tuple[LineFacts, ...]:
    """As RetailOps has them; of an order it does not have yet, as its checkout made them."""
    if known is None:
        return tuple(
            LineFacts(
                line.external_id, line.sku, line.quantity, line.quantity, 0, 0, 0,
                line.subtotal - line.discount_amount, line.tax_amount,
            )
            for line in (document.lines if document else ())
        )  # fmt: skip
    shipped, returned = shipped_units(known.parcels), Counter(returned_units(entries))

    def line_of(line: SketchLine) -> LineFacts:
        has_money = line.unit_price is not None or bool(line.charged)
        return LineFacts(
            line.refnum, line.sku, line.ordered, line.quantity, shipped[line.refnum],
            known.rejected.units.get(line.refnum, 0), returned[line.refnum],
            line.charged if has_money else None, line.tax if has_money else None,
        )  # fmt: skip

    return tuple(map(line_of, known.lines))


def _open_calls(connection: Connection, channel: str, refnum: str) -> tuple[CallFacts, ...]:
    chosen = DeliveryFilter(order=refnum, channel=channel, states=OPEN_STATES)
    return tuple(
        CallFacts(
            row.id, row.gateway, row.verb, row.state, row.attempts, row.next_try_at, row.last_code, row.last_error,
            row.created_at,
        )
        for row in reversed(delivery_rows.find(connection, chosen))
    )  # fmt: skip
