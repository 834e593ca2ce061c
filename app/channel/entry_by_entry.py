"""Writes independent entries in ever smaller parts until the database has refused only those it can never keep (R6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from app.channel.services import CallbackResult
from app.contract.problems import KEPT
from app.deadline import Deadline
from app.domain.events import Association, Event
from app.records.database import DatabaseRefused

LEAST_TIME_S = 0.5
"""Less than this left of the callback's budget, and what is not written yet is refused instead."""


def carry_out_apart(
    entries: Sequence[str],
    carry_out: Callable[[Sequence[str]], CallbackResult],
    named: Callable[[str], tuple[Association, ...]],
    deadline: Deadline,
) -> CallbackResult:
    """What the entries, each by its name, come to without those the database refuses.

    Each of those is an error event.
    """
    done = CallbackResult()
    refused: list[Event] = []
    waiting = [list(entries)]
    while waiting:
        part = waiting.pop()
        try:
            if deadline.left_s() < LEAST_TIME_S:
                raise DatabaseRefused("no time is left")
            done.events += carry_out(part).events
        except DatabaseRefused:
            if len(part) > 1 and deadline.left_s() >= LEAST_TIME_S:
                middle = len(part) // 2
                waiting += [part[middle:], part[:middle]]
            else:
                refused += [refused_event(named(entry)) for entry in part]
    hidden = len(refused) - KEPT
    more = [refused_event((), f"{hidden} further entries were not kept either")] if hidden > 0 else []
    return CallbackResult([*refused[:KEPT], *more, *done.events])


NOT_KEPT = "this server's database cannot keep it; nothing of it was done"


def refused_event(associations: tuple[Association, ...], message: str = NOT_KEPT) -> Event:
    """Says that repeating changes nothing."""
    return Event("error", "CANNOT_BE_KEPT", message, associations)
