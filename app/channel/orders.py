"""What this server remembers of orders: their lines, how far RetailOps has them, and what has shipped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from app.channel.desk import Asked, Desk
from app.channel.money import rounded
from app.gateways.words import OrderSketch, Package, PackageLine, SketchLine
from app.records import refunds
from app.records.tables import handed_out, packages


class Rejected(msgspec.Struct):
    """Units by order line that RetailOps said will never ship, and in how many completions it said so."""

    units: dict[str, int]
    times: int = 0


@dataclass(frozen=True)
class KnownOrder:
    """An order this server has handed out or been asked about."""

    refnum: str
    state: str
    lines: tuple[SketchLine, ...]
    acknowledged_at: datetime | None
    retailops_order_id: str
    rejected: Rejected


def known(connection: Connection, channel: str, refnums: Iterable[str]) -> dict[str, KnownOrder]:
    """The remembered ones among these orders."""
    rows = connection.execute(
        select(handed_out).where(handed_out.c.channel == channel, handed_out.c.refnum.in_(list(refnums)))
    )
    return {
        row.refnum: KnownOrder(
            row.refnum,
            row.state,
            msgspec.json.decode(row.lines, type=tuple[SketchLine, ...]),
            row.acknowledged_at,
            row.retailops_order_id,
            msgspec.json.decode(row.rejected, type=Rejected) if row.rejected else Rejected({}),
        )
        for row in rows
    }


def find(desk: Desk, asked: Asked, refnum: str) -> KnownOrder | None:
    """The order as remembered, or as its source tells; None when neither knows it.

    Raises `GatewayError` when it is not remembered and the source cannot be asked.
    """
    channel = asked.channel.name
    with desk.database.read() as connection:
        order = known(connection, channel, [refnum]).get(refnum)
    source = desk.order_source(asked.channel)
    if order is not None or source is None:
        return order
    sketch = source.find_order(refnum, asked.call("question"))
    if sketch is None:
        return None
    with desk.database.write(wait_s=max(asked.deadline.left_s(), 1.0), serial=[f"{channel}/{refnum}"]) as connection:
        remember(connection, channel, sketch)
        return known(connection, channel, [refnum])[refnum]


def remember(connection: Connection, channel: str, sketch: OrderSketch) -> None:
    """Keep an order's lines unless they are kept already, and its payments as they are now."""
    currency = sketch.currency_code
    payments = [msgspec.structs.replace(item, amount=rounded(item.amount, currency)) for item in sketch.payments]
    if payments:
        refunds.remember_payments(connection, channel, sketch.refnum, currency, payments)
    if not known(connection, channel, [sketch.refnum]):
        connection.execute(
            insert(handed_out),
            {"channel": channel, "refnum": sketch.refnum, "lines": msgspec.json.encode(sketch.lines)},
        )


def replace_lines(connection: Connection, channel: str, refnum: str, lines: tuple[SketchLine, ...]) -> None:
    """The order was changed in RetailOps: these are its lines now."""
    _update(connection, channel, refnum, lines=msgspec.json.encode(lines))


def set_state(connection: Connection, channel: str, refnum: str, state: str) -> None:
    """open, cancelled or completed."""
    _update(connection, channel, refnum, state=state)


def add_rejected(connection: Connection, channel: str, refnum: str, lines: Iterable[PackageLine]) -> None:
    """These units will never ship."""
    _count_rejected(connection, channel, refnum, lines, 1)


def forget_rejected(connection: Connection, channel: str, refnum: str, lines: Iterable[PackageLine]) -> None:
    """The vendor refused to take these units back: they are open again."""
    _count_rejected(connection, channel, refnum, lines, -1)


def _count_rejected(connection: Connection, channel: str, refnum: str, lines: Iterable[PackageLine], sign: int) -> None:
    found = known(connection, channel, [refnum]).get(refnum)
    if found is None:
        return
    units = Counter(found.rejected.units)
    for line in lines:
        units[line.line_refnum] += sign * line.quantity
    kept = Rejected({line: count for line, count in units.items() if count > 0}, found.rejected.times + (sign > 0))
    _update(connection, channel, refnum, rejected=msgspec.json.encode(kept))


def set_acknowledged(
    connection: Connection, channel: str, refnum: str, at: datetime | None, retailops_order_id: str
) -> None:
    """RetailOps has the order (or, with None, turned out not to)."""
    _update(connection, channel, refnum, acknowledged_at=at, retailops_order_id=retailops_order_id)


def _update(connection: Connection, channel: str, refnum: str, **values: object) -> None:
    connection.execute(
        update(handed_out).where(handed_out.c.channel == channel, handed_out.c.refnum == refnum).values(**values)
    )


@dataclass(frozen=True)
class Parcel:
    """A registered package."""

    key: str
    retailops_shipment_id: str
    lines: tuple[PackageLine, ...]


def parcels(connection: Connection, channel: str, refnum: str) -> list[Parcel]:
    """Every package registered for the order, oldest first."""
    rows = connection.execute(
        select(packages)
        .where(packages.c.channel == channel, packages.c.order_refnum == refnum)
        .order_by(packages.c.registered_at, packages.c.key)
    )
    return [
        Parcel(row.key, row.retailops_shipment_id, msgspec.json.decode(row.lines, type=tuple[PackageLine, ...]))
        for row in rows
    ]


def shipped_units(registered: Iterable[Parcel]) -> Counter[str]:
    """Units shipped by order line."""
    units: Counter[str] = Counter()
    for parcel in registered:
        for line in parcel.lines:
            units[line.line_refnum] += line.quantity
    return units


def register_parcel(connection: Connection, channel: str, package: Package, now: datetime) -> None:
    """Remember that a package left."""
    connection.execute(
        insert(packages),
        {
            "channel": channel,
            "order_refnum": package.order_refnum,
            "key": package.key,
            "retailops_shipment_id": package.retailops_shipment_id,
            "lines": msgspec.json.encode(package.lines),
            "registered_at": now,
        },
    )


def forget_parcel(connection: Connection, channel: str, order_refnum: str, key: str) -> None:
    """The vendor refused the package: it counts as not shipped again."""
    connection.execute(
        delete(packages).where(
            packages.c.channel == channel, packages.c.order_refnum == order_refnum, packages.c.key == key
        )
    )
