"""Rally's five cart hooks: each changes the shop's cart and answers it whole (contract 3.3)."""

from __future__ import annotations

from app.domain.lenient_values import Json
from app.domain.traffic import InboundRequest
from app.gateways.vendors.rally.inbound.hook_requests import HookRequest, coupons, line_items, shopper
from app.gateways.vendors.rally.payloads import cart_json
from app.storefront import carts
from app.storefront.requests import CartUpdate


def create(hook: HookRequest) -> Json:
    takes_price = hook.merchant.options.trust_created_price
    lines = line_items(hook.body(), takes_price=takes_price)
    shown = carts.create(hook.merchant, lines, trusts_price=takes_price, is_offers_only=hook.is_offers_only)
    return _answer(hook, shown)


def fetch(hook: HookRequest) -> Json:
    return _answer(hook, carts.fetch(hook.merchant, hook.resource_id, is_offers_only=hook.is_offers_only))


def update(hook: HookRequest) -> Json:
    body = hook.body()
    change = CartUpdate(shopper(body), coupons(body), lambda: line_items(body))
    return _answer(hook, carts.update(hook.merchant, hook.resource_id, change, is_offers_only=hook.is_offers_only))


def add(hook: HookRequest) -> Json:
    """At Rally's price where one is stated: its own offers."""
    takes_price = hook.merchant.options.trust_added_price
    lines = line_items(hook.body(), takes_price=takes_price)
    cart_id, is_offers_only = hook.resource_id, hook.is_offers_only
    shown = carts.add(hook.merchant, cart_id, lines, trusts_price=takes_price, is_offers_only=is_offers_only)
    return _answer(hook, shown)


def remove(hook: HookRequest) -> Json:
    lines = line_items(hook.body())
    return _answer(hook, carts.remove(hook.merchant, hook.resource_id, lines, is_offers_only=hook.is_offers_only))


def _answer(hook: HookRequest, shown: carts.ShownCart) -> Json:
    if not shown.is_price_taken:
        event = InboundRequest(hook.topic, 200, event="PRICE_NOT_TAKEN", subject=shown.cart.cart_id)
        hook.merchant.observe_inbound(event)
    return cart_json(shown, hook.merchant.options)
