"""The packages registered for orders: what has shipped, and under which label (R21, R22)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from app.domain.commands import Package, PackageLine, read_back
from app.domain.retailops_numbers import canonical
from app.records.outbox import in_lane, lane_names
from app.records.tables.deliveries import IS_OPEN, commands, deliveries
from app.records.tables.orders import packages

CALLBACK = "order_shipment_submit"
"""The ledger keeps every package under this callback, whichever stated it first."""

VERB = "submit_shipment"
"""The verb by which a source is sent a package."""


def command_key(order_refnum: str, key: str) -> str:
    """The natural key of the command that registers the package (R9)."""
    return f"{order_refnum}/{key}"


class _KeptLine(PackageLine, frozen=True, omit_defaults=True):
    """A line of a package as its row keeps it."""

    by_sku: dict[str, int] = msgspec.field(default_factory=dict)
    """On the package's first line: what the package adds to the units by line that stand there though only their SKU
    was named, below 0 for those that give way.  Code that does not know it sends the lines on as they are."""


@dataclass(frozen=True)
class Parcel:
    """A registered package."""

    key: str
    retailops_shipment_id: str
    lines: tuple[PackageLine, ...]
    """What it holds."""
    by_sku: Mapping[str, int]
    """Units by line that stand there though only their SKU was named; below 0 for those that have given way."""
    label: str
    label_key: str

    @property
    def current_key(self) -> str:
        """The key RetailOps knows its newest label by."""
        return self.label_key or self.key

    @property
    def units(self) -> Counter[str]:
        """Its units by order line."""
        units: Counter[str] = Counter()
        for line in self.lines:
            units[line.line_refnum] += line.quantity
        return units

    @property
    def named(self) -> Counter[str]:
        """Its units by the order line that they named, those left out that named their SKU alone."""
        units = self.units
        units.subtract(self.by_sku)
        return +units


def parcel_of(key: str, retailops_shipment_id: str, lines: bytes, label: str, label_key: str) -> Parcel:
    """From the columns of its row in `packages`."""
    decoded = msgspec.json.decode(lines, type=tuple[_KeptLine, ...])
    held = tuple(PackageLine(line.line_refnum, line.sku, line.quantity, line.source_sku) for line in decoded)
    by_sku = decoded[0].by_sku if decoded else {}
    return Parcel(key, canonical(retailops_shipment_id), held, by_sku, label, label_key)


def of_order(connection: Connection, channel: str, refnum: str) -> list[Parcel]:
    """Every package registered for the order, oldest first."""
    rows = connection.execute(
        select(*(packages.c[name] for name in ("key", "retailops_shipment_id", "lines", "label", "label_key")))
        .where(packages.c.channel == channel, packages.c.order_refnum == refnum)
        .order_by(packages.c.registered_at, packages.c.key)
    )
    return [parcel_of(*row) for row in rows]


def shipped_units(registered: Iterable[Parcel]) -> Counter[str]:
    """Units shipped by order line."""
    return sum((parcel.units for parcel in registered), Counter[str]())


def units_by_sku(registered: Iterable[Parcel]) -> Counter[str]:
    """Units that stand on a line, by its number, though only their SKU was named."""
    units: Counter[str] = Counter()
    for parcel in registered:
        units.update(parcel.by_sku)
    return units


def register(
    connection: Connection, channel: str, package: Package, by_sku: Mapping[str, int], label: str, now: datetime
) -> None:
    """Remember that a package left, what it adds to `units_by_sku`, and the digest of its label."""
    kept: list[PackageLine] = list(package.lines)
    if moved := {refnum: count for refnum, count in sorted(by_sku.items()) if count}:
        first = package.lines[0]
        kept[0] = _KeptLine(first.line_refnum, first.sku, first.quantity, first.source_sku, moved)
    connection.execute(
        insert(packages),
        {
            "channel": channel,
            "order_refnum": package.order_refnum,
            "key": package.key,
            "retailops_shipment_id": package.retailops_shipment_id,
            "lines": msgspec.json.encode(kept),
            "registered_at": now,
            "label": label,
        },
    )


def relabel(connection: Connection, channel: str, order_refnum: str, key: str, label: str, label_key: str) -> None:
    """The package has another label now; `label_key` is the key it was stated under, "" for its own."""
    connection.execute(
        update(packages)
        .where(packages.c.channel == channel, packages.c.order_refnum == order_refnum, packages.c.key == key)
        .values(label=label, label_key=label_key)
    )


def forget(connection: Connection, channel: str, order_refnum: str, key: str) -> None:
    """The vendor refused the package: it counts as not shipped again."""
    connection.execute(
        delete(packages).where(
            packages.c.channel == channel, packages.c.order_refnum == order_refnum, packages.c.key == key
        )
    )


def note_none_is_last(connection: Connection, channel: str, gateway: str, order_refnum: str) -> None:
    """A package of the order was refused: of those that wait for this vendor none completes the order any more."""
    waiting = select(deliveries.c.id, deliveries.c.body).where(*in_lane(deliveries), deliveries.c.verb == VERB, IS_OPEN)
    for row in connection.execute(waiting, lane_names(channel, gateway, order_refnum)).all():
        package = read_back(VERB, row.body)
        if isinstance(package, Package):
            body = msgspec.json.encode(msgspec.structs.replace(package, is_last=False))
            connection.execute(update(deliveries).where(deliveries.c.id == row.id).values(body=body))


def is_settled(connection: Connection, channel: str, order_refnum: str, parcel: Parcel) -> bool:
    """True when no call about the package is open at a vendor any more."""
    keys = {command_key(order_refnum, key) for key in (parcel.key, parcel.current_key)}
    waiting = (
        select(deliveries.c.id)
        .select_from(deliveries.join(commands, commands.c.id == deliveries.c.command_id))
        .where(
            commands.c.channel == channel,
            commands.c.callback == CALLBACK,
            commands.c.natural_key.in_(keys),
            IS_OPEN,
        )
        .limit(1)
    )
    return connection.execute(waiting).first() is None
