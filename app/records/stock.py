"""Stock levels as state: what RetailOps stated last, and how far each gateway has received it (R13).

A statement makes a SKU owed, whether its level is new or not, for a vendor's copy moves by itself.  Changed levels go
first, in the order in which they changed; the others go longest-unsent first and keep their place when stated again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import ColumnElement, Connection, bindparam, exists, func, insert, select, text

from app.clock import utc_now
from app.domain.moments import to_ms
from app.domain.stock import StockLevel
from app.records import stock_merges, sync_state
from app.records.statements import Prepared, chunked, execute_later
from app.records.stock_batches import STOCK
from app.records.stock_disagreements import NOTE, Disagreement, of_pushes
from app.records.stock_merges import Accepted
from app.records.tables.stock import HAS_BLANKS, stock, sync_states

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
    *pushes: Mapping[str, bytes],
    now: datetime | None = None,
    restate_after_s: float | None = 0.0,
    disagreements: Sequence[Disagreement] = (),
) -> None:
    """Keep the levels of each push as if one push after another; each SKU is owed, with a higher `seq` than the
    statement that was last sent of it.

    An equal level is owed again if it was last sent `restate_after_s` ago or longer (None: never), and at once if the
    vendor refused it or may have another.  `now` is when it is stated, None: this moment.  Pushes for one gateway
    follow one another: the counter's row is held until the transaction ends.  `disagreements` in them are counted.
    """
    now_ms = to_ms(now or utc_now())
    sync_state.advance(connection, channel, gateway, len(pushes))
    stock_merges.merge(connection, pushes, Accepted(channel, gateway, now_ms, restate_after_s))
    if disagreements:
        execute_later(connection, NOTE[connection.dialect.name], of_pushes(channel, disagreements, now_ms))


_BLANKED = Prepared(select(stock.c.sku).where(stock.c.channel == bindparam("of_channel"), text(HAS_BLANKS)))

_LOOKED_AT: Final[set[str]] = set()
"""Channels that had such SKUs when this process looked last: whether there are any is read before it writes."""

_COUNTERS = sync_states.c
_DEMAND_NONE = Prepared(
    insert(sync_states).from_select(
        ["channel", "gateway"],
        select(_COUNTERS.channel, _COUNTERS.gateway).where(
            _COUNTERS.channel == bindparam("of_channel"),
            exists().where(stock.c.channel == bindparam("of_channel"), text(HAS_BLANKS)),
        ),
    )
)
"""PostgreSQL has no statement that fails on a condition; one that adds a key which is there already is such a one."""


def have_blanks(connection: Connection, channel: str, skus: Collection[str]) -> bool:
    """Whether one of these, or a SKU of the channel that has a level, begins or ends with a blank.

    As few channels have any, PostgreSQL is not waited for by the others: no is said then, and `demand_no_blanks` has to
    follow what is written.
    """
    is_read = connection.dialect.name == "sqlite" or channel in _LOOKED_AT
    return any(sku != sku.strip() for sku in skus) or (is_read and bool(_blanked(connection, channel)))


def demand_no_blanks(connection: Connection, channel: str) -> None:
    """Have the transaction fail with `DatabaseConflict` where a SKU of the channel begins or ends with a blank after
    all: after `accept`, for no other push of the gateway adds one then."""
    if connection.dialect.name != "sqlite":
        _DEMAND_NONE.execute_later(connection, {"of_channel": channel})


def _blanked(connection: Connection, channel: str) -> set[str]:
    """SKUs with levels that begin or end with a blank."""
    found = set(_BLANKED.execute(connection, {"of_channel": channel}).scalars())
    (_LOOKED_AT.add if found else _LOOKED_AT.discard)(channel)
    return found


def same_but_for_blanks(connection: Connection, channel: str, skus: Collection[str]) -> dict[str, str]:
    """By each of these SKUs that has no level, the one SKU with a level that it is but for blanks at its ends (R32)."""
    blanked = _blanked(connection, channel)
    forms = {sku.strip() for sku in blanked}
    close = {sku for sku in skus if sku != sku.strip() or sku in forms}
    if not close:
        return {}
    known: set[str] = set(blanked)
    # By the whole key, for which each gateway that has levels is named: the index serves no part of it but the first.
    gateways = list(connection.execute(select(_COUNTERS.gateway).where(_COUNTERS.channel == channel)).scalars())
    for some in chunked(sorted(close | {sku.strip() for sku in close})) if gateways else ():
        named = select(stock.c.sku).where(
            stock.c.channel == channel, stock.c.gateway.in_(gateways), stock.c.sku.in_(some)
        )
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
