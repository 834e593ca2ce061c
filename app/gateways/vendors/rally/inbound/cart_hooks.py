"""Rally's five cart hooks: each changes the shop's cart and answers it whole (contract 3.3)."""

from __future__ import annotations

from typing import Any

from app.domain.lenient_values import Json
from app.domain.traffic import InboundRequest
from app.gateways.vendors.rally.hook_responses import cart_json
from app.gateways.vendors.rally.inbound.hook_requests import coupons, line_items, shopper
from app.gateways.vendors.rally.merchant import Merchant
from app.storefront import carts
from app.storefront.requests import CartUpdate


def create(merchant: Merchant, body: Json, *, is_offers_only: bool) -> Any:
    trusts_price = merchant.options.trust_created_price
    lines = line_items(body, takes_price=trusts_price)
    shown = carts.create(merchant, lines, trusts_price=trusts_price, is_offers_only=is_offers_only)
    _note_price(merchant, "cart/create", shown)
    return cart_json(shown, merchant.options)


def fetch(merchant: Merchant, cart_id: str, *, is_offers_only: bool) -> Any:
    return cart_json(carts.fetch(merchant, cart_id, is_offers_only=is_offers_only), merchant.options)


def update(merchant: Merchant, cart_id: str, body: Json, *, is_offers_only: bool) -> Any:
    change = CartUpdate(shopper(body), coupons(body), lambda: line_items(body))
    shown = carts.update(merchant, cart_id, change, is_offers_only=is_offers_only)
    return cart_json(shown, merchant.options)


def add(merchant: Merchant, cart_id: str, body: Json, *, is_offers_only: bool) -> Any:
    """At Rally's price where one is stated: its own offers."""
    trusts_price = merchant.options.trust_added_price
    lines = line_items(body, takes_price=trusts_price)
    shown = carts.add(merchant, cart_id, lines, trusts_price=trusts_price, is_offers_only=is_offers_only)
    _note_price(merchant, "cart/add", shown)
    return cart_json(shown, merchant.options)


def remove(merchant: Merchant, cart_id: str, body: Json, *, is_offers_only: bool) -> Any:
    shown = carts.remove(merchant, cart_id, line_items(body), is_offers_only=is_offers_only)
    return cart_json(shown, merchant.options)


def _note_price(merchant: Merchant, topic: str, shown: carts.ShownCart) -> None:
    if not shown.is_price_taken:
        event = InboundRequest(topic, 200, event="PRICE_NOT_TAKEN", subject=shown.cart.cart_id)
        merchant.observe_inbound(event)
