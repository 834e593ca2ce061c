"""How far an order is: its money and review, when it is paid, may be handed out, or was cancelled.

A checkout calls an order paid and names the payment method with that; a fraud review that is open overrides it (Rally
contract 3.2, 3.5) until RetailOps has the order.  A checkout has no request for an order that was cancelled; one that
is called refunded is taken so, unless something has shipped.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection

from app.domain.orders import OrderSketch
from app.records import payment_ledger
from app.storefront.cart_check import has_stated_sum
from app.storefront.order_document import OrderDocument, Transaction
from app.storefront.order_store import OrderState, Standing, StoredOrder
from app.storefront.requests import OrderUpdate
from app.storefront.retailops_order import to_payments
from app.storefront.shop import Shop

log = logging.getLogger(__name__)


def with_transactions(document: OrderDocument, charged: Sequence[Transaction]) -> OrderDocument:
    """Old transactions come again; each id counts once, as it came first (Rally contract 3.4, 3.5)."""
    known = {transaction.external_id: transaction for transaction in document.transactions}
    for transaction in charged:
        if known.setdefault(transaction.external_id, transaction).amount != transaction.amount:
            log.warning("a transaction came again with another amount", extra={"order": document.refnum})
    return msgspec.structs.replace(document, transactions=tuple(known.values()))


def with_news(document: OrderDocument, news: OrderUpdate, shop: Shop) -> OrderDocument:
    """What the update says of money and review."""
    document = with_transactions(document, news.charged)
    method = news.read_payment_method()
    says_paid = news.is_called_paid and method is not None
    refunded = document.merchant_refunded
    if news.is_called_refunded:
        refunded = tuple(transaction.external_id for transaction in document.transactions)
    review = news.is_under_review
    if review is None and says_paid and shop.options.paid_clears_review:
        review = False
    return msgspec.structs.replace(
        document,
        payment_method=method or document.payment_method,
        is_paid=document.is_paid or says_paid,
        is_under_review=document.is_under_review if review is None else review,
        is_paid_back=document.is_paid_back and not news.is_called_refunded,
        merchant_refunded=refunded,
    )


def note_late_money(
    connection: Connection, shop: Shop, before: OrderDocument, document: OrderDocument, standing: Standing
) -> None:
    """Money that comes when RetailOps has the order already: it has to go back with the rest all the same."""
    refnum = document.refnum
    if document.transactions != before.transactions and standing != "unknown":
        log.warning("money came for an order that had been handed out", extra={"order": refnum})
        stated = OrderSketch(refnum, (), document.currency, to_payments(document, shop.source))
        payment_ledger.remember_payments(connection, shop.channel, [stated])


def changes_of(
    shop: Shop, stored: StoredOrder, document: OrderDocument, news: OrderUpdate, standing: Standing, now: datetime
) -> dict[str, Any]:
    """What becomes of the order: its new state, from when it may be handed out, that it was cancelled."""
    if news.is_called_refunded:
        # The merchant gave the money back at the checkout; no request says so otherwise (Rally contract 6.3).
        if stored.state in ("cancelled", "refunded"):
            return {}
        if stored.state == "completed" or document.fulfillments:
            log.warning(
                "the merchant refunded an order at %s that has shipped", shop.vendor, extra={"order": document.refnum}
            )
            return {"state": "refunded"}
        # Whoever was given it has to be sent that, though a review has taken it back since (R18).
        is_away = standing != "unknown" and stored.exportable_at is None
        return {"state": "refunded", "cancelled_at": now} | ({"exportable_at": now} if is_away else {})
    if stored.state not in ("pending", "review", "paid"):
        return {}
    is_gone = stored.is_final(now) and (standing == "taken" or bool(document.fulfillments))
    if is_gone and news.is_under_review:
        log.warning("a fraud review was opened for an order RetailOps has already", extra={"order": document.refnum})
    is_held = document.is_under_review and not is_gone
    state: OrderState = "review" if is_held else "paid" if document.is_paid or stored.state == "paid" else "pending"
    exportable_at = stored.exportable_at
    if state == "review":
        exportable_at = None
    elif state == "paid":
        exportable_at = min(exportable_at or now, now)
    elif state == "pending" and not stored.is_final(now):
        exportable_at = release_at(shop, document, now)
    values = {"state": state, "exportable_at": exportable_at}
    return {name: value for name, value in values.items() if value != getattr(stored, name)}


def open_state(document: OrderDocument, *, is_queued: bool) -> OrderState:
    """The state of an order that is not over; a review does not hold one that may be handed out (`is_queued`)."""
    if document.is_under_review and not is_queued:
        return "review"
    return "paid" if document.is_paid or document.fulfillments else "pending"


def shown_state(stored: StoredOrder, now: datetime) -> OrderState:
    """The state to show: an order that was handed out although it was never called paid is as good as paid."""
    return "paid" if stored.state == "pending" and stored.is_final(now) else stored.state


def date_of(shop: Shop, stored: StoredOrder, state: OrderState, now: datetime) -> datetime:
    """When an order that changes now, and is in this state then, is forgotten.

    What happens to an order that is over keeps nobody's data longer (R28).
    """
    is_over = state in ("completed", "cancelled", "refunded")
    return stored.purge_after if is_over and stored.state == state else shop.order_date(now, is_over=is_over)


def release_at(shop: Shop, document: OrderDocument, now: datetime) -> datetime | None:
    """When an order that is never called paid goes out all the same, or None for never."""
    after_minutes = shop.options.release_unpaid_after_minutes
    paid, total = document.paid, document.total
    is_covered = paid >= total or (paid > 0 and has_stated_sum(document, document.transactions))
    if not after_minutes or document.is_under_review or not is_covered:
        return None
    return now + timedelta(minutes=after_minutes)
