"""The Retail Rocket sandbox over HTTP: a path prefix for each vendor host, and `/sandbox` for people and tests.

`/apptracking/1.0`, `/tracking/1.0`, `/api/api`, `/cdn/api` and `/externalapi/api/3.0` behave as the hosts of those
names; `/sandbox` needs no key and is no part of the vendor.  Answers are `{}`, for no body is documented.  Choices
where the contract leaves them open: 401 for a wrong pair of key and store, 403 for a blocked store, 400 for anything
wrong in a body, 404 for other paths.  HTTP/1.1 only; the loyalty module (contract 2.12) is not played.
"""

from __future__ import annotations

import hmac
import re
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import requests
from flask import Flask, Response, request

from app.sandbox.bodies import Failure, Json, api_body, json_answer
from app.sandbox.faults import Faults
from app.sandbox.host import Account, Options, Vendor, serve_sandbox
from app.sandbox.page import Field, Play, Result
from app.sandbox.server import RunningServer
from app.sandbox.state import Clock, real_clock
from app.sandbox.vendors.retailrocket import products, uploads
from app.sandbox.vendors.retailrocket.admin import add_admin
from app.sandbox.vendors.retailrocket.fields import EVENTS, check_event
from app.sandbox.vendors.retailrocket.poller import poll
from app.sandbox.vendors.retailrocket.state import API_KEY, PARTNER_ID, SECOND_API_KEY, SECOND_PARTNER_ID, State

TRACKING_PATH, API_PATH, CDN_PATH = "/apptracking/1.0", "/api/api", "/cdn/api"
MOST_BATCH = 1000

POLL_EVERY_S = 15.0
"""How often `channel sandbox` fetches the feed; the vendor pauses 15 minutes to 2 hours."""

FEED_HINT = "`channel retailrocket feed` shows it"

_SIGNATURE = re.compile(r"[0-9a-f]{64}")


class RetailRocket(Vendor):
    """The sandbox of two stores."""

    title = "Retail Rocket"
    port_offset = 3
    accounts = (
        Account(API_KEY, PARTNER_ID, "api_key and partner_id of a store"),
        Account(SECOND_API_KEY, SECOND_PARTNER_ID, "those of another store"),
    )

    def start(self, port: int, options: Options) -> RunningServer:
        """It fetches the feed that the page, or `PUT /sandbox/settings {"feed_url": ...}`, names."""
        return serve_retailrocket(port, state_file=options.state_file, poll_every_s=POLL_EVERY_S)

    def add_routes(self, app: Flask, state: State, faults: Faults) -> None:
        _add_api(app, state)
        add_admin(app, state)

    def refusal(self, state: State, failure: Failure) -> Response:
        reply = json_answer({"error": failure.message}, failure.status)
        if failure.status == 429 and state.settings.retry_after_s:
            reply.headers["Retry-After"] = str(state.settings.retry_after_s)
        return reply

    def http_error(self, status: int, name: str) -> Response:
        return json_answer({"error": name}, status)

    def plays(self, state: State) -> list[Play]:
        def fetch(form: Mapping[str, str]) -> Result:
            url = form.get("url", "")
            if not url.startswith(("http://", "https://")):
                raise Failure(400, "the address of the feed must begin with http:// or https://")
            with state.lock:
                state.settings = msgspec.structs.replace(state.settings, feed_url=url)
            done = poll(state, url)
            what = done["fault"] or f"imported {done['imported']}, skipped {done['skipped']} of its offers"
            if done["status"] == 304:
                what = "unchanged since the last time"
            return Result(done["status"] in (200, 304), f"The shop answered {done['status'] or 'nothing'}: {what}", [])

        url = Field("url", "Address of the feed", state.settings.feed_url, hint=FEED_HINT)
        about = "The vendor fetches a shop's feed every 15 minutes to 2 hours; this one every 15 s from now on."
        return [Play("feed", "Fetch the feed", about, "Fetch now", [url], fetch)]


VENDOR = RetailRocket()


def serve_retailrocket(
    port: int = 0,
    *,
    clock: Clock = real_clock,
    state_file: Path | None = None,
    poll_every_s: float = 0.0,
) -> RunningServer:
    """Two stores on loopback, empty or as kept in `state_file`.  Faults: `.faults` or `/sandbox/faults`.

    With `poll_every_s` it fetches the feed that `/sandbox/settings` names that often.  Raises `ValueError`,
    `LookupError` or `TypeError` for a file that is not its own.
    """
    state = State(clock=clock, state_file=state_file)
    state.load()
    running = serve_sandbox(VENDOR, state, port=port)
    if poll_every_s:
        poller = threading.Thread(target=_poll_on, args=(running.url, poll_every_s), name="poller", daemon=True)
        poller.start()
    return running


def _add_api(app: Flask, state: State) -> None:
    # Events (contract 2.4 to 2.6, 2.10)

    @app.post(f"{TRACKING_PATH}/visitorEvents")
    def batch() -> Response:
        _known_caller(state, "apiKey", request.args.get("partnerId", ""))
        given = _body()
        if not isinstance(given, list) or not 0 < len(given) <= MOST_BATCH:
            raise Failure(400, f"the body must be an array of 1 to {MOST_BATCH} events")
        events = [_enveloped(place, envelope) for place, envelope in enumerate(given)]
        visitors = {body["sessionExternalId"] for _, body in events}
        _enter(state, visitors)
        try:
            time.sleep(state.settings.batch_delay_s)
            with state.lock:
                for kind, body in events:
                    _keep_event(state, kind, body, "batch")
        finally:
            with state.lock:
                state.in_flight.subtract(visitors)
        return json_answer({})

    @app.post(f"{TRACKING_PATH}/<kind>")
    def event(kind: str) -> Response:
        if kind not in EVENTS or kind.startswith("impression"):
            raise Failure(404, "unknown path")
        _known_caller(state, "apiKey", request.args.get("partnerId", ""))
        body = check_event(kind, _body())
        with state.lock:
            _keep_event(state, kind, body, "single")
        return json_answer({})

    # The browser's shapes (contract 2.3, 2.6, 2.7)

    @app.get("/tracking/1.0/event/initialize/<partner>")
    def initialize(partner: str) -> Response:
        _known_store(state, partner)
        return json_answer({"sessionId": f"{time.monotonic_ns():032x}"})

    @app.get("/tracking/1.0/event/order/<partner>/<int:number>")
    def browser_order(partner: str, number: int) -> Response:
        _known_store(state, partner)
        query = request.args
        try:
            body = {
                "sessionExternalId": query.get("session", ""),
                "productId": number,
                "price": float(query.get("price", "")),
                "quantity": float(query.get("qnt", "")),
                "transaction": query.get("transaction", ""),
                "timestamp": state.stamp(),
            }
        except ValueError:
            raise Failure(400, "price and qnt must be numbers") from None
        with state.lock:
            _keep_event(state, "order", check_event("order", body), "browser")
        return json_answer({})

    @app.post("/tracking/1.0/event/setCustomer/<partner>")
    def customer(partner: str) -> Response:
        _known_store(state, partner)
        with state.lock:
            _keep_event(state, "setCustomer", _object(), "browser")
        return json_answer({})

    @app.post("/tracking/1.0/partner/<partner>/categories/", defaults={"number": ""})
    @app.post("/tracking/1.0/partner/<partner>/categories/<number>")
    def category(partner: str, number: str) -> Response:
        _known_store(state, partner)
        body = _object()
        path = body.get("CategoryPath") or body.get("categoryPath")
        key = body.get("Id") or body.get("id") or path
        if not body.get("Uri") or not key:
            raise Failure(400, "Uri, and Id or CategoryPath, are required")
        with state.lock:
            state.categories[str(key)] = body
        return json_answer({})

    # Products (contract 2.2, 2.3)

    @app.post(f"{CDN_PATH}/1.0/partner/<partner>/<any(products, productsgroup):kind>/<int:number>")
    def product(partner: str, kind: str, number: int) -> Response:
        _known_store(state, partner)
        _check_signature(state)
        body = _body()
        sent = request.args.get("contentHash")
        take = products.take_product if kind == "products" else products.take_group
        with state.lock:
            if sent is not None and sent != str(products.content_hash(request.get_data(as_text=True))):
                state.warnings.append(f"contentHash of {kind}/{number} does not match its body")
            take(state, number, request.args.to_dict(), body)
        return json_answer({})

    @app.get(f"{API_PATH}/1.0/partner/<partner>/items/")
    def items(partner: str) -> Response:
        _known_store(state, partner)
        numbers = request.args.get("itemsIds", "").split(",")
        with state.lock:
            shown = {str(item["id"]): item for item in products.visible(state, state.clock())}
        return json_answer([products.item(shown[number]) for number in numbers if number in shown])

    @app.get("/externalapi/api/3.0/<path:resource>")
    def recommendations(resource: str) -> Response:
        _known_caller(state, "apiKey", request.args.get("partnerId", ""))
        with state.lock:
            found = [item["id"] for item in products.visible(state, state.clock()) if item["isAvailable"]]
        return json_answer({"recommendations": [{"productId": number} for number in found[:10]]})

    # Uploads (contract 2.8, 2.9)

    @app.post(f"{API_PATH}/2.0/partner/<partner>/<any(transaction, subscribers):kind>")
    def upload(partner: str, kind: str) -> Response:
        _known_caller(state, "apikey", partner)
        take = uploads.take_orders if kind == "transaction" else uploads.take_subscribers
        with state.lock:
            return json_answer({"rows": take(state, request.get_data())})


def _poll_on(url: str, every_s: float) -> None:
    """Until the sandbox is stopped."""
    with requests.Session() as session:
        session.trust_env = False
        while True:
            time.sleep(every_s)
            try:
                session.post(f"{url}/sandbox/poll", timeout=60)
            except requests.RequestException:
                return


def _known_store(state: State, partner: str) -> None:
    with state.lock:
        if partner not in state.keys:
            raise Failure(401, "no such store")
        if partner in state.settings.blocked:
            raise Failure(403, "the store is blocked")
        if state.wait_s(partner, state.settings.rate_limit_rps):
            raise Failure(429, "too many requests")


def _known_caller(state: State, key_name: str, partner: str) -> None:
    expected = state.keys.get(partner, "")
    given = request.args.get(key_name, "")
    if not expected or not hmac.compare_digest(expected.encode(), given.encode()):
        raise Failure(401, "this key is not the store's")
    _known_store(state, partner)


def _check_signature(state: State) -> None:
    if not state.settings.is_signed:
        return
    signature = request.args.get("signature")
    if signature is None:
        raise Failure(403, "unsigned calls are not allowed")
    if not _SIGNATURE.fullmatch(signature) or not re.fullmatch(r"\d{14}", request.args.get("validTill", "")):
        raise Failure(400, "the signature is wrong")


def _enter(state: State, visitors: set[str]) -> None:
    with state.lock:
        if any(state.in_flight[visitor] > 0 for visitor in visitors):
            state.warnings.append("two batches for one visitor were under way together")
            if state.settings.overlap_status:
                raise Failure(state.settings.overlap_status, "an earlier batch for this visitor is under way")
        state.in_flight.update(visitors)


def _enveloped(place: int, envelope: Any) -> tuple[str, Json]:
    if not isinstance(envelope, dict) or len(envelope) != 1:
        raise Failure(400, f"[{place}] must be an object with one key")
    ((kind, body),) = envelope.items()
    if kind not in EVENTS:
        raise Failure(400, f"[{place}] names no known event")
    return kind, check_event(kind, body, f"[{place}].")


def _keep_event(state: State, kind: str, body: Json, way: str) -> None:
    state.events.append({"at": state.stamp(), "kind": kind, "way": way, "body": body})


def _body() -> Any:
    return api_body(has_decimals=False)


def _object() -> Json:
    body = _body()
    if not isinstance(body, dict):
        raise Failure(400, "the body must be an object")
    return body
