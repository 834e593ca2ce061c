"""The vendor's hosts, each below a path of its own (contract 2)."""

from __future__ import annotations

import hmac
import re
import time

from flask import request

from app.sandbox.bodies import Failure, Json
from app.sandbox.routes import Admission, Routes
from app.sandbox.vendors.retailrocket import products, uploads
from app.sandbox.vendors.retailrocket.checks import checked
from app.sandbox.vendors.retailrocket.state import KEYS, State

TRACKING_PATH, API_PATH, CDN_PATH = "/apptracking/1.0", "/api/api", "/cdn/api"


def _of_store(key_name: str = "") -> Admission:
    """Admits a known store that may call, and with a `key_name` only whoever sends its key in that parameter."""

    def admit(state: State, parts: Json) -> None:
        partner = parts.pop("partner", None) or request.args.get("partnerId", "")
        sent = request.args.get(key_name, "")
        if key_name and not hmac.compare_digest(KEYS.get(partner, "").encode(), sent.encode()):
            raise Failure(401, "this key is not the store's")
        if partner not in KEYS:
            raise Failure(401, "no such store")
        if partner in state.settings.blocked:
            raise Failure(403, "the store is blocked")
        if state.wait_s(partner, state.settings.rate_limit_rps):
            raise Failure(429, "too many requests", retry_after_s=state.settings.retry_after_s)

    return admit


def _signed(state: State, parts: Json) -> None:
    signature, valid_till = request.args.get("signature"), request.args.get("validTill", "")
    if not state.settings.is_signed:
        return
    if signature is None:
        raise Failure(403, "unsigned calls are not allowed")
    if not re.fullmatch(r"[0-9a-f]{64}", signature) or not re.fullmatch(r"\d{14}", valid_till):
        raise Failure(400, "the signature is wrong")


EVENTS = Routes(TRACKING_PATH, _of_store("apiKey"))
BROWSER = Routes("/tracking/1.0", _of_store())
PRODUCTS = Routes(f"{CDN_PATH}/1.0/partner/<partner>", _of_store(), _signed)
ITEMS = Routes(f"{API_PATH}/1.0/partner/<partner>", _of_store())
UPLOADS = Routes(f"{API_PATH}/2.0/partner/<partner>", _of_store("apikey"))
RECOMMENDATIONS = Routes("/externalapi/api/3.0", _of_store("apiKey"))

ROUTES = (EVENTS, BROWSER, PRODUCTS, ITEMS, UPLOADS, RECOMMENDATIONS)


@EVENTS.route("POST", "/visitorEvents", takes="batch", is_locked=False)
def batch(state: State, body: list[Json]) -> Json:
    """Events in their order, all or none; the answer comes late (contract 2.5)."""
    events = [event for envelope in body for event in envelope.items()]
    visitors = {event["sessionExternalId"] for _, event in events}
    with state.lock:
        in_flight = state.in_flight
        if any(in_flight[visitor] > 0 for visitor in visitors):
            state.warnings.append("two batches for one visitor were under way together")
            if state.settings.overlap_status:
                raise Failure(state.settings.overlap_status, "an earlier batch for this visitor is under way")
        in_flight.update(visitors)
    try:
        time.sleep(state.settings.batch_delay_s)
        with state.lock:
            for kind, event in events:
                state.add_event(kind, event, "batch")
    finally:
        with state.lock:
            in_flight.subtract(visitors)
    return {}


@EVENTS.route("POST", "/<kind>", takes="event.{kind}")
def event(state: State, kind: str, body: Json) -> Json:
    """One event (contract 2.4, 2.6, 2.10); impressions come in batches only."""
    state.add_event(kind, body, "single")
    return {}


@BROWSER.route("GET", "/event/initialize/<partner>")
def initialize(state: State) -> Json:
    return {"sessionId": f"{time.monotonic_ns():032x}"}


@BROWSER.route("GET", "/event/order/<partner>/<int:number>")
def browser_order(state: State, number: int) -> Json:
    """An order line as the shop's page reports it (contract 2.7)."""
    query = request.args
    try:
        price, quantity = float(query.get("price", "")), float(query.get("qnt", ""))
    except ValueError:
        raise Failure(400, "price and qnt must be numbers") from None
    body = {
        "sessionExternalId": query.get("session", ""),
        "productId": number,
        "price": price,
        "quantity": quantity,
        "transaction": query.get("transaction", ""),
        "timestamp": state.stamp(),
    }
    state.add_event("order", checked("event.order", body, "order"), "browser")
    return {}


@BROWSER.route("POST", "/event/setCustomer/<partner>", takes="object")
def customer(state: State, body: Json) -> Json:
    state.add_event("setCustomer", body, "browser")
    return {}


@BROWSER.route("POST", "/partner/<partner>/categories/", takes="object")
@BROWSER.route("POST", "/partner/<partner>/categories/<number>", takes="object")
def category(state: State, body: Json, number: str = "") -> Json:
    """A page of a category (contract 2.3)."""
    path = body.get("CategoryPath") or body.get("categoryPath")
    key = body.get("Id") or body.get("id") or path
    if not body.get("Uri") or not key:
        raise Failure(400, "Uri, and Id or CategoryPath, are required")
    state.categories[str(key)] = body
    return {}


@PRODUCTS.route("POST", "/<any(products, productsgroup):kind>/<int:number>", takes="{kind}")
def product(state: State, kind: str, number: int, body: Json) -> Json:
    """A product or a group of variants, whole (contract 2.2)."""
    sent = request.args.get("contentHash")
    if sent is not None and sent != str(products.content_hash(request.get_data(as_text=True))):
        state.warnings.append(f"contentHash of {kind}/{number} does not match its body")
    products.take(state, kind, number, request.args, body)
    return {}


@ITEMS.route("GET", "/items/")
def items(state: State) -> list[Json]:
    """Products read back by their ids; unknown ones are left out (contract 2.3)."""
    shown = {str(item["id"]): products.item(item) for item in products.visible(state)}
    return [shown[number] for number in request.args.get("itemsIds", "").split(",") if number in shown]


@RECOMMENDATIONS.route("GET", "/<path:resource>")
def recommendations(state: State, resource: str) -> Json:
    """The first products there are, whatever is asked (contract 2.11)."""
    found = [item["id"] for item in products.visible(state) if item["isAvailable"]]
    return {"recommendations": [{"productId": number} for number in found[:10]]}


@UPLOADS.route("POST", "/<any(transaction, subscribers):kind>")
def upload(state: State, kind: str) -> Json:
    """A CSV file of order lines or of subscribers (contract 2.8, 2.9)."""
    take = uploads.take_orders if kind == "transaction" else uploads.take_subscribers
    return {"rows": take(state, request.get_data())}
