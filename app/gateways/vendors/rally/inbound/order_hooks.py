"""Rally's order hooks: a cart becomes one order, which may grow until RetailOps knows it (contract 3.2, 3.4, 3.5)."""

from __future__ import annotations

import logging

from flask import request

from app.domain.lenient_values import Json, identifier, ip_address, mapping, plain, text
from app.gateways.vendors.rally.inbound import hook_money, hook_requests
from app.gateways.vendors.rally.inbound.hook_requests import HookRequest
from app.gateways.vendors.rally.payloads import order_json
from app.storefront import orders
from app.storefront.orders import ShownOrder
from app.storefront.requests import Additions, Checkout, OrderUpdate

log = logging.getLogger(__name__)


def create(hook: HookRequest) -> Json:
    """Without a payment method nothing is placed, and the answer is what would be, without ids (contract 9)."""
    merchant, body = hook.merchant, hook.body()
    checkout = Checkout(
        cart_id=identifier(mapping(body.get("cart")).get("external_id")),
        shopper=hook_requests.shopper(body),
        coupons=hook_requests.coupons(body),
        charged=hook_money.transactions(body),
        names_other_money=hook_money.names_other_money(body),
        is_under_review=hook_requests.is_under_review(body),
        is_offers_only=hook.is_offers_only,
        ip_address=ip_address(mapping(body.get("device_information")).get("device_ip_address")),
        meta=plain(mapping(body.get("meta"))),
        raw=hook.raw,
        read_lines=lambda: hook_requests.stated_lines(body),
        read_payment_method=lambda: hook_money.payment_method(body),
    )
    shown = orders.create(merchant, checkout)
    answer = order_json(shown, merchant.options)
    if shown.is_placed:
        return answer | {"payment_created": _recorded(shown)}
    if shown.document.transactions:
        message = "channel %s: order/create states transactions and no payment method; nothing is placed"
        log.warning(message, merchant.channel)
    return {name: value for name, value in answer.items() if name not in ("external_id", "external_number")}


def update(hook: HookRequest) -> Json:
    body = hook.body()
    status = text(body.get("status")).casefold()
    news = OrderUpdate(
        charged=hook_money.transactions(body),
        is_called_paid=status == "paid",
        is_called_refunded=status == "refunded",
        is_under_review=hook_requests.is_under_review(body),
        raw=hook.raw,
        read_additions=lambda: Additions(
            hook_requests.line_items(body, takes_price=True), hook_money.added_shipping(body)
        ),
        read_payment_method=lambda: hook_money.payment_method(body),
    )
    return order_json(orders.update(hook.merchant, hook.resource_id, news), hook.merchant.options)


def fetch(hook: HookRequest) -> Json:
    return order_json(orders.fetch(hook.merchant, hook.resource_id), hook.merchant.options)


def listing(hook: HookRequest) -> Json:
    """A page of all orders, newest first (contract 3.6)."""
    per_page, current_page = request.args.get("per_page", 20, int), request.args.get("current_page", 1, int)
    page = orders.listing(hook.merchant, per_page, current_page)
    return {
        "total": page.total,
        "per_page": page.per_page,
        "current_page": page.current_page,
        "data": [
            {
                "id": order.refnum,
                "created_at": int(order.created_at.timestamp()),
                "products": [{"id": line.product_key, "name": line.title} for line in order.lines],
            }
            for order in page.orders
        ],
    }


def _recorded(shown: ShownOrder) -> Json:
    """Our id and amount of the payment that came with the order (contract 3.4)."""
    first = shown.document.transactions[0] if shown.document.transactions else None
    return {
        "external_platform_transaction_id": f"{shown.document.refnum}-{first.external_id if first else 'none'}",
        "amount": first.amount if first else 0,
    }
