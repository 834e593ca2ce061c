"""The Rally sandbox over HTTP: `/connector-api/v1` behaves as the vendor, `/sandbox` serves whoever plays its people.

`/sandbox` needs no key and is no part of Rally.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path

from flask import Flask, Response, g, request

from app.sandbox.bodies import Failure, Json, api_body, converted, json_answer, readable
from app.sandbox.faults import Faults, RunningServer
from app.sandbox.host import ANY_METHOD, Account, Options, Vendor, serve_sandbox
from app.sandbox.page import Play
from app.sandbox.state import Clock, real_clock
from app.sandbox.vendors.rally import shopping
from app.sandbox.vendors.rally.admin import add_admin
from app.sandbox.vendors.rally.fields import Findings, array, filled, look_at, mapping, record, text
from app.sandbox.vendors.rally.payloads import WEBHOOKS
from app.sandbox.vendors.rally.signing import HEADER, is_signed, signed_message
from app.sandbox.vendors.rally.state import Merchant, State, default_merchants
from app.sandbox.vendors.rally.webhooks import receive, register_hook, remove_hook

BASE_PATH = "/connector-api/v1"

_session_body = record(
    {"client_id": filled},
    {
        "cart_id": text,
        "cart_currency": text,
        "cart": lambda value, place, found: None,
        "line_items": array(mapping),
        "checkout_session_id": text,
    },
)


class Rally(Vendor):
    """The sandbox of two merchants, with nothing of theirs yet: catalogue and orders come from the connector."""

    title = "Rally"
    base_path = BASE_PATH
    port_offset = 1
    accounts = tuple(
        Account(one.api_keys[0], one.organization_id, f"{one.name}, client id {one.client_id}")
        for one in default_merchants()
    )

    def start(self, port: int, options: Options) -> RunningServer:
        return serve_rally(port, state_file=options.state_file)

    def add_routes(self, app: Flask, state: State, faults: Faults) -> None:
        @app.route(f"{BASE_PATH}/<path:path>", **ANY_METHOD)
        def api(path: str) -> Response:
            g.merchant, g.found, g.problems = None, Findings(), []
            with state.lock:
                return _answer(state, path)

        _add_storefront(app, state)
        add_admin(app, state, lambda rule: self.add_fault(state, faults, rule))

    def refusal(self, state: State, failure: Failure) -> Response:
        errors = failure.errors if isinstance(failure.errors, Mapping) else {}
        g.problems = [failure.message]
        for place, reasons in errors.items():
            g.problems += [f"{place} {why}".lstrip() for why in reasons]
        shown = {"errors": failure.errors} if failure.status == 422 else {}
        answer = json_answer({"message": failure.message, **shown}, failure.status)
        if failure.status == 429:
            answer.headers["Retry-After"] = errors["retry_after"][0]
        return answer

    def describe_call(self, response: Response) -> Json:
        return {
            **super().describe_call(response),
            "direction": "received",
            "merchant": g.get("merchant"),
            "path": request.path.removeprefix(f"{BASE_PATH}/"),
            "body": readable(request.get_data()),
            "answer": readable(response.get_data()),
            "problems": g.get("problems", []),
            "warnings": g.found.warnings if "found" in g else [],
        }

    def fault_headers(self, state: State, rule: Json) -> Mapping[str, list[str]]:
        """`merchant`: the rule is for the connector of this one."""
        organization_id = rule.pop("merchant", None)
        if organization_id is None:
            return {}
        with state.lock:
            return {"X-API-KEY": list(state.merchant(converted(organization_id, str)).api_keys)}

    def reset(self, state: State, body: Json) -> Json:
        state.clear()
        return {"merchants": list(state.merchants.values())}

    def plays(self, state: State) -> list[Play]:
        return shopping.plays(state)


VENDOR = Rally()


def serve_rally(
    port: int = 0,
    *,
    merchants: Sequence[Merchant] | None = None,
    clock: Clock = real_clock,
    state_file: Path | None = None,
) -> RunningServer:
    """These merchants (two made-up ones when none are given), or what `state_file` kept, on loopback.

    The API is at `.url + "/connector-api/v1"`.  Faults: `.faults` or `/sandbox/faults`.
    """
    state = State(merchants, clock, state_file)
    if not state.load():
        state.save()
    return serve_sandbox(VENDOR, state, port=port)


def _add_storefront(app: Flask, state: State) -> None:
    """What browsers call from the merchant's own pages, hence the open door, and the page they are sent to."""

    @app.route("/api/v1/checkout/auth", methods=["POST", "OPTIONS"])
    def checkout_auth() -> Response:
        if request.method == "OPTIONS":
            return _open_to_browsers(Response(status=204))
        with state.lock:
            try:
                answer = json_answer(_begin_session(state))
            except Failure as failure:
                answer = VENDOR.refusal(state, failure)
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


def _answer(state: State, path: str) -> Response:
    organization_id = _caller(state)
    head, _, rest = path.strip("/").partition("/")
    if head == "hooks":
        return _answer_hooks(state, organization_id, rest)
    if head != "webhooks" or rest not in WEBHOOKS:
        raise Failure(404, "Not found")
    if request.method != "POST":
        raise Failure(405, "Method not allowed")
    g.found = receive(state, organization_id, rest, api_body(wrong_type=415, wrong_json=422))
    return json_answer({"data": {"received": True}}, 202)


def _answer_hooks(state: State, organization_id: str, hook_id: str) -> Response:
    match request.method, bool(hook_id):
        case "GET", False:
            return json_answer({"data": state.copies[organization_id].hooks})
        case "POST", False:
            hook, g.found = register_hook(state, organization_id, api_body(wrong_type=415, wrong_json=422))
            return json_answer({"data": hook})
        case "DELETE", True:
            hook = remove_hook(state, organization_id, hook_id)
            if state.settings.delete_status == 204:
                return Response(status=204)
            return json_answer({"data": hook})
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
    wait_s = state.wait_s(merchant.organization_id, state.settings.rate_per_s)
    if wait_s:
        raise Failure(429, "Too Many Attempts.", {"retry_after": [str(wait_s)]})
    return merchant.organization_id


def _begin_session(state: State) -> Json:
    """The storefront's call (contract 5).  Raises `Failure` 401 or 422."""
    body = readable(request.get_data())
    found = look_at(body, _session_body)
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
