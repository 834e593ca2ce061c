"""What was charged for an order, payment by payment: captured, held for a capture, and what may still go back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from app.domain.orders import OrderSketch
from app.records.refunds import IN_EFFECT
from app.records.statements import chunked
from app.records.tables.money import payments, refunds

_BLANKS = ("", " ", "  ", "\u00a0", "\t")
"""What may stand at an end of a payment's number, for whoever drops it."""


@dataclass(frozen=True)
class Charge:
    """A payment of an order; `left` is what may still go back of it."""

    order_refnum: str
    refnum: str
    currency_code: str
    kind: str
    processing_type: str
    payment_type: str
    amount: Decimal
    captured: Decimal
    capturing: Decimal
    left: Decimal

    @property
    def charged(self) -> Decimal:
        """What really came in: of an authorisation, what was captured."""
        return self.captured if self.kind == "auth" else self.amount

    @property
    def uncaptured(self) -> Decimal:
        """What is authorised and neither captured nor about to be."""
        return self.amount - self.captured - self.capturing if self.kind == "auth" else Decimal(0)


def remember_payments(connection: Connection, channel: str, sketches: Sequence[OrderSketch]) -> None:
    """Take over these orders' payments as their source states them; what was captured since stays."""
    # A payment without a number could never be given back: a credit names its parents by it.
    stated = {item.refnum: [payment for payment in item.payments if payment.refnum] for item in sketches}
    of_order: dict[str, dict[str, Row[Any]]] = {refnum: {} for refnum, some in stated.items() if some}
    for refnums in chunked(of_order):
        for row in connection.execute(
            select(payments).where(payments.c.channel == channel, payments.c.order_refnum.in_(refnums))
        ):
            of_order[row.order_refnum][row.refnum] = row
    fresh: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    currencies = {item.refnum: item.currency_code for item in sketches}
    for order_refnum, known in of_order.items():
        position = max((row.position for row in known.values()), default=0)
        for payment in stated[order_refnum]:
            before = known.get(payment.refnum)
            kind, amount = payment.transaction_type, payment.amount
            if before is None:
                position += 1
                fresh.append(
                    {
                        "channel": channel,
                        "order_refnum": order_refnum,
                        "refnum": payment.refnum,
                        "position": position,
                        "currency_code": currencies[order_refnum],
                        "kind": kind,
                        "processing_type": payment.payment_processing_type,
                        "payment_type": payment.payment_type,
                        "amount": amount,
                    }
                )
            elif (before.kind, before.amount) != (kind, amount):
                changed.append({"of": order_refnum, "number": payment.refnum, "kind": kind, "amount": amount})
    if fresh:
        connection.execute(insert(payments), fresh)
    if changed:
        connection.execute(
            update(payments).where(
                payments.c.channel == channel,
                payments.c.order_refnum == bindparam("of"),
                payments.c.refnum == bindparam("number"),
            ),
            changed,
        )


def currency(connection: Connection, channel: str, order_refnum: str) -> str:
    """The currency of the order's payments; "" where it has none."""
    of_order = select(payments.c.currency_code).where(
        payments.c.channel == channel, payments.c.order_refnum == order_refnum
    )
    return connection.execute(of_order.limit(1)).scalar() or ""


def charges(connection: Connection, channel: str, order_refnum: str) -> list[Charge]:
    """The order's payments, newest first, each with what is left of it."""
    held: defaultdict[str, Decimal] = defaultdict(Decimal)
    for payment_refnum, amount in connection.execute(
        select(refunds.c.payment_refnum, refunds.c.amount).where(
            refunds.c.channel == channel, refunds.c.order_refnum == order_refnum, refunds.c.state.in_(IN_EFFECT)
        )
    ):
        held[payment_refnum] += amount
    found = []
    for row in connection.execute(
        select(payments)
        .where(payments.c.channel == channel, payments.c.order_refnum == order_refnum)
        .order_by(payments.c.position.desc())
    ):
        charged = row.captured if row.kind == "auth" else row.amount
        found.append(
            Charge(
                order_refnum, row.refnum, row.currency_code, row.kind, row.processing_type, row.payment_type,
                row.amount, row.captured, row.capturing, max(charged - held[row.refnum], Decimal(0)),
            )
        )  # fmt: skip
    return found


def named(connection: Connection, channel: str, stated: Collection[str]) -> set[tuple[str, str]]:
    """Every payment of these numbers, as (order, number); a payment's number need only be unique in its order.

    A number that no payment has means the one that is it but for blanks at the ends, which RetailOps may drop (R32).
    """
    found = _of_numbers(connection, channel, stated)
    unknown = set(stated) - {number for _, number in found}
    spelled = {f"{before}{number.strip()}{after}" for number in unknown for before in _BLANKS for after in _BLANKS}
    alike: dict[str, set[tuple[str, str]]] = {}
    for order, number in _of_numbers(connection, channel, spelled):
        alike.setdefault(number.strip(), set()).add((order, number))
    for number in unknown:
        same = alike.get(number.strip(), set())
        if len({spelling for _, spelling in same}) == 1:
            found |= same
    return found


def _of_numbers(connection: Connection, channel: str, numbers: Collection[str]) -> set[tuple[str, str]]:
    if not numbers:
        return set()
    query = select(payments.c.order_refnum, payments.c.refnum).where(
        payments.c.channel == channel, payments.c.refnum.in_(list(numbers))
    )
    return {(row.order_refnum, row.refnum) for row in connection.execute(query)}


def hold_capture(connection: Connection, channel: str, order_refnum: str, payment_refnum: str, amount: Decimal) -> None:
    """An amount of an authorisation is about to be captured; a negative one gives it back."""
    connection.execute(
        update(payments).where(*_payment(channel, order_refnum, payment_refnum)).values(
            capturing=payments.c.capturing + amount
        )
    )  # fmt: skip


def captured(connection: Connection, channel: str, order_refnum: str, payment_refnum: str, amount: Decimal) -> None:
    """An amount that was held has been captured."""
    connection.execute(
        update(payments).where(*_payment(channel, order_refnum, payment_refnum)).values(
            capturing=payments.c.capturing - amount, captured=payments.c.captured + amount
        )
    )  # fmt: skip


def _payment(channel: str, order_refnum: str, payment_refnum: str) -> tuple[Any, ...]:
    return (
        payments.c.channel == channel,
        payments.c.order_refnum == order_refnum,
        payments.c.refnum == payment_refnum,
    )
