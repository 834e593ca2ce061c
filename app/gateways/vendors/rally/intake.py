"""Rally's order hooks: a cart becomes one order, which may grow until RetailOps knows it (contract 3.2, 3.4, 3.5).

An order is handed to RetailOps once `paid` was said with a payment method and no fraud review is open; from then
on it does not grow, and money that comes all the same is kept (contract 9).  One request at a time changes a cart or
an order, and one at a time takes units (R25).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from app.gateways.vendors.rally import hook_errors
from app.gateways.vendors.rally.additions import release, reserve, with_additions
from app.gateways.vendors.rally.cart_check import with_refusal
from app.gateways.vendors.rally.cart_document import write_cart
from app.gateways.vendors.rally.carts import load
from app.gateways.vendors.rally.hook_bodies import Json, identifier, mapping
from app.gateways.vendors.rally.hook_errors import HookRefused
from app.gateways.vendors.rally.hook_money import transactions
from app.gateways.vendors.rally.order_document import OrderDocument, Transaction, read_document, write_document
from app.gateways.vendors.rally.order_progress import (
    changes_of,
    note_late_money,
    release_at,
    status_of,
    with_news,
    with_transactions,
)
from app.gateways.vendors.rally.placement import Disagreement, note_doubt, placed, unplaced
from app.gateways.vendors.rally.products import sellable
from app.gateways.vendors.rally.shop import Shop
from app.gateways.vendors.rally.showing import order_json
from app.records import carts, held_orders, orders, reservations
from app.records.orders import Standing, StoredOrder

MOST_LISTED: Final = 100
LAST_PAGE: Final = 10**9


def create(shop: Shop, body: Json, raw: bytes, *, is_offers_only: bool) -> dict[str, Any]:
    """The order of a cart; the one it has become already, if it has, with transactions that are new.

    Without a payment method nothing is placed, and the answer is what would be, without ids (contract 9).
    Raises `HookRefused` cart_not_found, cart_has_been_updated, invalid_discount_code,
    cart_contains_only_digital_items, 412 out_of_stock or 412 unknown; then nothing is placed.
    """
    cart_id = identifier(mapping(body.get("cart")).get("external_id"))
    charged = transactions(body)
    refused: HookRefused | None = None
    answer: dict[str, Any] = {}
    with shop.database.read() as connection:
        known = orders.of_cart(connection, shop.channel, cart_id)
    if known is None:
        serial = [carts.lock_name(shop.channel, cart_id), reservations.lock_name(shop.channel)]
        with shop.database.write(serial=serial) as connection:
            known = orders.of_cart(connection, shop.channel, cart_id)
            if known is None:
                cart = load(connection, shop, cart_id)
                try:
                    document = placed(connection, shop, cart, body, charged, is_offers_only)
                except Disagreement as different:  # nothing is placed; that it was refused is kept
                    now, refused = shop.clock(), different.refusal
                    noted = write_cart(with_refusal(cart, different.mark))
                    carts.put(connection, shop.channel, cart_id, noted, now, shop.cart_date(now))
                else:
                    if document.payment_method is None:
                        return unplaced(connection, shop, document)
                    stored = _add(connection, shop, document, raw)
                    reserve(connection, shop, document.refnum, (), document.lines)
                    carts.remove(connection, shop.channel, cart_id)
                    note_doubt(connection, shop, document)
                    answer = _created(connection, shop, stored, document)
    if refused is not None:
        raise refused
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
        if standing == "unknown" and not stored.is_final(now):
            document = with_additions(connection, shop, document, body, charged)
            reserve(connection, shop, refnum, before.lines, document.lines)
        document = with_news(document, body, charged, shop)
        changes = changes_of(shop, stored, document, body, standing, now)
        _requeue(changes, stored, before, document, standing, now)
        if document != before or changes:
            is_over = changes.get("state", stored.state) in ("completed", "cancelled", "refunded")
            stored = orders.change(
                connection,
                stored,
                now=now,
                purge_after=shop.order_date(now, is_over=is_over),
                body=write_document(document),
                hook=raw,
                is_paid=document.is_charged,
                **changes,
            )
            note_late_money(connection, shop, before, document)
        if "cancelled_at" in changes:
            release(connection, shop, document)
            held_orders.let_go(connection, shop.channel, [refnum])
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
        is_paid=document.is_charged,
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
            changes: dict[str, Any] = {}
            _requeue(changes, stored, before, document, orders.standing(connection, shop.channel, refnum), now)
            stored = orders.change(
                connection,
                stored,
                now=now,
                purge_after=date,
                body=write_document(document),
                hook=raw,
                is_paid=document.is_charged,
                **changes,
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
