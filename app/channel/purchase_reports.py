"""Keeps the purchase reports that observers are to be sent of orders that are handed out, until they are due (R17)."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from sqlalchemy import Connection

from app.channel.services import CallbackRequest
from app.domain.orders import Order
from app.domain.purchases import Purchase
from app.gateways.capabilities import Observer
from app.records import purchase_reports

log = logging.getLogger(__name__)


def keep(connection: Connection, request: CallbackRequest, orders: Sequence[Order]) -> None:
    """Keep for each observer of the channel the purchase reports of these orders; it cannot fail the pull.

    Orders without money are nothing to report (R20), nor are those that are cancelled.
    """
    channel = request.channel
    for gateway in request.services.gateways_of(channel):
        observer = gateway.observer
        if observer is None or not observer.reports_at:
            continue
        named = (channel.key, gateway.token)
        purchases = [
            purchase
            for order in orders
            if order.carries_money and not order.is_cancelled and (purchase := _purchase(observer, order, *named))
        ]
        if purchases:
            purchase_reports.see(connection, channel.key, gateway.token, purchases, request.services.clock())


def _purchase(observer: Observer, order: Order, channel: str, token: str) -> Purchase | None:
    try:
        return observer.purchase_of(order)
    except Exception:
        log.exception("channel %s: an order cannot be put down for %s", channel, token)
        return None
