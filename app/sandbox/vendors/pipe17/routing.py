"""Orders and a stub of the routing that turns an order into shipping requests (contract 2.5 and 4.3)."""

from __future__ import annotations

from app.sandbox.bodies import Failure, Json
from app.sandbox.vendors.pipe17 import fulfilments, stock
from app.sandbox.vendors.pipe17.entities import MODEL
from app.sandbox.vendors.pipe17.state import ApiKey, State


def create_order(state: State, caller: ApiKey, body: Json) -> Json:
    fulfilments.refuse_lines(body.get("lineItems", []), "order")
    order = state.add("orders", body, integration=caller.integration)
    if email := body.get("shippingAddress", {}).get("email"):
        order["email"] = email
    if order["status"] in ("new", "readyForFulfillment"):
        _route(state, order)
    return order


def update_order(state: State, caller: ApiKey, order: Json, body: Json) -> Json:
    if body.get("status") == "canceled" and order["status"] != "canceled":
        shipments = fulfilments.shipments_of(state, order["orderId"])
        if any(shipment["status"] in fulfilments.SHIPPED for shipment in shipments):
            raise Failure(400, "status: an order that has shipped cannot be canceled")
        for shipment in shipments:
            if shipment["status"] not in fulfilments.CLOSED:
                fulfilments.cancel_shipment(state, shipment, "canceledRestock", caller)
    return state.change("orders", order, body)


def _route(state: State, order: Json) -> None:
    """Makes the shipping requests of an order, and says in the order what came of it."""
    shippable = [line for line in order.get("lineItems", []) if line.get("requiresShipping", True)]
    locations = [row for row in state.tables["locations"].values() if row["status"] == "active"]
    routed: Json = {"status": "readyForFulfillment"}
    if not shippable:
        routed["routingStatus"] = "excluded"
    elif not locations or "shippingAddress" not in order:
        routed |= {"routingStatus": "failed", "exceptions": ["routingFailed"]}
    else:
        _open_shipments(state, order, shippable, locations)
        routed |= {"routingStatus": "acknowledged", "lastRoutedAt": state.stamp()}
    state.change("orders", order, routed)


def _open_shipments(state: State, order: Json, shippable: list[Json], locations: list[Json]) -> None:
    """One request per location: the pre-routed one, else the first with enough, else the first."""
    plan: dict[str, list[Json]] = {}
    for line in shippable:
        plan.setdefault(_origin(state, order, line, locations), []).append(line)
    for location_id, lines in plan.items():
        location = state.tables["locations"][location_id]
        fulfilments.open_shipment(
            state,
            {
                **{name: order[name] for name in MODEL.shipment_fields if name in order},
                **({"status": "pendingShippingLabel"} if order.get("requireShippingLabels") else {}),
                "orderType": "sales",
                "locationId": location_id,
                "lineItems": [part for line in lines for part in _components(state, line, location)],
            },
        )


def _origin(state: State, order: Json, line: Json, locations: list[Json]) -> str:
    if order.get("respectLocationId"):
        location_id = line.get("locationId") or order.get("locationId")
        if any(location["locationId"] == location_id for location in locations):
            return str(location_id)
    for location in locations:
        if stock.has_stock(state, line["sku"], location["locationId"], line["quantity"]):
            return str(location["locationId"])
    return str(locations[0]["locationId"])


def _components(state: State, line: Json, location: Json) -> list[Json]:
    kept: Json = {name: value for name, value in line.items() if name in MODEL.shipment_line_fields}
    product = state.products_by_sku.get(line["sku"])
    if product is None or not product.get("bundleItems") or location.get("preserveBundles"):
        return [kept]
    return [
        {
            "uniqueId": f"{line['uniqueId']}-{place}",
            "sku": item["sku"],
            "name": state.products_by_sku.get(item["sku"], {}).get("name", item["sku"]),
            "quantity": item["quantity"] * line["quantity"],
            "bundleSKU": line["sku"],
            "bundleQuantity": line["quantity"],
        }
        for place, item in enumerate(product["bundleItems"], start=1)
    ]
