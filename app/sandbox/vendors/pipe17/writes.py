"""One way to create and to change an object: its shape, what it refers to, then what is its collection's own."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from app.sandbox.bodies import Failure, Json
from app.sandbox.vendors.pipe17 import fulfilments, routing, stock
from app.sandbox.vendors.pipe17.entities import Entity, refuse_problems
from app.sandbox.vendors.pipe17.state import ApiKey, State

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def _create_product(state: State, caller: ApiKey, body: Json) -> Json:
    if body["sku"] in state.products_by_sku:
        raise Failure(409, "sku exists already")
    return state.add("products", _product_fields(state, caller, body, []), integration=caller.integration)


def _update_product(state: State, caller: ApiKey, product: Json, body: Json) -> Json:
    """Every integration may write `mappedProduct`; anything else only the owner, or all if there is none."""
    changes = _product_fields(state, caller, body, product["published"])
    owner = product.get("integration")
    if body.keys() - {"mappedProduct"} and caller.integration is not None and owner not in (None, caller.integration):
        raise Failure(409, "the product is owned by another integration; only mappedProduct may be written")
    if changes.get("sku", product["sku"]) != product["sku"] and changes["sku"] in state.products_by_sku:
        raise Failure(409, "sku exists already")
    return state.change("products", product, changes)


def _product_fields(state: State, caller: ApiKey, body: Json, published: list[Json]) -> Json:
    """The fields to store: a `mappedProduct` becomes the caller's row of `published`.  Raises `Failure` 400."""
    fields = dict(body)
    mapped = fields.pop("mappedProduct", None)
    if mapped is None:
        return fields
    own = caller.integration
    if own is None:
        raise Failure(400, "mappedProduct can be written by integrations only")
    if mapped.get("integrationId", own) != own:
        raise Failure(400, "mappedProduct.integrationId is not this integration")
    row = {**mapped, "integrationId": own, "updatedAt": state.stamp(), "updatedBy": own}
    return {**fields, "published": merged(published, "integrationId", row)}


def merged(rows: list[Json], key: str, row: Json, new: Json | None = None) -> list[Json]:
    """The rows with `row` merged into the one of the same key; where there is none it is added, with `new` below."""
    if all(other[key] != row[key] for other in rows):
        return [*rows, {**(new or {}), **row}]
    return [{**other, **row} if other[key] == row[key] else other for other in rows]


def _refuse_webhook(state: State, body: Json) -> None:
    """Raises `Failure` 400 for one that nobody may be sent, or with a key or topic that is not there."""
    address = urlsplit(body.get("url", "http://localhost"))
    if address.scheme not in ("http", "https") or address.hostname not in _LOOPBACK:
        raise Failure(400, "url must be http on loopback: a sandbox calls nobody else")
    if "apikey" in body and body["apikey"] not in state.keys:
        raise Failure(400, "apikey is unknown")
    if not state.tables.keys() >= set(body.get("topics", [])):
        raise Failure(400, "topics holds an unknown topic")


def _create_receipt(state: State, caller: ApiKey, body: Json) -> Json:
    """A receipt for a return says that its goods are here; the event `receive` belongs to arrivals, which the
    sandbox does not have."""
    receipt = state.add("receipts", body, integration=caller.integration)
    returned = state.tables["returns"].get(body.get("returnId", ""))
    if returned is not None:
        state.change("returns", returned, {"status": "received"})
    return receipt


_CREATE: dict[str, Callable[[State, ApiKey, Json], Json]] = {
    "orders": routing.create_order,
    "shipments": fulfilments.create_shipment,
    "fulfillments": fulfilments.create_fulfillment,
    "inventory": stock.report,
    "products": _create_product,
    "receipts": _create_receipt,
}
_UPDATE: dict[str, Callable[[State, ApiKey, Json, Json], Json]] = {
    "orders": routing.update_order,
    "shipments": fulfilments.update_shipment,
    "products": _update_product,
}
"""What is more than to store the fields that were sent."""


def create(state: State, caller: ApiKey, entity: Entity, body: object, *, shape: str = "create") -> Json:
    """The object as it is stored.  Raises `Failure`; nothing is changed then."""
    if not isinstance(body, dict):
        raise Failure(400, "must be an object")
    _refuse_wrong(state, entity, shape, body)
    _refuse_taken(state, caller, entity, body)
    if entity.path in _CREATE:
        return _CREATE[entity.path](state, caller, body)
    return state.add(entity.path, body, integration=caller.integration)


def update(state: State, caller: ApiKey, entity: Entity, stored: Json, body: object) -> Json:
    """The object with these fields changed.  Raises `Failure`; nothing is changed then."""
    if not isinstance(body, dict):
        raise Failure(400, "the body must be an object")
    if entity.path == "shipments" and not body.keys().isdisjoint(("lineItems", "shippingAddress")):
        raise Failure(400, "a shipment cannot be edited: lineItems and shippingAddress are fixed")
    _refuse_wrong(state, entity, "update", body)
    if entity.path in _UPDATE:
        return _UPDATE[entity.path](state, caller, stored, body)
    return state.change(entity.path, stored, body)


def _refuse_wrong(state: State, entity: Entity, shape: str, body: Json) -> None:
    refuse_problems(f"{entity.path}.{shape}", body)
    for name, collection in entity.references.items():
        if body.get(name, "") not in ("", *state.tables[collection]):
            raise Failure(400, f"{name} is unknown")
    if entity.path == "webhooks":
        _refuse_webhook(state, body)


def _refuse_taken(state: State, caller: ApiKey, entity: Entity, body: Json) -> None:
    """A number of the caller's own names one object for ever, also while that is not visible yet.

    Raises `Failure` 409, which names the object that has the number.
    """
    name = entity.own_number
    if name not in body:
        return
    for stored in state.tables[entity.path].values():
        if stored.get(name) == body[name] and stored.get("integration") == caller.integration:
            raise Failure(409, f"{name} exists already", [f"it is that of {stored[entity.id_field]}"])
