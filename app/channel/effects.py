"""Updates our records of orders and refunds once a vendor has answered a call, and reports what failed too late.

What an acceptance or a refusal leaves is said by the command that owed the call (`actions/`), and read from the call's
own body, so that it is the same whether the answer came within the callback, minutes later, or after a restart.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from app.channel import refund_outcomes
from app.channel.actions import command_of
from app.channel.command import VendorAnswer
from app.domain.commands import OBSERVATIONS, Refund
from app.domain.events import Event, about
from app.gateways.capabilities import Gateway
from app.records import late_events, ledger
from app.records.deliveries import CONFIRMED, Delivery, Settled

DONE_AFTER_ALL = "DONE_AFTER_ALL"
"""Code of a call that was dropped, or found not done, and that the vendor has done all the same (R8)."""


def apply(
    connection: Connection,
    delivery: Delivery,
    settled: Settled,
    now: datetime,
    gateway: Gateway | None = None,
    *,
    changes_nothing: bool = False,
) -> None:
    """Bring the records in line with a delivery whose state was just written.

    `gateway` is the one it went to; `changes_nothing`: an acceptance has nothing to bring in line (`Owed`).
    """
    if settled.note is not None:
        settled.note(connection)
    if settled.state == "delivered" and delivery.state == "parked":
        late_events.dismiss(connection, now, delivery_ids=[delivery.id])  # an operator has nothing to decide any more
    body = delivery.command
    if isinstance(body, Refund):
        refund_outcomes.note_outcome(connection, delivery.channel, body, settled)
    elif body is not None and (command := command_of(delivery.verb)) is not None:
        answer = VendorAnswer(connection, delivery, settled, now, gateway)
        if settled.state == "delivered" and not changes_nothing:
            command.accepted(answer)
        elif settled.state == "refused":
            command.refused(answer)


def follow_up(connection: Connection, delivery: Delivery, settled: Settled, now: datetime) -> bool:
    """Owe the source the next call: that an order has everything back, once the last part is accepted.

    True when there was such a thing.
    """
    body = delivery.command if settled.state == "delivered" else None
    return isinstance(body, Refund) and refund_outcomes.owe_paid_back(connection, delivery, body, now)


def apply_late(
    connection: Connection, delivery: Delivery, settled: Settled, now: datetime, gateway: Gateway | None = None
) -> None:
    """The same for an attempt in the background, whose callback is answered already: what failed is reported (R15).

    What an observer is sent is RetailOps' business neither then nor later (R17).
    """
    if delivery.verb in OBSERVATIONS:
        return
    apply(connection, delivery, settled, now, gateway)
    follow_up(connection, delivery, settled, now)
    _note_late(connection, delivery, settled, now)


def done_after_all(connection: Connection, delivery: Delivery, settled: Settled, now: datetime) -> None:
    """The vendor's acceptance came when the call had been given up: money that went back counts, operators see it."""
    if delivery.verb in OBSERVATIONS:
        return
    body = delivery.command
    if isinstance(body, Refund):
        refund_outcomes.note_outcome(connection, delivery.channel, body, settled)
    _note_done_after_all(connection, delivery, now)


def _note_late(connection: Connection, delivery: Delivery, settled: Settled, now: datetime) -> None:
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


def _note_done_after_all(connection: Connection, delivery: Delivery, now: datetime) -> None:
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
