"""A small shop of the merchant's own, to be clicked through: goods, a basket, Rally's button, and the shopper's orders.

It stands for the merchant's storefront and its server: what is sold comes from Rally's copies, which the connector
filled; a cart is made by the connector where the merchant's `storefront_key` opens it, else the page names bare line
items.  The basket is a cookie, so nothing of it is kept here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import msgspec
import requests
from flask import Blueprint, Flask, Response, redirect, render_template, request

from app.sandbox.bodies import Failure, Json, readable
from app.sandbox.vendors.rally.sessions import begin_session
from app.sandbox.vendors.rally.state import Copies, Merchant, State, Variant

MOST_UNITS = 99
MOST_ORDERS = 50
BASKET = "basket"
WITHOUT_DECIMALS = ("JPY", "KRW")
PATIENCE_S = 5.0

_BUTTON = "<!-- the merchant's snippet -->"
"""Where `cart_button`, HTML of the merchant's own, is put into the page."""

_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_NO_SCRIPTS = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


class Cart(msgspec.Struct, frozen=True):
    """The cart that the connector has made of the basket; without one, why, or what was wrong with the goods."""

    id: str = ""
    currency: str = ""
    note: str = ""
    faults: tuple[str, ...] = ()


def add_shop(app: Flask, state: State) -> None:
    """Adds the pages below `/shop/`."""
    shop = Blueprint("shop", __name__, url_prefix="/shop")

    @shop.get("/")
    def shops() -> Any:
        with state.lock:
            first = next(iter(state.merchants))
        return redirect(f"/shop/{quote(first, safe='')}/")

    @shop.get("/<organization_id>/")
    def goods(organization_id: str) -> Response:
        with state.lock:
            merchant, copies = state.merchant(organization_id), state.copies[organization_id]
            shown, left = _goods(copies, {}), copies.stock_by_sku()
        return page("shop_goods.html", merchant, goods=shown, left=left, basket=_basket())

    @shop.post("/<organization_id>/basket")
    def change(organization_id: str) -> Response:
        refuse_other_sites()
        merchant, basket = state.merchant(organization_id), _basket()
        sku, quantity = request.form.get("sku", ""), units("quantity", request.form.get("quantity", ""))
        basket[sku] = quantity + (basket.get(sku, 0) if "more" in request.form else 0)
        answer = Response(status=303, headers={"Location": _path(merchant, "cart")})
        kept = {name: count for name, count in basket.items() if 0 < count <= MOST_UNITS}
        answer.set_cookie(BASKET, quote(json.dumps(kept)), httponly=True, samesite="Lax", path="/shop/")
        return answer

    @shop.get("/<organization_id>/cart")
    def cart(organization_id: str) -> Response:
        with state.lock:
            merchant, copies = state.merchant(organization_id), state.copies[organization_id]
            lines = _goods(copies, _basket())
            address = _carts_address(copies, organization_id)
        made = made_cart(merchant, address, lines) if lines else Cart()
        items = [{"title": line.title, "product_id": line.product_id, "variant_id": line.variant_id,
                  "quantity": line.quantity} for line in lines]  # fmt: skip
        shown = page(
            "shop_cart.html", merchant, lines=lines, cart=made, items=items, is_fallback="native" in request.args
        )
        if merchant.cart_button:
            # The merchant's own HTML, as a shop pastes it; it loads Rally's scripts from Rally's address.
            shown.set_data(shown.get_data(as_text=True).replace(_BUTTON, merchant.cart_button))
            del shown.headers["Content-Security-Policy"]
        return shown

    @shop.post("/<organization_id>/checkout")
    def checkout(organization_id: str) -> Response:
        """What the button does, without it: opens a session for the cart or for its lines."""
        refuse_other_sites()
        body = {"cart_id": request.form.get("cart_id", ""), "cart_currency": request.form.get("cart_currency", "")}
        with state.lock:
            merchant, copies = state.merchant(organization_id), state.copies[organization_id]
            if not body["cart_id"]:
                body = {"line_items": [_item(line) for line in _goods(copies, _basket())]}  # type: ignore[dict-item]
            begun = begin_session(state, {"client_id": merchant.client_id, **body}, request.host_url)
        return Response(status=303, headers={"Location": begun["url"]})

    @shop.get("/<organization_id>/orders")
    def orders(organization_id: str) -> Response:
        with state.lock:
            merchant = state.merchant(organization_id)
            newest = list(state.copies[organization_id].orders.values())[: -MOST_ORDERS - 1 : -1]
        return page("shop_orders.html", merchant, orders=newest)

    @shop.get("/<organization_id>/orders/<path:order_id>")
    def order(organization_id: str, order_id: str) -> Response:
        with state.lock:
            merchant = state.merchant(organization_id)
            held = state.copies[organization_id].orders.get(order_id)
            if held is None:
                raise Failure(404, "the shop has no such order")
            snapshot = held["snapshot"] or {}
            meta = snapshot.get("meta")
            parcels = meta.get("fulfillments", []) if isinstance(meta, Mapping) else []
            lines = snapshot.get("line_items") or held["answer"]["line_items"]
        titles = {line["external_id"]: line["title"] for line in lines}
        return page("shop_order.html", merchant, order=held, lines=lines, parcels=parcels, titles=titles)

    app.register_blueprint(shop)


def page(template: str, merchant: Merchant | None, status: int = 200, **shown: Any) -> Response:
    """A page without scripts."""
    text = render_template(template, merchant=merchant, money=_money, **shown)
    headers = {**_HEADERS, "Content-Security-Policy": _NO_SCRIPTS}
    return Response(text, status, headers, mimetype="text/html")


def _money(amount: Any, currency: str) -> str:
    """An amount with the decimals of its currency."""
    return f"{amount:.0f}" if currency in WITHOUT_DECIMALS else f"{amount:.2f}"


def refuse_other_sites() -> None:
    """Raises `Failure` 403 for a form that another site's page has sent."""
    origin = request.headers.get("Origin")
    if origin and urlsplit(origin).netloc != request.host:
        raise Failure(403, "another site's page may not use this one")


def units(name: str, text: str) -> int:
    """A quantity of a form.  Raises `Failure` 400."""
    if not (text.isascii() and text.isdigit() and int(text) <= MOST_UNITS):
        raise Failure(400, f"{name} must be a whole number up to {MOST_UNITS}")
    return int(text)


def made_cart(merchant: Merchant, address: str, lines: Sequence[Variant]) -> Cart:
    """Has the connector make a cart of the lines, as the shop's own server would."""
    if not merchant.storefront_key or not address:
        return Cart(note="no storefront_key: the page names bare line items")
    cart = {
        "currency": lines[0].currency,
        "line_items": [{"sku": line.sku, "quantity": line.quantity} for line in lines],
    }
    try:
        with requests.Session() as session:
            session.trust_env = False
            reply = session.post(
                address, json=cart, headers={"Authorization": f"Bearer {merchant.storefront_key}"},
                timeout=PATIENCE_S, allow_redirects=False,
            )  # fmt: skip
    except requests.RequestException as error:
        return Cart(note=f"the connector did not answer ({type(error).__name__}): the page names bare line items")
    answer = readable(reply.content)
    if reply.status_code == 201 and isinstance(answer, dict):
        return Cart(str(answer["id"]), str(answer["currency"]))
    if reply.status_code == 422 and isinstance(answer, dict):
        return Cart(faults=tuple(f"{fault['code']}: {fault['message']}" for fault in answer["faults"]))
    return Cart(note=f"the connector answered {reply.status_code}: the page names bare line items")


def _carts_address(copies: Copies, organization_id: str) -> str:
    """Where the connector makes carts: beside the hooks it has registered; "" before it has."""
    found = next((hook["url"] for hook in reversed(copies.hooks) if hook["type"] == "cart/create"), "")
    base, _, last = found.rpartition("/")
    return f"{base.replace(':orgId', quote(organization_id, safe=''))}/storefront/carts" if last == "carts" else ""


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
    try:
        kept = json.loads(unquote(request.cookies.get(BASKET, "")))
        return {str(sku): count for sku, count in kept.items() if type(count) is int and 0 < count <= MOST_UNITS}
    except (ValueError, AttributeError):
        return {}


def _path(merchant: Merchant, what: str) -> str:
    return f"/shop/{quote(merchant.organization_id, safe='')}/{what}"
