"""The other side of the Rally sandbox: what shoppers, merchants and tests do, without any key.

`README.md` lists every route, body and answer.
"""

from __future__ import annotations

from uuid import NAMESPACE_URL, uuid5

import msgspec

from app.sandbox.bodies import Failure, Json, converted, existing, object_body
from app.sandbox.routes import Routes
from app.sandbox.vendors.rally.answers import TOPICS
from app.sandbox.vendors.rally.calling import Step
from app.sandbox.vendors.rally.checkout import take_step
from app.sandbox.vendors.rally.findings import look_at
from app.sandbox.vendors.rally.state import Copies, Merchant, State
from app.sandbox.vendors.rally.step_requests import StepRequest
from app.sandbox.vendors.rally.webhooks import upsert_product


def at_merchant(state: State, parts: Json) -> None:
    """Gives a function the merchant's `copies` for the path's `organization_id`.  Raises `Failure` 404."""
    parts["copies"] = state.of_merchant(parts.pop("organization_id"))


ADMIN = Routes("/sandbox/merchants")
OF_ONE = Routes("/sandbox/merchants/<organization_id>", at_merchant)


@ADMIN.route("GET", "")
def merchants(state: State) -> Json:
    return {"merchants": [copies.merchant for copies in state.merchants.values()]}


@ADMIN.route("POST", "")
def add_merchant(state: State) -> Json:
    number = state.next_number("merchant") + len(state.merchants)
    made_up = {
        "organization_id": f"org-demo-{number}",
        "name": f"Demo merchant {number}",
        "client_id": str(uuid5(NAMESPACE_URL, f"https://rally.sandbox.example/added/{number}")),
        "api_keys": [f"rk_sandbox_demo_{number}"],
    }
    added = _own(state, converted({**made_up, **object_body()}, Merchant))
    if added.organization_id in state.merchants:
        raise Failure(409, "organization_id is taken")
    state.merchants[added.organization_id] = Copies(added)
    return {"merchant": added}


@OF_ONE.route("GET", "")
def merchant(state: State, copies: Copies) -> Json:
    return copies.view()


@OF_ONE.route("PUT", "")
def change_merchant(state: State, copies: Copies) -> Json:
    stored = msgspec.to_builtins(copies.merchant)
    stated = {**stored, **object_body(), "organization_id": stored["organization_id"]}
    copies.merchant = _own(state, converted(stated, Merchant))
    return {"merchant": copies.merchant}


def _own(state: State, stated: Merchant) -> Merchant:
    """A key or client id says which merchant it is, so no two may share one.  Raises `Failure` 409."""
    for other in (copies.merchant for copies in state.merchants.values()):
        is_other = other.organization_id != stated.organization_id
        if is_other and (other.client_id == stated.client_id or set(other.api_keys) & set(stated.api_keys)):
            raise Failure(409, "api_keys or client_id belong to another merchant")
    return stated


@OF_ONE.route("GET", "/<part>")
def part_of_merchant(state: State, copies: Copies, part: str) -> Json:
    view = copies.view()
    return {part: existing(view, part, "parts are " + ", ".join(view))}


@OF_ONE.route("GET", "/<any(orders, carts):part>/<path:external_id>")
def one_record(state: State, copies: Copies, part: str, external_id: str) -> Json:
    return {part.removesuffix("s"): existing(getattr(copies, part), external_id, "Rally knows no such one")}


@OF_ONE.route("PUT", "/products/<path:product_id>")
def know_product(state: State, copies: Copies, product_id: str) -> Json:
    given = object_body().get("product")
    found = look_at("Product", given)
    if found.problems or not isinstance(given, dict) or given["external_id"] != product_id:
        raise Failure(400, "product must be a Product with the external_id of the path", found.problems)
    upsert_product(state, copies, given)
    return {"product": given}


@OF_ONE.route("POST", "/steps/<path:topic>", is_locked=False)
def step(state: State, copies: Copies, topic: str) -> Step:
    existing(TOPICS.hooks, topic, "no such topic")
    return take_step(state, copies, topic, converted(object_body(), StepRequest))
