"""Which client is given up where there is not room for all: the one whose request is furthest from an answer (P46)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from app.callbacks.connection import Connection

YOUNG_S: Final = 10.0
"""A body that is on its way for less is not given up for another."""


def connection_to_close(connections: Iterable[Connection]) -> Connection | None:
    """For a new connection; None when each has a whole request in hand.

    Who has an answer goes first, then who waits, then the heads that come longest, and at last bodies and readers.
    """
    return min(_waiting(connections), key=_nearness, default=None)


def body_to_refuse(connections: Iterable[Connection], beside: Connection | None, now_s: float) -> Connection | None:
    """The large body that comes slowest, for one that comes `beside` it; None when there is none but young ones."""
    rates = {}
    for each in _waiting(connections):
        body, age_s = each.receiver.body, now_s - each.since_s
        if body is not None and body.is_large and age_s >= YOUNG_S and each is not beside:
            rates[each] = body.size / age_s
    return min(rates, key=rates.__getitem__, default=None)


def answers_to_break_off(connections: Iterable[Connection], most_bytes: int) -> Iterator[Connection]:
    """The answers that wait longest, until the others are at most so many bytes."""
    waiting = {each: each.waiting_bytes() for each in _waiting(connections) if each.rest}
    total = sum(waiting.values())
    for each in sorted(waiting, key=lambda each: each.since_s):
        if total <= most_bytes:
            return
        total -= waiting[each]
        yield each


def _waiting(connections: Iterable[Connection]) -> Iterator[Connection]:
    return (each for each in connections if not each.is_in_hand and not each.is_handed_over)


def _nearness(connection: Connection) -> tuple[bool, bool, bool, bool, float]:
    has_body = connection.receiver.body is not None
    return (bool(connection.rest), has_body, not connection.is_lingering, not connection.is_idle, connection.since_s)
