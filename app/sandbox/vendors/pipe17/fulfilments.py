"""Shipping requests and fulfilments, and how each moves the other and the order (contract 2.6 and 2.7).

Where the contract is silent the sandbox decides:
* a refused (`rejected`) line leaves the open quantity and its commitment is freed; when nothing is open any
  more the request is `fulfilled` if something shipped and `failed` if all was refused;
* a request that an integration marks `failed` keeps its commitment until a user cancels it;
* only a request in `readyForFulfillment`, `sentToFulfillment` or `partialFulfillment` takes fulfilments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from app.sandbox.bodies import Failure, Json, existing
from app.sandbox.shapes import moment
from app.sandbox.vendors.pipe17 import stock
from app.sandbox.vendors.pipe17.state import ApiKey, State

Quantity = int | Decimal
CANCELLED = ("canceled", "canceledRestock")
SHIPPED = ("fulfilled", "partialFulfillment")
CLOSED = (*CANCELLED, "fulfilled")
TAKES_FULFILLMENTS = ("readyForFulfillment", "sentToFulfillment", "partialFulfillment")
_WAITING = ("pendingInventory", "onHold", "new", "reviewRequired", "pendingShippingLabel")
_OF_TRANSFER = {"ship": "xferout", "fulfill": "xferfulfill"}
"""Events of a transfer order that stand for those of a sale; every other one takes the commitment back."""
_LEGAL_SOURCES = {"sentToFulfillment": ("readyForFulfillment",), "failed": ("readyForFulfillment", "sentToFulfillment")}


def create_shipment(state: State, caller: ApiKey, body: Json) -> Json:
    """The seeding route: what Pipe17's router or a pre-routing ERP sends."""
    refuse_lines(body.get("lineItems", []), "shipment")
    taken = {shipment["extShipmentId"] for shipment in state.tables["shipments"].values()}
    if body.get("extShipmentId") in taken:
        raise Failure(409, "extShipmentId exists already")
    return open_shipment(state, body, creator=caller.integration)


def refuse_lines(lines: list[Json], whole: str) -> None:
    """What lines of an order or a shipment have in common.  Raises `Failure` 400."""
    if any(line["quantity"] <= 0 for line in lines):
        raise Failure(400, "lineItems quantity must be positive")
    if len({line["uniqueId"] for line in lines}) != len(lines):
        raise Failure(400, f"lineItems uniqueId must be unique within the {whole}")


def open_shipment(state: State, fields: Json, *, creator: str | None = None) -> Json:
    """Stores a shipping request and commits its stock.  Without a status, routing decides it."""
    location = state.tables["locations"].get(fields.get("locationId", ""), {})
    order = state.tables["orders"].get(fields.get("orderId", ""), {})
    version = 1 + sum(1 for other in state.tables["shipments"].values() if other["extOrderId"] == fields["extOrderId"])
    suffix = "" if version == 1 else f".{version}"
    shipment: Json = {
        "extShipmentId": f"{fields['extOrderId']}{suffix}",
        **fields,
        "status": fields.get("status") or _first_status(state, fields),
        "version": version,
        "orderCreateTime": order.get("extOrderCreatedAt") or fields.get("createdAt") or state.stamp(),
        "lineItems": [{**line, "shippedQuantity": 0} for line in fields.get("lineItems", [])],
    }
    if location.get("fulfillmentIntegrationId"):
        shipment["fulfillmentIntegrationId"] = location["fulfillmentIntegrationId"]
    if order.get("integration"):
        shipment["orderIntegration"] = order["integration"]
    stored = state.add("shipments", shipment, integration=creator)
    _commit_stock(state, stored)
    if stored["status"] == "sentToFulfillment":
        stored["sentToFulfillmentAt"] = state.stamp()
    stored["timeline"] = [{"at": stored["createdAt"], "status": stored["status"]}]
    return stored


def _first_status(state: State, fields: Mapping[str, Any]) -> str:
    if "holdUntil" in fields and moment(fields["holdUntil"]) > state.clock():
        return "onHold"
    lines, location_id = fields.get("lineItems", []), fields.get("locationId", "")
    is_stocked = all(stock.has_stock(state, line["sku"], location_id, line["quantity"]) for line in lines)
    return "readyForFulfillment" if is_stocked else "pendingInventory"


def update_shipment(state: State, caller: ApiKey, shipment: Json, body: Json) -> Json:
    _refuse_foreign(caller, shipment)
    status = str(body.get("status", shipment["status"]))
    if status != shipment["status"]:
        if status in CANCELLED:
            cancel_shipment(state, shipment, status, caller)
        elif shipment["status"] in _LEGAL_SOURCES.get(status, ()):
            set_shipment_status(state, shipment, status)
            recompute_order(state, shipment.get("orderId", ""))
        else:
            raise Failure(400, f"status cannot go from {shipment['status']} to {status}")
    marks = {name: value for name, value in body.items() if name != "status"}
    return state.change("shipments", shipment, marks)


def _refuse_foreign(caller: ApiKey, shipment: Json) -> None:
    if caller.integration is not None and shipment.get("fulfillmentIntegrationId") != caller.integration:
        raise Failure(400, "the shipment is routed to another fulfilment integration")


def cancel_shipment(state: State, shipment: Json, status: str, caller: ApiKey | None) -> None:
    """Cancels what is still open; `caller` None is a user of Pipe17's own pages."""
    if shipment["status"] in CLOSED:
        raise Failure(400, f"status cannot go from {shipment['status']} to {status}")
    event = "shipCancelRestock" if status == "canceledRestock" else "shipCancel"
    _move_open_stock(state, shipment, "futureShipCancel" if _is_future(shipment) else event)
    by, by_type = "sandbox user", "user"
    if caller is not None:
        by, by_type = (caller.integration, "integration") if caller.integration else ("apikey", "apikey")
    set_shipment_status(state, shipment, status, canceledAt=state.stamp(), canceledBy=by, canceledByType=by_type)
    recompute_order(state, shipment.get("orderId", ""))


def release_shipment(state: State, shipment: Json) -> None:
    """What Pipe17 does by itself when stock or time has come for a waiting request."""
    if shipment["status"] not in _WAITING:
        raise Failure(400, f"status cannot go from {shipment['status']} to readyForFulfillment")
    if _is_future(shipment):
        _move_open_stock(state, shipment, "release")
    set_shipment_status(state, shipment, "readyForFulfillment")


def set_shipment_status(state: State, shipment: Json, status: str, **more: Any) -> None:
    changes: Json = {"status": status, **more}
    if status == "sentToFulfillment":
        changes["sentToFulfillmentAt"] = state.stamp()
    changes["timeline"] = [*shipment["timeline"], {"at": state.stamp(), "status": status}]
    state.change("shipments", shipment, changes)


def switch_engine_on(state: State) -> None:
    """From now on requests and fulfilments move stock; what open requests hold is committed at once."""
    state.settings.inventory_engine = True
    for row in state.tables["inventory"].values():
        held = dict.fromkeys(("committed", "commitShip", "commitXfer", "committedFuture"), 0)
        stock.adjust(state, row["sku"], row["locationId"], **held)
    for shipment in state.tables["shipments"].values():
        _commit_stock(state, shipment)


def _commit_stock(state: State, shipment: Json) -> None:
    if shipment["status"] not in CLOSED:
        _move_open_stock(state, shipment, "futureShip" if _is_future(shipment) else "ship")


def _is_future(shipment: Json) -> bool:
    return bool(shipment["status"] == "pendingInventory") and shipment.get("orderType") != "transfer"


def _move_open_stock(state: State, shipment: Json, event: str) -> None:
    left = open_quantities(state, shipment)
    for line in shipment["lineItems"]:
        if (quantity := left[line["uniqueId"]]) > 0:
            _move_line(state, shipment, event, line["sku"], quantity, "shipment", shipment["shipmentId"])


def _move_line(
    state: State, shipment: Json, event: str, sku: str, quantity: Quantity, entity_type: str, entity_id: str
) -> None:
    cause = {"entityId": entity_id, "entityType": entity_type, "orderId": shipment.get("orderId", "")}
    if shipment.get("orderType") == "transfer":
        event = _OF_TRANSFER.get(event, "xferCancel")
    stock.move(state, event, sku, shipment.get("locationId", ""), quantity, cause)


def open_quantities(state: State, shipment: Json) -> dict[str, Quantity]:
    """Units per line that are neither shipped nor refused."""
    left: dict[str, Quantity] = {line["uniqueId"]: line["quantity"] for line in shipment["lineItems"]}
    for fulfillment in state.tables["fulfillments"].values():
        if fulfillment["shipmentId"] == shipment["shipmentId"]:
            for line in fulfillment["lineItems"]:
                left[line["uniqueId"]] -= line["quantity"]
    return left


def shipments_of(state: State, order_id: str) -> list[Json]:
    return [row for row in state.tables["shipments"].values() if order_id and row.get("orderId") == order_id]


def recompute_order(state: State, order_id: str) -> None:
    """An order's status follows its live shipping requests; without any it waits to be routed again."""
    order = state.tables["orders"].get(order_id)
    if order is None or order["status"] == "canceled":
        return
    status = _order_status(row["status"] for row in shipments_of(state, order_id))
    if status == order["status"]:
        return
    changes = {"status": status}
    if status == "fulfilled":
        changes["fulfilledAt"] = state.stamp()
    state.change("orders", order, changes)


def _order_status(shipments: Iterable[str]) -> str:
    live = [status for status in shipments if status not in (*CANCELLED, "failed")]
    if not live:
        return "readyForFulfillment"
    if all(status == "fulfilled" for status in live):
        return "fulfilled"
    if any(status in SHIPPED for status in live):
        return "partialFulfillment"
    return "sentToFulfillment" if "sentToFulfillment" in live else "readyForFulfillment"


def create_fulfillment(state: State, caller: ApiKey, body: Json) -> Json:
    shipment = existing(state.tables["shipments"], body["shipmentId"], "shipmentId is unknown", status=400)
    _refuse_foreign(caller, shipment)
    if shipment["status"] not in (*TAKES_FULFILLMENTS, "fulfilled"):
        raise Failure(400, f"the shipment is {shipment['status']} and takes no fulfillment")
    _refuse_excess(state, shipment, body["lineItems"])

    copied: Json = {name: shipment[name] for name in ("extOrderId", "orderId", "locationId") if name in shipment}
    fulfillment = state.add("fulfillments", {**copied, **body}, integration=caller.integration)
    is_rejected = body.get("fulfillmentType") == "rejected"
    event = "shipCancelRestock" if is_rejected else "fulfill"
    own_lines = {line["uniqueId"]: line for line in shipment["lineItems"]}
    for line in body["lineItems"]:
        _move_line(state, shipment, event, line["sku"], line["quantity"], "fulfillment", fulfillment["fulfillmentId"])
        if not is_rejected:
            own_lines[line["uniqueId"]]["shippedQuantity"] += line["quantity"]
    _recompute_shipment(state, shipment)
    recompute_order(state, shipment.get("orderId", ""))
    return fulfillment


def _refuse_excess(state: State, shipment: Json, lines: list[Json]) -> None:
    if not lines:
        raise Failure(400, "lineItems must not be empty")
    skus = {line["uniqueId"]: line["sku"] for line in shipment["lineItems"]}
    left = open_quantities(state, shipment)
    found = []
    for place, line in enumerate(lines):
        at, unique_id = f"lineItems[{place}]", line["uniqueId"]
        if unique_id not in skus:
            found.append(f"{at}.uniqueId is not a line of the shipment")
        elif line["sku"] != skus[unique_id]:
            found.append(f"{at}.sku is not the sku of this line")
        elif line["quantity"] <= 0:
            found.append(f"{at}.quantity must be positive")
        else:
            left[unique_id] -= line["quantity"]
            if left[unique_id] < 0:
                found.append(f"{at}.quantity is above the open quantity")
    if found:
        raise Failure(400, "validation failed: " + "; ".join(found), found)


def _recompute_shipment(state: State, shipment: Json) -> None:
    is_open = any(left > 0 for left in open_quantities(state, shipment).values())
    has_shipped = any(line["shippedQuantity"] > 0 for line in shipment["lineItems"])
    if is_open:
        status = "partialFulfillment" if has_shipped else shipment["status"]
    else:
        status = "fulfilled" if has_shipped else "failed"
    if status != shipment["status"]:
        set_shipment_status(state, shipment, status)
    else:
        state.change("shipments", shipment, {})
