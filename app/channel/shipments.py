"""Packages of RetailOps' payloads, and the command that registers one of them once.

`order_shipment_submit` and `order_complete` meet here, so that a package stated by both is one fulfilment.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
from sqlalchemy import Connection

from app.channel import labels, reservations
from app.channel.command import Command, OrderAtSource, OrderCommand, Plan, VendorAnswer
from app.contract.packages import StatedPackage
from app.domain.commands import CommandBody, Package, PackageLine
from app.domain.events import Association, Event, about
from app.domain.line_matching import allot, as_bought, give_way
from app.records import handed_out, parcels
from app.records.handed_out import KnownOrder
from app.records.outbox import Owed
from app.records.search_keys import Kind

COUNTED_HERE = ("UNITS_OPEN", "UNITS_UNACCOUNTED")
"""Reasons why an order is left open that follow from our own count, whatever its source says."""

REJECTION_REFUSED = "REJECTION_REFUSED"
"""The source refused to take back the units of a completion, and counts them as open."""

HASHED = "h-"
"""How the key of a package begins that is known by its contents."""


def of_order(order: OrderAtSource, read: Iterable[StatedPackage]) -> list[StatedPackage]:
    """The packages under the key of this order, each once; of a package named twice the last one counts."""
    found: dict[str, StatedPackage] = {}
    alike: Counter[str] = Counter()
    for shipped in read:
        key = _key(order, shipped)
        alike[key] += 1
        if key.startswith(HASHED) and alike[key] > 1:
            # Without numbers of their own two equal boxes are distinguished by their place in the payload.
            key = f"{key}.{alike[key]}"
        package = msgspec.structs.replace(shipped.package, order_refnum=order.refnum, key=key)
        stated = replace(shipped, package=package)
        before = found.get(key, stated)
        is_other = before.is_named_twice or _contents(before) != _contents(stated)
        found[key] = replace(stated, is_named_twice=is_other)
    return list(found.values())


def _contents(shipped: StatedPackage) -> tuple[Package, list[tuple[str, str, int]]]:
    return shipped.package, sorted(map(_as_tuple, shipped.stated))


def _key(order: OrderAtSource, shipped: StatedPackage) -> str:
    """RetailOps' shipment and package number; where one is 0 the contents stand for it (R24)."""
    shipment_id = shipped.package.retailops_shipment_id
    if shipment_id and shipped.package_id:
        return f"{shipment_id}-{shipped.package_id}"
    lines = order.known.lines
    units = as_bought(lines, shipped.stated, {line.refnum: line.ordered for line in lines})
    stated = sorted((*named, count) for named, count in units.items())
    contents = (order.refnum, shipment_id, shipped.package_id, shipped.package.tracking_number, stated)
    return f"{HASHED}{hashlib.sha256(msgspec.json.encode(contents)).hexdigest()[:24]}"


def _as_tuple(line: PackageLine) -> tuple[str, str, int]:
    """A line as what makes two requests the same; RetailOps may drop blanks at the ends of an id."""
    return line.line_refnum.strip(), line.sku.strip(), line.quantity


def where(line_refnums: Sequence[str], line_refnum: str, sku: str) -> tuple[Association, ...]:
    """What an event about an entry names: its one line, else what the entry itself names."""
    if len(line_refnums) == 1:
        return about("orderitem_refnum", line_refnums[0])
    return about("orderitem_refnum", "" if line_refnums else line_refnum) or about("sku_number", sku)


def package_commands(order: OrderAtSource, read: Sequence[StatedPackage]) -> list[Command]:
    """The commands that register the packages of one payload."""
    payload = of_order(order, read)
    return [RegisterPackage(order, item, payload) for item in payload]


class RegisterPackage(OrderCommand):
    """Register a package and owe it to the order's source, once, whichever callback states it."""

    callback = parcels.CALLBACK
    sent_again = labels.VERB

    def __init__(self, order: OrderAtSource, shipped: StatedPackage, payload: Sequence[StatedPackage]) -> None:
        """`payload` holds all packages of the request."""
        package = shipped.package
        meaning = (*labels.meaning(package), sorted(map(_as_tuple, shipped.stated)))
        super().__init__(order, meaning, parcels.command_key(order.refnum, package.key))
        self._shipped = shipped
        self._payload = payload

    @property
    def numbers(self) -> Sequence[tuple[Kind, str]]:
        """RetailOps' numbers of shipment and package, and the carrier's."""
        package = self._shipped.package
        return (
            ("shipment", package.retailops_shipment_id),
            ("package", self._shipped.package_id),
            ("tracking", package.tracking_number),
        )

    def plan(self, connection: Connection) -> Plan:
        """Its units, cut to what is open; where nothing is, it may be another label of a package that is registered."""
        return self._told_twice(self._registered(connection))

    def correct(self, connection: Connection) -> Plan:
        """Its label may change; its units stay as registered."""
        plan = labels.correcting(connection, self.order, self._shipped)
        return self._told_twice(plan) if plan.events or plan.owed else plan

    def send_again(self, connection: Connection) -> Plan:
        """Its label once more."""
        return self._told_twice(labels.correcting(connection, self.order, self._shipped, is_refused=True))

    def _told_twice(self, plan: Plan) -> Plan:
        """With a warning where the payload names the package more than once."""
        if not self._shipped.is_named_twice:
            return plan
        message = "the shipment names the package more than once, each time otherwise; the last one counts"
        named = about("shipment_id", self._shipped.package.retailops_shipment_id) or self.order.named
        return replace(plan, events=[Event("warning", "DUPLICATE_PACKAGE", message, named), *plan.events])

    def _registered(self, connection: Connection) -> Plan:
        order, shipped, package = self.order, self._shipped, self._shipped.package
        named = about("shipment_id", package.retailops_shipment_id) or order.named
        known = order.as_of(connection)
        if shipped.is_blank:
            return Plan([Event("info", "EMPTY_PACKAGE", "a package without units and tracking number states nothing")])
        if known.state == "cancelled":
            return Plan([Event("error", "ORDER_CANCELLED", "the order is cancelled; it cannot ship", named)])
        open_units = known.open_units
        found = _matched(known, open_units, shipped.stated)
        if found.is_cut:
            relabelled = labels.replacing(connection, order, known, shipped, self._payload)
            if relabelled is not None:
                return relabelled
        lines, events = found.lines, found.events
        if not lines:
            return Plan([*events, Event("warning", "EMPTY_PACKAGE", "nothing in the package can be registered", named)])
        for line in lines:
            open_units[line.line_refnum] -= line.quantity
        is_last = not any(open_units[line.refnum] for line in known.lines if line.needs_shipping)
        if is_last and known.state == "completed":
            handed_out.note_left_open(connection, order.channel, order.refnum, "", order.clock())
        filled = msgspec.structs.replace(package, lines=lines, is_last=is_last)
        reservations.moved(connection, order.request, [line.sku for line in lines])
        reservations.acknowledged(connection, order.channel, order.source, order.refnum, order.clock())
        label = labels.digest(package, order.source)
        parcels.register(connection, order.channel, filled, found.by_sku, label, order.clock())
        # Only calls before it in its lane can leave something open until it is accepted (see `accepted`).
        changes_nothing = not (is_last and known.left_open)
        return Plan(events, [Owed(order.source.token, parcels.VERB, filled, named, changes_nothing)])

    @staticmethod
    def accepted(answer: VendorAnswer) -> None:
        """With the last package of an order the source counts no unit as open any more."""
        package: Package = answer.body
        if package.is_last:
            handed_out.note_nothing_left(
                answer.connection, answer.channel, package.order_refnum, but=(*COUNTED_HERE, REJECTION_REFUSED)
            )

    @staticmethod
    def behind_refused(body: CommandBody | None) -> CommandBody | None:
        return msgspec.structs.replace(body, is_last=False) if isinstance(body, Package) else body

    @staticmethod
    def refused(answer: VendorAnswer) -> None:
        """Nothing is registered: its units are open again, and so is an order that the last package completes."""
        connection, channel, refnum = answer.connection, answer.channel, answer.body.order_refnum
        parcels.forget(connection, channel, refnum, answer.body.key)
        parcels.note_none_is_last(connection, channel, answer.delivery.gateway, refnum)
        if answer.kept_orders is not None:
            answer.kept_orders.forget_parcel(connection, refnum, answer.body.key)
            answer.reopen_kept_order(refnum)


@dataclass(frozen=True)
class _Matched:
    """A package's units by order line, cut to what is open."""

    lines: tuple[PackageLine, ...]
    by_sku: Counter[str]
    """What it adds to the units by line that stand there though only their SKU was named."""
    is_cut: bool
    events: list[Event]
    """What could not be matched."""


def _matched(order: KnownOrder, open_units: Mapping[str, int], stated: Sequence[PackageLine]) -> _Matched:
    """Units that name a full line make earlier ones give way that named its SKU alone, then those taken off it."""
    units: Counter[str] = Counter()
    events: list[Event] = []
    before = order.shipped_by_sku
    by_sku = before.copy()
    shares = allot(order.lines, stated, open_units)
    room = Counter(open_units)
    taken_off = order.taken_off if any(share.left_over for share in shares) else Counter[str]()
    for share in shares:
        room.subtract(share.units[0])
    is_cut = False
    for item, share in zip(stated, shares, strict=True):
        at = where(share.line_refnums, item.line_refnum, item.sku)
        units.update(share.units[0])
        if len(share.line_refnums) > 1:
            by_sku.update(share.units[0])
        moved = give_way(order.lines, share, by_sku, room)
        left_over = share.left_over - sum(moved.values())
        for refnum, count in give_way(order.lines, replace(share, left_over=left_over), taken_off, room).items():
            moved[refnum] = moved.get(refnum, 0) + count
            left_over -= count
            by_sku.update({refnum: count, share.line_refnums[0]: -count})
        units.update(moved)
        if not share.line_refnums:
            events.append(Event("error", "LINE_UNKNOWN", "no such line on the order; the others go on", at))
        elif left_over:
            is_cut = True
            message = "more units than the order has open of it; the rest was left out"
            events.append(Event("warning", "MORE_THAN_ORDERED", message, at))
    lines = tuple(
        PackageLine(line.refnum, line.sku, units[line.refnum], line.source_sku)
        for line in order.lines
        if units[line.refnum]
    )
    by_sku.subtract(before)
    return _Matched(lines, by_sku, is_cut, events)
