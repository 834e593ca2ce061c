"""Fills the Pipe17 sandbox with an organisation whose shipping requests hold what a channel must survive."""

from __future__ import annotations

import random
from datetime import timedelta
from decimal import Decimal
from typing import Any

from app.sandbox.bodies import Failure, Json
from app.sandbox.vendors.pipe17 import fulfilments, stock
from app.sandbox.vendors.pipe17.samples import DALLAS, INTEGRATION_ID, RENO, SAMPLES, SELLING_INTEGRATION_ID
from app.sandbox.vendors.pipe17.state import PEOPLE, State

_PRODUCTS: dict[str, Json] = {row["sku"]: row for row in SAMPLES["products"]}
_PLAIN_SKUS = [sku for sku, row in _PRODUCTS.items() if row.keys().isdisjoint(("inventoryNotTracked", "bundleItems"))]


def fill(state: State, *, shipments: int, rng_seed: int) -> None:
    """Starts over with a fresh organisation; the same arguments give the same ids and contents.

    `shipments` requests stand in the queue (`readyForFulfillment` at a location of ours), the odd ones first;
    beside them, when there are any, stand four that must stay out of it: one already sent, one cancelled, one
    on hold, one at a location of another fulfilment integration.
    """
    state.clear(rng_seed=rng_seed)
    samples = _filled(state, SAMPLES)
    for row in samples["integrations"]:
        fields = {**samples["integration"], "connectorId": state.new_id("connectors"), **row}
        state.add("integrations", fields, integration=None)
    mapping = {"mappingId": state.new_id("mapping"), **samples["mapping"]}
    own = state.tables["integrations"][INTEGRATION_ID]
    own["entities"][0]["mappingUuid"] = state.add("mappings", mapping, integration=INTEGRATION_ID)["uuid"]
    for row in samples["locations"]:
        state.add("locations", {**row, "address": samples["addresses"][row["address"]]}, integration=None)
    for row in samples["products"]:
        published = [{**samples["published"], **own} for own in row["published"]]
        state.add("products", {**samples["product"], **row, "published": published}, integration=row.get("integration"))
    _count_stock(state)
    odd = samples["queue"][:shipments]
    for place in range(shipments):
        shift = timedelta(minutes=place - shipments)
        if place < len(odd):
            _request(state, odd[place], shift)
        else:
            _plain_request(state, shift)
    for row in samples["outside_the_queue"] if shipments else ():
        _request(state, row, timedelta(hours=-30))


def add_shipments(state: State, count: int) -> list[Json]:
    """So many further, ordinary shipping requests, ready now."""
    return [_plain_request(state, timedelta()) for _ in range(count)]


def _filled(state: State, value: Any) -> Any:
    """A copy of a sample with its times and long texts."""
    match value:
        case {"days": days}:
            return state.stamp(shift=timedelta(days=days))
        case {"text": text, "times": times}:
            return text * times
        case dict():
            return {name: _filled(state, inner) for name, inner in value.items()}
        case list():
            return [_filled(state, inner) for inner in value]
    return value


def _count_stock(state: State) -> None:
    rng = random.Random(f"stock:{state.rng_seed}")
    for sku in _PLAIN_SKUS:
        for location_id in state.tables["locations"]:
            body = {"event": "adjust", "sku": sku, "locationId": location_id, "onHand": rng.randint(40, 200)}
            stock.report(state, PEOPLE, body)


def _plain_request(state: State, shift: timedelta) -> Json:
    number = state.next_number("plain")
    rng = random.Random(f"plain:{state.rng_seed}:{number}")
    skus = rng.sample(_PLAIN_SKUS, rng.randint(1, 3))
    lines = [
        {"uniqueId": str(place), "sku": sku, "quantity": rng.randint(1, 3)} for place, sku in enumerate(skus, start=1)
    ]
    address = {**SAMPLES["addresses"]["austin"], "address2": f"Unit {number}", "email": f"buyer{number}@example.com"}
    fields = {"location": rng.choice((DALLAS, RENO)), "lineItems": lines, "shippingAddress": address}
    return _request(state, {**fields, **SAMPLES["plain_request"], **rng.choice(SAMPLES["shipping_methods"])}, shift)


def _request(state: State, sample: Json, shift: timedelta) -> Json:
    """One shipping request with the order behind it.

    `is_split` gives it the order of the request before; a transfer has none; `is_cancelled` cancels it.
    Raises `Failure` where somebody has renamed its location.
    """
    fields = {**SAMPLES["request"], **sample}
    place = fields.pop("location")
    is_split, is_cancelled = fields.pop("is_split", False), fields.pop("is_cancelled", False)
    if isinstance(fields["shippingAddress"], str):
        fields["shippingAddress"] = dict(SAMPLES["addresses"][fields["shippingAddress"]])
    fields["lineItems"] = [{"name": _PRODUCTS[line["sku"]]["name"], **line} for line in fields["lineItems"]]
    fields["locationId"] = next((key for key, row in state.tables["locations"].items() if row["name"] == place), "")
    if not fields["locationId"]:
        raise Failure(400, f"no location is named {place} any more")
    fields["createdAt"] = state.stamp(shift=shift)
    if fields["orderType"] == "transfer":
        fields["extOrderId"] = f"TO-{state.next_number('transfer')}"
    else:
        order = list(state.tables["orders"].values())[-1] if is_split else _order(state, fields)
        fields |= {name: order[name] for name in ("orderId", "extOrderId", "extOrderApiId")}
    shipment = fulfilments.open_shipment(state, fields, creator=SELLING_INTEGRATION_ID)
    fulfilments.recompute_order(state, shipment.get("orderId", ""))
    if is_cancelled:
        fulfilments.cancel_shipment(state, shipment, "canceledRestock", None)
    return shipment


def _order(state: State, request: Json) -> Json:
    number = 17000 + state.next_number("order")
    sold = [
        {
            **{name: line[name] for name in ("uniqueId", "sku", "name", "quantity")},
            "itemPrice": _PRODUCTS[line["sku"]]["prices"][0]["value"],
            **SAMPLES["order_line"],
        }
        for line in request["lineItems"]
    ]
    total = sum((line["itemPrice"] * line["quantity"] for line in sold), Decimal(0))
    fields: Json = {
        **SAMPLES["order"],
        "extOrderId": f"#{number}",
        "extOrderApiId": str(5_000_000_000_000 + number),
        "extOrderCreatedAt": request["createdAt"],
        **{name: request[name] for name in ("createdAt", "orderSource", "orderSourceType", "currency")},
        "lineItems": sold,
        "subTotalPrice": total,
        "totalPrice": total,
        "shippingAddress": dict(request["shippingAddress"]),
    }
    return state.add("orders", fields, integration=SELLING_INTEGRATION_ID)
