"""An operator's terminal beside a running server, and deliveries in states that take a day to happen."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from click.testing import Result
from sqlalchemy import insert, select

from app.clock import utc_now
from app.records.tables.deliveries import commands, deliveries
from tests.command_line import CommandLine
from tests.retailops import Caller, codes
from tests.sandboxes import Sandbox
from tests.waiting import eventually

TRACKING = "1ZcAnArY0123456789"
FULFILLMENTS = {"method": "POST", "path_prefix": "/api/v3/fulfillments"}


class Terminal(CommandLine):
    """The command line beside the running server, which shows no shopper's data."""

    def __call__(self, *args: str, **options: Any) -> Result:
        result = super().__call__(*args, **options)
        assert TRACKING not in result.output
        return result


def parked(retailops: Caller, pipe17: Sandbox, order: dict[str, Any]) -> int:
    """The id of a shipment that Pipe17 refused after RetailOps had its answer."""
    pipe17.fault(kind="status", code=429, times=1, match=FULFILLMENTS)
    pipe17.fault(kind="status", code=400, times=1, match=FULFILLMENTS)
    assert codes(retailops.ship(order, tracking_number=TRACKING)) == ["OWED"]
    return int(eventually(lambda: value(retailops, select(deliveries.c.id).where(deliveries.c.state == "parked"))))


def value(retailops: Caller, query: Any) -> Any:
    with retailops.database.read() as connection:
        return connection.execute(query).scalar()


def a_delivery(retailops: Caller, order: str, state: str, **more: Any) -> int:
    """A row as it is left by what takes a day to happen."""
    now = utc_now()
    command = {
        "channel": "first", "callback": "order_returned", "natural_key": order, "order_refnum": order, "digest": "",
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
