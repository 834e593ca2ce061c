"""A small shop of the merchant's own, to be clicked through: goods, a basket, Rally's button, and the shopper's orders.

It stands for the merchant's storefront and its server: what is sold comes from Rally's copies, which the connector
filled; a cart is made by the connector where the merchant's `storefront_key` opens it, else the page names bare line
items.  The basket is a cookie, so nothing of it is kept here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

import msgspec
import requests
from flask import Response, redirect, request

from app.sandbox.bodies import Failure, Json, encode, existing, readable
from app.sandbox.calls import call
from app.sandbox.page import html, see_other
from app.sandbox.routes import Routes, own_pages_only
from app.sandbox.vendors.rally.sessions import begin_session
from app.sandbox.vendors.rally.state import Copies, Merchant, State, Variant

MOST_UNITS = 99
MOST_ORDERS = 50
BASKET = "basket"
PATIENCE_S = 5.0

_BUTTON = "<!-- the merchant's snippet -->"
"""Where `cart_button`, HTML of the merchant's own, is put into the page."""


class Cart(msgspec.Struct, frozen=True):
    """The cart that the connector has made of the basket; without one, why, or what was wrong with the goods."""

    id: str = ""
    currency: str = ""
    note: str = ""
    faults: tuple[str, ...] = ()


FRONT = Routes("/shop", own_pages_only)
SHOP = Routes("/shop/<organization_id>", own_pages_only, State.admit_merchant)


@FRONT.route("GET", "/")
def first_shop(state: State) -> Any:
    return redirect(_path(next(iter(state.merchants.values())), ""))


@SHOP.route("GET", "/")
def goods(state: State, copies: Copies) -> Response:
    shown, left = _goods(copies, {}), copies.stock_by_sku()
    return html("shop_goods.html", merchant=copies.merchant, goods=shown, left=left, basket=_basket())


@SHOP.route("POST", "/basket")
def change_basket(state: State, copies: Copies) -> Response:
    basket, sku = _basket(), request.form.get("sku", "")
    more = basket.get(sku, 0) if "more" in request.form else 0
    basket[sku] = units("quantity", request.form.get("quantity", "")) + more
    kept = {name: count for name, count in basket.items() if 0 < count <= MOST_UNITS}
    answer = see_other(_path(copies, "cart"))
    answer.set_cookie(BASKET, quote(encode(kept)), httponly=True, samesite="Lax", path="/shop/")
    return answer


@SHOP.route("GET", "/cart", is_locked=False)
def cart(state: State, copies: Copies) -> Response:
    with state.lock:
        merchant, lines, address = copies.merchant, _goods(copies, _basket()), _carts_address(copies)
    made = made_cart(merchant, address, lines) if lines else Cart()
    named = ("title", "product_id", "variant_id", "quantity")
    items = [{name: getattr(line, name) for name in named} for line in lines]
    is_fallback = "native" in request.args
    shown = html("shop_cart.html", merchant=merchant, lines=lines, cart=made, items=items, is_fallback=is_fallback)
    if merchant.cart_button:
        # The merchant's own HTML, as a shop pastes it; it loads Rally's scripts from Rally's address.
        shown.set_data(shown.get_data(as_text=True).replace(_BUTTON, merchant.cart_button))
        del shown.headers["Content-Security-Policy"]
    return shown


@SHOP.route("POST", "/checkout")
def checkout(state: State, copies: Copies) -> Response:
    """What the button does, without it: opens a session for the cart or for its lines."""
    body: Json = {name: request.form.get(name, "") for name in ("cart_id", "cart_currency")}
    if not body["cart_id"]:
        body = {"line_items": [_item(line) for line in _goods(copies, _basket())]}
    return see_other(begin_session(state, {"client_id": copies.merchant.client_id, **body}, request.host_url)["url"])


@SHOP.route("GET", "/orders")
def orders(state: State, copies: Copies) -> Response:
    newest = list(copies.orders.values())[: -MOST_ORDERS - 1 : -1]
    return html("shop_orders.html", merchant=copies.merchant, orders=newest)


@SHOP.route("GET", "/orders/<path:order_id>")
def order(state: State, copies: Copies, order_id: str) -> Response:
    held = existing(copies.orders, order_id, "the shop has no such order")
    snapshot = held["snapshot"] or {}
    meta = snapshot.get("meta")
    parcels = meta.get("fulfillments", []) if isinstance(meta, Mapping) else []
    lines = snapshot.get("line_items") or held["answer"]["line_items"]
    titles = {line["external_id"]: line["title"] for line in lines}
    return html("shop_order.html", merchant=copies.merchant, order=held, lines=lines, parcels=parcels, titles=titles)


def units(name: str, text: str) -> int:
    """A quantity of a form.  Raises `Failure` 400."""
    if not (text.isascii() and text.isdigit() and int(text) <= MOST_UNITS):
        raise Failure(400, f"{name} must be a whole number up to {MOST_UNITS}")
    return int(text)


def made_cart(merchant: Merchant, address: str, lines: Sequence[Variant]) -> Cart:
    """Has the connector make a cart of the lines, as the shop's own server would."""
    if not merchant.storefront_key or not address:
        return Cart(note="no storefront_key: the page names bare line items")
    named = [{"sku": line.sku, "quantity": line.quantity} for line in lines]
    body = encode({"currency": lines[0].currency, "line_items": named})
    headers = {"Authorization": f"Bearer {merchant.storefront_key}", "Content-Type": "application/json"}
    try:
        reply = call("POST", address, patience_s=PATIENCE_S, data=body, headers=headers)
    except requests.RequestException as error:
        return Cart(note=f"the connector did not answer ({type(error).__name__}): the page names bare line items")
    answer = readable(reply.content)
    if reply.status_code == 201 and isinstance(answer, dict):
        return Cart(str(answer["id"]), str(answer["currency"]))
    if reply.status_code == 422 and isinstance(answer, dict):
        return Cart(faults=tuple(f"{fault['code']}: {fault['message']}" for fault in answer["faults"]))
    return Cart(note=f"the connector answered {reply.status_code}: the page names bare line items")


def _carts_address(copies: Copies) -> str:
    """Where the connector makes carts: beside the hooks it has registered; "" before it has."""
    found = next((hook["url"] for hook in reversed(copies.hooks) if hook["type"] == "cart/create"), "")
    base, _, last = found.rpartition("/")
    organization_id = quote(copies.merchant.organization_id, safe="")
    return f"{base.replace(':orgId', organization_id)}/storefront/carts" if last == "carts" else ""


def _goods(copies: Copies, basket: Mapping[str, int]) -> list[Variant]:
    """What of the basket is sold, in the order of the products; everything for an empty one."""
    chosen = (variant for variant in copies.variants() if not basket or variant.sku in basket)
    return [msgspec.structs.replace(variant, quantity=basket.get(variant.sku, 0)) for variant in chosen]


def _item(line: Variant) -> Json:
    """A line as the button sends it (contract 9)."""
    variant = {"variant_id": line.variant_id, "title": line.title, "quantity": line.quantity}
    return {"title": line.title, "product_id": line.product_id, "variants": [variant]}


def _basket() -> dict[str, int]:
    """The shopper's basket, as far as it can be read."""
    kept = readable(unquote(request.cookies.get(BASKET, "")).encode())
    found = kept.items() if isinstance(kept, dict) else ()
    return {sku: count for sku, count in found if type(count) is int and 0 < count <= MOST_UNITS}


def _path(copies: Copies, what: str) -> str:
    return f"/shop/{quote(copies.merchant.organization_id, safe='')}/{what}"
