"""The label of a registered package: corrected under its own number, or replaced under a new one (R9).

What left, and how many units, stays as registered; tracking number, carrier, service, weight and date can change.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec
from sqlalchemy import Connection

from app.channel.command import OrderAtSource, Plan
from app.channel.services import carries_out
from app.contract.packages import StatedPackage
from app.domain.commands import Package, PackageLine
from app.domain.events import Association, Event, about
from app.domain.line_matching import allot
from app.gateways.capabilities import Gateway
from app.records import parcels
from app.records.handed_out import KnownOrder
from app.records.outbox import Owed
from app.records.parcels import Parcel

VERB = "correct_shipment"


_FIELDS = ("tracking_number", "carrier_name", "carrier_class_name", "channel_ship_code", "weight_kg", "shipped_at")


def meaning(package: Package) -> tuple[Any, ...]:
    """The fields of a label that make two statements of a package the same or another."""
    weight = package.weight_kg.normalize() if package.weight_kg is not None else None
    return tuple(weight if name == "weight_kg" else getattr(package, name) for name in _FIELDS)


def digest(package: Package, source: Gateway) -> str:
    """The label in 24 characters, so that no tracking number has to be kept (R19).

    For a source that has no place for some fields: 12 characters of those it has, a dot, and 11 of the others.
    """
    stated = dict(zip(_FIELDS, meaning(package), strict=True))
    left_out = [stated.pop(name) for name in sorted(source.commands.label_leaves_out)]
    if not left_out:
        return _hash(list(stated.values()), 24)
    return f"{_hash(list(stated.values()), 12)}.{_hash(left_out, 11)}"


def _hash(stated: object, length: int) -> str:
    return hashlib.sha256(msgspec.json.encode(stated)).hexdigest()[:length]


def correcting(
    connection: Connection, order: OrderAtSource, shipped: StatedPackage, *, is_refused: bool = False
) -> Plan:
    """The package was registered before and is stated otherwise now; `is_refused`: or the vendor refused this label."""
    package, channel, source = shipped.package, order.channel, order.source
    named = _named(package)
    ordered = order.as_of(connection)
    before = next((parcel for parcel in ordered.parcels if parcel.current_key == package.key), None)
    if before is None and any(parcel.key == package.key for parcel in ordered.parcels):
        message = "the label of this package was replaced by that of a later shipment; nothing was changed"
        return Plan([Event("warning", "CANNOT_CORRECT", message, named)])
    if before is None or not carries_out(source, VERB):
        message = f"the package was registered before; {source.token} cannot change it any more"
        return Plan([Event("warning", "CANNOT_CORRECT", message, named)])
    events = []
    if not _holds(ordered, before, shipped.stated):
        message = "the package was registered with other units; which units it holds cannot be changed"
        events.append(Event("warning", "CANNOT_CORRECT", message, named))
    label = digest(package, source)
    # Labels were kept in one part once, whatever the source has a place for.
    if not is_refused and before.label in (label, _hash(meaning(package), 24)):
        return Plan(events)
    known, rest = before.label.partition("."), label.partition(".")
    if known[1] and known[2] != rest[2]:
        fields = " and no ".join(sorted(source.commands.label_leaves_out))
        message = f"{source.token} has no {fields} of a package: what was mended of that cannot be sent"
        events.append(Event("warning", "CANNOT_CORRECT", message, named))
        if known[0] == rest[0]:
            return Plan(events)
    parcels.relabel(connection, channel, order.refnum, before.key, label, before.label_key)
    message = f"the package was registered before with another label; the change is sent to {source.token}"
    events.insert(0, Event("info", "SHIPMENT_CORRECTED", message, named))
    return Plan(events, [_owed(source, before, package, named)])


def replacing(
    connection: Connection,
    order: OrderAtSource,
    known: KnownOrder,
    shipped: StatedPackage,
    payload: Sequence[StatedPackage],
) -> Plan | None:
    """Give a registered package this one's label, where this one can only be a new label for it; else None.

    Fewer than its units are open, and they equal those of exactly one registered package.  Several equal packages of
    one shipment are replaced together, in their order, by as many packages of one new shipment.
    """
    channel, source = order.channel, order.source
    if not shipped.stated or not carries_out(source, VERB):
        return None
    alike = [parcel for parcel in known.parcels if _holds(known, parcel, shipped.stated)]
    if not alike:
        return None
    # One more than there may be is enough to know: of thousands of packages each would else be compared with each.
    twins = list(islice(_twins(known, shipped, payload), len(alike) + 1))
    others = {item.package.key for item in twins} - {shipped.package.key}
    candidates = [parcel for parcel in alike if parcel.label_key not in others]
    is_one_shipment = len({parcel.retailops_shipment_id for parcel in alike}) == 1
    if not candidates or not is_one_shipment or len(twins) != len(alike):
        return None
    # One that has this label already comes first: the vendor refused it, or it would be known.
    candidates.sort(key=lambda parcel: parcel.label_key != shipped.package.key)
    parcel = candidates[0]
    if not parcels.is_settled(connection, channel, order.refnum, parcel):
        return None
    package = shipped.package
    parcels.relabel(connection, channel, order.refnum, parcel.key, digest(package, source), package.key)
    message = (
        "the same units were registered before under another number, and not as many are open: "
        f"the label of that package is replaced at {source.token}"
    )
    named = _named(package)
    return Plan([Event("warning", "LABEL_REPLACED", message, named)], [_owed(source, parcel, package, named)])


def _twins(order: KnownOrder, shipped: StatedPackage, payload: Sequence[StatedPackage]) -> Iterator[StatedPackage]:
    """The packages of its shipment, itself among them, that hold the same units."""
    units = _units(order, shipped.stated)
    for item in payload:
        if (
            item.package.retailops_shipment_id == shipped.package.retailops_shipment_id
            and sum(line.quantity for line in item.stated) == units.total()
            and _units(order, item.stated) == units
        ):
            yield item


def _owed(source: Gateway, before: Parcel, package: Package, named: tuple[Association, ...]) -> Owed:
    """The new label, under the number the vendor knows the package by."""
    mended = msgspec.structs.replace(package, key=before.key, lines=before.lines)
    return Owed(source.token, VERB, mended, named)


def _holds(order: KnownOrder, parcel: Parcel, stated: Sequence[PackageLine]) -> bool:
    """True when these are the very units of the registered package."""
    count = sum(item.quantity for item in stated)
    return any(
        units.total() == count
        and all(share.line_refnums and not share.left_over for share in allot(order.lines, stated, units))
        for units in (parcel.units, parcel.named)
    )


def _units(order: KnownOrder, stated: Sequence[PackageLine]) -> Counter[tuple[str, ...]]:
    """Units by the lines they may mean, so that two spellings of the same contents are equal."""
    units: Counter[tuple[str, ...]] = Counter()
    for item, share in zip(stated, allot(order.lines, stated), strict=True):
        units[share.line_refnums or ("", item.line_refnum, item.sku)] += item.quantity
    return units


def _named(package: Package) -> tuple[Association, ...]:
    return about("shipment_id", package.retailops_shipment_id) or about("order_refnum", package.order_refnum)
