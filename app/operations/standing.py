"""How an order stands now and what to do about it, in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from app.operations.timeline_entries import call_name, times, tries, why
from app.storefront.order_store import StoredOrder


def of_hand_out(row: Row[Any] | None, hold: Row[Any] | None, stored: StoredOrder | None, now: datetime) -> list[str]:
    """Whether RetailOps has the order, and what is open of it."""
    said = []
    if hold is not None:
        said.append(f"The order is held back from RetailOps: {hold.reason}")
    if row is None:
        return [*said, *_at_its_shop(stored, now)]
    number = f" as its order {row.retailops_order_id}" if row.retailops_order_id else ""
    if row.acknowledged_at is not None:
        said.append(f"RetailOps has acknowledged it{number}; it is {row.state}.")
    elif row.times:
        said.append(f"RetailOps was given it {times(row.times)} and has not acknowledged it; it is {row.state}.")
    else:
        said.append(f"RetailOps named it in a callback, but this server never handed it out; it is {row.state}.")
    said += _of_cancellation(row)
    if row.removed:
        said.append("RetailOps took units off its lines; they are closed when it is completed.")
    if row.left_open:
        said.append(f"order_complete left units open ({row.left_open}): send it again with unshipped_items for them.")
    if row.erased_at is not None:
        said.append(f"What was kept of the person behind it was erased on {row.erased_at:%Y-%m-%d}.")
    return said


def _of_cancellation(row: Row[Any]) -> Iterator[str]:
    """What RetailOps knows of the source's having cancelled an order that it was given."""
    if row.source_cancelled_at is None:
        return
    if row.cancellation_known_at is not None:
        known = ", and RetailOps has acknowledged that"
    elif row.cancellation_times:
        known = f"; RetailOps was sent that {times(row.cancellation_times)} and has not acknowledged it"
    else:
        known = "; RetailOps is sent that with its next order_pull" if row.state == "open" else ""
    yield f"Its source has cancelled it{known}."


def _at_its_shop(stored: StoredOrder | None, now: datetime) -> Iterator[str]:
    """Why RetailOps has not got an order that is kept here."""
    if stored is None:
        return
    if stored.cancelled_at is not None or stored.state in ("cancelled", "refunded"):
        yield "It was cancelled before RetailOps had it."
    elif stored.state == "review":
        yield "It is held for a fraud review, so that RetailOps does not get it yet."
    elif stored.is_final(now):
        yield "RetailOps gets it with its next order_pull."
    else:
        yield "Its checkout has not called it paid yet, so that RetailOps does not get it yet."


def of_packages(rows: Sequence[Row[Any]]) -> list[str]:
    """How many have shipped."""
    return [f"Packages registered: {len(rows)}."] if rows else []


def of_calls(owed: Sequence[Row[Any]]) -> list[str]:
    """The calls to vendors that are still open, and what to do about each."""
    said = []
    for row in owed:
        name = call_name(row)
        if row.state == "dropped":
            said.append(f"Given up by an operator: {name}, {row.dropped_because}.")
        elif row.closed_at is not None:
            continue
        elif row.state == "parked":
            said.append(
                f"PARKED: {name}. {why(row)}. The order's later calls wait for it. "
                f"Mend the cause, then: `channel deliveries retry {row.id}`, or give it up: "
                f"`channel deliveries drop {row.id} --reason TEXT`"
            )
        elif row.state == "checking":
            said.append(f"Being found out: whether {row.gateway} did {name}. {why(row)}.")
        else:
            next_try = f"{row.next_try_at:%Y-%m-%d %H:%M:%S} UTC"
            said.append(f"Owed: {name}, {tries(row.attempts)}, next {next_try}. {why(row)}.")
    if owed and all(row.closed_at is not None for row in owed):
        said.append(_over(Counter(row.state for row in owed)))
    return said


def _over(states: Counter[str]) -> str:
    """How calls of which none is open have ended."""
    if len(states) > 1:
        ended = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        return f"No call to a vendor is open: {ended}."
    [(state, count)] = states.items()
    was = "The one call to a vendor was" if count == 1 else f"All {count} calls to vendors were"
    return f"{was} {state}; nothing is open."


def of_late_events(rows: Iterable[Row[Any]]) -> list[str]:
    """What RetailOps does not know yet."""
    return [
        f"RetailOps does not know yet: {row.code} (sent with the channel's next answer)."
        for row in rows
        if not row.sent_request_id and row.dismissed_at is None
    ]
