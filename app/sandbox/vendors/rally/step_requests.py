"""Steps requested of the Rally sandbox by a test or a person, and the bodies that Rally would send (contract 3)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec

from app.sandbox.bodies import Failure, Json
from app.sandbox.vendors.rally.calling import Call, as_body
from app.sandbox.vendors.rally.state import Copies, State

SHOPPER: Json = {"email": "ana@example.test", "first_name": "Ana", "last_name": "Ruiz", "phone": "+15550100"}
ADDRESS: Json = {
    "first_name": "Ana",
    "last_name": "Ruiz",
    "company": None,
    "phone": "+15550100",
    "address1": "1 Elm St",
    "address2": None,
    "city": "Austin",
    "province": "Texas",
    "country": "United States",
    "country_code": "US",
    "zip": "78701",
}
PAYMENT_METHOD: Json = {
    "payment_method_name": "credit_card",
    "payment_processor_name": "stripe",
    "card_brand": "visa",
    "last4": "4242",
}
SHOPPER_IP = "203.0.113.9"

_Count = Annotated[int, msgspec.Meta(ge=1)]


class Shopping(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What single steps and whole checkouts have in common; the package's docstring says what each field is for."""

    cart: str = ""
    line_items: list[Json] = []
    skus: dict[str, _Count] = {}
    customer: Json = {}
    address: Json = {}
    billing_address: Json | None = None
    coupon: str | None = None
    notes: str | None = None
    shipping: str = ""
    offers: list[Json] = []
    offer_skus: dict[str, _Count] = {}
    offer_shipping: Json | None = None
    transactions: list[Json] | None = None
    repeat_transactions: bool = False
    is_held: bool = False
    mentions_review: bool = True
    names_payment: bool = True
    shows_earlier_lines: bool = False
    key: str = ""
    offers_only: bool = False
    patience_s: float | None = None


class StepRequest(Shopping, forbid_unknown_fields=True, kw_only=True):
    """One step; what is missing is made up from Rally's copies."""

    order: str = ""
    is_address_known: bool = True
    status: str = ""
    external_product_id: str = ""
    category_id: str = ""
    title: str | None = None
    per_page: int | None = None
    current_page: int | None = None
    more: Json = {}
    body: Json | None = None
    raw: str | None = None
    sign: Literal["right", "wrong", "none"] = "right"
    url: str = ""


def make_call(state: State, organization_id: str, topic: str, requested: StepRequest) -> Call:
    """The call for a requested step.  Raises `Failure` 400, 404 or 409; hold the state's lock."""
    copies = state.copies[organization_id]
    call = Call(
        topic,
        sign=requested.sign,
        key=requested.key,
        is_offers_only=requested.offers_only,
        url=requested.url,
        patience_s=requested.patience_s,
    )
    if requested.key and requested.key not in state.merchant(organization_id).api_keys:
        raise Failure(400, "key is none of the merchant's api_keys")
    made: Json | None = None
    match topic.partition("/")[0]:
        case "cart":
            call.resource_id = "" if topic == "cart/create" else _newest(copies.carts, requested.cart, "cart")
            made = _cart_body(copies, topic, call.resource_id, requested)
        case "order" if topic == "order/create":
            call.resource_id = _newest(copies.carts, requested.cart, "cart")
            if _is_made_up(requested):
                made = _order_body(state, _known(copies.carts, call.resource_id, "cart"), requested)
        case "order":
            call.resource_id = _newest(copies.orders, requested.order, "order")
            if topic == "order/update" and _is_made_up(requested):
                made = _update_body(state, copies, _known(copies.orders, call.resource_id, "order"), requested)
        case "orders":
            page = {"per_page": requested.per_page, "current_page": requested.current_page}
            call.query = {name: number for name, number in page.items() if number is not None}
        case "products":
            made = (
                {"product_id": requested.external_product_id}
                if requested.external_product_id
                else {"title": requested.title or ""}
            )
        case "categories":
            made = {"category_id": requested.category_id} if requested.category_id else {"title": requested.title or ""}
        case "register":
            made = {"organization_id": organization_id}
    if requested.raw is not None:
        call.body = requested.raw.encode()
    elif requested.body is not None:
        call.body = as_body(requested.body)
    elif made is not None:
        call.body = as_body({**made, **requested.more})
    return call


def _is_made_up(requested: StepRequest) -> bool:
    return requested.body is None and requested.raw is None


def _known(copies: Mapping[str, Json], external_id: str, what: str) -> Json:
    if external_id not in copies:
        raise Failure(404, f"Rally knows no such {what}: give the body yourself")
    return copies[external_id]


def _newest(known: dict[str, Json], stated: str, what: str) -> str:
    """The external id to use; one that Rally does not know may be named, for connectors must meet those, too."""
    if stated:
        return stated
    if not known:
        raise Failure(404, f"Rally knows no {what} of this merchant yet: name one or check out first")
    return next(reversed(known))


def wanted_lines(copies: Copies, line_items: list[Json], skus: Mapping[str, int]) -> list[Json]:
    """Lines for a cart; without any requested one unit of the first product in stock.  Raises `Failure` 409."""
    if line_items:
        return line_items
    if skus:
        return [_line(copies, sku, quantity) for sku, quantity in skus.items()]
    for row in copies.stock.values():
        if row["value"] > 0:
            return [_line(copies, row["sku"], 1)]
    raise Failure(409, "Rally knows no product in stock: name line_items, or fetch products first")


def _line(copies: Copies, sku: str, quantity: int) -> Json:
    for product in copies.products.values():
        for variant in product["variants"]:
            if variant["external_sku"] == sku:
                return {
                    "external_product_id": product["external_id"],
                    "external_variant_id": variant["external_id"],
                    "quantity": quantity,
                    "price": variant["prices"][0]["discounted_price"],
                }
    raise Failure(409, "skus: Rally knows no such product; fetch products first")


def _cart_body(copies: Copies, topic: str, cart_id: str, requested: StepRequest) -> Json:
    cart = copies.carts.get(cart_id, {}).get("answer")
    match topic:
        case "cart/create" | "cart/add":
            return {"line_items": wanted_lines(copies, requested.line_items, requested.skus)}
        case "cart/remove":
            return {"line_items": requested.line_items or _lines_of_skus(cart, requested.skus)}
        case "cart/update":
            return _shopper(cart_id, requested) | {
                "line_items": requested.line_items,
                "discounts": _discounts(cart, requested),
                "selected_shipping_line_external_id": requested.shipping or _chosen_shipping(cart),
                "notes": requested.notes,
            }
    return {}


def _lines_of_skus(cart: Json | None, skus: Mapping[str, int]) -> list[Json]:
    lines = cart["line_items"] if cart else []
    return [
        {"external_id": line["external_id"], "quantity": skus[line["sku"]]} for line in lines if line["sku"] in skus
    ]


def _shopper(cart_id: str, requested: StepRequest) -> Json:
    """Who buys and where it goes, in the two places a connector may look."""
    customer = {"external_id": f"guest-{cart_id}", **SHOPPER, "consent": {"email": True}, **requested.customer}
    if not requested.is_address_known:
        return {"customer": customer}
    shipping = {**ADDRESS, **requested.address}
    billing = shipping if requested.billing_address is None else {**ADDRESS, **requested.billing_address}
    addresses = {"billing_address": billing, "shipping_address": shipping}
    is_same = {"is_billing_equal_shipping": billing == shipping}
    return {"customer": {**customer, **addresses, **is_same}, **addresses}


def _discounts(cart: Json | None, requested: StepRequest) -> list[Json]:
    """The coupons from now on; what the cart has stays unless the request says otherwise."""
    if requested.coupon is None:
        return [row for row in cart["discounts"] if row["type"] == "coupon"] if cart else []
    return [{"type": "coupon", "name": requested.coupon}] if requested.coupon else []


def _chosen_shipping(cart: Json | None) -> str | None:
    if not cart:
        return None
    chosen = cart["selected_shipping_line_external_id"]
    offered = {line["external_id"]: line["total"] for line in cart["shipping_lines"]}
    if chosen in offered or not offered:
        return str(chosen) if chosen else None
    cheapest: str = min(offered, key=lambda line: (offered[line], line))
    return cheapest


def _order_body(state: State, cart: Json, requested: StepRequest) -> Json:
    """A repeat for the same cart brings the same charge: the shopper has paid once."""
    answer = cart["answer"]
    if requested.transactions is not None:
        cart["transactions"] = requested.transactions
    elif not cart["transactions"]:
        cart["transactions"] = [charge(state, answer["total"], answer["currency"])]
    shown = (cart.get("earlier_lines") if requested.shows_earlier_lines else []) or answer["line_items"]
    payment = {"payment_method": PAYMENT_METHOD} if requested.names_payment else {}
    return _shopper(answer["external_id"], requested) | {
        "cart": {"external_id": answer["external_id"]},
        "line_items": requested.line_items or shown,
        "selected_shipping_line_external_id": requested.shipping or _chosen_shipping(answer),
        "discounts": _discounts(answer, requested),
        "notes": requested.notes if requested.notes is not None else answer["notes"],
        **payment,
        "transactions": cart["transactions"],
        **_review(requested),
        "device_information": {"device_ip_address": SHOPPER_IP},
        "meta": {"autoCreateCustomers": False},
        "status": "pending",
    }


def _update_body(state: State, copies: Copies, order: Json, requested: StepRequest) -> Json:
    offers = requested.offers or [_line(copies, sku, quantity) for sku, quantity in requested.offer_skus.items()]
    fresh = requested.transactions
    if fresh is None:
        extra = sum((Decimal(offer["price"]) * offer["quantity"] for offer in offers), Decimal())
        extra += Decimal((requested.offer_shipping or {}).get("total", 0))
        fresh = [charge(state, extra, order["currency"])] if extra else []
    body: Json = {
        "external_id": order["external_id"],
        "transactions": [*(order["transactions"] if requested.repeat_transactions else []), *fresh],
    }
    if offers:
        body["line_items"] = offers
    if requested.offer_shipping is not None:
        body["shipping_costs"] = {"new": requested.offer_shipping}
    if requested.status:
        body["status"] = requested.status
        body |= _review(requested)
    if requested.status.lower() == "paid":
        body["payment_method"] = PAYMENT_METHOD
    return body


def _review(requested: StepRequest) -> Json:
    if requested.is_held:
        return {"fraud_review_transaction": {"external_id": "fraud-review", "status": "pending_review"}}
    return {"fraud_review_transaction": {}} if requested.mentions_review else {}


def charge(state: State, amount: Any, currency: str) -> Json:
    """A transaction as Rally might name it; only id and amount are sure (contract 4.9)."""
    return {
        "external_id": f"ch_{state.next_number('transaction'):04d}",
        "amount": amount,
        "type": "charge",
        "status": "succeeded",
        "currency": currency,
        "payment_method_name": PAYMENT_METHOD["payment_method_name"],
    }
