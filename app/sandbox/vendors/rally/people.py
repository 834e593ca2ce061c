"""The other side of the Rally sandbox: what shoppers, merchants and tests do without any key, and on its page.

`README.md` lists every route, body and answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from uuid import NAMESPACE_URL, uuid5

import msgspec

from app.sandbox.bodies import Failure, Json, converted, existing, object_body
from app.sandbox.page import Field, Play, Result
from app.sandbox.routes import Routes
from app.sandbox.vendors.rally.answers import TOPICS
from app.sandbox.vendors.rally.calling import Step
from app.sandbox.vendors.rally.checkout import run_checkout, take_step
from app.sandbox.vendors.rally.findings import look_at
from app.sandbox.vendors.rally.shop import units
from app.sandbox.vendors.rally.state import Copies, Merchant, State
from app.sandbox.vendors.rally.step_requests import Checkout, StepRequest
from app.sandbox.vendors.rally.webhooks import upsert_product

MOST_PRODUCTS = 30
_QUANTITY = "quantity of "

ADMIN = Routes("/sandbox/merchants")
OF_ONE = Routes("/sandbox/merchants/<organization_id>", State.admit_merchant)


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


def plays(state: State) -> list[Play]:
    """A checkout at each merchant that anything is known of, and at the first in any case."""
    known = [
        copies for place, copies in enumerate(state.merchants.values()) if not place or copies.hooks or copies.products
    ]
    return [_checkout(state, copies) for copies in known]


def _checkout(state: State, copies: Copies) -> Play:
    name, organization_id = copies.merchant.name, copies.merchant.organization_id

    def buy(form: Mapping[str, str]) -> Result:
        requested = Checkout(skus=_wanted(form), coupon=form.get("coupon") or None, is_paid="is_paid" in form)
        done = run_checkout(state, copies, requested)
        steps = [_row(step) for step in done["steps"]]
        if done["outcome"] == "good":
            paid = f"charged {done['charged']}" if requested.is_paid else "not paid"
            return Result(True, f"Order {done['order_id']} is placed, {paid}", steps)
        return Result(False, f"{steps[-1]['step']} was not good: {steps[-1]['why']}", steps)

    missing = _missing(copies)
    fields = [*_goods(copies), Field("coupon", "Coupon code"), Field("is_paid", "The shopper pays", "on", "check")]
    about = f"A shopper of {name} ({organization_id}) makes a cart, gives an address, chooses shipping and pays."
    return Play(
        f"checkout-{organization_id}", "Play a checkout", missing or about, "" if missing else "Buy", fields, buy
    )


def _row(step: Step) -> Json:
    why = step.error or ""
    return {"step": step.topic, "status": step.status, "outcome": step.outcome, "why": why, "ms": step.duration_ms}


def _missing(copies: Copies) -> str:
    """What the connector has to do before anybody can buy, "" when all is there."""
    if not copies.hooks:
        return "No hook is registered yet: `channel rally hooks register` does it."
    if not copies.products:
        return "Rally knows no product yet: `channel send catalog_push`, then `channel send inventory_push`."
    return ""


def _goods(copies: Copies) -> Iterator[Field]:
    """How many of each variant of the first products."""
    left, shown = copies.stock_by_sku(), list(copies.products)[:MOST_PRODUCTS]
    for variant in copies.variants():
        if variant.product_id in shown:
            stock = f", {left[variant.sku]} in stock" if variant.sku in left else ""
            label = f"{variant.title}: {variant.sku}, {variant.price}{stock}"
            yield Field(f"{_QUANTITY}{variant.sku}", label, "0", "number")


def _wanted(form: Mapping[str, str]) -> dict[str, int]:
    """Raises `Failure` 400."""
    filled = {name: value for name, value in form.items() if name.startswith(_QUANTITY) and value not in ("", "0")}
    if not filled:
        raise Failure(400, "say how many of which product")
    return {name.removeprefix(_QUANTITY): units(f"{name}:", value) for name, value in filled.items()}
