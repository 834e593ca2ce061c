"""Calls that the machine has given up."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy import Row, insert

from app.clock import utc_now
from app.domain.commands import Package
from app.domain.events import Event
from app.gateways.calls import Verb
from app.records import delivery_rows, late_events
from app.records.delivery_rows import DeliveryFilter
from app.records.tables.deliveries import commands, deliveries
from tests.retailops import Caller

BLIND = Verb("safe")


def a_parked_call(retailops: Caller, order: str, **more: Any) -> int:
    """A call that the machine has given up, as days of failing leave it."""
    now = utc_now()
    command = {
        "channel": "first", "callback": "order_cancel", "natural_key": order, "order_refnum": order, "digest": "",
        "events": b"[]", "request_id": "r", "begun_at": now, "lease_until": now, "finished_at": now,
    }  # fmt: skip
    with retailops.database.write() as connection:
        command_id = connection.execute(insert(commands).returning(commands.c.id), command).scalar_one()
        row = {
            "channel": "first", "gateway": "pipe17", "verb": "submit_shipment", "lane": order, "command_id": command_id,
            "body": msgspec.json.encode(Package(order, "5-1", ())),
            "about": b"[]", "state": "parked", "next_try_at": now + timedelta(days=9),
            "request_id": "r", "created_at": now, "attempts": 7, **more,
        }  # fmt: skip
        delivery_id = int(connection.execute(insert(deliveries).returning(deliveries.c.id), row).scalar_one())
        late_events.note(
            connection, channel="first", gateway="pipe17", callback="order_cancel", subject=order,
            event=Event("warning", "LATE_X", "it is parked", ()), request_id="r", now=now, delivery_id=delivery_id,
        )  # fmt: skip
    return delivery_id


def the_call(retailops: Caller, delivery_id: int) -> Row[Any]:
    with retailops.database.read() as connection:
        [row] = delivery_rows.find(connection, DeliveryFilter(ids=[delivery_id]))
    return row
