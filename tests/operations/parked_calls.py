"""Calls that the machine has given up."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Row

from app.clock import utc_now
from app.domain.commands import Package
from app.domain.events import Event
from app.gateways.calls import Verb
from app.records import delivery_rows, late_events
from app.records.delivery_rows import DeliveryFilter
from tests.kept_calls import a_delivery
from tests.retailops import Caller

BLIND = Verb("safe")


def a_parked_call(retailops: Caller, order: str, **more: Any) -> int:
    """A call that the machine has given up, as days of failing leave it."""
    body = msgspec.json.encode(Package(order, "5-1", ()))
    delivery_id = a_delivery(retailops, order, "parked", callback="order_cancel", body=body, attempts=7, **more)
    with retailops.database.write() as connection:
        late_events.note(
            connection, channel="first", gateway="pipe17", callback="order_cancel", subject=order, now=utc_now(),
            event=Event("warning", "LATE_X", "it is parked", ()), request_id="r", delivery_id=delivery_id,
        )  # fmt: skip
    return delivery_id


def the_call(retailops: Caller, delivery_id: int) -> Row[Any]:
    with retailops.database.read() as connection:
        [row] = delivery_rows.find(connection, DeliveryFilter(ids=[delivery_id]))
    return row
