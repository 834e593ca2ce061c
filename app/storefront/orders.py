"""A cart becomes one order, which may grow until RetailOps knows it.

An order is handed to RetailOps once it was called paid with a payment method and no fraud review is open; from then on
it does not grow, and money that comes all the same is kept (Rally contract 9).  One request at a time changes a cart
or an order, and one at a time takes units (R25).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from app.records import held_orders
from app.storefront import cart_store, order_store, reservations
from app.storefront.cart_check import with_refusal
from app.storefront.cart_document import CartDocument, write_cart
from app.storefront.carts import find
from app.storefront.order_additions import release, reserve, with_additions
from app.storefront.order_document import OrderDocument, read_document, write_document
from app.storefront.order_progress import (
    changes_of,
    date_of,
    note_late_money,
    release_at,
    shown_state,
    with_news,
)
from app.storefront.order_store import OrderState, Standing, StoredOrder
from app.storefront.placement import Disagreement, note_doubt, placed
from app.storefront.refusals import ShopRefused
from app.storefront.requests import Checkout, OrderUpdate
from app.storefront.reservations import sellable
from app.storefront.shop import Shop

MOST_LISTED: Final = 100
LAST_PAGE: Final = 10**9


@dataclass(frozen=True)
class ShownOrder:
    """An order as it is answered.  `units` is what may be sold now of each of its SKUs."""

    document: OrderDocument
    state: OrderState
    units: Mapping[str, int]
    is_placed: bool = True
    """False for what an order would be: nothing was placed, and its numbers mean nothing."""


@dataclass(frozen=True)
class OrderPage:
    """A page of all orders, newest first."""

    total: int
    per_page: int
    current_page: int
    orders: tuple[OrderDocument, ...]


def create(shop: Shop, checkout: Checkout) -> ShownOrder:
    """The order of a cart; the one it has become already, if it has, with transactions and a review that are new.

    Without a payment method nothing is placed, and what would be is shown (Rally contract 9).  Raises `ShopRefused`
    cart_not_found, cart_differs, coupon_invalid, nothing_to_ship, out_of_stock or not_placed; then nothing is placed.
    """
    with shop.database.read() as connection:
        known = order_store.of_cart(connection, shop.channel, checkout.cart_id)
    if known is None:
        serial = [cart_store.lock_name(shop.channel, checkout.cart_id), reservations.lock_name(shop.channel)]
        with shop.database.write(serial=serial) as connection:
            cart = find(connection, shop, checkout.cart_id)
            if cart is not None:
                placed_now = _place(connection, shop, cart, checkout)
            else:  # it may have become an order meanwhile
                known = order_store.of_cart(connection, shop.channel, checkout.cart_id)
    if known is not None:
        return _repeated(shop, known.refnum, checkout)
    if cart is None:
        raise ShopRefused("cart_not_found")
    if isinstance(placed_now, ShopRefused):
        raise placed_now
    if placed_now.is_placed:
        shop.wake()
    return placed_now


def _place(connection: Connection, shop: Shop, cart: CartDocument, checkout: Checkout) -> ShownOrder | ShopRefused:
    """The order, or why there is none although something has to be kept: that it was refused."""
    try:
        document, units = placed(connection, shop, cart, checkout)
    except Disagreement as different:
        now = shop.clock()
        noted = write_cart(with_refusal(cart, different.mark))
        cart_store.put(connection, shop.channel, cart.cart_id, noted, now, shop.cart_date(now))
        return different.refusal
    if document.payment_method is None:
        return ShownOrder(document, "pending", units, is_placed=False)
    stored = _add(connection, shop, document, checkout.raw)
    taken = reserve(connection, shop, document.refnum, (), document.lines)
    cart_store.remove(connection, shop.channel, cart.cart_id)
    note_doubt(connection, shop, document)
    left = {sku: count - taken[sku] for sku, count in units.items()}
    return ShownOrder(document, shown_state(stored, shop.clock()), left)


def update(shop: Shop, refnum: str, news: OrderUpdate) -> ShownOrder:
    """Post-purchase additions, transactions, a fraud review, `paid`, or a refund that began at the checkout.

    Raises `ShopRefused` order_not_found, out_of_stock or addition_invalid; then nothing is changed.
    """
    serial = [order_store.lock_name(shop.channel, refnum), reservations.lock_name(shop.channel)]
    with shop.database.write(serial=serial) as connection:
        stored = order_store.get(connection, shop.channel, refnum)
        if stored is None:
            raise ShopRefused("order_not_found")
        before = document = read_document(stored.body)
        now = shop.clock()
        standing = order_store.standing(connection, shop.channel, refnum)
        if standing == "unknown" and not stored.is_final(now):
            document = with_additions(connection, shop, document, news)
            reserve(connection, shop, refnum, before.lines, document.lines)
        # Word for word again it says nothing of money that has come since.
        news = replace(news, is_called_refunded=news.is_called_refunded and news.raw not in stored.hooks)
        document = with_news(document, news, shop)
        changes = changes_of(shop, stored, document, news, standing, now)
        _requeue(changes, stored, before, document, standing, now)
        if document != before or changes or news.is_called_refunded:
            stored = _store(connection, shop, stored, before, document, changes, news.raw, standing, now)
        if "cancelled_at" in changes:
            release(connection, shop, document)
            held_orders.let_go(connection, shop.channel, [refnum])
        shown = _shown(connection, shop, stored, document)
    shop.wake()
    return shown


def fetch(shop: Shop, refnum: str) -> ShownOrder:
    """Raises `ShopRefused` order_not_found."""
    with shop.database.read() as connection:
        stored = order_store.get(connection, shop.channel, refnum)
        if stored is None:
            raise ShopRefused("order_not_found")
        return _shown(connection, shop, stored, read_document(stored.body))


def listing(shop: Shop, per_page: int, current_page: int) -> OrderPage:
    """A page; numbers out of range are brought into it."""
    size, page = min(max(per_page, 1), MOST_LISTED), min(max(current_page, 1), LAST_PAGE)
    with shop.database.read() as connection:
        total = order_store.count(connection, shop.channel)
        found = order_store.newest(connection, shop.channel, (page - 1) * size, size)
    return OrderPage(total, size, page, tuple(read_document(stored.body) for stored in found))


def _requeue(
    changes: dict[str, Any],
    stored: StoredOrder,
    before: OrderDocument,
    document: OrderDocument,
    standing: Standing,
    now: datetime,
) -> None:
    """An order that waits for RetailOps and gets more money goes to the end of the queue: a pull that has read it
    without that money leaves it for the next one."""
    is_waiting = standing == "unknown" and stored.is_final(now) and stored.cancelled_at is None
    if is_waiting and document.transactions != before.transactions:
        changes.setdefault("exportable_at", now)


def _store(
    connection: Connection, shop: Shop, stored: StoredOrder, before: OrderDocument, document: OrderDocument,
    changes: Mapping[str, Any], hook: bytes, standing: Standing, now: datetime,
) -> StoredOrder:  # fmt: skip
    """The order as it is now; money that came late is noted with it."""
    known = {transaction.external_id for transaction in before.transactions}
    payments = [item.external_id for item in document.transactions if item.external_id not in known]
    changed = order_store.change(
        connection, stored, now=now, purge_after=date_of(shop, stored, changes.get("state", stored.state), now),
        body=write_document(document), hook=hook, is_paid=document.is_charged, payments=payments, **changes,
    )  # fmt: skip
    note_late_money(connection, shop, before, document, standing)
    return changed


def _add(connection: Connection, shop: Shop, document: OrderDocument, raw: bytes) -> StoredOrder:
    now = document.created_at
    return order_store.add(
        connection,
        shop.channel,
        document.refnum,
        cart_id=document.cart_id,
        state="review" if document.is_under_review else "pending",
        body=write_document(document),
        hook=raw,
        now=now,
        exportable_at=release_at(shop, document, now),
        purge_after=shop.order_date(now, is_over=False),
        is_paid=document.is_charged,
        payments=[transaction.external_id for transaction in document.transactions],
    )


def _repeated(shop: Shop, refnum: str, checkout: Checkout) -> ShownOrder:
    """Only money is news then, and a fraud review that this very request did not name before, for it may have ended."""
    with shop.database.write(serial=[order_store.lock_name(shop.channel, refnum)]) as connection:
        stored = order_store.get(connection, shop.channel, refnum)
        if stored is None:
            raise ShopRefused("cart_not_found")
        before = read_document(stored.body)
        news = checkout.as_news(opens_review=bool(checkout.is_under_review) and checkout.raw not in stored.hooks)
        document = with_news(before, news, shop)
        if document != before or news.is_under_review:
            now = shop.clock()
            standing = order_store.standing(connection, shop.channel, refnum)
            changes = changes_of(shop, stored, document, news, standing, now) if news.is_under_review else {}
            _requeue(changes, stored, before, document, standing, now)
            stored = _store(connection, shop, stored, before, document, changes, checkout.raw, standing, now)
        return _shown(connection, shop, stored, document)


def _shown(connection: Connection, shop: Shop, stored: StoredOrder, document: OrderDocument) -> ShownOrder:
    return ShownOrder(document, shown_state(stored, shop.clock()), _units(connection, shop, document))


def _units(connection: Connection, shop: Shop, document: OrderDocument) -> dict[str, int]:
    return sellable(connection, shop.channel, shop.source, {line.sku for line in document.lines})
