"""The other side of the Pipe17 sandbox: what its users, its router and a test do, without any key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from flask import Flask, Response, request

from app.sandbox.faults import Faults
from app.sandbox.vendors.pipe17 import fulfilling, masterdata, stock
from app.sandbox.vendors.pipe17.entities import ENTITIES, INVENTORY_QUANTITIES
from app.sandbox.vendors.pipe17.fields import Failure, Json, integer, mappings, refuse_problems
from app.sandbox.vendors.pipe17.seed import add_shipments, seed
from app.sandbox.vendors.pipe17.state import ApiKey, Settings, State, decode, encode

PEOPLE = ApiKey("", None, {})
"""Who works in Pipe17's own pages."""


class IntegrationChange(msgspec.Struct, forbid_unknown_fields=True):
    """What the pages of Pipe17 let its people do to an integration; what is empty stays as it is."""

    status: str = ""
    settings: dict[str, Any] = {}
    entities: dict[str, Literal["in", "out", "both", ""]] = {}


def add_admin(app: Flask, state: State, faults: Faults, *, fault_prefix: str) -> None:
    """Adds `/sandbox/...` to the application; every change is saved before it is answered."""

    @app.errorhandler(Failure)
    def refused(failure: Failure) -> Response:
        return _json({"success": False, "message": failure.message, "errors": failure.errors}, failure.status)

    @app.get("/sandbox/state")
    def show_state() -> Response:
        with state.lock:
            return _json({**state.as_json(), "faults": faults.as_json()})

    @app.route("/sandbox/settings", methods=["GET", "PUT"])
    def settings() -> Response:
        with state.lock:
            if request.method == "PUT":
                wanted = msgspec.to_builtins(state.settings) | _plain_body()
                had_engine = state.settings.inventory_engine
                try:
                    state.settings = msgspec.convert(wanted, Settings)
                except msgspec.ValidationError as fault:
                    raise Failure(400, str(fault)) from None
                if state.settings.inventory_engine and not had_engine:
                    fulfilling.switch_engine_on(state)
                state.save()
            return _json(msgspec.to_builtins(state.settings))

    @app.route("/sandbox/faults", methods=["GET", "POST", "DELETE"])
    def rules() -> Response:
        if request.method == "POST":
            try:
                faults.add(_plain_body(), within=fault_prefix)
            except ValueError as fault:
                raise Failure(400, str(fault)) from None
        elif request.method == "DELETE":
            faults.clear()
        return _json({"faults": faults.as_json()})

    @app.post("/sandbox/reset")
    def reset() -> Response:
        body = _body()
        shipments, rng_seed = body.get("shipments", 12), body.get("seed", 17)
        if not _is_count(shipments, low=0) or not isinstance(rng_seed, int):
            raise Failure(400, "shipments and seed must be integers")
        with state.lock:
            faults.clear()
            seed(state, shipments=shipments, rng_seed=rng_seed)
            state.save()
            return _json({"shipments": len(state.tables["shipments"])})

    @app.post("/sandbox/shipments")
    def more_shipments() -> Response:
        body = _body()
        with state.lock:
            given = body.get("shipment")
            if isinstance(given, dict):
                entity = ENTITIES["shipments"]
                refuse_problems(given, entity.create, entity.required)
                made = [fulfilling.create_shipment(state, None, given)]
            elif _is_count(body.get("count"), low=1):
                made = add_shipments(state, int(body["count"]))
            else:
                raise Failure(400, "give count (1 to 10000) or shipment (an object)")
            state.save()
            return _json({"shipments": made})

    @app.post("/sandbox/shipments/<shipment_id>/cancel")
    def cancel(shipment_id: str) -> Response:
        """`is_blanked` also does what a privacy policy does to requests that are over."""
        body = _body()
        status = body.get("status", "canceledRestock")
        if status not in fulfilling.CANCELLED:
            raise Failure(400, "status must be one of " + ", ".join(fulfilling.CANCELLED))
        with state.lock:
            shipment = _shipment(state, shipment_id)
            fulfilling.cancel_shipment(state, shipment, status, None)
            if body.get("is_blanked"):
                state.change("shipments", shipment, {"shippingAddress": {}})
            state.save()
            return _json({"shipment": shipment})

    @app.post("/sandbox/shipments/<shipment_id>/release")
    def release(shipment_id: str) -> Response:
        with state.lock:
            shipment = _shipment(state, shipment_id)
            fulfilling.release_shipment(state, shipment)
            state.save()
            return _json({"shipment": shipment})

    @app.delete("/sandbox/shipments/<shipment_id>")
    def delete(shipment_id: str) -> Response:
        """Soft: it leaves the lists unless they ask for `deleted`."""
        with state.lock:
            shipment = _shipment(state, shipment_id)
            state.change("shipments", shipment, {"deletedAt": state.stamp()})
            state.save()
            return _json({"shipment": shipment})

    @app.put("/sandbox/integrations/<integration_id>")
    def integration(integration_id: str) -> Response:
        """`status` sets it, also to `deleted`; `settings` (path to value) changes setting fields or adds them;
        `entities` (name to direction, "" unticks) changes the In/Out ticks."""
        body = _body()
        try:
            change = msgspec.convert(body, IntegrationChange)
        except msgspec.ValidationError as fault:
            raise Failure(400, str(fault)) from None
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
            state.save()
            return _json({"integration": stored})

    @app.put("/sandbox/products/<sku>")
    def product(sku: str) -> Response:
        """What its users tick: `published` changes the integration's row it names, and `inventoryNotTracked`,
        with `locationId` of one stock record, says whose stock is locked; unlocking with `is_restored` brings back
        the figures from before the lock (contract 9)."""
        body = _body()
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
            state.save()
            return _json({"product": stored})

    @app.post("/sandbox/locations")
    def new_location() -> Response:
        """A location that a user makes in Pipe17's pages."""
        body = _body()
        entity = ENTITIES["locations"]
        with state.lock:
            refuse_problems(body, entity.create, entity.required)
            made = masterdata.create_location(state, PEOPLE, body)
            state.save()
            return _json({"location": made})

    @app.put("/sandbox/inventory/<path:sku>")
    def count(sku: str) -> Response:
        """What happens to one record (`locationId`) without us: figures such as `onHand` are counted by hand, or units
        are `sold` or `returned`."""
        body = _body()
        location_id = body.pop("locationId", "")
        known = {"sold", "returned", *INVENTORY_QUANTITIES}
        if not body or not body.keys() <= known or any(integer(value) for value in body.values()):
            raise Failure(400, "give locationId and whole numbers of " + ", ".join(sorted(known)))
        with state.lock:
            changed_by = body.pop("returned", 0) - body.pop("sold", 0)
            row = stock.adjust(state, sku, str(location_id), changed_by=changed_by, **body)
            state.save()
            return _json({"inventory": row})

    @app.post("/sandbox/products")
    def more_products() -> Response:
        """`product`: one that a user makes; or `count` further ones whose SKUs begin with `prefix`."""
        body = _body()
        given = body.get("product")
        if isinstance(given, dict):
            entity = ENTITIES["products"]
            with state.lock:
                refuse_problems(given, {**entity.create, "published": mappings}, entity.required)
                made = masterdata.create_product(state, PEOPLE, given)
                state.save()
                return _json({"product": made})
        if not _is_count(body.get("count"), low=1):
            raise Failure(400, "count must be an integer from 1 to 10000")
        prefix = str(body.get("prefix", "EXTRA-"))
        with state.lock:
            skus = [f"{prefix}{number:05d}" for number in range(1, int(body["count"]) + 1)]
            for sku in skus:
                fields = {"sku": sku, "name": sku, "status": "active", "types": ["simple"], "published": []}
                state.add("products", fields, integration=None)
            state.save()
        return _json({"skus": skus})

    @app.put("/sandbox/keys")
    def key() -> Response:
        """Adds a key or replaces it, for instance to take a grant away."""
        try:
            wanted = msgspec.convert(_body(), ApiKey)
        except msgspec.ValidationError as fault:
            raise Failure(400, str(fault)) from None
        with state.lock:
            state.keys[wanted.key] = wanted
            state.save()
        return _json({"integration": wanted.integration, "methods": wanted.methods})


def _shipment(state: State, shipment_id: str) -> Json:
    shipment = state.tables["shipments"].get(shipment_id)
    if shipment is None:
        raise Failure(404, "No results")
    return shipment


def _is_count(value: object, *, low: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= 10_000


def _body() -> Json:
    raw = request.get_data()
    try:
        body = decode(raw) if raw else {}
    except msgspec.DecodeError:
        raise Failure(400, "the body is not JSON") from None
    if not isinstance(body, dict):
        raise Failure(400, "the body must be an object")
    return body


def _plain_body() -> Json:
    """Settings and rules hold seconds, not money: numbers are read as floats."""
    _body()
    raw = request.get_data()
    plain: Json = msgspec.json.decode(raw) if raw else {}
    return plain


def _json(body: Mapping[str, object], status: int = 200) -> Response:
    return Response(encode(body), status=status, mimetype="application/json")
