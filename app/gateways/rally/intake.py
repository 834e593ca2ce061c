"""Rally's order hooks: a cart becomes one order, which may grow until RetailOps knows it (contract 3.2, 3.4, 3.5).

An order is handed to RetailOps once `paid` was said with a payment method and no fraud review is open; from then
on it grows only by what the very request brings the money for, lest its sums differ.  One request at a time changes
a cart or an order, and one at a time takes units (R25).
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from app.gateways.rally import hook_errors
from app.gateways.rally.additions import release, reserve, with_additions
from app.gateways.rally.cart_document import CartDocument
from app.gateways.rally.carts import check_stock, load, wanted_of, with_coupons, with_shopper
from app.gateways.rally.hook_bodies import (
    Json,
    coupons,
    is_under_review,
    line_items,
    mapping,
    payment_method,
    text,
    transactions,
)
from app.gateways.rally.order_document import OrderDocument, Transaction, read_document, write_document
from app.gateways.rally.order_progress import (
    changes_of,
    note_late_money,
    release_at,
    status_of,
    with_news,
    with_transactions,
)
from app.gateways.rally.pricing import Priced, is_deliverable
from app.gateways.rally.products import find_units, sellable
from app.gateways.rally.shop import Shop
from app.gateways.rally.showing import order_json
from app.records import carts, orders, reservations
from app.records.orders import StoredOrder

PREFIX: Final = "RLY-"
_ALPHABET: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_LENGTH: Final = 10
"""50 bits: numbers that nobody guesses, short enough to be read out."""

MOST_LISTED: Final = 100
LAST_PAGE: Final = 10**9


def create(shop: Shop, body: Json, raw: bytes, *, is_offers_only: bool) -> dict[str, Any]:
    """The order of a cart; the one it has become already, if it has, with transactions that are new.

    Raises `HookRefused` cart_not_found, cart_has_been_updated, invalid_discount_code,
    cart_contains_only_digital_items, 412 out_of_stock or 412 unknown; then nothing is changed.
    """
    cart_id = text(mapping(body.get("cart")).get("external_id"))
    charged = transactions(body)
    with shop.database.read() as connection:
        known = orders.of_cart(connection, shop.channel, cart_id)
    if known is None:
        serial = [carts.lock_name(shop.channel, cart_id), reservations.lock_name(shop.channel)]
        with shop.database.write(serial=serial) as connection:
            known = orders.of_cart(connection, shop.channel, cart_id)
            if known is None:
                document = _placed(connection, shop, cart_id, body, charged, is_offers_only)
                stored = _add(connection, shop, document, raw)
                reserve(connection, shop, document.refnum, (), document.lines)
                carts.remove(connection, shop.channel, cart_id)
                answer = _created(connection, shop, stored, document)
    if known is not None:
        return _repeated(shop, known.refnum, charged, raw)
    shop.wake()
    return answer


def update(shop: Shop, refnum: str, body: Json, raw: bytes) -> dict[str, Any]:
    """Post-purchase additions, transactions, a fraud review, `paid`, or a refund that began at Rally.

    Raises `HookRefused` order_not_found, out_of_stock or ppo_add_error, and `BadBody`; then nothing is changed.
    """
    charged = transactions(body)
    serial = [orders.lock_name(shop.channel, refnum), reservations.lock_name(shop.channel)]
    with shop.database.write(serial=serial) as connection:
        stored = orders.get(connection, shop.channel, refnum)
        if stored is None:
            raise hook_errors.order_not_found()
        before = document = read_document(stored.body)
        now = shop.clock()
        standing = orders.standing(connection, shop.channel, refnum)
        if standing == "unknown" and _may_grow(stored, document, charged, now):
            document = with_additions(connection, shop, document, body, charged)
            reserve(connection, shop, refnum, before.lines, document.lines)
        document = with_news(document, body, charged, shop)
        changes = changes_of(shop, stored, document, body, standing, now)
        if document.additions != before.additions and stored.is_final(now):
            changes.setdefault("exportable_at", now)
        if document != before or changes:
            is_over = changes.get("state", stored.state) in ("completed", "cancelled", "refunded")
            stored = orders.change(
                connection,
                stored,
                now=now,
                purge_after=shop.order_date(now, is_over=is_over),
                body=write_document(document),
                hook=raw,
                **changes,
            )
            note_late_money(connection, shop, before, document)
        if "cancelled_at" in changes:
            release(connection, shop, document)
        answer = _shown(connection, shop, stored, document)
    shop.wake()
    return answer


def fetch(shop: Shop, refnum: str) -> dict[str, Any]:
    """Raises `HookRefused` order_not_found."""
    with shop.database.read() as connection:
        stored = orders.get(connection, shop.channel, refnum)
        if stored is None:
            raise hook_errors.order_not_found()
        return _shown(connection, shop, stored, read_document(stored.body))


def listing(shop: Shop, per_page: int, current_page: int) -> dict[str, Any]:
    """A page of all orders, newest first (contract 3.6)."""
    size, page = min(max(per_page, 1), MOST_LISTED), min(max(current_page, 1), LAST_PAGE)
    with shop.database.read() as connection:
        total = orders.count(connection, shop.channel)
        found = orders.newest(connection, shop.channel, (page - 1) * size, size)
    documents = [(stored, read_document(stored.body)) for stored in found]
    return {
        "total": total,
        "per_page": size,
        "current_page": page,
        "data": [
            {
                "id": stored.refnum,
                "created_at": int(stored.created_at.timestamp()),
                "products": [{"id": line.product_key, "name": line.title} for line in document.lines],
            }
            for stored, document in documents
        ],
    }


def _may_grow(stored: StoredOrder, document: OrderDocument, charged: Sequence[Transaction], now: datetime) -> bool:
    """True while the order waits; later, until it is over, only for what comes with its money."""
    if not stored.is_final(now):
        return True
    known = {transaction.external_id for transaction in document.transactions}
    is_paid_for = any(item.amount > 0 and item.external_id not in known for item in charged)
    return is_paid_for and stored.state in ("pending", "paid")


def _placed(
    connection: Connection, shop: Shop, cart_id: str, body: Json, charged: Sequence[Transaction], is_offers_only: bool
) -> OrderDocument:
    """The order this cart makes, at the prices the shopper was shown.  Raises `HookRefused`."""
    cart = load(connection, shop, cart_id)
    _check_lines(cart, body)
    cart = with_coupons(with_shopper(cart, body), coupons(body), shop.options)
    if not (cart.needs_shipping or is_offers_only or shop.options.offers_only):
        raise hook_errors.only_digital_items()
    priced = cart.priced(shop.options)
    _check_shipping(cart, priced, body, shop)
    wanted = wanted_of(cart.lines)
    pairs = [(item.product_id, item.variant_id) for item in wanted]
    check_stock(wanted, find_units(connection, shop.channel, pairs, shop.options), {}, status=412)
    refnum = PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    device = mapping(body.get("device_information"))
    document = OrderDocument(
        refnum=refnum,
        number=refnum,
        cart_id=cart_id,
        created_at=shop.clock(),
        currency=shop.options.currency,
        lines=priced.lines,
        next_line=cart.next_line,
        customer=cart.customer,
        billing_address=cart.billing_address,
        shipping_address=cart.shipping_address,
        shipping=priced.chosen,
        discounts=priced.discounts,
        taxes=priced.taxes,
        payment_method=payment_method(body),
        ip_address=_ip_address(text(device.get("device_ip_address"))),
        notes=cart.notes,
        is_offers_only=is_offers_only,
        is_under_review=bool(is_under_review(body)),
        meta=dict(mapping(body.get("meta"))),
    )
    return with_transactions(document, charged)


def _check_lines(cart: CartDocument, body: Json) -> None:
    """The shopper bought what the cart holds: as many lines, as many units (contract 3.4)."""
    bought = line_items(body)
    is_same = len(bought) == len(cart.lines) and sum(item.quantity for item in bought) == sum(
        line.quantity for line in cart.lines
    )
    if not cart.lines or not is_same:
        raise hook_errors.cart_has_been_updated("the lines are not those of the cart")


def _check_shipping(cart: CartDocument, priced: Priced, body: Json, shop: Shop) -> None:
    """Raises `HookRefused` where the goods could not be shipped as the shopper believes."""
    if not cart.needs_shipping:
        return
    if not is_deliverable(cart.shipping_address, shop.options):
        raise hook_errors.cart_has_been_updated("the shipping address lacks its country, postcode or region")
    if not priced.offers:
        raise hook_errors.placement_failed("nothing is shipped to this address")
    asked = text(body.get("selected_shipping_line_external_id"))
    if asked and asked != (priced.chosen.external_id if priced.chosen else ""):
        raise hook_errors.cart_has_been_updated("the chosen shipping is not offered any more")


def _ip_address(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        return ""


def _add(connection: Connection, shop: Shop, document: OrderDocument, raw: bytes) -> StoredOrder:
    now = document.created_at
    return orders.add(
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
    )


def _repeated(shop: Shop, refnum: str, charged: Sequence[Transaction], raw: bytes) -> dict[str, Any]:
    with shop.database.write(serial=[orders.lock_name(shop.channel, refnum)]) as connection:
        stored = orders.get(connection, shop.channel, refnum)
        if stored is None:
            raise hook_errors.cart_not_found()
        before = read_document(stored.body)
        document = with_transactions(before, charged)
        if document != before:
            now = shop.clock()
            date = max(stored.purge_after, shop.order_date(now, is_over=False))
            stored = orders.change(
                connection, stored, now=now, purge_after=date, body=write_document(document), hook=raw
            )
            note_late_money(connection, shop, before, document)
        return _created(connection, shop, stored, document)


def _shown(connection: Connection, shop: Shop, stored: StoredOrder, document: OrderDocument) -> dict[str, Any]:
    units = sellable(connection, shop.channel, {line.sku for line in document.lines})
    return order_json(document, status_of(stored, shop.options, shop.clock()), units)


def _created(connection: Connection, shop: Shop, stored: StoredOrder, document: OrderDocument) -> dict[str, Any]:
    """With our id and amount of the payment that came with the order (contract 3.4)."""
    first = document.transactions[0] if document.transactions else None
    recorded = {
        "external_platform_transaction_id": f"{document.refnum}-{first.external_id if first else 'none'}",
        "amount": first.amount if first else 0,
    }
    return _shown(connection, shop, stored, document) | {"payment_created": recorded}
