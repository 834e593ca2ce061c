"""A shopper's way through Rally: each step calls the connector, and only a good answer changes Rally's copies."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any

import msgspec

from app.sandbox.bodies import Failure, Json, decode
from app.sandbox.vendors.rally.answers import REGISTER
from app.sandbox.vendors.rally.calling import Call, Step, call_hook, names_payment
from app.sandbox.vendors.rally.fields import Findings
from app.sandbox.vendors.rally.state import Copies, State
from app.sandbox.vendors.rally.step_requests import Shopping, StepRequest, make_call, wanted_lines
from app.sandbox.vendors.rally.webhooks import add_refund, set_status, upsert_product


class Checkout(Shopping, forbid_unknown_fields=True, kw_only=True):
    """A whole checkout; the package's docstring says what each field is for."""

    session: str = ""
    add: list[Json] = msgspec.field(default_factory=list)
    add_skus: dict[str, int] = msgspec.field(default_factory=dict)
    remove: list[Json] = msgspec.field(default_factory=list)
    remove_skus: dict[str, int] = msgspec.field(default_factory=dict)
    is_paid: bool = True
    create_times: Annotated[int, msgspec.Meta(ge=1)] = 1
    repeat_paid: Annotated[int, msgspec.Meta(ge=1)] = 1
    stop_after: str = ""
    wrong_signature_at: str = ""
    faults: list[Json] = msgspec.field(default_factory=list)


def take_step(state: State, organization_id: str, topic: str, requested: StepRequest) -> Step:
    """One hook call and what Rally makes of the answer.  Raises `Failure`."""
    with state.lock:
        call = make_call(state, organization_id, topic, requested)
        if (
            requested.status.lower() == "refunded"
            and requested.body is None
            and requested.raw is None
            and requested.sign == "right"
        ):
            _refund_the_rest(state, state.copies[organization_id].orders[call.resource_id])
    step = call_hook(state, organization_id, call)
    if step.is_good:
        with state.lock:
            _believe(state, state.copies[organization_id], call, step)
    return step


def run_checkout(state: State, organization_id: str, checkout: Checkout) -> Json:
    """Every step until one is not good.  Raises `Failure` when nothing can be bought."""
    steps: list[Step] = []
    cart_id, order_id = _beginning(state, organization_id, checkout), ""
    for topic, changes in _plan(state, organization_id, checkout, cart_id):
        sign = "wrong" if topic == checkout.wrong_signature_at else "right"
        requested = _requested(checkout, {"cart": cart_id, "order": order_id, "sign": sign, **changes})
        step = take_step(state, organization_id, topic, requested)
        steps.append(step)
        if not step.is_good:
            break
        if topic.startswith("cart/"):
            cart_id = step.answer["external_id"]
        else:
            order_id = step.answer.get("external_id", "")
        if topic == checkout.stop_after:
            break
    with state.lock:
        order = state.copies[organization_id].orders.get(order_id)
        return {
            "outcome": steps[-1].outcome,
            "cart_id": cart_id,
            "order_id": order_id,
            "charged": order["charged"] if order else 0,
            "steps": steps,
            "order": order,
        }


def _beginning(state: State, organization_id: str, checkout: Checkout) -> str:
    """The cart to begin with; empty when one is to be made of lines."""
    if not checkout.session:
        return checkout.cart
    with state.lock:
        session = state.copies[organization_id].sessions.get(checkout.session)
    if session is None:
        raise Failure(404, "session: no such checkout session")
    if not session["cart_id"]:
        checkout.line_items = [line for item in session["line_items"] for line in lines_of_page(item)]
    return str(session["cart_id"])


def lines_of_page(item: Json) -> list[Json]:
    """What the button sends of one product, as lines of `cart/create` (contract 9); such lines stay as they are."""
    if "variants" not in item:
        return [item]
    return [
        {
            "external_product_id": item.get("product_id", ""),
            "external_variant_id": variant.get("variant_id", ""),
            **{name: variant[name] for name in ("quantity", "price") if name in variant},
        }
        for variant in item["variants"]
    ]


def _plan(state: State, organization_id: str, checkout: Checkout, cart_id: str) -> Iterator[tuple[str, dict[str, Any]]]:
    nothing_known: dict[str, Any] = {"is_address_known": False, "shipping": "", "coupon": None}
    if not cart_id:
        with state.lock:
            lines = wanted_lines(state.copies[organization_id], checkout.line_items, checkout.skus)
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


def _requested(checkout: Checkout, changes: dict[str, Any]) -> StepRequest:
    """The shopper's part of the checkout, without what belongs to single steps."""
    of_one_step = ("line_items", "skus", "offers", "offer_skus", "offer_shipping", "transactions")
    shared = {name: getattr(checkout, name) for name in Shopping.__struct_fields__ if name not in of_one_step}
    return StepRequest(**{**shared, **changes})


def _believe(state: State, copies: Copies, call: Call, step: Step) -> None:
    answer = step.answer
    match call.topic.partition("/")[0]:
        case "cart":
            _believe_cart(copies, call, step)
        case "order" if call.topic != "order/create" or names_payment(call):
            _believe_order(state, copies, call, step)
        case "products":
            for product in answer:
                upsert_product(state, copies, product)
        case "categories":
            copies.categories |= {category["external_id"]: category for category in answer}
        case "store_information":
            copies.shop["store"] = answer
        case "register":
            copies.shop[REGISTER] = answer


def _believe_cart(copies: Copies, call: Call, step: Step) -> None:
    """Also keeps the lines as they were before they changed last: another tab may still show them."""
    answer, found = step.answer, Findings()
    fresh: Json = {"transactions": [], "order_id": None, "answer": None, "earlier_lines": []}
    known = copies.carts.get(answer["external_id"], fresh)
    lines = known["answer"]["line_items"] if known["answer"] else []
    if lines and _names(lines) != _names(answer["line_items"]):
        known = {**known, "earlier_lines": lines}
    copies.carts[answer["external_id"]] = {**known, "external_id": answer["external_id"], "answer": answer}
    if call.topic == "cart/add" and call.body:
        for item in decode(call.body).get("line_items") or []:
            if item.get("price") is not None and not any(_is_at_price(line, item) for line in answer["line_items"]):
                found.warn("line_items", "holds no line at the price Rally named for it, without a discount")
    step.warnings += found.warnings
    copies.warnings += [f"{call.topic}: {warning}" for warning in found.warnings]


def _names(lines: list[Json]) -> list[tuple[Any, ...]]:
    return [(line["external_id"], line["sku"], line["quantity"]) for line in lines]


def _is_at_price(line: Json, item: Json) -> bool:
    """Contract 9: Rally's own price holds, and no coupon touches it."""
    names = {line["external_product_id"], line["external_variant_id"], line["sku"]}
    is_same = {item.get("external_product_id"), item.get("external_variant_id")} - {"", None} <= names
    return is_same and Decimal(line["discounted_price"]) == Decimal(item["price"]) and not line["discount_amount"]


def _believe_order(state: State, copies: Copies, call: Call, step: Step) -> None:
    answer, found = step.answer, Findings()
    sent: Json = decode(call.body) if call.body else {}
    if call.topic == "order/create":
        cart = copies.carts.setdefault(
            call.resource_id,
            {"external_id": call.resource_id, "answer": {}, "transactions": [], "order_id": None, "earlier_lines": []},
        )
        if cart["order_id"] not in (None, answer["external_id"]):
            step.outcome, step.error = "faulty", "external_id is a second order of one cart"
            step.problems.append(step.error)
            return
        cart["order_id"] = answer["external_id"]
    order = copies.orders.get(answer["external_id"])
    if order is None:
        order = copies.orders[answer["external_id"]] = _new_order(state, copies, answer)
    order["answer"] = answer
    _take_money(order, sent.get("transactions") or [])
    is_called_paid = str(sent.get("status", "")).lower() == "paid" and sent.get("payment_method")
    # A `paid` that does not mention a review ends one (contract 9).
    if call.topic == "order/create" or "fraud_review_transaction" in sent or is_called_paid:
        order["is_held"] = bool(sent.get("fraud_review_transaction"))
    if is_called_paid and not order["is_held"]:
        order["is_paid"] = True
    if answer["status"] != order["status"]:
        set_status(state, order, answer["status"], "connector", found)
    if call.topic != "order/fetch":
        if order["is_paid"] and answer["status"] == "pending":
            found.warn("status", "is still pending after the order was paid")
        if order["is_held"] and answer["status"] == "paid":
            found.warn("status", "is paid though the order is under fraud review")
        if answer["status"] in ("pending", "paid") and Decimal(answer["total"]) != order["charged"]:
            found.warn("total", "is not what the shopper was charged")
    step.warnings += found.warnings
    copies.warnings += [f"{call.topic}: {warning}" for warning in found.warnings]


def _new_order(state: State, copies: Copies, answer: Json) -> Json:
    return {
        "external_id": answer["external_id"],
        "external_number": answer["external_number"],
        "cart_id": answer["cart_id"],
        "currency": copies.carts.get(answer["cart_id"], {}).get("answer", {}).get("currency", "USD"),
        "status": answer["status"],
        "statuses": [{"status": answer["status"], "at": state.stamp(), "by": "connector"}],
        "answer": answer,
        "snapshot": None,
        "transactions": [],
        "charged": Decimal(),
        "refunds": [],
        "refunded": Decimal(),
        "is_paid": False,
        "is_held": False,
        "created_at": state.stamp(),
    }


def _take_money(order: Json, transactions: list[Json]) -> None:
    known = {transaction["external_id"] for transaction in order["transactions"]}
    for transaction in transactions:
        if transaction["external_id"] not in known:
            known.add(transaction["external_id"])
            order["transactions"].append(transaction)
            order["charged"] += Decimal(transaction["amount"])


def _refund_the_rest(state: State, order: Json) -> None:
    """A refund by the merchant in Rally's own pages: Rally gives back what is left and reports it afterwards."""
    rest = order["charged"] - order["refunded"]
    if rest > 0:
        add_refund(state, order, f"rally-refund-{state.next_number('refund')}", rest, [], "rally")
    set_status(state, order, "refunded", "rally", Findings())
