"""Collects failures that are found after the answer, and adds them to RetailOps' next answer (R15)."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection

from app.deadline import Deadline
from app.domain.events import Event, about
from app.records import late_events, ledger
from app.records.database import Database, DatabaseUnavailable
from app.records.deliveries import CONFIRMED, Delivery, Settled

DONE_AFTER_ALL = "DONE_AFTER_ALL"
"""Code of a call that was dropped, or found not done, and that the vendor has done all the same (R8)."""

LOOK_EVERY_S = 1.0
"""How often a process looks whether any channel has news; between that an answer costs no query."""

TIME_NEEDED_S = 6.0
"""Less than this left of a callback's budget, and the news waits: a busy database must not make it late."""

log = logging.getLogger(__name__)


def note(connection: Connection, delivery: Delivery, settled: Settled, now: datetime) -> None:
    """Keep what a background attempt brought to light, for the callback it belongs to is answered."""
    found = _news(delivery, settled)
    if not found:
        return
    origin = ledger.origin_of(connection, delivery.id)
    of_request = f"{origin.callback} of {origin.begun_at:%Y-%m-%d %H:%M} UTC for order {delivery.lane}"
    for one in found:
        event = Event("warning", f"LATE_{one.code}", f"{of_request}: {one.message}", one.associations or origin.about)
        late_events.note(
            connection,
            channel=delivery.channel,
            gateway=delivery.gateway,
            callback=origin.callback,
            subject=delivery.lane,
            event=event,
            request_id=delivery.request_id,
            now=now,
            delivery_id=delivery.id if settled.state == "parked" else None,
        )


def note_done_after_all(connection: Connection, delivery: Delivery, now: datetime) -> None:
    """Keep that a call was done although it had been given up; its command may be forgotten by now."""
    message = (
        f"{delivery.gateway} has done {delivery.verb} of order {delivery.lane}, which had been given up here as not "
        "done; compare the order at the vendor with what was done since"
    )
    late_events.note(
        connection,
        channel=delivery.channel,
        gateway=delivery.gateway,
        callback=ledger.callback_of(connection, delivery.command_id) or delivery.verb,
        subject=delivery.lane,
        event=Event("warning", f"LATE_{DONE_AFTER_ALL}", message, about("order_refnum", delivery.lane)),
        request_id=delivery.request_id,
        now=now,
    )


def _news(delivery: Delivery, settled: Settled) -> list[Event]:
    """A call that stopped, a held decision that was found out, or a warning that came with late success."""
    match settled.state:
        case "parked":
            message = f"{delivery.gateway} did not take it ({_reason(settled)}); it is kept, an operator has to decide"
            return [Event("warning", settled.code or "PARKED", message)]
        case "refused":
            message = f"{delivery.gateway} has not done it ({_reason(settled)})"
            return [Event("warning", settled.code or "REFUSED", message)]
        case "delivered":
            found = [event for event in settled.events if event.event_type != "info"]
            if delivery.state == "checking" or (delivery.state == "parked" and settled.code != CONFIRMED):
                message = f"its outcome was unknown then; {delivery.gateway} has done it"
                found.insert(0, Event("warning", "DONE", message))
            return found
    return []


def _reason(settled: Settled) -> str:
    return settled.error or settled.code


class LateEvents:
    """Adds each channel's late events to its answers; one per process."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self._looking = threading.Lock()
        self._look_at_s = 0.0
        self._channels: set[str] = set()

    def question(self, channel: str, callback: str, body: Mapping[str, Any]) -> str:
        """What the request is known by when it comes again; "" where there is no news for the channel."""
        if time.monotonic() >= self._look_at_s:
            self._look()
        if channel not in self._channels:
            return ""
        return hashlib.sha256(callback.encode() + msgspec.json.encode(body)).hexdigest()

    def for_answer(self, channel: str, digest: str, request_id: str, deadline: Deadline) -> list[Event]:
        """Warnings to add to the answer to a `question`, which is otherwise complete; marked as sent.

        Never raises for the database: news that cannot be read now waits for another answer.
        """
        if not digest or deadline.left_s() < TIME_NEEDED_S:
            return []
        try:
            with self._database.read() as connection:
                if not late_events.is_any_for(connection, channel, digest, self._clock()):
                    return []
            with self._database.write(wait_s=0.5) as connection:
                return late_events.take(connection, channel, digest, request_id, self._clock())
        except DatabaseUnavailable as error:
            log.warning("channel %s: late news waits for the database: %s", channel, error)
            return []

    def _look(self) -> None:
        """One thread looks; the others go by what was seen last."""
        if not self._looking.acquire(blocking=False):
            return
        try:
            self._look_at_s = time.monotonic() + LOOK_EVERY_S
            with self._database.read() as connection:
                self._channels = late_events.channels_with_news(connection, self._clock())
        except DatabaseUnavailable:
            self._channels = set()
            self._look_at_s = time.monotonic() + 5 * LOOK_EVERY_S
        finally:
            self._looking.release()
