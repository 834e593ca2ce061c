"""What was charged for an order and what has gone back of it: the one place that knows what is left.

Every refund is a row before it is a call.  Rows that had or may still have an effect hold their amount,
so that cancellations, completions, returns and credits together never give back more than came in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from app.domain.commands import PackageLine, RefundLine
from app.domain.orders import OrderSketch
from app.records import heartbeat
from app.records.deliveries import OPEN_STATES
from app.records.former_keys import KEY_FORM
from app.records.statements import chunked
from app.records.tables.deliveries import commands, deliveries
from app.records.tables.money import payments, refunds

State = Literal["owed", "accepted", "parked", "refused", "released", "recorded", "matched"]
"""owed: to be paid, or it is being found out whether it was.  accepted: the vendor has it.  parked: a
person has to decide.  refused: surely not paid.  released: a person gave its amount free.  recorded:
only noted.  matched: the same money as another callback's, so nothing is paid for it (R23)."""

IN_EFFECT: tuple[State, ...] = ("owed", "accepted", "parked")
"""The states whose amount is held."""

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


@dataclass(frozen=True)
class Entry:
    """One row of the ledger of refunds."""

    key: str
    order_refnum: str
    payment_refnum: str
    callback: str
    natural_key: str
    amount: Decimal
    currency_code: str
    state: State
    is_store_credit: bool = False
    lines: tuple[PackageLine, ...] = ()
    """The units it is for."""
    rows: tuple[RefundLine, ...] = ()
    """What parts of its amount are for; () where that was not worked out here."""
    refnum: str = ""
    matched: tuple[str, str] = ("", "")
    """(callback, natural key) of what paid the same money."""
    id: int = 0
    channel: str = ""
    repeats: int = 0
    created_at: datetime | None = None
    told_at: datetime | None = None
    released_at: datetime | None = None
    seen: datetime | None = None
    """When it was written, by the time that was seen passing."""

    @property
    def source(self) -> tuple[str, str]:
        """What asked for it: (callback, natural key)."""
        return self.callback, self.natural_key

    @property
    def is_in_effect(self) -> bool:
        """True while its amount is held."""
        return self.state in IN_EFFECT


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
    wanted = select(payments.c.order_refnum, payments.c.refnum).where(
        payments.c.channel == channel, payments.c.refnum.in_(list(numbers))
    )
    return {(row.order_refnum, row.refnum) for row in connection.execute(wanted)}


def of_order(connection: Connection, channel: str, order_refnum: str) -> list[Entry]:
    """Every entry of an order, oldest first."""
    rows = connection.execute(
        select(refunds)
        .where(refunds.c.channel == channel, refunds.c.order_refnum == order_refnum)
        .order_by(refunds.c.id)
    )
    return [_entry(row) for row in rows]


def of_source(connection: Connection, channel: str, callback: str, natural_key: str) -> list[Entry]:
    """What one callback came to, oldest first."""
    rows = connection.execute(
        select(refunds)
        .where(refunds.c.channel == channel, refunds.c.callback == callback, refunds.c.natural_key == natural_key)
        .order_by(refunds.c.id)
    )
    return [_entry(row) for row in rows]


def put(connection: Connection, channel: str, entry: Entry, now: datetime) -> None:
    """Write an entry; one of the same key that never had an effect is written over."""
    values = {
        "order_refnum": entry.order_refnum,
        "payment_refnum": entry.payment_refnum,
        "callback": entry.callback,
        "natural_key": entry.natural_key,
        "amount": entry.amount,
        "currency_code": entry.currency_code,
        "is_store_credit": entry.is_store_credit,
        "lines": msgspec.json.encode(entry.lines),
        "rows": msgspec.json.encode(entry.rows) if entry.rows else None,
        "state": entry.state,
        "refnum": entry.refnum,
        "matched_callback": entry.matched[0],
        "matched_key": entry.matched[1],
        "created_at": now,
        "seen": heartbeat.seen(),
        "told_at": None,
        "released_at": None,
    }
    written = connection.execute(
        update(refunds)
        .where(refunds.c.channel == channel, refunds.c.key == entry.key, refunds.c.state.not_in(IN_EFFECT))
        .values(**values)
    )
    if written.rowcount == 0:
        connection.execute(insert(refunds).values(**values, channel=channel, key=entry.key, key_form=KEY_FORM))


def set_state(connection: Connection, channel: str, key: str, state: State, refnum: str = "") -> None:
    """What has become of a refund, by the key its call carries."""
    values: dict[str, Any] = {"state": state, **({"refnum": refnum} if refnum else {})}
    connection.execute(
        update(refunds)
        .where(refunds.c.channel == channel, refunds.c.key == key, refunds.c.state.in_(IN_EFFECT))
        .values(**values)
    )


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


def note_told(connection: Connection, ids: Sequence[int], now: datetime) -> None:
    """RetailOps is being told that these were accepted."""
    connection.execute(update(refunds).where(refunds.c.id.in_(ids), refunds.c.told_at.is_(None)).values(told_at=now))


def note_repeat(connection: Connection, refund_id: int) -> None:
    """A request came again and nothing was paid for it."""
    connection.execute(update(refunds).where(refunds.c.id == refund_id).values(repeats=refunds.c.repeats + 1))


# For the operator


def find(connection: Connection, refund_id: int) -> Entry | None:
    """The entry of this number, or None."""
    row = connection.execute(select(refunds).where(refunds.c.id == refund_id)).first()
    return None if row is None else _entry(row)


def listing(
    connection: Connection,
    *,
    channel: str = "",
    order_refnum: str = "",
    state: str = "",
    callback: str = "",
    is_unpaid_request: bool = False,
    limit: int = 100,
) -> list[Entry]:
    """Entries, newest first.  `is_unpaid_request`: only those for which RetailOps asked and nothing was paid."""
    query = select(refunds).order_by(refunds.c.id.desc()).limit(limit)
    for column, wanted in (
        (refunds.c.channel, channel),
        (refunds.c.order_refnum, order_refnum),
        (refunds.c.state, state),
        (refunds.c.callback, callback),
    ):
        if wanted:
            query = query.where(column == wanted)
    if is_unpaid_request:
        query = query.where((refunds.c.state == "matched") | (refunds.c.repeats > 0), refunds.c.released_at.is_(None))
    return [_entry(row) for row in connection.execute(query)]


Release = Literal["unknown", "pays_next", "given_free", "still_open", "nothing_held"]


def release(connection: Connection, refund_id: int, now: datetime) -> Release:
    """Let go of what an entry holds up, and say what that was (`release_outcome`)."""
    entry = find(connection, refund_id)
    if entry is None:
        return "unknown"
    outcome = release_outcome(connection, entry)
    if outcome == "pays_next":
        connection.execute(
            update(refunds)
            .where(
                refunds.c.channel == entry.channel,
                refunds.c.callback == entry.callback,
                refunds.c.natural_key == entry.natural_key,
                refunds.c.released_at.is_(None),
            )
            .values(released_at=now)
        )
    elif outcome == "given_free":
        connection.execute(update(refunds).where(refunds.c.id == refund_id).values(state="released", released_at=now))
    return outcome


def release_outcome(connection: Connection, entry: Entry) -> Release:
    """What releasing this entry would come to; nothing is written.

    pays_next: a credit that was answered without paying, or repeats one that was paid, is carried out
    the next time it comes; so is a return held to be the same money as a credit.  given_free: its call
    was given up and its amount may be paid out again.  still_open: its call has to be retried or
    dropped first.  nothing_held: it holds nothing up.
    """
    if entry.released_at is None and (
        # A completion is never carried out again; what it left to a credit, another credit may pay.
        (entry.state == "matched" and entry.callback != "order_complete")
        or (entry.callback == "payment_credit" and entry.state == "accepted")
    ):
        return "pays_next"
    if entry.state not in ("owed", "parked"):
        return "nothing_held"
    # An order's completions are one command, while the refund of a later one has a key of its own (R9).
    command_key = entry.order_refnum if entry.callback == "order_complete" else entry.natural_key
    if _open_calls(connection, entry.channel, entry.callback, command_key):
        return "still_open"
    return "given_free"


def _open_calls(connection: Connection, channel: str, callback: str, natural_key: str) -> int:
    return int(
        connection.execute(
            select(func.count())
            .select_from(deliveries.join(commands, commands.c.id == deliveries.c.command_id))
            .where(
                commands.c.channel == channel,
                commands.c.callback == callback,
                commands.c.natural_key == natural_key,
                deliveries.c.verb.in_(("return_order", "credit_payment", "refund_payment")),
                deliveries.c.state.in_(OPEN_STATES),
            )
        ).scalar_one()
    )


def _entry(row: Row[Any]) -> Entry:
    return Entry(
        key=row.key,
        order_refnum=row.order_refnum,
        payment_refnum=row.payment_refnum,
        callback=row.callback,
        natural_key=row.natural_key,
        amount=row.amount,
        currency_code=row.currency_code,
        state=row.state,
        is_store_credit=row.is_store_credit,
        lines=msgspec.json.decode(row.lines, type=tuple[PackageLine, ...]),
        rows=msgspec.json.decode(row.rows, type=tuple[RefundLine, ...]) if row.rows else (),
        refnum=row.refnum,
        matched=(row.matched_callback, row.matched_key),
        id=row.id,
        channel=row.channel,
        repeats=row.repeats,
        created_at=row.created_at,
        told_at=row.told_at,
        released_at=row.released_at,
        seen=row.seen,
    )
