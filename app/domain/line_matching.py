"""Decides which lines of an order a callback names, and how many units fall on each of them.

A callback names a line by the channel's line number or by its SKU alone.  Units named by SKU alone fill the lines of
that SKU in the order's order, up to what each can take (R22).  RetailOps' own line number is never used: an old caller
writes the order's number there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar


class Line(Protocol):
    """A line of an order."""

    @property
    def refnum(self) -> str:
        """The channel's line number."""

    @property
    def sku(self) -> str:
        """The SKU, which several lines may share."""


class OrderedLine(Line, Protocol):
    """A line whose number of units is known."""

    @property
    def quantity(self) -> int:
        """Units as the order stands."""


class Named(Protocol):
    """An entry of a callback: units of a line, named by its number or by its SKU."""

    @property
    def line_refnum(self) -> str:
        """The channel's line number; "" where only the SKU is stated."""

    @property
    def sku(self) -> str:
        """The SKU; may be ""."""

    @property
    def quantity(self) -> int:
        """Units."""


AnyLine = TypeVar("AnyLine", bound=Line)
"""Lines of one kind; a caller gets back what it gave."""


@dataclass(frozen=True)
class Share:
    """Where the units of one entry went."""

    line_refnums: tuple[str, ...]
    """The lines the entry may mean, in the order's order; empty when the order has no such line."""
    units: tuple[dict[str, int], ...]
    """Units by line number, for each stage."""
    left_over: int
    """Units for which no stage had room."""


def named_lines(lines: Iterable[AnyLine], line_refnum: str, sku: str) -> list[AnyLine]:
    """The line of that number, else every line of that SKU.

    An exact match wins over one that differs by blanks at the ends, which RetailOps may drop.
    """
    candidates = list(lines)
    for is_same in (_is_equal, _is_equal_but_for_blanks):
        if line_refnum and (found := [line for line in candidates if is_same(line.refnum, line_refnum)]):
            return found[:1]
    for is_same in (_is_equal, _is_equal_but_for_blanks):
        if sku and (found := [line for line in candidates if is_same(line.sku, sku)]):
            return found
    return []


def allot(lines: Sequence[Line], entries: Sequence[Named], *stages: Mapping[str, int]) -> list[Share]:
    """Distribute the units of every entry over the lines; one `Share` for each entry, in the same order.

    Each stage says how many units a line can take, by line number; what finds no room in one goes on to the next.
    Entries that name one line are served before those that leave it open.
    """
    meant = [named_lines(lines, entry.line_refnum, entry.sku) for entry in entries]
    needed = [max(entry.quantity, 0) for entry in entries]
    taken: list[list[dict[str, int]]] = [[] for _ in entries]
    service = sorted(range(len(entries)), key=lambda index: len(meant[index]) > 1)
    for stage in stages:
        room = dict(stage)
        for index in service:
            part: dict[str, int] = {}
            for line in meant[index]:
                units = min(needed[index], max(room.get(line.refnum, 0), 0))
                if units:
                    part[line.refnum] = units
                    room[line.refnum] -= units
                    needed[index] -= units
            taken[index].append(part)
    return [
        Share(tuple(line.refnum for line in meant[index]), tuple(taken[index]), needed[index])
        for index in range(len(entries))
    ]


def give_way(lines: Sequence[Line], share: Share, by_sku: Counter[str], room: Counter[str]) -> dict[str, int]:
    """Units by line for the left-over units of an entry that names a line which is full.

    `by_sku` counts the units by line that fell on it earlier though they named its SKU alone.  They could as well stand
    on another line of that SKU, so as many units find room there.  What is given is moved in `by_sku` and taken from
    `room`, the units each line can still take.
    """
    if len(share.line_refnums) != 1 or not share.left_over:
        return {}
    [named] = share.line_refnums
    sku = next(line.sku for line in lines if line.refnum == named)
    left = share.left_over
    found: dict[str, int] = {}
    for line in lines:
        units = min(left, by_sku[named], room[line.refnum]) if line.sku == sku and line.refnum != named else 0
        if units > 0:
            found[line.refnum] = units
            left -= units
            room[line.refnum] -= units
            by_sku[named] -= units
            by_sku[line.refnum] += units
    return found


def standing(
    lines: Sequence[OrderedLine],
    shipped: Counter[str],
    by_sku: Counter[str],
    claimed: Counter[str],
    closed: Counter[str],
) -> Counter[str]:
    """Units by line that have shipped, once as many as can have moved to lines of which more are claimed to have.

    Those can move that stand on their line though only its SKU was named (`by_sku`), to a line of the SKU that has room
    beside what is `closed` of it, and none that is claimed where it stands.
    """
    found, movable = Counter(shipped), Counter(by_sku)
    for line in lines:
        missing = min(claimed[line.refnum], line.quantity - closed[line.refnum]) - found[line.refnum]
        for other in lines if missing > 0 else ():
            free = min(movable[other.refnum], found[other.refnum] - claimed[other.refnum])
            if other.sku == line.sku and other is not line and (units := min(missing, free)) > 0:
                missing -= units
                movable[other.refnum] -= units
                found[other.refnum] -= units
                found[line.refnum] += units
    return found


def as_bought(lines: Sequence[Line], entries: Sequence[Named], bought: Mapping[str, int]) -> Counter[tuple[str, str]]:
    """Units by line number and SKU, the same however the entries name their lines.

    `bought` says how many units each line was bought with, which never changes, so that the result never does either.
    """
    skus = {line.refnum: line.sku for line in lines}
    units: Counter[tuple[str, str]] = Counter()
    for entry, share in zip(entries, allot(lines, entries, bought), strict=True):
        for refnum, count in share.units[0].items():
            units[refnum, skus[refnum]] += count
        if share.left_over:
            first = share.line_refnums[0] if share.line_refnums else ""
            units[(first, skus[first]) if first else (entry.line_refnum.strip(), entry.sku.strip())] += share.left_over
    return units


def restated(lines: Sequence[OrderedLine], units: int, shipped: Mapping[str, int]) -> dict[str, int]:
    """Units of each of these lines of one SKU once together they come to `units`.

    What is taken off comes from the last line first, units that have shipped after all others; what is added goes to
    the last line that has any.
    """
    found = {line.refnum: line.quantity for line in lines}
    difference = units - sum(found.values())
    alive = [refnum for refnum, quantity in found.items() if quantity] or list(found)
    if difference > 0:
        found[alive[-1]] += difference
        return found
    for kept in (shipped, {}):
        for refnum in reversed(found):
            part = max(min(found[refnum] - kept.get(refnum, 0), -difference), 0)
            found[refnum] -= part
            difference += part
    return found


def _is_equal(one: str, other: str) -> bool:
    return one == other


def _is_equal_but_for_blanks(one: str, other: str) -> bool:
    return one.strip() == other.strip()
