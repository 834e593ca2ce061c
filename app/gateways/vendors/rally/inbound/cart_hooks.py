"""Rally's five cart hooks: each changes the shop's cart and answers it whole (contract 3.3)."""

from __future__ import annotations

from app.domain.lenient_values import Json
from app.domain.traffic import InboundRequest
from app.gateways.vendors.rally.inbound.hook_requests import HookRequest, coupons, line_items, shopper
from app.gateways.vendors.rally.payloads import cart_json
from app.storefront import carts
from app.storefront.requests import CartUpdate


def create(hook: HookRequest) -> Json:
    trusts_price = hook.merchant.options.trust_created_price
    lines = line_items(hook.body(), takes_price=trusts_price)
    shown = carts.create(hook.merchant, lines, trusts_price=trusts_price, is_offers_only=hook.is_offers_only)
    _note_price(hook, "cart/create", shown)
    return cart_json(shown, hook.merchant.options)


def fetch(hook: HookRequest) -> Json:
    shown = carts.fetch(hook.merchant, hook.resource_id, is_offers_only=hook.is_offers_only)
    return cart_json(shown, hook.merchant.options)


def update(hook: HookRequest) -> Json:
    body = hook.body()
    change = CartUpdate(shopper(body), coupons(body), lambda: line_items(body))
    shown = carts.update(hook.merchant, hook.resource_id, change, is_offers_only=hook.is_offers_only)
    return cart_json(shown, hook.merchant.options)


def add(hook: HookRequest) -> Json:
    """At Rally's price where one is stated: its own offers."""
    trusts_price = hook.merchant.options.trust_added_price
    lines = line_items(hook.body(), takes_price=trusts_price)
    cart_id, is_offers_only = hook.resource_id, hook.is_offers_only
    shown = carts.add(hook.merchant, cart_id, lines, trusts_price=trusts_price, is_offers_only=is_offers_only)
    _note_price(hook, "cart/add", shown)
    return cart_json(shown, hook.merchant.options)


def remove(hook: HookRequest) -> Json:
    lines = line_items(hook.body())
    shown = carts.remove(hook.merchant, hook.resource_id, lines, is_offers_only=hook.is_offers_only)
    return cart_json(shown, hook.merchant.options)


def _note_price(hook: HookRequest, topic: str, shown: carts.ShownCart) -> None:
    if not shown.is_price_taken:
        event = InboundRequest(topic, 200, event="PRICE_NOT_TAKEN", subject=shown.cart.cart_id)
        hook.merchant.observe_inbound(event)
