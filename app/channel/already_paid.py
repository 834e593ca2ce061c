"""What credits, returns and earlier completions have paid for units of an order that never ship (R22, R23)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from app.channel.bought import cost_of
from app.channel.refunds import returned_units
from app.domain.order_arithmetic import ZERO, spread
from app.records.handed_out import KnownOrder
from app.records.refunds import Entry

OFF = "off"
"""Ends the natural key of what a completion pays for units taken off."""

SHIPPING = "shipping"
"""Ends the natural key of what a completion pays for shipping."""

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


def units_settled(order: KnownOrder, entries: Sequence[Entry]) -> Counter[str]:
    """Units by line that earlier completions were about, whatever came of their refund: none is paid again (R9)."""
    closed = order.closed_as_named
    paid_ones = {
        line.refnum: min(closed[line.refnum], max(line.paid_units - line.quantity + closed[line.refnum], 0))
        for line in order.lines
    }
    return units_of(entry for entry in entries if entry.callback == COMPLETION) | Counter(paid_ones)


def units_paid(order: KnownOrder, entries: Sequence[Entry]) -> Counter[str]:
    """Units by line that earlier completions have paid, or found paid."""
    done = [entry for entry in entries if entry.callback == COMPLETION]
    done = [entry for entry in done if entry.is_in_effect or entry.state == "matched"]
    paid = units_of(done)
    if any(not entry.lines and not entry.rows and entry.is_in_effect for entry in done):
        # Paid before units were kept with refunds: what was closed then.
        paid |= order.closed_as_named
    return paid


def taken_off_before(order: KnownOrder, entries: Iterable[Entry]) -> list[Entry]:
    """What earlier completions were about for units taken off: refunds, whatever came of them, and credits matched.

    What credits paid beyond such units and was then held to be paid for others is taken off again.
    """
    done = [entry for entry in entries if entry.callback == COMPLETION]
    off = _of_sum(OFF, order, done)
    beyond = (entry for entry in done if entry.state == "matched" and not any(entry.matched))
    return [*off, *(replace(entry, amount=-entry.amount, lines=()) for entry in beyond)]


def shipping_credited(order: KnownOrder, entries: Iterable[Entry]) -> Decimal:
    """What earlier completions found paid by credits for shipping."""
    matched = [entry for entry in entries if entry.callback == COMPLETION and entry.state == "matched"]
    return sum((entry.amount for entry in _of_sum(SHIPPING, order, matched)), ZERO)


def _of_sum(name: str, order: KnownOrder, done: Iterable[Entry]) -> list[Entry]:
    """Those entries of completions that are for the sum of this name."""
    return [entry for entry in done if entry.natural_key.removeprefix(order.refnum).endswith(f"/{name}")]


def units_of(entries: Iterable[Entry]) -> Counter[str]:
    """Units by line that these entries are for."""
    units: Counter[str] = Counter()
    for entry in entries:
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
        returned = Counter(returned_units(group))
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
