"""Packages of RetailOps' payloads, and the command that registers one of them once.

`order_shipment_submit` and `order_complete` meet here, so that a package told by both is one fulfilment.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from sqlalchemy import Connection

from app.channel import orders
from app.channel.desk import Asked, Desk
from app.channel.running import Command, Plan
from app.contract.reading import entries, identifier, mapping, moment, optional_amount, text, whole
from app.deliveries.outbox import Owed
from app.gateways.interface import Gateway, Verb
from app.gateways.words import Event, Package, PackageLine, SketchLine, about

HASHED = "h-"
"""How the key of a package begins that is known by its contents."""


@dataclass(frozen=True)
class Shipped:
    """A package as the payload states it: its lines are not matched with the order yet."""

    package: Package
    stated: tuple[PackageLine, ...]


def read_shipments(order_refnum: str, shipments: Iterable[Any]) -> list[Shipped]:
    """Every package once; of a package named twice the last one counts."""
    found = {}
    alike: Counter[str] = Counter()
    for shipment in map(mapping, shipments):
        shipment_id = identifier(shipment.get("retailops_shipment_id"))
        for raw in map(mapping, entries(shipment.get("packages"))):
            shipped = _read_package(order_refnum, shipment_id, raw)
            key = shipped.package.key
            alike[key] += 1
            if key.startswith(HASHED) and alike[key] > 1:
                # Without numbers of their own two equal boxes are told apart by their place in the payload.
                numbered = msgspec.structs.replace(shipped.package, key=f"{key}.{alike[key]}")
                shipped = replace(shipped, package=numbered)
            found[shipped.package.key] = shipped
    return list(found.values())


def _read_package(order_refnum: str, shipment_id: str, raw: Mapping[str, Any]) -> Shipped:
    stated = tuple(
        PackageLine(text(item.get("channel_item_refnum")), text(item.get("sku")), whole(item.get("quantity")))
        for item in map(mapping, entries(raw.get("package_items")))
    )
    tracking_number = text(raw.get("tracking_number"))
    package_id = identifier(raw.get("retailops_package_id"))
    package = Package(
        order_refnum=order_refnum,
        key=_key(order_refnum, shipment_id, package_id, tracking_number, stated),
        lines=(),
        retailops_shipment_id=shipment_id,
        carrier_name=text(raw.get("carrier_name")),
        carrier_class_name=text(raw.get("carrier_class_name")),
        channel_ship_code=text(raw.get("channel_ship_code")),
        tracking_number=tracking_number,
        weight_kg=optional_amount(raw.get("weight_kg")),
        shipped_at=moment(raw.get("date_shipped")),
    )
    return Shipped(package, stated)


def _key(
    order_refnum: str, shipment_id: str, package_id: str, tracking_number: str, stated: tuple[PackageLine, ...]
) -> str:
    """RetailOps' shipment and package number; where one is 0 the contents stand for it (R24)."""
    if shipment_id and package_id:
        return f"{shipment_id}-{package_id}"
    contents = (order_refnum, shipment_id, package_id, tracking_number, sorted(map(_as_tuple, stated)))
    return f"{HASHED}{hashlib.sha256(msgspec.json.encode(contents)).hexdigest()[:24]}"


def _as_tuple(line: PackageLine) -> tuple[str, str, int]:
    return line.line_refnum, line.sku, line.quantity


def find_line(lines: Iterable[SketchLine], line_refnum: str, sku: str) -> SketchLine | None:
    """The order line meant: by the channel's line number, else by SKU where only one line has it."""
    lines = list(lines)
    for line in lines:
        if line_refnum and line.refnum == line_refnum:
            return line
    same_sku = [line for line in lines if sku and line.sku == sku]
    return same_sku[0] if len(same_sku) == 1 else None


def package_command(desk: Desk, asked: Asked, source: Gateway, order: orders.KnownOrder, shipped: Shipped) -> Command:
    """Register the package and owe it to the order's source, once."""
    channel, package = asked.channel.name, shipped.package
    named = about("shipment_id", package.retailops_shipment_id) or about("order_refnum", order.refnum)

    def plan(connection: Connection) -> Plan:
        known = orders.known(connection, channel, [order.refnum])[order.refnum]
        if known.state == "cancelled":
            return Plan([Event("error", "ORDER_CANCELLED", "the order is cancelled; it cannot ship", named)])
        registered = orders.parcels(connection, channel, order.refnum)
        lines, events = _matched(known, registered, shipped.stated)
        if not lines:
            return Plan([*events, Event("warning", "EMPTY_PACKAGE", "nothing in the package can be registered", named)])
        settled = orders.shipped_units(registered) + _units(lines) + Counter(known.rejected.units)
        is_last = all(line.quantity <= settled[line.refnum] for line in known.lines if line.needs_shipping)
        filled = msgspec.structs.replace(package, lines=lines, is_last=is_last)
        orders.register_parcel(connection, channel, filled, desk.clock())
        return Plan(events, [Owed(source.token, "submit_shipment", filled, named)])

    def correct(connection: Connection) -> Plan:
        message = f"the package was registered before; {source.token} cannot change it any more"
        frozen = Event("warning", "CANNOT_CORRECT", message, named)
        registered = {parcel.key: parcel for parcel in orders.parcels(connection, channel, order.refnum)}
        before = registered.get(package.key)
        if before is None or not isinstance(source.verbs.get("correct_shipment"), Verb):
            return Plan([frozen])
        mended = msgspec.structs.replace(package, lines=before.lines)
        events = [] if _contents(order, shipped.stated) == _units(before.lines) else [frozen]
        return Plan(events, [Owed(source.token, "correct_shipment", mended, named)])

    meaning = (
        package.tracking_number,
        package.carrier_name,
        package.carrier_class_name,
        package.channel_ship_code,
        package.weight_kg.normalize() if package.weight_kg is not None else None,
        package.shipped_at,
        sorted(map(_as_tuple, shipped.stated)),
    )
    natural_key = f"{order.refnum}/{package.key}"
    return Command("order_shipment_submit", natural_key, order.refnum, meaning, plan, correct)


def _contents(order: orders.KnownOrder, stated: Iterable[PackageLine]) -> Counter[str]:
    """Units by order line as the payload states them."""
    units: Counter[str] = Counter()
    for item in stated:
        line = find_line(order.lines, item.line_refnum, item.sku)
        units[line.refnum if line else item.line_refnum] += item.quantity
    return units


def _units(lines: Iterable[PackageLine]) -> Counter[str]:
    return Counter({line.line_refnum: line.quantity for line in lines})


def _matched(
    order: orders.KnownOrder, registered: Iterable[orders.Parcel], stated: Iterable[PackageLine]
) -> tuple[tuple[PackageLine, ...], list[Event]]:
    """The package's units by order line, cut to what is open; what could not be matched is told.

    Units that were named as never to ship, and given back, are not open any more.
    """
    gone = orders.shipped_units(registered) + Counter(order.rejected.units)
    lines: dict[str, PackageLine] = {}
    events: list[Event] = []
    for item in stated:
        line = find_line(order.lines, item.line_refnum, item.sku)
        if line is None:
            where = about("orderitem_refnum", item.line_refnum) or about("sku_number", item.sku)
            events.append(Event("error", "LINE_UNKNOWN", "no such line on the order; the others go on", where))
            continue
        before = lines[line.refnum].quantity if line.refnum in lines else 0
        open_units = max(line.quantity - gone[line.refnum] - before, 0)
        units = min(max(item.quantity, 0), open_units)
        if units < item.quantity:
            message = "more units than the line has open; the rest was left out"
            events.append(Event("warning", "MORE_THAN_ORDERED", message, about("orderitem_refnum", line.refnum)))
        if units:
            lines[line.refnum] = PackageLine(line.refnum, line.sku, before + units, line.source_sku)
    return tuple(lines.values()), events
