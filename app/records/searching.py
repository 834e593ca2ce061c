"""Searches all numbers for one: the kept ones by how they begin, and the ids of calls and requests where they stand.

What code of before these keys has written has none until something is learned of it again; it is found by its whole
number where that has an index.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, func, literal, literal_column, or_, select, tuple_

from app.records.search_keys import folded
from app.records.statements import visible
from app.records.tables.channels import channels
from app.records.tables.deliveries import commands, deliveries
from app.records.tables.money import refunds
from app.records.tables.operations import journal, search_keys
from app.records.tables.orders import HAS_NUMBER, handed_out, packages
from app.records.tables.stock import stock, sync_states
from app.records.tables.storefront import orders

LAST = "\U0010ffff"
"""Sorts behind every character that follows the begin of a number."""

MOST_ID = 2**63 - 1


class Found(NamedTuple):
    """A number that fits: what it is, whose records it is in, which order it belongs to, how it is written."""

    kind: str
    channel: str
    order_refnum: str
    number: str


def kept_numbers(
    connection: Connection, channels: Collection[str] | None, number: str, *, is_begin: bool, limit: int
) -> list[Found]:
    """The kept numbers that are this one or, with `is_begin`, begin so; whole ones first."""
    rows = connection.execute(kept(channels, number, is_begin=is_begin, limit=limit))
    return [Found(row.kind, row.channel, row.order_refnum, row.object) for row in rows]


def kept(channels: Collection[str] | None, number: str, *, is_begin: bool, limit: int) -> Select[tuple[str, ...]]:
    """The statement of `kept_numbers`; it reads the index of the folded numbers, on both databases."""
    of, start = search_keys.c, folded(number)
    fits = and_(of.folded_key >= start, of.folded_key < start + LAST) if is_begin else of.folded_key == start
    return (
        select(of.kind, of.channel, of.order_refnum, of.object)
        # A function of the channel, or SQLite would read all keys of the channel instead of those that begin so.
        .where(fits, visible(func.coalesce(of.channel, ""), channels))
        .order_by(of.folded_key)
        .limit(limit)
    )


def kept_orders(connection: Connection, channels: Collection[str] | None, refnum: str) -> list[Found]:
    """Orders of this very number, case and all, that kept numbers know."""
    of = search_keys.c
    is_it = (of.folded_key == folded(refnum), of.kind == "order", of.object == refnum)
    rows = connection.execute(select(of.channel).where(*is_it, visible(func.coalesce(of.channel, ""), channels)))
    return [Found("order", channel, refnum, refnum) for channel in rows.scalars()]


def orders_where_they_stand(connection: Connection, channels: Collection[str] | None, number: str) -> list[Found]:
    """Orders of this very number, the channel's or RetailOps', in whatever table knows them."""
    keys = _visible_keys(connection, channels)
    found: dict[tuple[str, str], Found] = {}
    for of, refnum, where in (
        (handed_out.c.channel, handed_out.c.refnum, handed_out.c.refnum == number),
        (orders.c.channel, orders.c.refnum, orders.c.refnum == number),
        (commands.c.channel, commands.c.order_refnum, commands.c.order_refnum == number),
    ):
        for row in connection.execute(select(of, refnum).where(of.in_(keys), where).distinct()):
            found.setdefault(tuple(row), Found("order", *row, row[1]))
    numbered = select(handed_out.c.channel, handed_out.c.refnum).where(
        handed_out.c.channel.in_(keys), handed_out.c.retailops_order_id == number, HAS_NUMBER
    )
    return [*found.values(), *(Found("retailops_order", *row, number) for row in connection.execute(numbered))]


def stocked_skus(connection: Connection, channels: Collection[str] | None, number: str) -> list[Found]:
    """SKUs of this very spelling whose stock was stated."""
    streams = select(sync_states.c.channel, sync_states.c.gateway).where(visible(sync_states.c.channel, channels))
    is_it = (tuple_(stock.c.channel, stock.c.gateway).in_(streams), stock.c.sku == number)
    rows = connection.execute(select(stock.c.channel).where(*is_it).distinct())
    return [Found("sku", channel, "", number) for channel in rows.scalars()]


def packages_at_vendors(connection: Connection, channels: Collection[str] | None, number: str) -> list[Found]:
    """Packages that vendors know by this number: RetailOps' of the shipment, a hyphen, its own (R24)."""
    of, shipment = search_keys.c, number.rpartition("-")[0]
    is_its = and_(of.channel == packages.c.channel, of.order_refnum == packages.c.order_refnum)
    rows = connection.execute(
        select(packages.c.channel, packages.c.order_refnum, packages.c.key)
        .join(search_keys, is_its)
        .where(of.folded_key == folded(shipment), of.kind == literal_column("'shipment'"), packages.c.key == number)
        .where(visible(func.coalesce(of.channel, ""), channels))
    )
    return [Found("package", *row) for row in rows] if shipment else []


def by_our_id(connection: Connection, channels: Collection[str] | None, number: str) -> list[Found]:
    """The call to a vendor with this id, and the refund."""
    if not number.isascii() or not number.isdecimal() or len(number) > 19 or int(number) > MOST_ID:
        return []
    written = str(int(number))
    calls = (
        select(literal("delivery"), deliveries.c.channel, commands.c.order_refnum, literal(written))
        .join(commands, commands.c.id == deliveries.c.command_id)
        .where(deliveries.c.id == int(number), visible(deliveries.c.channel, channels))
    )
    of_money = select(literal("refund"), refunds.c.channel, refunds.c.order_refnum, literal(written)).where(
        refunds.c.id == int(number), visible(refunds.c.channel, channels)
    )
    return [Found(*row) for query in (calls, of_money) for row in connection.execute(query)]


def requests(
    connection: Connection, channels: Collection[str] | None, number: str, *, is_begin: bool, limit: int
) -> list[Found]:
    """Requests with this id, as it is written or in small letters, that RetailOps or a vendor sent here."""
    found: dict[str, Found] = {}
    for spelled in dict.fromkeys((number, number.lower())):
        query = requests_like(channels, spelled, is_begin=is_begin, is_sqlite=connection.dialect.name == "sqlite")
        for row in connection.execute(query.limit(limit)):
            known = found.get(row.request_id)
            # The line of a callback about many orders names none; another line of the request may.
            if known is None or not known.order_refnum:
                found[row.request_id] = Found("request", row.channel, row.order_refnum, row.request_id)
    return list(found.values())[:limit]


def requests_like(
    channels: Collection[str] | None, spelled: str, *, is_begin: bool, is_sqlite: bool
) -> Select[tuple[str, ...]]:
    """The statement of `requests` for one spelling; it reads the journal's index of request ids."""
    of = journal.c
    fits: ColumnElement[bool] = of.request_id == spelled
    if is_begin:
        pattern = spelled.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        fits = (
            and_(of.request_id >= spelled, of.request_id < spelled + LAST)
            if is_sqlite
            else (of.request_id.like(f"{pattern}%"))
        )
    return select(of.channel, of.order_refnum, of.request_id).where(
        fits, or_(of.kind == "callback", of.kind == "hook"), visible(of.channel, channels)
    )


def _visible_keys(connection: Connection, visible_channels: Collection[str] | None) -> list[str]:
    keys: Iterator[str] = connection.execute(select(channels.c.key)).scalars()
    return [key for key in keys if visible_channels is None or key in visible_channels]
