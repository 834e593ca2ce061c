"""Calls to vendors in states that take a day to happen, written as they are left."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import insert

from app.clock import utc_now
from app.records.tables.deliveries import commands, deliveries
from tests.retailops import Caller

TRACKING = "1ZcAnArY0123456789"
"""A shopper's tracking number, which no operator is shown."""


def a_delivery(retailops: Caller, order: str, state: str, *, callback: str = "order_returned", **more: Any) -> int:
    """The id of a package's call that a command of `callback` owes; `more`: columns of its row."""
    now = utc_now()
    command = {
        "channel": "first", "callback": callback, "natural_key": order, "order_refnum": order, "digest": "",
        "events": b"[]", "request_id": "r", "begun_at": now, "lease_until": now, "finished_at": now,
    }  # fmt: skip
    with retailops.database.write() as connection:
        command_id = connection.execute(insert(commands).returning(commands.c.id), command).scalar_one()
        row = {
            "channel": "first", "gateway": "pipe17", "verb": "submit_shipment", "lane": order, "command_id": command_id,
            "body": b'{"order_refnum":"' + order.encode() + b'","tracking_number":"' + TRACKING.encode() + b'"}',
            "about": b"[]", "state": state, "next_try_at": now + timedelta(days=9), "request_id": "r",
            "created_at": now, **more,
        }  # fmt: skip
        return int(connection.execute(insert(deliveries).returning(deliveries.c.id), row).scalar_one())
