"""RetailOps in front of a channel whose orders come from a shop that moves money."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update

from app.records.tables.deliveries import deliveries
from app.sandbox.server import RunningServer
from tests.channel.money_gateway import Till
from tests.order_life import OrderLife
from tests.retailops import Caller
from tests.waiting import eventually

CHANNEL = """
[[channel]]
name = "shop"
client_id = {pair[0]}
channel_id = {pair[1]}
auth_keys = ["{key}"]
gateways = ["till"]
{channel}

[channel.till]
base_url = "{url}/till"
{gateway}
"""


OpenShop = Callable[..., "Shop"]


@dataclass
class Shop(OrderLife):
    """RetailOps in front of a channel whose orders come from a shop that moves money."""

    FIRST = "A1"
    CARD = "Visa"

    till: Till
    server: RunningServer
    retailops: Caller

    def sell(self, refnum: str = "A1", **how: Any) -> Any:
        """Sell an order and let RetailOps fetch it."""
        order = self.till.sell(refnum, **how)
        assert refnum in [pulled["channel_order_refnum"] for pulled in self.retailops.pull()]
        return order

    def ship(self, refnum: str = "A1", units: int = 1, shipment: int = 501, tea: int = 0) -> dict[str, Any]:
        items = [{"sku": "MUG", "channel_item_refnum": "1", "quantity": units},
                 {"sku": "TEA", "channel_item_refnum": "2", "quantity": tea}]  # fmt: skip
        package = {"retailops_package_id": 1, "tracking_number": f"1Z{shipment}", "package_items": items}
        body = {"retailops_shipment_id": shipment, "packages": [package]}
        return self.retailops.ask("order_shipment_submit", channel_order_refnum=refnum, shipment=body)

    def states(self) -> list[str]:
        return [entry.state for entry in self.ledger()]

    def fault(self, kind: str, times: int | None = 1, method: str = "POST", **more: Any) -> None:
        self.server.faults.add({"kind": kind, "times": times, "match": {"method": method}, **more})

    def settle(self, patience_s: float = 20.0, *, retries_parked: bool = False) -> None:
        """Let the background finish what it can, without its pauses; an operator may put back what is parked."""

        def is_quiet() -> bool:
            with self.retailops.database.write() as connection:
                if retries_parked:
                    parked = _not_locked(deliveries.c.state == "parked")
                    connection.execute(update(deliveries).where(parked).values(state="owed", attempts=0))
                waiting = _not_locked(deliveries.c.state.in_(("owed", "checking")))
                connection.execute(update(deliveries).where(waiting).values(next_try_at=deliveries.c.created_at))
                left = connection.exec_driver_sql(
                    "select count(*) from deliveries where state in ('owed', 'checking')"
                ).scalar_one()
            self.retailops.app.extensions["works"].dispatcher.wake()
            return left == 0

        eventually(is_quiet, patience_s)

    def age(self, hours: float) -> None:
        """Everything in the ledger becomes so much older."""
        with self.retailops.database.write() as connection:
            rows = connection.exec_driver_sql("select id, created_at from refunds").all()
            for number, at in rows:
                earlier = at - int(hours * 3_600_000)
                connection.exec_driver_sql(
                    f"update refunds set created_at = {earlier}, seen = {earlier} where id = {number}"
                )


def _not_locked(rows: Any) -> Any:
    """These deliveries, without those the dispatcher is changing: two who take rows in two orders wait crosswise."""
    return deliveries.c.id.in_(select(deliveries.c.id).where(rows).with_for_update(skip_locked=True))
