"""Every setting offered to Pipe17's administrators changes what this server does (P34)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.domain.catalogue import Item, Product, ProductChange
from app.domain.commands import Cancellation
from app.domain.orders import Order
from app.domain.stock import StockChange
from app.gateways.vendors.pipe17 import Pipe17Gateway
from app.gateways.vendors.pipe17.connection.connector_settings import FIELDS
from app.sandbox.vendors.pipe17.samples import RENO
from tests.gateways.vendors.pipe17.stage import Start, administrate, call, connect, fetch, level, push_stock, request
from tests.sandboxes import Sandbox

NOW_MS = 2**41
World = tuple[Sandbox, Pipe17Gateway]


def _place(sandbox: Sandbox, name: str) -> str:
    return next(str(item["locationId"]) for item in sandbox.state()["locations"] if item["name"] == name)


def _order(world: World, **more: Any) -> Order | None:
    request(world[0], **more)
    orders = [item.order for item in fetch(world[1])]
    return orders[0] if orders and isinstance(orders[0], Order) else None


def _sku(world: World) -> str:
    order = _order(world)
    return order.lines[0].sku if order else ""


def _ship_code(world: World, **more: Any) -> str:
    order = _order(world, **more)
    return order.ship_service_code if order else ""


def _flow(name: str) -> Callable[[World], Any]:
    def why_off(world: World) -> str:
        world[1].integration.settings(call("question"))
        return world[1].permissions()[name]

    return why_off


def _figures_sent_again(world: World) -> int:
    """Stock figures sent when one of two changes."""
    sent = push_stock(world[1], StockChange("BOWL", level(dallas=(1, 1), reno=(2, 2))))["BOWL"].sent
    before = len(world[0].state()["ledger"])
    push_stock(world[1], StockChange("BOWL", level(dallas=(9, 9), reno=(2, 2)), sent))
    return len(world[0].state()["ledger"]) - before


def _status_of_cancelled(world: World) -> str:
    refnum = request(world[0])["shipmentId"]
    world[1].commands.cancel_order(Cancellation(refnum), call())
    return str(world[0].shipment(refnum)["status"])


def _is_created(world: World) -> bool:
    item = Item(sku="NEW-ONE", product_id="7", key="Product:7", title="New")
    world[1].catalogue.push([ProductChange("Product:7", Product(item))], call("fact"))
    return any(product["sku"] == "NEW-ONE" for product in world[0].state()["products"])


def _polled_since(world: World) -> str:
    world[1].orders.fetch_cancellations(NOW_MS, NOW_MS, call("question"))
    return next(str(item["path"]) for item in world[0].state()["recent_calls"] if "updatedSince" in item["path"])


EFFECTS: dict[str, tuple[Any, Callable[[World], Any]]] = {
    "enabled_flows.orders": (False, _flow("orders")),
    "enabled_flows.inventory": (False, _flow("inventory")),
    "enabled_flows.catalog": (False, _flow("catalog")),
    "enabled_flows.returns": (False, _flow("returns")),
    "location_filter": (RENO, lambda world: _order(world) is None),
    "sku_mapping": ("MUG-RED:RO-RED", _sku),
    "inventory.mode": ("delta", _figures_sent_again),
    "shipping_method_map": ("GROUND:RO-GROUND", lambda world: _ship_code(world, shippingCode="GROUND")),
    "shipping_method_default": ("RO-DEFAULT", _ship_code),
    "cancel_status": ("canceled", _status_of_cancelled),
    "catalog.create_products": (True, _is_created),
    "returns.create": (True, lambda world: world[1].commands.records_returns(call("question"))),
    "poll_overlap_minutes": (90, _polled_since),
}
"""For each path a value that is not its default, and what it changes."""


def test_p34_each_offered_setting_is_tried_here() -> None:
    assert list(EFFECTS) == list(FIELDS)


@pytest.mark.parametrize("path", EFFECTS)
def test_p34_an_offered_setting_changes_what_is_done(start_pipe17: Start, path: str) -> None:
    value, effect = EFFECTS[path]
    seen = []
    for is_set in (False, True):
        sandbox = start_pipe17(shipments=0)
        if is_set:
            found = _place(sandbox, value) if path == "location_filter" else value
            administrate(sandbox, settings={path: found})
        seen.append(effect((sandbox, connect(sandbox))))
    assert seen[0] != seen[1], seen
