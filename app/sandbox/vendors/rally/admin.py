"""The other side of the Rally sandbox: what shoppers, merchants and tests do, without any key.

`README.md` lists every route, body and answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import msgspec
from flask import Flask, Response, request

from app.sandbox.bodies import Failure, Json, converted, json_answer, object_body
from app.sandbox.vendors.rally.answers import TOPICS
from app.sandbox.vendors.rally.checkout import run_checkout, take_step
from app.sandbox.vendors.rally.findings import look_at
from app.sandbox.vendors.rally.state import Copies, Merchant, State
from app.sandbox.vendors.rally.step_requests import Checkout, StepRequest
from app.sandbox.vendors.rally.webhooks import upsert_product

_MERCHANT = "/sandbox/merchants/<organization_id>"


def add_admin(app: Flask, state: State, add_fault: Callable[[Json], None]) -> None:
    """Adds what is Rally's own below `/sandbox/` to the application."""

    @app.route("/sandbox/merchants", methods=["GET", "POST"])
    def merchants() -> Response:
        with state.lock:
            if request.method == "POST":
                return json_answer({"merchant": _add_merchant(state, object_body())})
            return json_answer({"merchants": list(state.merchants.values())})

    @app.route(_MERCHANT, methods=["GET", "PUT"])
    def merchant(organization_id: str) -> Response:
        with state.lock:
            stored = state.merchant(organization_id)
            if request.method == "GET":
                return json_answer(state.merchant_view(organization_id))
            changes = {**object_body(), "organization_id": organization_id}
            changed = converted(msgspec.to_builtins(stored) | changes, Merchant)
            _refuse_taken(state, changed)
            state.merchants[organization_id] = changed
            return json_answer({"merchant": changed})

    @app.get(f"{_MERCHANT}/<part>")
    def part(organization_id: str, part: str) -> Response:
        with state.lock:
            view = state.merchant_view(organization_id)
            if part not in view:
                raise Failure(404, "parts are " + ", ".join(view))
            return json_answer({part: view[part]})

    @app.get(f"{_MERCHANT}/<any(orders, carts):part>/<path:external_id>")
    def one_record(organization_id: str, part: str, external_id: str) -> Response:
        with state.lock:
            known = state.merchant_view(organization_id)[part]
            if external_id not in known:
                raise Failure(404, "Rally knows no such one")
            return json_answer({part.removesuffix("s"): known[external_id]})

    @app.put(f"{_MERCHANT}/products/<path:product_id>")
    def product(organization_id: str, product_id: str) -> Response:
        given = object_body().get("product")
        found = look_at("Product", given)
        if found.problems or not isinstance(given, dict) or given["external_id"] != product_id:
            raise Failure(400, "product must be a Product with the external_id of the path", found.problems)
        with state.lock:
            state.merchant(organization_id)
            upsert_product(state, state.copies[organization_id], given)
        return json_answer({"product": given})

    @app.post(f"{_MERCHANT}/steps/<path:topic>")
    def step(organization_id: str, topic: str) -> Response:
        if topic not in TOPICS.hooks:
            raise Failure(404, "no such topic")
        requested = converted(object_body(), StepRequest)
        state.merchant(organization_id)
        return json_answer(take_step(state, organization_id, topic, requested))

    @app.post(f"{_MERCHANT}/checkouts")
    def checkout(organization_id: str) -> Response:
        stated = converted(object_body(), Checkout)
        state.merchant(organization_id)
        for rule in converted(object_body(has_decimals=False).get("faults", []), list[dict[str, Any]]):
            add_fault({**rule, "merchant": organization_id})
        return json_answer(run_checkout(state, organization_id, stated))


def _add_merchant(state: State, given: Json) -> Merchant:
    number = state.next_number("merchant") + len(state.merchants)
    made_up = {
        "organization_id": f"org-demo-{number}",
        "name": f"Demo merchant {number}",
        "client_id": str(uuid5(NAMESPACE_URL, f"https://rally.sandbox.example/added/{number}")),
        "api_keys": [f"rk_sandbox_demo_{number}"],
    }
    added = converted({**made_up, **given}, Merchant)
    if added.organization_id in state.merchants:
        raise Failure(409, "organization_id is taken")
    _refuse_taken(state, added)
    state.merchants[added.organization_id] = added
    state.copies[added.organization_id] = Copies()
    return added


def _refuse_taken(state: State, stated: Merchant) -> None:
    """A key or client id says which merchant it is, so no two may share one."""
    for other in state.merchants.values():
        is_other = other.organization_id != stated.organization_id
        if is_other and (other.client_id == stated.client_id or set(other.api_keys) & set(stated.api_keys)):
            raise Failure(409, "api_keys or client_id belong to another merchant")
