"""What credits, returns and earlier completions have paid for units of an order that never ship (R22, R23)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from app.channel.bought import ZERO, cost_of
from app.channel.orders import KnownOrder
from app.domain.order_arithmetic import spread
from app.records.refunds import Entry

COMPLETION, RETURN, CREDIT = "order_complete", "order_returned", "payment_credit"


@dataclass(frozen=True)
class Earlier:
    """A credit or a return that nothing was held against yet."""

    source: tuple[str, str]
    entries: tuple[Entry, ...]
    units: Counter[str]
    """Units by line that had not shipped; none for a credit."""
    money: Decimal
    """What it paid for these units; all of it where it names no units."""
    names_units: bool

    @property
    def first_id(self) -> int:
        """Its place in the ledger."""
        return min(entry.id for entry in self.entries)

    @property
    def is_sure(self) -> bool:
        """False while it is not known whether it was paid."""
        return all(entry.state == "accepted" for entry in self.entries)


def units_paid(order: KnownOrder, entries: Sequence[Entry]) -> Counter[str]:
    """Units by line that earlier completions have paid, or found paid."""
    paid: Counter[str] = Counter()
    for entry in entries:
        if entry.callback != COMPLETION or not (entry.is_in_effect or entry.state == "matched"):
            continue
        for line in entry.lines:
            paid[line.line_refnum] += line.quantity
        if not entry.lines and not entry.rows and entry.state != "matched":
            # Paid before units were kept with refunds: what was closed then.
            paid |= Counter(order.rejected.units)
    return paid


def returned_before(entries: Sequence[Entry], except_for: tuple[str, str] = ("", "")) -> Counter[str]:
    """Units by line that came back, leaving out one source."""
    units: Counter[str] = Counter()
    for entry in entries:
        counts = entry.is_in_effect or entry.state in ("recorded", "matched")
        if counts and entry.callback == RETURN and entry.source != except_for:
            for line in entry.lines:
                units[line.line_refnum] += line.quantity
    return units


def already_paid(
    order: KnownOrder, entries: Sequence[Entry], shipped: Mapping[str, int], currency: str
) -> list[Earlier]:
    """Every credit and return of the order that nothing was held against, oldest first.

    Returned units are first those that shipped, then those an earlier completion has paid; only the others count.
    """
    lines = {line.refnum: line for line in order.lines}
    room = Counter(dict(shipped)) + units_paid(order, entries)
    spent = {entry.matched for entry in entries}
    sources: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        if entry.callback in (RETURN, CREDIT):
            sources.setdefault(entry.source, []).append(entry)
    found = []
    for source, group in sources.items():
        returned = returned_before(group)
        fitting = returned & room
        room -= fitting
        units = returned - fitting
        paying = tuple(entry for entry in group if entry.is_in_effect)
        if not paying or source in spent:
            continue
        money = sum((entry.amount for entry in paying), ZERO)
        if returned:
            worth = [
                sum(cost_of(lines[refnum], count, currency), ZERO) if refnum in lines else ZERO
                for part in (units, fitting)
                for refnum, count in part.items()
            ]
            money = sum(spread(money, worth, currency)[: len(units)], ZERO)
        if money > 0:
            found.append(Earlier(source, paying, units, money, names_units=bool(returned)))
    return found
