"""What has gone back of the money of orders, or is held for it: the ledger of refunds.

Every refund is a row before it is a call.  Rows that had or may still have an effect hold their amount,
so that cancellations, completions, returns and credits together never give back more than came in.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, and_, insert, or_, select, update

from app.clock import utc_now
from app.domain.commands import PackageLine, RefundLine
from app.records import heartbeat, search_keys
from app.records.bounded_search import Part, look_through, to_the_second
from app.records.search_keys import Kind, Number
from app.records.statements import visible
from app.records.tables.channels import channels as channel_rows
from app.records.tables.money import IS_IN_DOUBT, refunds

RefundState = Literal["owed", "accepted", "parked", "refused", "released", "recorded", "matched"]
"""owed: to be paid, or it is being found out whether it was.  accepted: the vendor has it.  parked: a
person has to decide.  refused: surely not paid.  released: a person gave its amount free.  recorded:
only noted.  matched: the same money as another callback's, so nothing is paid for it (R23)."""

IN_EFFECT: tuple[RefundState, ...] = ("owed", "accepted", "parked")
"""The states whose amount is held."""


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
    state: RefundState
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
    answered_at: datetime | None = None
    released_at: datetime | None = None
    seen: datetime | None = None
    """When it was written, by the time that was seen passing."""

    @property
    def source(self) -> tuple[str, str]:
        """What requested it: (callback, natural key)."""
        return self.callback, self.natural_key

    @property
    def is_in_effect(self) -> bool:
        """True while its amount is held."""
        return self.state in IN_EFFECT


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
        "answered_at": None,
        "released_at": None,
    }
    written = connection.execute(
        update(refunds)
        .where(refunds.c.channel == channel, refunds.c.key == entry.key, refunds.c.state.not_in(IN_EFFECT))
        .values(**values)
    )
    if written.rowcount == 0:
        connection.execute(insert(refunds).values(**values, channel=channel, key=entry.key))


def set_state(connection: Connection, channel: str, key: str, state: RefundState, refnum: str = "") -> None:
    """What has become of a refund, by the key its call carries; `refnum` is the vendor's number of it."""
    values: dict[str, Any] = {"state": state, **({"refnum": refnum} if refnum else {})}
    row = connection.execute(
        update(refunds)
        .where(refunds.c.channel == channel, refunds.c.key == key, refunds.c.state.in_(IN_EFFECT))
        .values(**values)
        .returning(refunds.c.order_refnum, refunds.c.callback)
    ).first()
    if row is not None and refnum:
        kind: Kind = "credit" if row.callback == "payment_credit" else "refund"
        numbers = (Number(row.order_refnum, kind, number) for number in (refnum, key))
        search_keys.learn(connection, channel, numbers, utc_now())


def note_answered(connection: Connection, ids: Sequence[int], now: datetime) -> None:
    """RetailOps is being sent that these were accepted."""
    connection.execute(
        update(refunds).where(refunds.c.id.in_(ids), refunds.c.answered_at.is_(None)).values(answered_at=now)
    )


def note_repeat(connection: Connection, refund_id: int) -> None:
    """A request came again and nothing was paid for it."""
    connection.execute(update(refunds).where(refunds.c.id == refund_id).values(repeats=refunds.c.repeats + 1))


def find(connection: Connection, refund_id: int) -> Entry | None:
    """The entry of this number, or None."""
    row = connection.execute(select(refunds).where(refunds.c.id == refund_id)).first()
    return None if row is None else _entry(row)


@dataclass(frozen=True)
class RefundChoice:
    """Which entries; what is empty does not restrict."""

    channel: str = ""
    """Key of the records."""
    order: str = ""
    state: str = ""
    callback: str = ""
    is_unpaid_request: bool = False
    """Only requests of RetailOps for which nothing was paid."""
    is_in_doubt: bool = False
    """Only those of which a person has to find out whether they were paid."""


def page(
    connection: Connection,
    chosen: RefundChoice,
    *,
    channels: Collection[str] | None,
    before: int | None,
    limit: int,
    searched: int,
) -> tuple[list[Entry], Part]:
    """The entries of these channels (None: all) before a number, newest first, and where they end.

    Those of an order and those in doubt have an index; of all others at most `searched` are looked through.
    """
    rules = [*_restrictions(chosen), visible(refunds.c.channel, channels)]
    listed = select(refunds.c.id, refunds.c.created_at.label("at"))
    if before is not None:
        listed = listed.where(refunds.c.id < before)
    if chosen.order or chosen.is_in_doubt or chosen.state == "parked":
        listed = listed.where(*rules)
    part = look_through(
        connection, listed, lambda _: rules, by=("id",), limit=limit, searched=searched,
        shown=lambda some: select(refunds).join(some, some.c.id == refunds.c.id),
    )  # fmt: skip
    return [_entry(row) for row in part.rows], part if channels is None else to_the_second(part, None)


def _restrictions(chosen: RefundChoice) -> list[ColumnElement[bool]]:
    rules: list[ColumnElement[bool]] = []
    for column, value in (
        (refunds.c.channel, chosen.channel),
        (refunds.c.order_refnum, chosen.order),
        (refunds.c.state, chosen.state),
        (refunds.c.callback, chosen.callback),
    ):
        if value:
            rules.append(column == value)
    if chosen.order:
        rules.append(refunds.c.channel.in_(select(channel_rows.c.key)))  # both are named for their index
    if chosen.is_unpaid_request:
        rules.append(_IS_UNPAID_REQUEST)
    if chosen.is_in_doubt or chosen.state == "parked":
        rules.append(IS_IN_DOUBT)
    return rules


_IS_UNPAID_REQUEST = and_(or_(refunds.c.state == "matched", refunds.c.repeats > 0), refunds.c.released_at.is_(None))


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
        answered_at=row.answered_at,
        released_at=row.released_at,
        seen=row.seen,
    )
