"""What a check shows of a merchant beyond its hooks: the shop's findings, and why hooks were refused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from app.domain.findings import Finding
from app.gateways.vendors.rally.merchant import GATEWAY, Merchant
from app.gateways.vendors.rally.options import RallyOptions
from app.records import inbound
from app.storefront import health
from app.storefront.cart_server import TOPIC

LOOKED_BACK: Final = timedelta(hours=1)

LARGE_ORDER: Final = 64 * 1024
"""Bytes of `order/create` for about a hundred lines."""

OF_SHOPPERS: Final = (
    "cart_not_found",
    "invalid_discount_code",
    "out_of_stock",
    "order_not_found",
    "SKU_SOLD_OUT",
    "NOT_ENOUGH_UNITS",
)
"""Codes that a shop in good health answers, too."""


def findings_of(merchant: Merchant) -> Iterator[Finding]:
    """Raises `DatabaseUnavailable`."""
    yield from _of_settings(merchant.options)
    yield from health.of_tables(merchant)
    yield from health.of_goods(merchant)
    yield from _of_requests(merchant)


def _of_settings(options: RallyOptions) -> Iterator[Finding]:
    if options.max_hook_body < LARGE_ORDER:
        sentence = f"max_hook_body is {options.max_hook_body} bytes: larger orders are refused, after the shopper paid"
        yield Finding("max_hook_body", "attention", sentence)
    if options.trust_created_price:
        sentence = "trust_created_price is on: a price that a shopper has edited in the page is what is paid"
        yield Finding("trust_created_price", "note", sentence)


def _of_requests(merchant: Merchant) -> Iterator[Finding]:
    """Hooks, and beside them the cart requests of the shop's own server."""
    with merchant.database.read() as connection:
        answered = inbound.since(connection, merchant.channel, GATEWAY, merchant.clock() - LOOKED_BACK)
    carts = {item: count for item, count in answered.items() if item.topic == TOPIC}
    hooks = {item: count for item, count in answered.items() if item not in carts}
    yield health.of_requests("requests", "hooks", hooks, OF_SHOPPERS)
    if merchant.options.storefront_key:
        yield health.of_requests(TOPIC, "requests of the shop's server for a cart", carts, OF_SHOPPERS)
