"""What makes a SKU's stock pending for a gateway besides a statement, or keeps it from being sent as stated (R13)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import (
    ClauseElement,
    ColumnElement,
    Connection,
    Text,
    bindparam,
    false,
    literal_column,
    select,
    true,
    update,
)  # fmt: skip

from app.clock import utc_now
from app.records import sync_state
from app.records.statements import INSERTS, Prepared, among, chunked
from app.records.stock_batches import STOCK, TRIES
from app.records.tables.columns import Moment
from app.records.tables.stock import stock, sync_states

_STOCK = stock.c
_COUNTER = sync_states.c


@dataclass(frozen=True)
class SendAgain:
    """Facts owed again because a person wants it; `moved` are left until RetailOps states them anew."""

    owed: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def owe_again(connection: Connection, channel: str, gateway: str | None, skus: Collection[str]) -> None:
    """What this server itself knows of these SKUs has changed (a reservation, R25): their stock is sent anew.

    To the gateway whose orders they are (None: unknown), whose own figure may have moved by that, and
    to every other that receives their stock.
    """
    if not skus:
        return
    named = [(_STOCK.channel == channel, _STOCK.sku.in_(some)) for some in chunked(sorted(set(skus)))]
    numbered = _NEXT_NUMBERS.execute(connection, {"of_channel": channel, "own": gateway or "", "skus": skus})
    for token, seq in numbered.all():
        for which in named:
            own = (*which, _STOCK.gateway == token)
            STOCK.owe(connection, own, seq, goes_first=true(), is_uncertain=token == gateway)


def _next_numbers(dialect: str) -> ClauseElement:
    """The next number of every gateway that receives these SKUs, and of the one named.

    Counters are taken in the order of their names, as by every push, so that two transactions never wait for each
    other.
    """
    receiving = (
        select(_STOCK.gateway)
        .where(_STOCK.channel == bindparam("of_channel"), among(_STOCK.sku, "skus"))
        .union(select(bindparam("own", type_=Text)))
        .subquery()
        .c.gateway
    )
    rows = select(bindparam("of_channel", type_=Text), receiving, literal_column("1")).where(receiving != "")
    added = INSERTS[dialect](sync_states).from_select(["channel", "gateway", "seq"], rows.order_by(receiving))
    one_more = added.on_conflict_do_update(index_elements=["channel", "gateway"], set_={"seq": _COUNTER.seq + 1})
    return cast(ClauseElement, one_more.returning(_COUNTER.gateway, _COUNTER.seq))


_NEXT_NUMBERS = Prepared(_next_numbers)


def note_uncertain(connection: Connection, channel: str, gateway: str, skus: Collection[str]) -> None:
    """The gateway's next call may replace what the vendor has of these SKUs; none is owed for that."""
    for some in chunked(sorted(set(skus))):
        connection.execute(
            update(stock).where(*STOCK.of_gateway(channel, gateway), _STOCK.sku.in_(some)).values(is_uncertain=True)
        )


def note_moved(
    connection: Connection, channel: str, skus: Collection[str], at: datetime, *,
    gateways: Collection[str] | None = None,
) -> None:  # fmt: skip
    """A shipment was sent or an order handed out: what was stated of these SKUs before is not said again by itself.

    Concerns all gateways of the channel, or these.  A SKU that a push under way states for the first time counts as
    stated afterwards.
    """
    if not skus or (gateways is not None and not gateways):
        return
    named = {"of_channel": channel, "skus": sorted(set(skus)), "at": at}
    if gateways is None:
        _MOVE.execute(connection, named)
    else:
        _MOVE_AT.execute(connection, {**named, "gateways": gateways})


def _moved(*gateways: ColumnElement[bool]) -> ClauseElement:
    # A row is changed only once the counter of its gateway is locked, and counters are locked in the order of their
    # names, as by pushes and senders: so two transactions never wait for each other.
    of_channel = _COUNTER.channel == bindparam("of_channel")
    counters = select(_COUNTER.gateway).where(of_channel, *gateways).order_by(_COUNTER.gateway)
    held = counters.with_for_update().cte("held")
    named = _STOCK.channel == bindparam("of_channel"), _STOCK.gateway == held.c.gateway, among(_STOCK.sku, "skus")
    return update(stock).where(*named).values(moved_at=bindparam("at", type_=Moment))


_MOVE = Prepared(_moved())
_MOVE_AT = Prepared(_moved(among(_COUNTER.gateway, "gateways")))


def owe_refused(connection: Connection, channel: str, gateway: str, skus: Collection[str], now: datetime) -> bool:
    """The vendor may accept these SKUs now: those it refused are owed again, and tried `TRIES` times more.

    What has been moved since it was stated waits for the next statement.  False when none was refused.
    """
    if not skus:
        return False
    seq = sync_state.next_seq(connection, channel, gateway)
    count = 0
    for some in chunked(sorted(set(skus))):
        refused = (*STOCK.of_gateway(channel, gateway), _STOCK.sku.in_(some), _STOCK.refusal != "")
        count += STOCK.owe(connection, (*refused, _STOCK.moved_at.is_(None)), seq, goes_first=true(), tries=TRIES)
        _await_statement(connection, refused, now)
    return count > 0


def owe_unmoved(connection: Connection, channel: str, gateway: str, skus: Collection[str], now: datetime) -> bool:
    """Owe these SKUs again by ourselves, after others; what has been moved is shown as STOCK_STALE.  False: none."""
    if not skus:
        return False
    seq = sync_state.next_seq(connection, channel, gateway)
    count = 0
    for some in chunked(sorted(set(skus))):
        which = (*STOCK.of_gateway(channel, gateway), _STOCK.sku.in_(some))
        count += STOCK.owe(connection, (*which, _STOCK.moved_at.is_(None)), seq, goes_first=false())
        _await_statement(connection, which, now)
    return count > 0


def send_again(
    connection: Connection,
    channel: str,
    gateway: str,
    skus: Collection[str] | None,
    *,
    even_if_moved: bool,
    is_dry_run: bool,
    now: datetime | None = None,
) -> SendAgain:
    """Owe the present levels again; of SKUs that are named, before others.  None: all that were ever stated.

    What has been moved since it was stated is left, and shown as STOCK_STALE from `now` on, unless `even_if_moved`.
    """
    found: dict[str, bool] = {}
    for some in [None] if skus is None else chunked(sorted(set(skus))):
        named = [] if some is None else [_STOCK.sku.in_(some)]
        rows = connection.execute(
            select(_STOCK.sku, _STOCK.moved_at).where(*STOCK.of_gateway(channel, gateway), *named).order_by(_STOCK.sku)
        )
        found |= {row.sku: row.moved_at is not None for row in rows}
    moved = () if even_if_moved else tuple(sku for sku, is_moved in found.items() if is_moved)
    left = set(moved)
    owed = tuple(sku for sku in found if sku not in left)
    unknown = tuple(sorted(set(skus or ()) - found.keys()))
    if not is_dry_run and found:
        at = now or utc_now()
        seq = sync_state.next_seq(connection, channel, gateway)
        may = [] if even_if_moved else [_STOCK.moved_at.is_(None)]
        for some in [None] if skus is None else chunked(sorted(set(found))):
            which = (*STOCK.of_gateway(channel, gateway), *([] if some is None else [_STOCK.sku.in_(some)]))
            STOCK.owe(connection, (*which, *may), seq, goes_first=false() if skus is None else true())
            if not even_if_moved:
                _await_statement(connection, which, at)
    return SendAgain(owed, moved, unknown)


def _await_statement(connection: Connection, which: Iterable[ColumnElement[bool]], now: datetime) -> None:
    """Those of these that have been moved since they were stated are shown as STOCK_STALE."""
    connection.execute(update(stock).where(*which, _STOCK.moved_at.is_not(None)).values(again_at=now))
