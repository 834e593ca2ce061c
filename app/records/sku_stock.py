"""Stock by SKU as operators look it up: SKUs by their beginning, and how far each gateway has received one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import msgspec
from sqlalchemy import Connection, func, select, true, tuple_, union

from app.domain.facts import Obstacle
from app.domain.stock import StockLevel
from app.records.statements import visible
from app.records.tables.stock import fact_obstacles, stock, sync_states

_STOCK = stock.c


@dataclass(frozen=True)
class SkuRow:
    """A SKU of a channel; `channel` is the key of the records."""

    channel: str
    sku: str


@dataclass(frozen=True)
class SkuAtGateway:
    """A SKU as one gateway has received it; the columns of `tables.stock` say what each means."""

    gateway: str
    level: StockLevel
    stated_at: datetime
    is_owed: bool
    is_changed: bool
    is_uncertain: bool
    sent: bytes | None
    sent_at: datetime | None
    refusal: str
    obstacles: tuple[Obstacle, ...]
    moved_at: datetime | None
    again_at: datetime | None
    attention: str


def skus(
    connection: Connection,
    start: str,
    *,
    channels: Collection[str] | None,
    channel: str,
    after: tuple[str, str] | None,
    limit: int,
    searched: int,
) -> tuple[list[SkuRow], SkuRow | None]:
    """SKUs that begin so, without regard to case, after a (channel, SKU), and after which the next page begins.

    Each gateway's are read in the order of its key, and at most `searched` of each are looked through.
    """
    streams = select(sync_states.c.channel, sync_states.c.gateway).where(visible(sync_states.c.channel, channels))
    if channel:
        streams = streams.where(sync_states.c.channel == channel)
    if after is not None:
        streams = streams.where(sync_states.c.channel >= after[0])
    parts, ends = [], []
    for key, gateway in connection.execute(streams):
        listed = select(_STOCK.channel, _STOCK.sku).where(_STOCK.channel == key, _STOCK.gateway == gateway)
        if after is not None and after[0] == key:
            listed = listed.where(_STOCK.sku > after[1])
        listed = listed.order_by(_STOCK.sku)
        some = listed.limit(searched if start else limit + 1).subquery()
        begins_so = func.lower(some.c.sku).startswith(start.lower(), autoescape=True)
        parts.append(select(some.c.channel, some.c.sku).where(begins_so if start else true()))
        end = listed.offset(searched - 1).limit(1).subquery()
        ends.append(select(end.c.channel, end.c.sku))
    if not parts:
        return [], None
    found = union(*parts).subquery()
    ordered = select(found.c.channel, found.c.sku).order_by(found.c.channel, found.c.sku).limit(limit + 1)
    last = None
    if start:  # of the stream that comes first: what lies behind may have others before it
        end = union(*ends).subquery()
        stop = connection.execute(select(end.c.channel, end.c.sku).order_by(end.c.channel, end.c.sku).limit(1)).first()
        if stop is not None:
            ordered = ordered.where(tuple_(found.c.channel, found.c.sku) <= tuple_(*stop))
            last = SkuRow(stop.channel, stop.sku)
    rows = [SkuRow(row.channel, row.sku) for row in connection.execute(ordered)]
    return (rows[:limit], rows[limit - 1]) if len(rows) > limit else (rows, last)


def of_sku(connection: Connection, channel: str, sku: str) -> list[SkuAtGateway]:
    """The SKU at each gateway that receives stock, in the order of their names."""
    gateways = select(sync_states.c.gateway).where(sync_states.c.channel == channel)
    which = tuple_(_STOCK.channel, _STOCK.sku) == tuple_(channel, sku)
    rows = connection.execute(select(stock).where(which, _STOCK.gateway.in_(gateways)).order_by(_STOCK.gateway)).all()
    obstacles: dict[str, list[Obstacle]] = {}
    named = fact_obstacles.c
    for row in connection.execute(
        select(named.gateway, named.code, named.subject)
        .where(named.channel == channel, named.gateway.in_([row.gateway for row in rows]))
        .where(named.kind == "stock", named.fact == sku)
    ):
        obstacles.setdefault(row.gateway, []).append(Obstacle(row.code, row.subject))
    return [
        SkuAtGateway(
            row.gateway, msgspec.json.decode(row.level, type=StockLevel), row.stated_at, row.seq > row.sent_seq,
            row.is_changed, row.is_uncertain, row.sent,
            row.sent_at, row.refusal, tuple(obstacles.get(row.gateway, ())), row.moved_at, row.again_at, row.attention,
        )
        for row in rows
    ]  # fmt: skip
