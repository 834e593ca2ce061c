"""A shopper's way through Rally: each step calls the connector, and only a good answer changes Rally's copies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from app.sandbox.bodies import Json, existing
from app.sandbox.vendors.rally.calling import Step, call_hook
from app.sandbox.vendors.rally.effects import take_answer
from app.sandbox.vendors.rally.findings import Findings
from app.sandbox.vendors.rally.hook_bodies import make_call, wanted_lines
from app.sandbox.vendors.rally.state import Copies, State
from app.sandbox.vendors.rally.step_requests import Checkout, Shopping, StepRequest
from app.sandbox.vendors.rally.webhooks import add_refund, set_status

Planned = tuple[str, Json]
"""A topic, and what the step has of its own."""


def take_step(state: State, copies: Copies, topic: str, requested: StepRequest) -> Step:
    """One hook call and what Rally makes of the answer.  Raises `Failure`."""
    with state.lock:
        call = make_call(state, copies, topic, requested)
        is_right = requested.body is None and requested.raw is None and requested.sign == "right"
        if is_right and requested.status.lower() == "refunded" and call.resource_id in copies.orders:
            _refund_the_rest(state, copies.orders[call.resource_id])
    step = call_hook(state, copies, call)
    if step.is_good:
        with state.lock:
            take_answer(state, copies, call, step)
    return step


class Progress(msgspec.Struct):
    """How far a shopper has come."""

    cart_id: str
    order_id: str = ""
    steps: list[Step] = []


def take_steps(state: State, copies: Copies, plan: Iterable[Planned], cart_id: str, **shared: Any) -> Progress:
    """Takes step after step until one is not good; all are about the same cart and order."""
    done = Progress(cart_id)
    for topic, changes in plan:
        stated = {**shared, "cart": done.cart_id, "order": done.order_id, **changes}
        step = take_step(state, copies, topic, StepRequest(**stated))
        done.steps.append(step)
        if not step.is_good:
            break
        if topic.startswith("cart/"):
            done.cart_id = step.answer["external_id"]
        else:
            done.order_id = step.answer.get("external_id", "")
    return done


def run_checkout(state: State, copies: Copies, checkout: Checkout) -> Json:
    """Every step until one is not good.  Raises `Failure` when nothing can be bought."""
    cart_id = _beginning(state, copies, checkout)
    of_one_step = ("cart", "line_items", "skus", "offers", "offer_skus", "offer_shipping", "transactions")
    shared = {name: getattr(checkout, name) for name in Shopping.__struct_fields__ if name not in of_one_step}
    plan = _spoiled(checkout, _plan(state, copies, checkout, cart_id))
    done = take_steps(state, copies, plan, cart_id, **shared)
    with state.lock:
        order = copies.orders.get(done.order_id)
        charged = order["charged"] if order else 0
        return {"outcome": done.steps[-1].outcome, **msgspec.structs.asdict(done), "charged": charged, "order": order}


def _beginning(state: State, copies: Copies, checkout: Checkout) -> str:
    """The cart to begin with; empty when one is to be made of lines."""
    if not checkout.session:
        return checkout.cart
    with state.lock:
        session = existing(copies.sessions, checkout.session, "session: no such checkout session")
    if not session["cart_id"]:
        checkout.line_items = lines_of_session(session)
    return str(session["cart_id"])


def lines_of_session(session: Json) -> list[Json]:
    """What the button sent of each product, as lines of `cart/create` (contract 9); such lines stay as they are."""
    lines: list[Json] = []
    for item in session["line_items"]:
        if "variants" not in item:
            lines.append(item)
        for variant in item.get("variants", ()):
            product_id, variant_id = item.get("product_id", ""), variant.get("variant_id", "")
            shown = {name: variant[name] for name in ("quantity", "price") if name in variant}
            lines.append({"external_product_id": product_id, "external_variant_id": variant_id, **shown})
    return lines


def _plan(state: State, copies: Copies, checkout: Checkout, cart_id: str) -> Iterator[Planned]:
    nothing_known: Json = {"is_address_known": False, "shipping": "", "coupon": None}
    if not cart_id:
        with state.lock:
            lines = wanted_lines(copies, checkout.line_items, checkout.skus)
        yield "cart/create", {"line_items": lines}
    yield "cart/fetch", {}
    yield "cart/update", nothing_known
    yield "cart/update", {"shipping": "", "coupon": None}
    if checkout.coupon is not None:
        yield "cart/update", {"shipping": ""}
    if checkout.add or checkout.add_skus:
        yield "cart/add", {"line_items": checkout.add, "skus": checkout.add_skus}
    if checkout.remove or checkout.remove_skus:
        yield "cart/remove", {"line_items": checkout.remove, "skus": checkout.remove_skus}
    yield "cart/update", {}
    for _ in range(checkout.create_times):
        yield "order/create", {"transactions": checkout.transactions}
    offers = {"offers": checkout.offers, "offer_skus": checkout.offer_skus, "offer_shipping": checkout.offer_shipping}
    if any(offers.values()):
        yield "order/update", offers
    for _ in range(checkout.repeat_paid if checkout.is_paid else 0):
        yield "order/update", {"status": "paid"}


def _spoiled(checkout: Checkout, plan: Iterable[Planned]) -> Iterator[Planned]:
    """The plan with what is to go wrong, up to the step that is to be the last."""
    for topic, changes in plan:
        yield topic, {"sign": "wrong" if topic == checkout.wrong_signature_at else "right", **changes}
        if topic == checkout.stop_after:
            return


def _refund_the_rest(state: State, order: Json) -> None:
    """A refund by the merchant in Rally's own pages: Rally gives back what is left and reports it afterwards."""
    rest = order["charged"] - order["refunded"]
    if rest > 0:
        add_refund(state, order, f"rally-refund-{state.next_number('refund')}", rest, [], "rally")
    set_status(state, order, "refunded", "rally", Findings())
