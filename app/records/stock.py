"""Stock levels as state: what RetailOps stated last, and how far each gateway has received it (R13).

A statement makes a SKU owed, whether its level is new or not, for a vendor's copy moves by itself.  Changed levels go
first, in the order in which they changed; the others go longest-unsent first and keep their place when stated again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import ColumnElement, Connection, bindparam, func, select, text

from app.clock import utc_now
from app.domain.moments import to_ms
from app.domain.stock import StockLevel
from app.records import sync_state
from app.records.statements import MANY, Prepared, chunked
from app.records.stock_batches import STOCK
from app.records.stock_disagreements import NOTE, Disagreement, of_push
from app.records.tables.stock import HAS_BLANKS, stock

_STOCK = stock.c


@dataclass(frozen=True)
class StatedLevel:
    """A SKU as RetailOps stated it last, and how far one gateway has received it."""

    sku: str
    level: StockLevel
    stated_at: datetime
    sent_at: datetime | None
    """When the vendor last answered for it, accepted or refused; None before the first time."""
    is_owed: bool
    refusal: str
    """Why it was refused the last time, `SKIPPED` where the gateway need not send it, "" where it was accepted."""
    is_moved: bool
    """True when a shipment or an order moved the figure at the vendor since it was stated."""


@dataclass(frozen=True)
class Attention:
    """How many SKUs of a gateway concern the operator, and one of them with its sentence."""

    channel: str
    gateway: str
    count: int
    sku: str
    sentence: str = ""


def accept(
    connection: Connection,
    channel: str,
    gateway: str,
    levels: Mapping[str, bytes],
    *,
    now: datetime | None = None,
    restate_after_s: float | None = 0.0,
    disagreement: Disagreement | None = None,
) -> None:
    """Keep the levels; each SKU is owed, with a higher `seq` than the statement that was last sent of it.

    An equal level is owed again if it was last sent `restate_after_s` ago or longer (None: never), and at once if the
    vendor refused it or may have another.  `now` is when it is stated, None: this moment.  Pushes for one gateway
    follow one another: the counter's row is held until the transaction ends.  A `disagreement` in them is counted.
    """
    now_ms = to_ms(now or utc_now())
    before_ms = now_ms - int((restate_after_s or 0.0) * 1000)
    news, which = "true", ""
    if restate_after_s is None:
        news, which = _NEWS, f"({_NEWS} or stock.moved_at is not null)"
    elif restate_after_s > 0:
        news = f"({_NEWS} or coalesce(stock.sent_at, 0) <= :before)"
    change = _CHANGE.format(seq=_SEQ.format(news=news))
    merge = f"{_ON_CONFLICT} do update set {change}" + (f" where {which}" if which else "")
    noted = of_push(channel, disagreement, now_ms) if disagreement is not None else {}
    if connection.dialect.name == "sqlite":
        rows = [(sku, level.decode()) for sku, level in levels.items()]
        pushed = {"channel": channel, "gateway": gateway, "now": now_ms, "before": before_ms}
        pushed |= {"seq": sync_state.next_seq(connection, channel, gateway), "rows": msgspec.json.encode(rows).decode()}
        connection.exec_driver_sql(_ACCEPT_JSON + merge, pushed)
        if noted:
            connection.exec_driver_sql(NOTE["sqlite"], noted)
        return
    pushed = {"channel": channel, "gateway": gateway, "now": now_ms, "before": before_ms}
    pushed |= {"skus": list(levels), "levels": list(levels.values())}
    if len(levels) <= MANY:
        beside = f", noted as ({NOTE['postgresql']})" if noted else ""
        statement = _ACCEPT_ARRAYS.format(beside=beside) + merge.replace(":before", "%(before)s")
        connection.exec_driver_sql(statement, {**pushed, **noted})
        return
    pushed["seq"], is_leased = sync_state.next_seq_and_lease(connection, channel, gateway)
    if not is_leased:
        # A level that is owed, and that nobody is sending, keeps its number.  Its entries in the indexes then stay as
        # they are, which takes a third of the time (PostgreSQL's HOT updates), such as while a vendor is away.
        change = _CHANGE.format(seq=_SEQ.format(news=f"stock.seq <= stock.sent_seq and {news}"))
    update = _UPDATE_ARRAYS.format(change=change) + (f" and {which}" if which else "")
    if connection.exec_driver_sql(update.replace(":before", "%(before)s"), pushed).rowcount < len(levels):
        connection.exec_driver_sql(_INSERT_ARRAYS, pushed)
    if noted:
        connection.exec_driver_sql(NOTE["postgresql"], noted)


_NEWS: Final = "(stock.level <> excluded.level or stock.refusal <> '' or stock.is_uncertain)"
_SEQ: Final = "case when {news} then excluded.seq else stock.seq end"
# A level that changes again before it is sent keeps its turn, or one that changes every minute would never be sent.
_CHANGE: Final = """
    level = excluded.level, stated_at = excluded.stated_at, moved_at = null,
    seq = {seq},
    is_changed = stock.is_changed or stock.level <> excluded.level,
    turn = case when stock.level <> excluded.level and not stock.is_changed then excluded.seq
                when stock.seq > stock.sent_seq then stock.turn
                else coalesce(stock.sent_at, 0) end
"""
_ON_CONFLICT: Final = "on conflict (channel, gateway, sku)"
# The arrays are binary (%b): writing the levels as text would take as long as all the rest.
_ARRAYS: Final = "unnest(%(skus)b::text[], %(levels)b::bytea[]) as pushed (sku, level)"
# One parameter and one step: executing it for each row would let other threads run after each, with the writer's turn.
_ACCEPT_JSON: Final = """
    insert into stock (channel, gateway, sku, level, seq, stated_at, turn)
    select :channel, :gateway, value ->> 0, cast(value ->> 1 as blob), :seq, :now, :seq
    from json_each(:rows) where true
"""
# One statement, for the next push waits for the counter's row while this one goes to the server and back; it
# asks for the counter before it touches a level.
_ACCEPT_ARRAYS: Final = f"""
    with counter as (
        insert into sync_states (channel, gateway, seq) values (%(channel)s, %(gateway)s, 1)
        on conflict (channel, gateway) do update set seq = sync_states.seq + 1 returning seq
    ){{beside}}
    insert into stock (channel, gateway, sku, level, seq, stated_at, turn)
    select %(channel)s::text, %(gateway)s::text, sku, level, counter.seq, %(now)s::bigint, counter.seq
    from counter, {_ARRAYS}
"""
# Of many levels most are kept already, and joining them takes less than a conflict for each.  The update sees what the
# pushes before it have written, for the counter was waited for by a statement of its own; as nobody adds a level
# without the counter, what it has not found is new.
_UPDATE_ARRAYS: Final = f"""
    update stock set {{change}}
    from (select sku, level, %(seq)s::bigint as seq, %(now)s::bigint as stated_at from {_ARRAYS}) as excluded
    where stock.channel = %(channel)s::text and stock.gateway = %(gateway)s::text and stock.sku = excluded.sku
"""
_INSERT_ARRAYS: Final = f"""
    insert into stock (channel, gateway, sku, level, seq, stated_at, turn)
    select %(channel)s::text, %(gateway)s::text, sku, level, %(seq)s::bigint, %(now)s::bigint, %(seq)s::bigint
    from {_ARRAYS} {_ON_CONFLICT} do nothing
"""


_BLANKED = Prepared(select(stock.c.sku).where(stock.c.channel == bindparam("of_channel"), text(HAS_BLANKS)))


def same_but_for_blanks(connection: Connection, channel: str, skus: Collection[str]) -> dict[str, str]:
    """By each of these SKUs that has no level, the one SKU with a level that it is but for blanks at its ends (R32)."""
    blanked = set(_BLANKED.execute(connection, {"of_channel": channel}).scalars())
    forms = {sku.strip() for sku in blanked}
    close = {sku for sku in skus if sku[:1].isspace() or sku[-1:].isspace() or sku in forms}
    if not close:
        return {}
    known: set[str] = set(blanked)
    for some in chunked(sorted(close | {sku.strip() for sku in close})):
        named = select(stock.c.sku).where(stock.c.channel == channel, stock.c.sku.in_(some))
        known |= set(connection.execute(named).scalars())
    alike: dict[str, list[str]] = {}
    for sku in known:
        alike.setdefault(sku.strip(), []).append(sku)
    found = {sku: alike.get(sku.strip(), []) for sku in close - known}
    return {sku: same[0] for sku, same in found.items() if len(same) == 1}


def stated(connection: Connection, channel: str, gateway: str, *, after: str, limit: int) -> list[StatedLevel]:
    """The next SKUs after this one ("" is the beginning), in their order."""
    return _stated(connection, (*STOCK.of_gateway(channel, gateway), _STOCK.sku > after), limit)


def stated_of(connection: Connection, channel: str, gateway: str, skus: Collection[str]) -> list[StatedLevel]:
    """These SKUs, in their order; those RetailOps never stated are left out."""
    return [
        level
        for some in chunked(sorted(set(skus)))
        for level in _stated(connection, (*STOCK.of_gateway(channel, gateway), _STOCK.sku.in_(some)), len(some))
    ]


def _stated(connection: Connection, which: Iterable[ColumnElement[bool]], limit: int) -> list[StatedLevel]:
    rows = connection.execute(select(stock).where(*which).order_by(_STOCK.sku).limit(limit))
    return [
        StatedLevel(
            row.sku, msgspec.json.decode(row.level, type=StockLevel), row.stated_at, row.sent_at,
            row.seq > row.sent_seq, row.refusal, row.moved_at is not None,
        )
        for row in rows
    ]  # fmt: skip


def stale(connection: Connection, now: datetime) -> list[Attention]:
    """Figures that were to be sent again by now but have been moved since they were stated (STOCK_STALE)."""
    is_stale = (_STOCK.again_at.is_not(None), _STOCK.again_at <= now, _STOCK.moved_at.is_not(None))
    rows = connection.execute(
        select(_STOCK.channel, _STOCK.gateway, func.count().label("number"), func.min(_STOCK.sku).label("sku"))
        .where(*is_stale)
        .group_by(_STOCK.channel, _STOCK.gateway)
    )
    return [Attention(row.channel, row.gateway, row.number, row.sku) for row in rows]


def noted(connection: Connection) -> list[Attention]:
    """What gateways have to say to the operator about SKUs, one of them for each gateway."""
    rows = connection.execute(
        select(
            _STOCK.channel, _STOCK.gateway, func.count().label("number"), func.min(_STOCK.sku).label("sku"),
            func.min(_STOCK.attention).label("sentence"),
        )
        .where(_STOCK.attention != "")
        .group_by(_STOCK.channel, _STOCK.gateway)
    )  # fmt: skip
    return [Attention(row.channel, row.gateway, row.number, row.sku, row.sentence) for row in rows]


def levels_of(connection: Connection, channel: str, gateway: str, skus: Collection[str]) -> dict[str, StockLevel]:
    """What RetailOps stated last; a SKU it never named is left out."""
    found: dict[str, StockLevel] = {}
    for some in chunked(sorted(set(skus))):
        rows = connection.execute(
            select(_STOCK.sku, _STOCK.level).where(*STOCK.of_gateway(channel, gateway), _STOCK.sku.in_(some))
        )
        found |= {row.sku: msgspec.json.decode(row.level, type=StockLevel) for row in rows}
    return found


def notes_of(connection: Connection, channel: str, gateway: str, skus: Collection[str]) -> dict[str, bytes | None]:
    """What the gateway noted of each SKU when the vendor last answered; a SKU RetailOps never named is left out."""
    found: dict[str, bytes | None] = {}
    for some in chunked(sorted(set(skus))):
        rows = connection.execute(
            select(_STOCK.sku, _STOCK.sent).where(*STOCK.of_gateway(channel, gateway), _STOCK.sku.in_(some))
        )
        found |= {row.sku: row.sent for row in rows}
    return found
