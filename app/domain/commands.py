"""The bodies of commands: what RetailOps requests of an order, in neither its nor a vendor's wire format.

Bodies of pending calls are kept in the database as the JSON of these structures, so a field is only ever added with a
default.  Amounts are `Decimal`, times aware UTC, ids text; an id of RetailOps that is 0 is no id and stands here as "".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Literal

import msgspec

from app.domain.events import Event
from app.domain.orders import SketchLine
from app.domain.purchases import Purchase


class Acknowledgement(msgspec.Struct, frozen=True):
    """RetailOps has the order; its own number may be unknown ("").

    A correction states the number of an order acknowledged before, and which one was sent then.
    """

    order_refnum: str
    retailops_order_id: str = ""
    is_correction: bool = False
    previous_order_id: str = ""


class PackageLine(msgspec.Struct, frozen=True):
    """Units of one order line."""

    line_refnum: str
    sku: str
    quantity: int
    source_sku: str = ""
    """What the source calls the SKU, where RetailOps calls it otherwise."""


class Package(msgspec.Struct, frozen=True):
    """One parcel that left; `key` names it for ever, at us and at the vendor (R24)."""

    order_refnum: str
    key: str
    lines: tuple[PackageLine, ...]
    retailops_shipment_id: str = ""
    carrier_name: str = ""
    carrier_class_name: str = ""
    channel_ship_code: str = ""
    tracking_number: str = ""
    weight_kg: Decimal | None = None
    shipped_at: datetime | None = None
    is_last: bool = False
    """True when no unit of the order is open any more once this package has left."""


class Cancellation(msgspec.Struct, frozen=True):
    """The whole order is cancelled before anything shipped.

    `is_decided`: it is cancelled here already, and its source is only notified.
    """

    order_refnum: str
    is_decided: bool = False


class Completion(msgspec.Struct, frozen=True):
    """RetailOps is done with the order; `unshipped` names units that will never ship.

    `number` counts the completions of the order: a later one names further units.  `removed` are those of the
    units that `order_update` had taken off before.  `named` are the units by the lines that RetailOps named, where
    other lines of their SKU stand for some of those; else ().
    """

    order_refnum: str
    unshipped: tuple[PackageLine, ...] = ()
    number: int = 1
    removed: tuple[PackageLine, ...] = ()
    named: tuple[PackageLine, ...] = ()


class RefundLine(msgspec.Struct, frozen=True):
    """What part of a refund is for: units of an order line without their tax, or tax, or shipping."""

    kind: Literal["line_item", "tax", "shipping"]
    amount: Decimal
    line_refnum: str = ""
    sku: str = ""
    quantity: int = 1
    reason: str = ""


class Refund(msgspec.Struct, frozen=True):
    """Money that goes back to the customer from one payment, in that payment's currency.

    `key` names the refund for ever, at us and at the vendor; one that is tried again keeps it.  `lines`
    may be absent or come to less than `amount`, which alone says what is paid.
    """

    order_refnum: str
    key: str
    payment_refnum: str
    amount: Decimal
    currency_code: str
    to_store_credit: bool = False
    lines: tuple[RefundLine, ...] = ()
    is_followed: bool = False
    """True where the source is sent a call of its own once an order has got everything back."""


class LineChange(msgspec.Struct, frozen=True):
    """A line as RetailOps has it now.  A line of its own making has the `refnum` it is to get; 0 units are none."""

    refnum: str
    sku: str
    quantity: int
    unit_price: Decimal | None = None


class Restatement(msgspec.Struct, frozen=True):
    """The order's source is sent again how the order stands; by then more may have changed.

    `is_paid_back`: nothing of what was paid for it remains.  `change` are the lines this is about, and `undo` the same
    lines as they were before: where the source refuses, those that still stand as changed go back to that.
    """

    order_refnum: str
    is_paid_back: bool = False
    change: tuple[LineChange, ...] = ()
    undo: tuple[LineChange, ...] = ()


class OrderChange(msgspec.Struct, frozen=True):
    """The lines of an order that RetailOps names after a change; lines it does not name stay as they are."""

    order_refnum: str
    lines: tuple[LineChange, ...]


class OrderChanged(msgspec.Struct, frozen=True):
    """What the source made of a change: its lines now, and what RetailOps should know."""

    lines: tuple[SketchLine, ...]
    events: tuple[Event, ...] = ()
    is_different: bool = True


class ReturnedLine(msgspec.Struct, frozen=True):
    """Units of one order line that came back."""

    line_refnum: str
    sku: str
    quantity: int
    source_sku: str = ""
    """What the source calls the SKU, where RetailOps calls it otherwise."""
    reason: str = ""


class ReturnedGoods(msgspec.Struct, frozen=True):
    """Goods RetailOps took back, sent without money; `key` names the return for ever, at us and at the vendor."""

    order_refnum: str
    key: str
    lines: tuple[ReturnedLine, ...]


class Settlement(msgspec.Struct, frozen=True):
    """Money to be collected from a payment that is only authorised so far."""

    order_refnum: str
    key: str
    payment_refnum: str
    amount: Decimal
    currency_code: str


CommandBody = (
    Acknowledgement | Package | Cancellation | Completion | Refund | Settlement | Restatement | ReturnedGoods | Purchase
)
"""The body of a verb that can be owed."""

COMMANDS: Mapping[str, type[CommandBody]] = {
    "acknowledge_order": Acknowledgement,
    "submit_shipment": Package,
    "correct_shipment": Package,
    "cancel_order": Cancellation,
    "complete_order": Completion,
    "settle_payment": Settlement,
    "update_order": Restatement,
    "return_order": Refund,
    "record_return": ReturnedGoods,
    "credit_payment": Refund,
    "refund_payment": Refund,
}
"""The business verbs that can be owed, and the body each one takes.

`record_return` reports what came back to a source that gives no money back itself; where it does, `return_order` does
both.  Three of them give money back and may be one call at the vendor; they differ in what they are for and
who decides (R10): a return, a credit, and what a cancellation or completion leaves unpaid-for.
"""

OBSERVATIONS: Mapping[str, type[CommandBody]] = {"report_purchase": Purchase}
"""What observers can be owed; only they carry it out, and nothing of it is ever reported to RetailOps (R17)."""


def read_back(verb: str, stored: bytes | None) -> CommandBody | None:
    """The body of an owed call as it was stored; None where there is none any more or it does not fit its verb."""
    try:
        return msgspec.json.decode(stored or b"", type=COMMANDS.get(verb) or OBSERVATIONS[verb])
    except (KeyError, msgspec.DecodeError):
        return None
