"""The other side of the Pipe17 sandbox: what its users, its router and a test do, without any key."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from flask import Flask, Response

from app.sandbox.bodies import Failure, Json, converted, json_answer, object_body
from app.sandbox.vendors.pipe17 import fulfilments, stock
from app.sandbox.vendors.pipe17.entities import ENTITIES, SHAPES
from app.sandbox.vendors.pipe17.seed import add_shipments
from app.sandbox.vendors.pipe17.state import PEOPLE, ApiKey, State
from app.sandbox.vendors.pipe17.stock import INVENTORY_QUANTITIES
from app.sandbox.vendors.pipe17.writes import create


class IntegrationChange(msgspec.Struct, forbid_unknown_fields=True):
    """What the pages of Pipe17 let its people do to an integration; what is empty stays as it is."""

    status: str = ""
    settings: dict[str, Any] = {}
    entities: dict[str, Literal["in", "out", "both", ""]] = {}


def add_admin(app: Flask, state: State) -> None:
    """Adds what is Pipe17's own below `/sandbox/` to the application."""

    @app.post("/sandbox/shipments")
    def more_shipments() -> Response:
        body = object_body()
        with state.lock:
            given = body.get("shipment")
            if isinstance(given, dict):
                made = [create(state, PEOPLE, ENTITIES["shipments"], given)]
            elif is_count(body.get("count"), low=1):
                made = add_shipments(state, int(body["count"]))
            else:
                raise Failure(400, "give count (1 to 10000) or shipment (an object)")
            return json_answer({"shipments": made})

    @app.post("/sandbox/shipments/<shipment_id>/cancel")
    def cancel(shipment_id: str) -> Response:
        """`is_blanked` also does what a privacy policy does to requests that are over."""
        body = object_body()
        status = body.get("status", "canceledRestock")
        if status not in fulfilments.CANCELLED:
            raise Failure(400, "status must be one of " + ", ".join(fulfilments.CANCELLED))
        with state.lock:
            shipment = _shipment(state, shipment_id)
            fulfilments.cancel_shipment(state, shipment, status, None)
            if body.get("is_blanked"):
                state.change("shipments", shipment, {"shippingAddress": {}})
            return json_answer({"shipment": shipment})

    @app.post("/sandbox/shipments/<shipment_id>/release")
    def release(shipment_id: str) -> Response:
        with state.lock:
            shipment = _shipment(state, shipment_id)
            fulfilments.release_shipment(state, shipment)
            return json_answer({"shipment": shipment})

    @app.delete("/sandbox/shipments/<shipment_id>")
    def delete(shipment_id: str) -> Response:
        """Soft: it leaves the lists unless they ask for `deleted`."""
        with state.lock:
            shipment = _shipment(state, shipment_id)
            state.change("shipments", shipment, {"deletedAt": state.stamp()})
            return json_answer({"shipment": shipment})

    @app.put("/sandbox/integrations/<integration_id>")
    def integration(integration_id: str) -> Response:
        """`status` sets it, also to `deleted`; `settings` (path to value) changes setting fields or adds them;
        `entities` (name to direction, "" unticks) changes the In/Out ticks."""
        body = object_body()
        change = converted(body, IntegrationChange)
        with state.lock:
            stored = state.tables["integrations"].get(integration_id)
            if stored is None:
                raise Failure(404, "No results")
            fields = {field["path"]: field for field in stored["settings"]["fields"]}
            for path, value in change.settings.items():
                known = fields.get(path, {"path": path, "type": "string", "secret": False})
                fields[path] = known | {"value": value}
            changed = {"fields": list(fields.values())}
            ticks = {row["name"]: row for row in stored["entities"]}
            for name, direction in change.entities.items():
                ticks[name] = {**ticks.get(name, {}), "name": name, "direction": direction}
            entities = [row for row in ticks.values() if row["direction"]]
            status = change.status or stored["status"]
            state.change("integrations", stored, {"status": status, "settings": changed, "entities": entities})
            return json_answer({"integration": stored})

    @app.put("/sandbox/products/<sku>")
    def product(sku: str) -> Response:
        """What its users tick: `published` changes the integration's row it names, and `inventoryNotTracked`,
        with `locationId` of one stock record, says whose stock is locked; unlocking with `is_restored` brings back
        the figures from before the lock (contract 9)."""
        body = object_body()
        with state.lock:
            stored = state.products_by_sku.get(sku)
            row = state.stock_rows.get((sku, body.get("locationId", "")))
            if stored is None or ("locationId" in body and row is None):
                raise Failure(404, "No results")
            flag = {"inventoryNotTracked": body["inventoryNotTracked"]} if "inventoryNotTracked" in body else {}
            given = body.get("published")
            if given is not None:
                named = given["integrationId"]
                own: Json = next((item for item in stored["published"] if item["integrationId"] == named), {})
                others = [item for item in stored["published"] if item["integrationId"] != named]
                state.change("products", stored, {"published": [*others, {**own, **given}]})
            if row is not None:
                if flag.get("inventoryNotTracked"):
                    row["_beforeLock"] = {name: row[name] for name in INVENTORY_QUANTITIES}
                elif flag and body.get("is_restored"):
                    stock.adjust(state, sku, row["locationId"], **row.pop("_beforeLock", {}))
                state.change("inventory", row, flag)
            elif flag:
                state.change("products", stored, flag)
            return json_answer({"product": stored})

    @app.post("/sandbox/locations")
    def new_location() -> Response:
        """A location that a user makes in Pipe17's pages."""
        body = object_body()
        with state.lock:
            return json_answer({"location": create(state, PEOPLE, ENTITIES["locations"], body)})

    @app.put("/sandbox/inventory/<path:sku>")
    def count(sku: str) -> Response:
        """What happens to one record (`locationId`) without us: figures such as `onHand` are counted by hand, or units
        are `sold` or `returned`."""
        body = object_body()
        location_id = body.pop("locationId", "")
        if SHAPES.problems("inventory.byPeople", body):
            known = sorted({"sold", "returned", *INVENTORY_QUANTITIES})
            raise Failure(400, "give locationId and whole numbers of " + ", ".join(known))
        with state.lock:
            changed_by = body.pop("returned", 0) - body.pop("sold", 0)
            row = stock.adjust(state, sku, str(location_id), changed_by=changed_by, **body)
            return json_answer({"inventory": row})

    @app.post("/sandbox/products")
    def more_products() -> Response:
        """`product`: one that a user makes; or `count` further ones whose SKUs begin with `prefix`."""
        body = object_body()
        given = body.get("product")
        if isinstance(given, dict):
            with state.lock:
                return json_answer({"product": create(state, PEOPLE, ENTITIES["products"], given, shape="byPeople")})
        if not is_count(body.get("count"), low=1):
            raise Failure(400, "count must be an integer from 1 to 10000")
        prefix = str(body.get("prefix", "EXTRA-"))
        with state.lock:
            skus = [f"{prefix}{number:05d}" for number in range(1, int(body["count"]) + 1)]
            for sku in skus:
                fields = {"sku": sku, "name": sku, "status": "active", "types": ["simple"], "published": []}
                state.add("products", fields, integration=None)
        return json_answer({"skus": skus})

    @app.put("/sandbox/keys")
    def key() -> Response:
        """Adds a key or replaces it, for instance to take a grant away."""
        stated = converted(object_body(), ApiKey)
        with state.lock:
            state.keys[stated.key] = stated
        return json_answer({"integration": stated.integration, "methods": stated.methods})


def _shipment(state: State, shipment_id: str) -> Json:
    shipment = state.tables["shipments"].get(shipment_id)
    if shipment is None:
        raise Failure(404, "No results")
    return shipment


def is_count(value: object, *, low: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= 10_000
