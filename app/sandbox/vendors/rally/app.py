"""The Rally sandbox over HTTP: `/connector-api/v1` behaves as the vendor, `/sandbox` serves whoever plays its people.

`/sandbox` needs no key and is no part of Rally.
"""

from __future__ import annotations

import html
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from app.sandbox.faults import Faults, RunningServer, serve
from app.sandbox.vendors.rally.admin import add_admin
from app.sandbox.vendors.rally.fields import Failure, Findings, Json, array, filled, look_at, mapping, record, text
from app.sandbox.vendors.rally.payloads import WEBHOOKS
from app.sandbox.vendors.rally.signing import HEADER, is_signed, signed_message
from app.sandbox.vendors.rally.state import Merchant, State, decode, encode
from app.sandbox.vendors.rally.webhooks import receive, register_hook, remove_hook

BASE_PATH = "/connector-api/v1"
_ANY_METHOD = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

_session_wish = record(
    {"client_id": filled},
    {
        "cart_id": text,
        "cart_currency": text,
        "cart": lambda value, place, found: None,
        "line_items": array(mapping),
        "checkout_session_id": text,
    },
)


def create_sandbox(
    merchants: Sequence[Merchant] | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    *,
    state_file: Path | None = None,
    faults: Faults | None = None,
) -> Flask:
    """A Rally with these merchants (two made-up ones when none are given) and nothing of theirs yet.

    What `state_file` kept from an earlier run comes first.
    """
    state = State(merchants, clock, state_file)
    if not state.load():
        state.save()
    app = Flask(__name__, static_folder=None)
    app.url_map.merge_slashes = False
    any_method: dict[str, Any] = {"methods": _ANY_METHOD, "provide_automatic_options": False}

    @app.route(f"{BASE_PATH}/<path:path>", **any_method)
    def api(path: str) -> Response:
        begun = time.perf_counter()
        g.merchant, g.found, g.answer, problems = None, Findings(), None, []
        with state.lock:
            try:
                response = _answer(state, path)
            except Failure as failure:
                response = _refusal(failure)
                problems = [failure.message]
                for place, reasons in (failure.errors or {}).items():
                    problems += [f"{place} {why}".lstrip() for why in reasons]
            state.record_call(
                {
                    "direction": "received",
                    "merchant": g.merchant,
                    "method": request.method,
                    "path": path,
                    "status": response.status_code,
                    "duration_ms": round((time.perf_counter() - begun) * 1000, 1),
                    "body": _readable(request.get_data()),
                    "answer": _readable(response.get_data()),
                    "problems": problems,
                    "warnings": g.found.warnings,
                    "request_id": request.headers.get("X-Request-Id", ""),
                }
            )
        return response

    @app.route("/api/v1/checkout/auth", methods=["POST", "OPTIONS"])
    def checkout_auth() -> Response:
        """Browsers call it from the merchant's own pages, hence the open door."""
        if request.method == "OPTIONS":
            return _open_to_browsers(Response(status=204))
        with state.lock:
            try:
                answer = _json(_begin_session(state), 200)
            except Failure as failure:
                answer = _refusal(failure)
        return _open_to_browsers(answer)

    @app.get("/checkout/<session_id>")
    def checkout_page(session_id: str) -> Response:
        with state.lock:
            held = [copies.sessions[session_id] for copies in state.copies.values() if session_id in copies.sessions]
        if not held:
            return Response("no such checkout", status=404, mimetype="text/plain")
        cart = html.escape(held[0]["cart_id"] or "to be made")
        page = f"<!doctype html><title>Rally sandbox</title><h1>Checkout</h1><p>Cart: {cart}</p>"
        return Response(page, mimetype="text/html")

    @app.errorhandler(HTTPException)
    def not_ours(error: HTTPException) -> Response:
        return _json({"message": error.name}, error.code or 500)

    add_admin(app, state, faults if faults is not None else Faults(), fault_prefix=BASE_PATH)
    return app


def serve_rally(
    port: int = 0,
    *,
    merchants: Sequence[Merchant] | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    state_file: Path | None = None,
) -> RunningServer:
    """The sandbox on loopback; its API is at `.url + "/connector-api/v1"`.  Faults: `.faults` or `/sandbox/faults`."""
    faults = Faults()
    return serve(create_sandbox(merchants, clock, state_file=state_file, faults=faults), port=port, faults=faults)


def _answer(state: State, path: str) -> Response:
    organization_id = _caller(state)
    head, _, rest = path.strip("/").partition("/")
    if head == "hooks":
        return _answer_hooks(state, organization_id, rest)
    if head != "webhooks" or rest not in WEBHOOKS:
        raise Failure(404, "Not found")
    if request.method != "POST":
        raise Failure(405, "Method not allowed")
    g.found = receive(state, organization_id, rest, _body())
    return _json({"data": {"received": True}}, 202)


def _answer_hooks(state: State, organization_id: str, hook_id: str) -> Response:
    match request.method, bool(hook_id):
        case "GET", False:
            return _json({"data": state.copies[organization_id].hooks}, 200)
        case "POST", False:
            hook, g.found = register_hook(state, organization_id, _body())
            return _json({"data": hook}, 200)
        case "DELETE", True:
            hook = remove_hook(state, organization_id, hook_id)
            if state.settings.delete_status == 204:
                return Response(status=204)
            return _json({"data": hook}, 200)
    raise Failure(405, "Method not allowed")


def _caller(state: State) -> str:
    """Whose connector calls: first the key, then the signature, then its rate.  Raises `Failure` 401 or 429."""
    key = request.headers.get("X-API-KEY", "")
    merchant = state.merchant_of_key(key)
    if merchant is None:
        raise Failure(401, "Unauthenticated.")
    g.merchant = merchant.organization_id
    message = signed_message(request.get_data(), request.query_string.decode("latin-1"))
    if not is_signed(merchant.secret(key), message, request.headers.get(HEADER, "")):
        raise Failure(401, "Invalid HMAC signature")
    wait_s = state.wait_s(merchant.organization_id)
    if wait_s:
        raise Failure(429, "Too Many Attempts.", {"retry_after": [str(wait_s)]})
    return merchant.organization_id


def _body() -> Any:
    if request.mimetype != "application/json":
        raise Failure(415, "Content-Type must be application/json")
    try:
        return decode(request.get_data())
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Failure(422, "The given data was invalid.", {"": ["is not JSON"]}) from None


def _begin_session(state: State) -> Json:
    """The storefront's call (contract 5).  Raises `Failure` 401 or 422."""
    try:
        body = decode(request.get_data())
    except (msgspec.DecodeError, UnicodeDecodeError):
        body = None
    found = look_at(body, _session_wish)
    if found.problems or not isinstance(body, dict):
        raise Failure(422, "The given data was invalid.", found.problems)
    merchant = next((one for one in state.merchants.values() if one.client_id == body["client_id"]), None)
    if merchant is None:
        raise Failure(401, "Unauthenticated.")
    if not body.get("cart_id") and not body.get("line_items"):
        raise Failure(422, "The given data was invalid.", {"cart_id": ["is required without line_items"]})
    sessions = state.copies[merchant.organization_id].sessions
    session_id = body.get("checkout_session_id", "")
    if session_id not in sessions:
        session_id = f"session-{state.next_number('session')}"
    sessions[session_id] = {
        "checkout_session_id": session_id,
        "cart_id": body.get("cart_id", ""),
        "cart_currency": body.get("cart_currency", ""),
        "cart": body.get("cart"),
        "line_items": body.get("line_items", []),
        "at": state.stamp(),
    }
    return {"url": f"{request.host_url}checkout/{session_id}", "checkout_session_id": session_id}


def _open_to_browsers(answer: Response) -> Response:
    answer.headers["Access-Control-Allow-Origin"] = "*"
    answer.headers["Access-Control-Allow-Headers"] = "Content-Type"
    return answer


def _refusal(failure: Failure) -> Response:
    errors = {"errors": failure.errors} if failure.status == 422 else {}
    answer = _json({"message": failure.message, **errors}, failure.status)
    if failure.status == 429:
        answer.headers["Retry-After"] = (failure.errors or {})["retry_after"][0]
    return answer


def _readable(content: bytes) -> Any:
    try:
        return decode(content) if content else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _json(body: Json, status: int) -> Response:
    return Response(encode(body), status=status, mimetype="application/json")
