"""The other side of the Rally sandbox: what shoppers, merchants and tests do, without any key.

`README.md` lists every route, body and answer.
"""

from __future__ import annotations

from uuid import NAMESPACE_URL, uuid5

import msgspec

from app.sandbox.bodies import Failure, Json, converted, object_body
from app.sandbox.routes import Routes
from app.sandbox.vendors.rally.answers import TOPICS
from app.sandbox.vendors.rally.calling import Step
from app.sandbox.vendors.rally.checkout import take_step
from app.sandbox.vendors.rally.findings import look_at
from app.sandbox.vendors.rally.state import Copies, Merchant, State
from app.sandbox.vendors.rally.step_requests import StepRequest
from app.sandbox.vendors.rally.webhooks import upsert_product

ADMIN = Routes("/sandbox/merchants")


@ADMIN.route("GET", "")
def merchants(state: State) -> Json:
    return {"merchants": list(state.merchants.values())}


@ADMIN.route("POST", "")
def add_merchant(state: State) -> Json:
    number = state.next_number("merchant") + len(state.merchants)
    made_up = {
        "organization_id": f"org-demo-{number}",
        "name": f"Demo merchant {number}",
        "client_id": str(uuid5(NAMESPACE_URL, f"https://rally.sandbox.example/added/{number}")),
        "api_keys": [f"rk_sandbox_demo_{number}"],
    }
    added = converted({**made_up, **object_body()}, Merchant)
    if added.organization_id in state.merchants:
        raise Failure(409, "organization_id is taken")
    kept = _keep_merchant(state, added)
    state.copies[added.organization_id] = Copies()
    return kept


@ADMIN.route("GET", "/<organization_id>")
def merchant(state: State, organization_id: str) -> Json:
    return state.merchant_view(organization_id)


@ADMIN.route("PUT", "/<organization_id>")
def change_merchant(state: State, organization_id: str) -> Json:
    stored = msgspec.to_builtins(state.merchant(organization_id))
    return _keep_merchant(state, converted({**stored, **object_body(), "organization_id": organization_id}, Merchant))


def _keep_merchant(state: State, stated: Merchant) -> Json:
    """A key or client id says which merchant it is, so no two may share one."""
    for other in state.merchants.values():
        is_other = other.organization_id != stated.organization_id
        if is_other and (other.client_id == stated.client_id or set(other.api_keys) & set(stated.api_keys)):
            raise Failure(409, "api_keys or client_id belong to another merchant")
    state.merchants[stated.organization_id] = stated
    return {"merchant": stated}


@ADMIN.route("GET", "/<organization_id>/<part>")
def part_of_merchant(state: State, organization_id: str, part: str) -> Json:
    view = state.merchant_view(organization_id)
    if part not in view:
        raise Failure(404, "parts are " + ", ".join(view))
    return {part: view[part]}


@ADMIN.route("GET", "/<organization_id>/<any(orders, carts):part>/<path:external_id>")
def one_record(state: State, organization_id: str, part: str, external_id: str) -> Json:
    known = state.merchant_view(organization_id)[part]
    if external_id not in known:
        raise Failure(404, "Rally knows no such one")
    return {part.removesuffix("s"): known[external_id]}


@ADMIN.route("PUT", "/<organization_id>/products/<path:product_id>")
def know_product(state: State, organization_id: str, product_id: str) -> Json:
    given = object_body().get("product")
    found = look_at("Product", given)
    if found.problems or not isinstance(given, dict) or given["external_id"] != product_id:
        raise Failure(400, "product must be a Product with the external_id of the path", found.problems)
    state.merchant(organization_id)
    upsert_product(state, state.copies[organization_id], given)
    return {"product": given}


@ADMIN.route("POST", "/<organization_id>/steps/<path:topic>", is_locked=False)
def step(state: State, organization_id: str, topic: str) -> Step:
    if topic not in TOPICS.hooks:
        raise Failure(404, "no such topic")
    requested = converted(object_body(), StepRequest)
    state.merchant(organization_id)
    return take_step(state, organization_id, topic, requested)
