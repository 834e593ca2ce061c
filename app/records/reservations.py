"""Units sold here that RetailOps' stock figures do not count yet, so that nothing is sold twice (R25).

An order's units stay reserved until RetailOps has acknowledged the order and, more than the grace after that,
states the SKU's stock again.  What frees or takes units changes what may be sold: whoever calls `reserve`,
`release` or `settle` owes those SKUs to the gateway anew (`stock.owe_again`), in the same transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from app.records.tables import reservations

_MANY = 500
"""How many SKUs one statement names."""


def lock_name(channel: str) -> str:
    """What `Database.write(serial=...)` needs while units are counted and then taken."""
    return f"{channel}/reservations"


def reserve(connection: Connection, channel: str, order_refnum: str, units: Mapping[str, int]) -> None:
    """Add units by SKU to what the order holds."""
    if not units:
        return
    make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = make(reservations)
    statement = statement.on_conflict_do_update(
        index_elements=[reservations.c.channel, reservations.c.sku, reservations.c.order_refnum],
        set_={"units": reservations.c.units + statement.excluded.units},
    )
    connection.execute(
        statement,
        [
            {"channel": channel, "sku": sku, "order_refnum": order_refnum, "units": count}
            for sku, count in sorted(units.items())
        ],
    )


def release(connection: Connection, channel: str, order_refnum: str) -> list[str]:
    """The order holds nothing any more; which SKUs that frees."""
    freed = connection.execute(
        delete(reservations)
        .where(reservations.c.channel == channel, reservations.c.order_refnum == order_refnum)
        .returning(reservations.c.sku)
    )
    return sorted(freed.scalars())


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
    freed: set[str] = set()
    wanted = sorted(set(skus))
    for at in range(0, len(wanted), _MANY):
        freed |= set(
            connection.execute(
                delete(reservations)
                .where(
                    reservations.c.channel == channel,
                    reservations.c.sku.in_(wanted[at : at + _MANY]),
                    reservations.c.acknowledged_at < now - timedelta(seconds=grace_s),
                )
                .returning(reservations.c.sku)
            ).scalars()
        )
    return sorted(freed)


def reserved_units(connection: Connection, channel: str, skus: Collection[str]) -> dict[str, int]:
    """Units held by SKU; a SKU of which none are is left out."""
    found: dict[str, int] = {}
    wanted = sorted(set(skus))
    for at in range(0, len(wanted), _MANY):
        rows = connection.execute(
            select(reservations.c.sku, func.sum(reservations.c.units))
            .where(reservations.c.channel == channel, reservations.c.sku.in_(wanted[at : at + _MANY]))
            .group_by(reservations.c.sku)
        )
        found |= {sku: int(units) for sku, units in rows}
    return found
