"""One way to create and to change an object: its shape, what it refers to, then what is its collection's own."""

from __future__ import annotations

from collections.abc import Callable

from app.sandbox.bodies import Failure, Json
from app.sandbox.vendors.pipe17 import fulfilments, masterdata, routing, stock
from app.sandbox.vendors.pipe17.entities import Entity, refuse_problems
from app.sandbox.vendors.pipe17.state import ApiKey, State

_CHECK: dict[str, Callable[[State, Json], None]] = {
    "locations": masterdata.refuse_location,
    "webhooks": masterdata.refuse_webhook,
}
_CREATE: dict[str, Callable[[State, ApiKey, Json], Json]] = {
    "orders": routing.create_order,
    "shipments": fulfilments.create_shipment,
    "fulfillments": fulfilments.create_fulfillment,
    "inventory": stock.report,
    "products": masterdata.create_product,
    "receipts": masterdata.create_receipt,
}
_UPDATE: dict[str, Callable[[State, ApiKey, Json, Json], Json]] = {
    "orders": routing.update_order,
    "shipments": fulfilments.update_shipment,
    "products": masterdata.update_product,
}
"""What is more than to store the fields that were sent."""


def create(state: State, caller: ApiKey, entity: Entity, body: object, *, shape: str = "create") -> Json:
    """The object as it is stored.  Raises `Failure`; nothing is changed then."""
    if not isinstance(body, dict):
        raise Failure(400, "must be an object")
    _refuse_wrong(state, entity, shape, body)
    for name, collection in entity.references.items():
        if body.get(name, "") not in ("", *state.tables[collection]):
            raise Failure(400, f"{name} is unknown")
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
    if check := _CHECK.get(entity.path):
        check(state, body)


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
