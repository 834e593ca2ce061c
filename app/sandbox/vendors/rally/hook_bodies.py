"""The bodies that Rally sends to hooks (contract 3), made up of what it knows as far as a step does not say them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from app.sandbox.bodies import Failure, Json, amount, encode, existing
from app.sandbox.vendors.rally.answers import TOPICS
from app.sandbox.vendors.rally.state import SAMPLES, Copies, State
from app.sandbox.vendors.rally.step_requests import Call, StepRequest


def make_call(state: State, copies: Copies, topic: str, requested: StepRequest) -> Call:
    """The call for a requested step.  Raises `Failure` 400, 404 or 409; hold the state's lock."""
    if requested.key and requested.key not in copies.merchant.api_keys:
        raise Failure(400, "key is none of the merchant's api_keys")
    call = Call(topic, requested)
    if about := TOPICS.hooks[topic].about:
        # A connector must meet ids that Rally does not know, too, so any may be named.
        stated, known = getattr(requested, about), getattr(copies, f"{about}s")
        if not stated and not known:
            raise Failure(404, f"Rally knows no {about} of this merchant yet: name one or check out first")
        call.resource_id = stated or list(known)[-1]
    if topic == "orders/list":
        page = {"per_page": requested.per_page, "current_page": requested.current_page}
        call.query = {name: number for name, number in page.items() if number is not None}
    if requested.raw is not None:
        call.body = requested.raw.encode()
    elif requested.body is not None:
        call.body = encode(requested.body)
    elif (made := _made_up(state, copies, call)) is not None:
        call.body = encode({**made, **requested.more})
    return call


def _made_up(state: State, copies: Copies, call: Call) -> Json | None:
    """What Rally would send by itself; None for a hook without a body."""
    requested = call.requested
    cart: Json | None = copies.carts.get(call.resource_id, {}).get("answer")
    match call.topic:
        case "cart/create" | "cart/add":
            return {"line_items": wanted_lines(copies, requested.line_items, requested.skus)}
        case "cart/fetch":
            return {}
        case "cart/update":
            return _shopper(call.resource_id, requested) | {
                "line_items": requested.line_items,
                "discounts": _discounts(cart, requested),
                "selected_shipping_line_external_id": requested.shipping or _chosen_shipping(cart),
                "notes": requested.notes,
            }
        case "cart/remove":
            held, skus = cart["line_items"] if cart else [], requested.skus
            named = [line for line in held if line["sku"] in skus]
            lines = [{"external_id": line["external_id"], "quantity": skus[line["sku"]]} for line in named]
            return {"line_items": requested.line_items or lines}
        case "order/create":
            return _order_body(state, _known(copies.carts, call.resource_id, "cart"), requested)
        case "order/update":
            return _update_body(state, copies, _known(copies.orders, call.resource_id, "order"), requested)
        case "products/fetch":
            return _search("product_id", requested.external_product_id, requested)
        case "categories/fetch":
            return _search("category_id", requested.category_id, requested)
        case "register/callback":
            return {"organization_id": copies.merchant.organization_id}
    return None


def _known(copies: Mapping[str, Json], external_id: str, what: str) -> Json:
    return existing(copies, external_id, f"Rally knows no such {what}: give the body yourself")


def _search(name: str, external_id: str, requested: StepRequest) -> Json:
    return {name: external_id} if external_id else {"title": requested.title or ""}


def wanted_lines(copies: Copies, line_items: list[Json], skus: Mapping[str, int]) -> list[Json]:
    """Lines for a cart; without any requested one unit of the first product in stock.  Raises `Failure` 409."""
    if line_items:
        return line_items
    in_stock = [sku for sku, units in copies.stock_by_sku().items() if units > 0]
    if not skus and not in_stock:
        raise Failure(409, "Rally knows no product in stock: name line_items, or fetch products first")
    return _lines(copies, skus or {in_stock[0]: 1})


def _lines(copies: Copies, skus: Mapping[str, int]) -> list[Json]:
    sold = {variant.sku: variant for variant in reversed(list(copies.variants()))}
    if not skus.keys() <= sold.keys():
        raise Failure(409, "skus: Rally knows no such product; fetch products first")
    return [
        {
            "external_product_id": sold[sku].product_id,
            "external_variant_id": sold[sku].variant_id,
            "quantity": quantity,
            "price": sold[sku].price,
        }
        for sku, quantity in skus.items()
    ]


def _shopper(cart_id: str, requested: StepRequest) -> Json:
    """Who buys and where it goes, in the two places a connector may look."""
    customer = {"external_id": f"guest-{cart_id}", **SAMPLES.shopper, "consent": {"email": True}, **requested.customer}
    if not requested.is_address_known:
        return {"customer": customer}
    shipping = {**SAMPLES.address, **requested.address}
    stated = requested.billing_address
    billing = shipping if stated is None else {**SAMPLES.address, **stated}
    addresses = {"billing_address": billing, "shipping_address": shipping}
    is_same = {"is_billing_equal_shipping": billing == shipping}
    return {"customer": {**customer, **addresses, **is_same}, **addresses}


def _discounts(cart: Json | None, requested: StepRequest) -> list[Json]:
    """The coupons from now on; what the cart has stays unless the request says otherwise."""
    if requested.coupon is None:
        return [row for row in cart["discounts"] if row["type"] == "coupon"] if cart else []
    return [{"type": "coupon", "name": requested.coupon}] if requested.coupon else []


def _chosen_shipping(cart: Json | None) -> str | None:
    """What the cart has chosen as long as it is offered, else the cheapest."""
    chosen: str | None = cart["selected_shipping_line_external_id"] if cart else None
    offered = {line["external_id"]: line["total"] for line in cart["shipping_lines"]} if cart else {}
    if chosen in offered or not offered:
        return chosen or None
    cheapest: str = min(offered, key=lambda line: (offered[line], line))
    return cheapest


def _order_body(state: State, cart: Json, requested: StepRequest) -> Json:
    """A repeat for the same cart brings the same charge: the shopper has paid once."""
    answer = cart["answer"]
    if requested.transactions is not None:
        cart["transactions"] = requested.transactions
    elif not cart["transactions"]:
        cart["transactions"] = [_charge(state, answer["total"], answer["currency"])]
    shown = (cart.get("earlier_lines") if requested.shows_earlier_lines else []) or answer["line_items"]
    payment = {"payment_method": SAMPLES.payment_method} if requested.names_payment else {}
    return _shopper(answer["external_id"], requested) | {
        "cart": {"external_id": answer["external_id"]},
        "line_items": requested.line_items or shown,
        "selected_shipping_line_external_id": requested.shipping or _chosen_shipping(answer),
        "discounts": _discounts(answer, requested),
        "notes": requested.notes if requested.notes is not None else answer["notes"],
        **payment,
        "transactions": cart["transactions"],
        **_review(requested),
        **SAMPLES.order,
    }


def _update_body(state: State, copies: Copies, order: Json, requested: StepRequest) -> Json:
    offers = requested.offers or _lines(copies, requested.offer_skus)
    fresh = requested.transactions
    if fresh is None:
        extra = sum((_figure(offer, "price") * _figure(offer, "quantity") for offer in offers), Decimal())
        extra += _figure(requested.offer_shipping, "total") if requested.offer_shipping else 0
        fresh = [_charge(state, extra, order["currency"])] if extra else []
    body: Json = {
        "external_id": order["external_id"],
        "transactions": [*(order["transactions"] if requested.repeat_transactions else []), *fresh],
    }
    if offers:
        body["line_items"] = offers
    if requested.offer_shipping is not None:
        body["shipping_costs"] = {"new": requested.offer_shipping}
    if requested.status:
        body |= {"status": requested.status, **_review(requested)}
    if requested.status.lower() == "paid":
        body["payment_method"] = SAMPLES.payment_method
    return body


def _figure(offer: Json, name: str) -> Decimal:
    """Raises `Failure` 400 where an offer does not say it."""
    if (found := amount(offer.get(name))) is None:
        raise Failure(400, f"an offer needs a number as its {name}, or transactions must say what is charged")
    return found


def _review(requested: StepRequest) -> Json:
    if requested.is_held:
        return {"fraud_review_transaction": SAMPLES.fraud_review}
    return {"fraud_review_transaction": {}} if requested.mentions_review else {}


def _charge(state: State, amount: Any, currency: str) -> Json:
    """A transaction as Rally might name it; only id and amount are sure (contract 4.9)."""
    number = state.next_number("transaction")
    return {"external_id": f"ch_{number:04d}", "amount": amount, "currency": currency, **SAMPLES.transaction}
