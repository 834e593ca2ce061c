"""How an order stands now and what to do about it, in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from app.operations.timeline_entries import call_name, times, tries, why
from app.records import traces
from app.storefront import order_store
from app.storefront.order_store import StoredOrder


def sentences(connection: Connection, channel: str, refnum: str, now: datetime) -> list[str]:
    """All of it, read now."""
    ledger = traces.commands_of_order(connection, channel, refnum)
    return [
        *of_hand_out(
            traces.hand_out_of(connection, channel, refnum),
            traces.hold_of(connection, channel, refnum),
            order_store.get(connection, channel, refnum),
            now,
        ),
        *of_packages(traces.packages_of(connection, channel, refnum)),
        *of_calls(traces.calls_of_commands(connection, [row.id for row in ledger])),
        *of_late_events(traces.late_events_of(connection, channel, refnum)),
    ]


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
    if row.removed:
        said.append("RetailOps took units off its lines; they are closed when it is completed.")
    if row.left_open:
        said.append(f"order_complete left units open ({row.left_open}): send it again with unshipped_items for them.")
    return said


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
                f"Mend the cause, then: channel deliveries retry {row.id}, or give it up: "
                f"channel deliveries drop {row.id} --reason TEXT"
            )
        elif row.state == "checking":
            said.append(f"Being found out: whether {row.gateway} did {name}. {why(row)}.")
        else:
            next_try = f"{row.next_try_at:%Y-%m-%d %H:%M:%S} UTC"
            said.append(f"Owed: {name}, {tries(row.attempts)}, next {next_try}. {why(row)}.")
    if owed and all(row.state == "delivered" for row in owed):
        said.append(f"All {len(owed)} calls to vendors were delivered; nothing is open.")
    return said


def of_late_events(rows: Iterable[Row[Any]]) -> list[str]:
    """What RetailOps does not know yet."""
    return [
        f"RetailOps does not know yet: {row.code} (sent with the channel's next answer)."
        for row in rows
        if not row.sent_request_id and row.dismissed_at is None
    ]
