"""Units sold here that RetailOps' stock figures do not count yet, so that nothing is sold twice (R25).

An order's units stay reserved until RetailOps has acknowledged the order and, more than the grace after that,
states the SKU's stock again.  What frees or takes units changes what may be sold: whoever calls `reserve`,
`release` or `settle` owes those SKUs to the gateway anew (`stock.owe_again`), in the same transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import Connection, bindparam, delete, func, select, update

from app.domain import stock_levels
from app.domain.stock import StockLevel
from app.records.statements import Prepared, among, chunked, upsert
from app.records.tables.columns import Moment
from app.records.tables.stock import stock
from app.records.tables.storefront import reservations


def lock_name(channel: str) -> str:
    """What `Database.write(serial=...)` needs while units are counted and then taken."""
    return f"{channel}/reservations"


def reserve(connection: Connection, channel: str, order_refnum: str, units: Mapping[str, int]) -> None:
    """Add units by SKU to what the order holds."""
    if not units:
        return
    rows = [
        {"channel": channel, "sku": sku, "order_refnum": order_refnum, "units": count}
        for sku, count in sorted(units.items())
    ]
    upsert(connection, reservations, rows, lambda added: {"units": reservations.c.units + added.units})


def release(connection: Connection, channel: str, *order_refnums: str) -> list[str]:
    """These orders hold nothing any more; which SKUs that frees."""
    freed = connection.execute(
        delete(reservations)
        .where(reservations.c.channel == channel, reservations.c.order_refnum.in_(order_refnums))
        .returning(reservations.c.sku)
    )
    return sorted(set(freed.scalars()))


def skus_of(connection: Connection, channel: str, order_refnums: Collection[str]) -> list[str]:
    """The SKUs of which these orders hold units."""
    found = connection.execute(
        select(reservations.c.sku)
        .where(reservations.c.channel == channel, reservations.c.order_refnum.in_(list(order_refnums)))
        .distinct()
    )
    return sorted(found.scalars())


def note_acknowledged(connection: Connection, channel: str, order_refnum: str, at: datetime) -> None:
    """RetailOps has the order: a later statement of stock counts its units.  The first time counts."""
    connection.execute(
        update(reservations)
        .where(
            reservations.c.channel == channel,
            reservations.c.order_refnum == order_refnum,
            reservations.c.acknowledged_at.is_(None),
        )
        .values(acknowledged_at=at)
    )


def settle(connection: Connection, channel: str, skus: Collection[str], now: datetime, grace_s: float) -> list[str]:
    """RetailOps states the stock of these SKUs: what it must have counted by now is held no more.

    Returns the SKUs of which units were freed.
    """
    given = {"of_channel": channel, "skus": skus, "before": now - timedelta(seconds=grace_s)}
    return sorted(set(_SETTLE.execute(connection, given).scalars()))


_SETTLE = Prepared(
    delete(reservations)
    .where(
        reservations.c.channel == bindparam("of_channel"),
        among(reservations.c.sku, "skus"),
        reservations.c.acknowledged_at < bindparam("before", type_=Moment),
    )
    .returning(reservations.c.sku)
)


def reserved_units(connection: Connection, channel: str, skus: Collection[str]) -> dict[str, int]:
    """Units held by SKU; a SKU of which none are is left out."""
    found: dict[str, int] = {}
    for some in chunked(sorted(set(skus))):
        rows = connection.execute(
            select(reservations.c.sku, func.sum(reservations.c.units))
            .where(reservations.c.channel == channel, reservations.c.sku.in_(some))
            .group_by(reservations.c.sku)
        )
        found |= {sku: int(units) for sku, units in rows}
    return found


@dataclass(frozen=True)
class HeldUnits:
    """Units of a SKU that an order holds."""

    order: str
    units: int
    acknowledged_at: datetime | None
    """When RetailOps had the order; None while it has not."""


def of_sku(connection: Connection, channel: str, sku: str) -> list[HeldUnits]:
    """The orders that hold units of a SKU."""
    rows = connection.execute(
        select(reservations.c.order_refnum, reservations.c.units, reservations.c.acknowledged_at)
        .where(reservations.c.channel == channel, reservations.c.sku == sku)
        .order_by(reservations.c.order_refnum)
    )
    return [HeldUnits(*row) for row in rows]


def sellable(connection: Connection, channel: str, source: str, skus: Collection[str]) -> dict[str, int]:
    """Units by SKU that may be sold now: RetailOps' figure less what orders hold, never below 0.

    `source` is the token of the vendor that sells them.  A SKU whose stock RetailOps never stated has 0.
    """
    held = select(func.sum(reservations.c.units)).where(
        reservations.c.channel == stock.c.channel, reservations.c.sku == stock.c.sku
    )
    found = dict.fromkeys(skus, 0)
    for some in chunked(sorted(found)):
        rows = connection.execute(
            select(stock.c.sku, stock.c.level, held.scalar_subquery().label("held")).where(
                stock.c.channel == channel, stock.c.gateway == source, stock.c.sku.in_(some)
            )
        )
        for sku, level, units in rows:
            stated = msgspec.json.decode(level, type=StockLevel)
            found[sku] = stock_levels.sellable(stated.quantity_available, int(units or 0))
    return found
