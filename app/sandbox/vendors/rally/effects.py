"""What a good answer of a hook changes in Rally's copies: carts, orders, money, products."""

from __future__ import annotations

from copy import deepcopy
from decimal import Decimal
from typing import Any

from app.sandbox.bodies import Json, amount
from app.sandbox.vendors.rally.answers import REGISTER
from app.sandbox.vendors.rally.calling import Step
from app.sandbox.vendors.rally.findings import Findings
from app.sandbox.vendors.rally.state import SAMPLES, Copies, State
from app.sandbox.vendors.rally.step_requests import Call
from app.sandbox.vendors.rally.webhooks import set_status, upsert_product


def take_answer(state: State, copies: Copies, call: Call, step: Step) -> None:
    """Rally believes a good answer; what it wonders at is a warning of the step.  Hold the state's lock."""
    answer, found = step.answer, Findings()
    match call.topic.partition("/")[0]:
        case "cart":
            _take_cart(copies, call, answer, found)
        case "order" if not call.places_nothing:
            _take_order(state, copies, call, step, found)
        case "products":
            for product in answer:
                upsert_product(state, copies, product)
        case "categories":
            copies.categories |= {category["external_id"]: category for category in answer}
        case "store_information":
            copies.shop["store"] = answer
        case "register":
            copies.shop[REGISTER] = answer
    step.warnings += found.warnings
    copies.warnings += [f"{call.topic}: {warning}" for warning in found.warnings]


def _cart(copies: Copies, cart_id: str) -> Json:
    """Rally's record of a cart, made where there is none."""
    return copies.carts.setdefault(cart_id, {"external_id": cart_id, **deepcopy(SAMPLES.cart_record)})


def _take_cart(copies: Copies, call: Call, answer: Json, found: Findings) -> None:
    """Also keeps the lines as they were before they changed last: another tab may still show them."""
    known = _cart(copies, answer["external_id"])
    lines = known["answer"].get("line_items", [])
    if lines and _names(lines) != _names(answer["line_items"]):
        known["earlier_lines"] = lines
    known["answer"] = answer
    if call.topic == "cart/add":
        for item in _rows(call.sent(), "line_items"):
            price = amount(item.get("price"))
            if price is not None and not any(_is_at_price(line, item, price) for line in answer["line_items"]):
                found.warn("line_items", "holds no line at the price Rally named for it, without a discount")


def _names(lines: list[Json]) -> list[tuple[Any, ...]]:
    return [(line["external_id"], line["sku"], line["quantity"]) for line in lines]


def _rows(sent: Json, name: str) -> list[Json]:
    """The objects of a list in a body, which a person may have written: what is none is left out."""
    rows = sent.get(name)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _is_at_price(line: Json, item: Json, price: Decimal) -> bool:
    """Contract 9: Rally's own price holds, and no coupon touches it."""
    names = {line["external_product_id"], line["external_variant_id"], line["sku"]}
    is_same = {item.get("external_product_id"), item.get("external_variant_id")} - {"", None} <= names
    return is_same and line["discounted_price"] == price and not line["discount_amount"]


def _take_order(state: State, copies: Copies, call: Call, step: Step, found: Findings) -> None:
    answer, sent = step.answer, call.sent()
    if call.topic == "order/create":
        cart = _cart(copies, call.resource_id)
        if cart["order_id"] not in (None, answer["external_id"]):
            step.add_problems("external_id is a second order of one cart")
            return
        cart["order_id"] = answer["external_id"]
    order = copies.orders.get(answer["external_id"])
    if order is None:
        order = copies.orders[answer["external_id"]] = _new_order(state, copies, answer)
    order["answer"] = answer
    _take_money(order, _rows(sent, "transactions"), found)
    is_called_paid = str(sent.get("status", "")).lower() == "paid" and sent.get("payment_method")
    # A `paid` that does not mention a review ends one (contract 9).
    if call.topic == "order/create" or "fraud_review_transaction" in sent or is_called_paid:
        order["is_held"] = bool(sent.get("fraud_review_transaction"))
    if is_called_paid and not order["is_held"]:
        order["is_paid"] = True
    if answer["status"] != order["status"]:
        set_status(state, order, answer["status"], "connector", found)
    if call.topic != "order/fetch":
        _examine_status(order, found)


def _examine_status(order: Json, found: Findings) -> None:
    status, total = order["status"], order["answer"]["total"]
    if order["is_paid"] and status == "pending":
        found.warn("status", "is still pending after the order was paid")
    if order["is_held"] and status == "paid":
        found.warn("status", "is paid though the order is under fraud review")
    if status in ("pending", "paid") and total != order["charged"]:
        found.warn("total", "is not what the shopper was charged")


def _new_order(state: State, copies: Copies, answer: Json) -> Json:
    cart = copies.carts.get(answer["cart_id"], {}).get("answer", {})
    return {
        **{name: answer[name] for name in ("external_id", "external_number", "cart_id")},
        "currency": cart.get("currency", "USD"),
        "status": answer["status"],
        "statuses": [{"status": answer["status"], "at": state.stamp(), "by": "connector"}],
        "answer": answer,
        **deepcopy(SAMPLES.order_record),
        "created_at": state.stamp(),
    }


def _take_money(order: Json, transactions: list[Json], found: Findings) -> None:
    known = {transaction["external_id"] for transaction in order["transactions"]}
    for transaction in transactions:
        external_id, charged = transaction.get("external_id"), amount(transaction.get("amount"))
        if not isinstance(external_id, str | int) or charged is None:
            found.warn("transactions", "holds one without an id or an amount")
        elif external_id not in known:
            known.add(external_id)
            order["transactions"].append(transaction)
            order["charged"] += charged
