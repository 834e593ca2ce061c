"""An operator's terminal beside a running server, and a shipment that was refused late."""

from __future__ import annotations

from typing import Any

from click.testing import Result
from sqlalchemy import select

from app.records.tables.deliveries import deliveries
from tests.command_line import CommandLine
from tests.kept_calls import TRACKING
from tests.retailops import Caller, codes
from tests.sandboxes import Sandbox
from tests.waiting import eventually

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
