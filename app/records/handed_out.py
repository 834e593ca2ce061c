"""Orders that `order_pull` handed out or a callback named: their lines, and what callbacks said of them (R18)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, bindparam, func, select, update

from app.clock import utc_now
from app.domain.commands import Completion, PackageLine
from app.domain.exact_amounts import units_of
from app.domain.orders import OrderSketch, SketchLine
from app.records import search_keys
from app.records.parcels import Parcel, parcel_of, shipped_units, units_by_sku
from app.records.pulls import Walk
from app.records.row_lists import insert_many
from app.records.search_keys import AsNumber
from app.records.statements import Prepared, among
from app.records.tables.money import refunds as refund_rows
from app.records.tables.orders import HAS_NUMBER, HAS_TRIMMED, IS_LEFT_OPEN, handed_out, packages


class UnshippedUnits(msgspec.Struct):
    """Units by order line that completions closed as never to ship, and how many completions there were."""

    units: dict[str, int]
    times: int = 0
    removed: dict[str, int] = {}
    """Of `units`, those that were closed because `order_update` had taken them off, by the line it named."""
    named: dict[str, int] | None = None
    """`units` by the lines that RetailOps named; None where those are the same."""


@dataclass(frozen=True)
class KnownOrder:
    """An order this server has handed out or a callback has named."""

    refnum: str
    state: str
    lines: tuple[SketchLine, ...]
    acknowledged_at: datetime | None
    retailops_order_id: str
    rejected: UnshippedUnits
    removed: Mapping[str, int]
    """Units by line that `order_update` took off while the lines stay as they are (R22)."""
    shipping: Decimal | None = None
    """What was paid for shipping, without tax; None where it is not known."""
    shipping_tax: Decimal = Decimal(0)
    taken_off_after: int | None = None
    """Number of the newest refund of the order when units were first taken off; None while none ever were."""
    parcels: tuple[Parcel, ...] = ()
    """The packages registered for it, oldest first."""
    cancellation_times: int = 0
    """How often RetailOps was sent the cancellation by its source."""
    left_open: str = ""
    """Why a completion left units open; "" where none did."""

    @property
    def dropped(self) -> dict[str, int]:
        """Units by line that `order_update` took off before anything had shipped: the lines have them no more."""
        return {line.refnum: less for line in self.lines if (less := line.paid_units - line.quantity) > 0}

    @property
    def taken_off(self) -> Counter[str]:
        """Units by line that `order_update` took off and no completion has closed yet, whether the lines have them."""
        return self.removed_and_open + Counter(self.dropped)

    @property
    def removed_and_open(self) -> Counter[str]:
        """Of the units taken off, those no completion has closed yet."""
        return Counter(self.removed) - Counter(self.rejected.removed)

    @property
    def shipped(self) -> Counter[str]:
        """Units by line that have shipped, as its source counts them."""
        return shipped_units(self.parcels)

    @property
    def closed_as_named(self) -> Counter[str]:
        """Units by line that completions closed, by the lines RetailOps named."""
        return Counter(self.rejected.units if self.rejected.named is None else self.rejected.named)

    @property
    def shipped_as_named(self) -> Counter[str]:
        """Units by line that have shipped; those that gave way to closed ones stand on the line those stand on."""
        return self._less_given_way(self.shipped)

    @property
    def shipped_by_sku(self) -> Counter[str]:
        """Of `shipped_as_named`, those that stand on their line though only its SKU was named."""
        return self._less_given_way(units_by_sku(self.parcels))

    def _less_given_way(self, units: Counter[str]) -> Counter[str]:
        found = Counter(units)
        found.subtract(self.closed_as_named)
        found.update(self.rejected.units)
        return found

    @property
    def open_units(self) -> Counter[str]:
        """Units by line that are neither shipped, nor closed by a completion, nor taken off; never below 0."""
        gone = self.shipped + Counter(self.rejected.units) + self.removed_and_open
        return Counter({line.refnum: max(line.quantity - gone[line.refnum], 0) for line in self.lines})

    @property
    def waits_for_shipping(self) -> bool:
        """Whether units are open of a line that needs shipping."""
        open_units = self.open_units
        return any(open_units[line.refnum] for line in self.lines if line.needs_shipping)


_ORDER_AND_PACKAGE = (
    select(handed_out, packages.c.key, packages.c.retailops_shipment_id, packages.c.lines.label("package_lines"),
           packages.c.label, packages.c.label_key)
    .outerjoin(
        packages, and_(packages.c.channel == handed_out.c.channel, packages.c.order_refnum == handed_out.c.refnum)
    )
    .where(handed_out.c.channel == bindparam("of_channel"))
    .where(handed_out.c.refnum.in_(bindparam("refnums", expanding=True)))
    .order_by(handed_out.c.refnum, packages.c.registered_at, packages.c.key)
)  # fmt: skip


_KNOWN_REFNUMS = Prepared(
    select(handed_out.c.refnum).where(
        handed_out.c.channel == bindparam("of_channel"), among(handed_out.c.refnum, "refnums")
    )
)


_ADD = search_keys.Beside(
    lambda dialect: insert_many(
        handed_out,
        ("refnum", "trimmed_refnum", "lines", "shipping", "shipping_tax"),
        ("channel", "times", "last_pull_ms", "last_handed_at", "hand_outs"),
    ),
    are_new=True,
)


def known(connection: Connection, channel: str, refnums: Iterable[str]) -> dict[str, KnownOrder]:
    """The remembered ones among these orders, each with its packages."""
    rows = connection.execute(_ORDER_AND_PACKAGE, {"of_channel": channel, "refnums": list(refnums)})
    found = {}
    for refnum, of_order in groupby(rows, key=lambda row: row.refnum):
        row, *more = of_order
        registered = [each for each in (row, *more) if each.key is not None]
        found[refnum] = KnownOrder(
            refnum,
            row.state,
            msgspec.json.decode(row.lines, type=tuple[SketchLine, ...]),
            row.acknowledged_at,
            row.retailops_order_id,
            msgspec.json.decode(row.rejected, type=UnshippedUnits) if row.rejected else UnshippedUnits({}),
            msgspec.json.decode(row.removed, type=dict[str, int]) if row.removed else {},
            row.shipping,
            row.shipping_tax or Decimal(0),
            row.taken_off_after,
            tuple(
                parcel_of(each.key, each.retailops_shipment_id, each.package_lines, each.label, each.label_key)
                for each in registered
            ),
            row.cancellation_times,
            row.left_open,
        )
    return found


def numbered(connection: Connection, channel: str, retailops_order_id: str) -> list[str]:
    """The orders acknowledged under this number of RetailOps, at most two of them; [] for "", which is no number."""
    if not retailops_order_id:
        return []
    query = select(handed_out.c.refnum).where(
        handed_out.c.channel == channel, handed_out.c.retailops_order_id == retailops_order_id, HAS_NUMBER
    )
    return list(connection.execute(query.order_by(handed_out.c.refnum).limit(2)).scalars())


def known_as_stated(connection: Connection, channel: str, stated: Collection[str]) -> dict[str, KnownOrder]:
    """By each number stated the order it means (`meant`), as far as they are remembered."""
    found = known(connection, channel, stated)
    others = _trimmed(connection, channel, set(stated) - found.keys())
    of_others = known(connection, channel, others.values()) if others else {}
    return found | {number: of_others[refnum] for number, refnum in others.items()}


def meant(connection: Connection, channel: str, stated: Iterable[str]) -> dict[str, str]:
    """By each number stated the order it means: itself, else the one remembered that it is but for outer blanks.

    RetailOps may drop blanks at the ends of a vendor's id, and some vendors' ids have them (R32).
    """
    found = {refnum: refnum for refnum in stated}
    return found | _trimmed(connection, channel, found.keys() - known_refnums(connection, channel, found))


def _trimmed(connection: Connection, channel: str, unknown: Collection[str]) -> dict[str, str]:
    """By each of these numbers, which no order has, the one order that has it but for outer blanks, where there is."""
    if not unknown:
        return {}
    trimmed = {refnum.strip() for refnum in unknown}
    query = select(handed_out.c.refnum, handed_out.c.trimmed_refnum).where(
        handed_out.c.channel == channel, handed_out.c.trimmed_refnum.in_(trimmed), HAS_TRIMMED
    )
    alike: dict[str, list[str]] = {}
    for row in connection.execute(query):
        alike.setdefault(row.trimmed_refnum, []).append(row.refnum)
    found = {refnum: alike.get(refnum.strip(), []) for refnum in unknown}
    return {refnum: same[0] for refnum, same in found.items() if len(same) == 1}


def known_refnums(connection: Connection, channel: str, refnums: Collection[str]) -> set[str]:
    """Which of these orders are remembered."""
    return set(_KNOWN_REFNUMS.execute(connection, {"of_channel": channel, "refnums": refnums}).scalars())


def add(connection: Connection, channel: str, sketches: Sequence[OrderSketch], walk: Walk | None = None) -> None:
    """Keep these orders' lines, which are not remembered yet, and what the orders are found by.

    With `walk` they are handed out by it now.  Raises `DatabaseConflict` where one is remembered.
    """
    rows = [
        (
            sketch.refnum,
            trimmed if (trimmed := sketch.refnum.strip()) != sketch.refnum else None,
            msgspec.json.encode(sketch.lines).decode(),  # SQLite takes a list in a list apart twice
            units_of(sketch.shipping),
            units_of(sketch.shipping_tax),
        )
        for sketch in sketches
    ]
    if rows:
        counted: dict[str, Any] = {"times": 0, "last_pull_ms": 0, "last_handed_at": None, "hand_outs": None}
        if walk is not None:
            counted = {"times": 1, "last_pull_ms": walk.pull_ms, "last_handed_at": walk.now, "hand_outs": walk.moment}
        values = {"channel": channel, "rows": rows, **counted}
        learned_at = walk.now if walk is not None else utc_now()
        numbers = (number for sketch in sketches for number in _numbers(sketch))
        _ADD.execute(connection, values, channel, numbers, learned_at)


def _numbers(sketch: OrderSketch) -> list[AsNumber]:
    """What the order is found by, besides what later callbacks state."""
    refnum = sketch.refnum
    own: list[AsNumber] = [(refnum, "order", refnum), (refnum, "source_order", sketch.source_number)]
    return own + [(refnum, "payment", payment.refnum) for payment in sketch.payments]


def replace_lines(connection: Connection, channel: str, refnum: str, lines: tuple[SketchLine, ...]) -> None:
    """The order was changed in RetailOps: these are its lines, with their units as bought and as they are now."""
    is_less = any(line.quantity < line.paid_units for line in lines)
    noted = {"taken_off_after": _since_taken_off(channel, refnum)} if is_less else {}
    _update(connection, channel, refnum, lines=msgspec.json.encode(lines), **noted)


def _since_taken_off(channel: str, refnum: str) -> object:
    """The newest refund of the order, unless one is noted already."""
    newest = select(func.max(refund_rows.c.id)).where(
        refund_rows.c.channel == channel, refund_rows.c.order_refnum == refnum
    )
    return func.coalesce(handed_out.c.taken_off_after, newest.scalar_subquery(), 0)


def set_state(connection: Connection, channel: str, refnum: str, state: str) -> None:
    """open, cancelled or completed; nothing is left open of a cancelled order."""
    closed = {"left_open": "", "left_open_at": None} if state == "cancelled" else {}
    _update(connection, channel, refnum, state=state, **closed)


def set_removed(connection: Connection, channel: str, refnum: str, units: Mapping[str, int]) -> None:
    """RetailOps states these units of the named lines as taken off; 0 restores a line.  Other lines stay as stated."""
    found = known(connection, channel, [refnum]).get(refnum)
    if found is None:
        return
    kept = {line: count for line, count in {**found.removed, **units}.items() if count > 0}
    if kept != found.removed:
        noted = {"taken_off_after": _since_taken_off(channel, refnum)} if kept else {}
        _update(connection, channel, refnum, removed=msgspec.json.encode(kept) if kept else None, **noted)


def note_left_open(connection: Connection, channel: str, refnum: str, code: str, now: datetime) -> None:
    """A completion left units open, and `code` says why; "" once none is, so that `channel check` names it no more."""
    connection.execute(
        update(handed_out)
        .where(handed_out.c.channel == channel, handed_out.c.refnum == refnum, handed_out.c.left_open != code)
        .values(left_open=code, left_open_at=now if code else None)
    )


def note_nothing_left(connection: Connection, channel: str, refnum: str, *, but: Sequence[str] = ()) -> None:
    """The source counts no unit as open any more; takes back what it said before, though not the codes in `but`."""
    connection.execute(
        update(handed_out)
        .where(handed_out.c.channel == channel, handed_out.c.refnum == refnum, IS_LEFT_OPEN)
        .where(handed_out.c.left_open.not_in(but))
        .values(left_open="", left_open_at=None)
    )


def note_erased(connection: Connection, channel: str, refnums: Collection[str], now: datetime) -> None:
    """The personal data of these orders is gone; nothing is noted of one that is not remembered."""
    is_one = (handed_out.c.channel == channel, handed_out.c.refnum.in_(refnums))
    connection.execute(update(handed_out).where(*is_one).values(erased_at=now))


def is_to_note(connection: Connection, channel: str, refnum: str) -> bool:
    """Whether the order is remembered and nothing notes yet that its personal data is gone."""
    is_it = (handed_out.c.channel == channel, handed_out.c.refnum == refnum, handed_out.c.erased_at.is_(None))
    return connection.execute(select(handed_out.c.refnum).where(*is_it)).first() is not None


def add_rejected(connection: Connection, channel: str, completion: Completion) -> None:
    """Its units will never ship."""
    _count_rejected(connection, channel, completion, 1)


def forget_rejected(connection: Connection, channel: str, completion: Completion) -> None:
    """The vendor refused to take these units back: they are open again."""
    _count_rejected(connection, channel, completion, -1)


def _count_rejected(connection: Connection, channel: str, completion: Completion, sign: int) -> None:
    refnum, unshipped = completion.order_refnum, completion.unshipped
    found = known(connection, channel, [refnum]).get(refnum)
    if found is None:
        return
    before = found.rejected
    units = _counted(before.units, unshipped, sign)
    named = _counted(found.closed_as_named, completion.named or unshipped, sign)
    removed = _counted(before.removed, completion.removed, sign)
    kept = UnshippedUnits(units, before.times + (sign > 0), removed, None if named == units else named)
    _update(connection, channel, refnum, rejected=msgspec.json.encode(kept))


def _counted(before: Mapping[str, int], change: Iterable[PackageLine], sign: int) -> dict[str, int]:
    units = Counter(before)
    for line in change:
        units[line.line_refnum] += sign * line.quantity
    return {line: count for line, count in units.items() if count > 0}


def set_acknowledged(
    connection: Connection, channel: str, refnum: str, at: datetime | None, retailops_order_id: str
) -> None:
    """RetailOps has the order (or, with None, turned out not to)."""
    _update(connection, channel, refnum, acknowledged_at=at, retailops_order_id=retailops_order_id)


def _update(connection: Connection, channel: str, refnum: str, **values: object) -> None:
    connection.execute(
        update(handed_out).where(handed_out.c.channel == channel, handed_out.c.refnum == refnum).values(**values)
    )
