"""The other side of the Pipe17 sandbox: what its users, its router and a test do without any key, and on its page."""

from __future__ import annotations

from collections.abc import Mapping

from app.sandbox.bodies import Failure, Json, converted, existing, object_body
from app.sandbox.page import Field, Play, Result
from app.sandbox.routes import Routes
from app.sandbox.vendors.pipe17 import fulfilments, stock
from app.sandbox.vendors.pipe17.entities import ENTITIES, MODEL
from app.sandbox.vendors.pipe17.seed import add_shipments
from app.sandbox.vendors.pipe17.state import PEOPLE, ApiKey, State
from app.sandbox.vendors.pipe17.writes import create, merged

ROUTES = Routes("/sandbox")


@ROUTES.route("POST", "/shipments", takes="people.shipments")
def more_shipments(state: State, body: Json) -> Json:
    """`shipment`: one as the router makes it; or `count` further ones."""
    if isinstance(body.get("shipment"), dict):
        return {"shipments": [create(state, PEOPLE, ENTITIES["shipments"], body["shipment"])]}
    return {"shipments": add_shipments(state, body["count"])}


@ROUTES.route("POST", "/shipments/<shipment_id>/cancel", takes="people.cancel")
def cancel(state: State, shipment_id: str, body: Json) -> Json:
    """`is_blanked` also does what a privacy policy does to requests that are over."""
    shipment = state.found("shipments", shipment_id)
    fulfilments.cancel_shipment(state, shipment, body.get("status", "canceledRestock"), None)
    if body.get("is_blanked"):
        state.change("shipments", shipment, {"shippingAddress": {}})
    return {"shipment": shipment}


@ROUTES.route("POST", "/shipments/<shipment_id>/release")
def release(state: State, shipment_id: str) -> Json:
    shipment = state.found("shipments", shipment_id)
    fulfilments.release_shipment(state, shipment)
    return {"shipment": shipment}


@ROUTES.route("DELETE", "/shipments/<shipment_id>")
def delete(state: State, shipment_id: str) -> Json:
    """Soft: it leaves the lists unless they ask for `deleted`."""
    shipment = state.found("shipments", shipment_id)
    return {"shipment": state.change("shipments", shipment, {"deletedAt": state.stamp()})}


@ROUTES.route("PUT", "/integrations/<integration_id>", takes="people.integration")
def change_integration(state: State, integration_id: str, body: Json) -> Json:
    """`status` sets it, also to `deleted`; `settings` (path to value) changes setting fields or adds them;
    `entities` (name to direction, "" unticks) changes the In/Out ticks."""
    stored = state.found("integrations", integration_id)
    fields = stored["settings"]["fields"]
    for path, value in body.get("settings", {}).items():
        fields = merged(fields, "path", {"path": path, "value": value}, {"type": "string", "secret": False})
    ticks = stored["entities"]
    for name, direction in body.get("entities", {}).items():
        ticks = merged(ticks, "name", {"name": name, "direction": direction})
    changes = {
        "status": body.get("status") or stored["status"],
        "settings": {"fields": fields},
        "entities": [row for row in ticks if row["direction"]],
    }
    return {"integration": state.change("integrations", stored, changes)}


@ROUTES.route("PUT", "/products/<sku>", takes="people.ticks")
def change_product(state: State, sku: str, body: Json) -> Json:
    """What its users tick: `published` changes the integration's row it names, and `inventoryNotTracked`,
    with `locationId` of one stock record, says whose stock is locked; unlocking with `is_restored` brings back
    the figures from before the lock (contract 9)."""
    stored = state.products_by_sku.get(sku)
    row = state.stock_rows.get((sku, body.get("locationId", "")))
    if stored is None or ("locationId" in body and row is None):
        raise Failure(404, "No results")
    if body.get("published"):
        published = merged(stored["published"], "integrationId", body["published"])
        state.change("products", stored, {"published": published})
    flag = {name: value for name, value in body.items() if name == "inventoryNotTracked"}
    if row is not None:
        if flag.get("inventoryNotTracked"):
            row["_beforeLock"] = {name: row[name] for name in MODEL.reported_columns}
        elif flag and body.get("is_restored"):
            stock.adjust(state, sku, row["locationId"], **row.pop("_beforeLock", {}))
        state.change("inventory", row, flag)
    elif flag:
        state.change("products", stored, flag)
    return {"product": stored}


@ROUTES.route("POST", "/locations")
def new_location(state: State) -> Json:
    """A location that a user makes in Pipe17's pages."""
    return {"location": create(state, PEOPLE, ENTITIES["locations"], object_body())}


@ROUTES.route("PUT", "/inventory/<path:sku>", takes="people.inventory")
def count(state: State, sku: str, body: Json) -> Json:
    """What happens to one record (`locationId`) without us: figures such as `onHand` are counted by hand, or units
    are `sold` or `returned`."""
    location_id = body.pop("locationId", "")
    changed_by = body.pop("returned", 0) - body.pop("sold", 0)
    return {"inventory": stock.adjust(state, sku, location_id, changed_by=changed_by, **body)}


@ROUTES.route("POST", "/products", takes="people.products")
def more_products(state: State, body: Json) -> Json:
    """`product`: one that a user makes; or `count` further ones whose SKUs begin with `prefix`."""
    if isinstance(body.get("product"), dict):
        return {"product": create(state, PEOPLE, ENTITIES["products"], body["product"], shape="byPeople")}
    skus = [f"{body.get('prefix', 'EXTRA-')}{number:05d}" for number in range(1, body["count"] + 1)]
    for sku in skus:
        state.add("products", {"sku": sku, "name": sku, "types": ["simple"]}, integration=None)
    return {"skus": skus}


@ROUTES.route("PUT", "/keys")
def change_key(state: State) -> Json:
    """Adds a key or replaces it, for instance to take a grant away."""
    stated = converted(object_body(), ApiKey)
    state.keys[stated.key] = stated
    return {"integration": stated.integration, "methods": stated.methods}


def plays(state: State) -> list[Play]:
    """Shipping requests to make, and those that can be cancelled."""

    how_many = Field("count", "How many", "1", "number")

    def make(form: Mapping[str, str]) -> Result:
        with state.lock:
            made = add_shipments(state, how_many.whole(form))
            return Result(True, f"{len(made)} shipping requests wait in the queue", [_row(row) for row in made])

    def cancel(form: Mapping[str, str]) -> Result:
        with state.lock:
            shipments, message = state.tables["shipments"], "there is no such shipping request"
            shipment = existing(shipments, form.get("shipment", ""), message)
            fulfilments.cancel_shipment(state, shipment, "canceledRestock", None)
            return Result(True, "Cancelled before it was shipped", [_row(shipment)])

    about = "Orders of a shop, routed to our locations; `channel send order_pull` hands them to RetailOps."
    found = [Play("shipments", "Make shipping requests", about, "Make them", [how_many], make)]
    shipments = state.tables["shipments"].values()
    open_ones = [row for row in shipments if row["status"] in fulfilments.TAKES_FULFILLMENTS][-50:]
    if open_ones:
        choices = {
            row["shipmentId"]: f"{row['extOrderId'] or row['extShipmentId']}: {row['status']}"
            for row in reversed(open_ones)
        }
        which = Field("shipment", "Which", "", "choice", choices)
        about = "The shop's customer calls the order off."
        found.append(Play("cancel", "Cancel a shipping request", about, "Cancel it", [which], cancel))
    return found


def _row(shipment: Json) -> Json:
    return {name: shipment.get(name, "") for name in ("shipmentId", "extOrderId", "status")}
