"""How long the shop keeps carts and orders (R28)."""

from __future__ import annotations

from app.records.retention import Clock
from app.storefront import cart_store, order_expiry

CLOCKS: tuple[Clock, ...] = (
    Clock(
        "orders",
        "a row goes order_days after completion, cancellation or full refund, else open_order_days after its last "
        "change; each order carries its date; a paid one that RetailOps does not have is kept beyond it",
        lambda now, terms: order_expiry.expired(now),
        lambda connection, rows, now, terms: order_expiry.purge(
            connection, [(row.channel, row.refnum) for row in rows], now
        ),
        order_expiry.of_order,
        lambda connection, rows: order_expiry.erase(connection, [(row.channel, row.refnum) for row in rows]),
    ),
    Clock(
        "carts",
        "a row goes when the cart is an order, or cart_days after its last change",
        lambda now, terms: cart_store.expired(now),
        lambda connection, rows, now, terms: cart_store.purge(
            connection, [(row.channel, row.cart_id) for row in rows], now
        ),
        cart_store.of_order,
    ),
)
