"""Stock of the sandbox: it never changes without an event, and each leaves a ledger row (contract 2.4)."""

from __future__ import annotations

import math
from decimal import Decimal

from app.sandbox.bodies import Failure, Json, existing
from app.sandbox.vendors.pipe17.entities import MODEL
from app.sandbox.vendors.pipe17.state import ApiKey, State

_CAUSE = ("entityId", "entityType", "orderId", "user")
"""Fields that say what an event is about; a record has those of its last one."""


def move(state: State, event: str, sku: str, location_id: str, quantity: int | Decimal, cause: Json) -> None:
    """Applies an event of the Inventory Engine; nothing moves while that is off, as it is by default (contract 9).

    SKUs that are unknown or not tracked have no stock to move.

    Quantities are 32-bit integers, so a fraction of a unit takes the whole unit off the shelf.
    """
    product = state.products_by_sku.get(sku)
    if not state.settings.inventory_engine or product is None or product.get("inventoryNotTracked"):
        return
    row = _record(state, sku, location_id, integration=None)
    units = math.ceil(quantity)
    changes = {column: row[column] + sign * units for column, sign in MODEL.stock_events[event].items()}
    _apply(state, row, event, units, changes, cause)


def adjust(state: State, sku: str, location_id: str, *, changed_by: int = 0, **figures: int) -> Json:
    """What Pipe17's people do by hand: sell, count, correct.  The engine's switch does not matter to it.

    `changed_by` is added to `onHand`, `figures` replace columns.  Raises `Failure`.
    """
    _product_at(state, sku, location_id)
    row = _record(state, sku, location_id, integration=None)
    changes = {"onHand": row["onHand"] + changed_by, **figures}
    _apply(state, row, "adjust", changes["onHand"] - row["onHand"], changes, {"user": "sandbox user"})
    return row


def has_stock(state: State, sku: str, location_id: str, quantity: int | Decimal) -> bool:
    product = state.products_by_sku.get(sku)
    if product is not None and product.get("bundleItems"):
        parts = product["bundleItems"]
        return all(has_stock(state, part["sku"], location_id, part["quantity"] * quantity) for part in parts)
    if product is None or product.get("inventoryNotTracked"):
        return True
    row = state.stock_rows.get((sku, location_id))
    return row is not None and row["available"] >= quantity


def report(state: State, caller: ApiKey, body: Json) -> Json:
    """One element of `POST /inventory`.  Raises `Failure`; nothing is changed then."""
    event, sku, location_id = body["event"], body["sku"], body["locationId"]
    product, location = _product_at(state, sku, location_id)
    if event == "ingest":
        _refuse_ingest(state, caller, body, product, location)
    given: Json = {name: body[name] for name in MODEL.reported_columns if name in body}
    if not given:
        raise Failure(400, "adjust needs at least one quantity")
    row = _record(state, sku, location_id, integration=caller.integration)
    moved = given["onHand"] - row["onHand"] if "onHand" in given else 0
    marks: Json = {name: body[name] for name in ("vendorSKU", "label", "tags") if name in body}
    cause: Json = {name: body[name] for name in _CAUSE if name in body}
    _apply(state, row, event, moved, given | marks, cause, integration=caller.integration)
    return row


def _product_at(state: State, sku: str, location_id: str) -> tuple[Json, Json]:
    """Product and location.  Raises `Failure` 400."""
    product = existing(state.products_by_sku, sku, "sku is unknown", status=400)
    return product, existing(state.tables["locations"], location_id, "locationId is unknown", status=400)


def _refuse_ingest(state: State, caller: ApiKey, body: Json, product: Json, location: Json) -> None:
    if "committed" in body:
        raise Failure(400, "committed is kept by Pipe17 and cannot be ingested")
    if "onHand" not in body:
        raise Failure(400, "onHand is required with ingest")
    if location["status"] != "active":
        raise Failure(400, "the location is not active")
    owner = location.get("fulfillmentIntegrationId")
    if caller.integration is not None and owner not in (None, "", caller.integration):
        raise Failure(400, "the location belongs to another fulfilment integration")
    row = state.stock_rows.get((body["sku"], body["locationId"]))
    published = [item for item in product.get("published", []) if item["integrationId"] == caller.integration]
    if any(holder.get("inventoryNotTracked") for holder in (product, row or {}, *published)):
        raise Failure(400, "the record is locked: inventory is not tracked for this sku")


def _record(state: State, sku: str, location_id: str, *, integration: str | None) -> Json:
    row = state.stock_rows.get((sku, location_id))
    if row is None:
        start = {"sku": sku, "locationId": location_id, "type": "physical", **dict.fromkeys(MODEL.stock_columns, 0)}
        row = state.add("inventory", start, integration=integration)
    return row


def _apply(
    state: State, row: Json, event: str, moved: int, changes: Json, cause: Json, *, integration: str | None = None
) -> None:
    after = {**row, **changes}
    available = after["onHand"] - after["committed"] - after["unavailable"]
    promised = after["onHand"] - after["committed"] + after["future"] - after["committedFuture"]
    computed = {"available": available, "availableToPromise": promised, "event": event, "quantity": moved}
    for name in _CAUSE:
        row.pop(name, None)
    state.change("inventory", row, {**changes, **computed, **cause})
    entry = {**row, "ledgerId": state.new_id("ledger"), "createdAt": row["updatedAt"]}
    if integration:
        entry["integration"] = integration
    state.ledger.append(entry)
