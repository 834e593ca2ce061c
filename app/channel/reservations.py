"""Reservations: units of orders that RetailOps' stock does not count yet, and when they end (R25).

Gateways are owed first and rows changed afterwards, always in this order, so that no two callbacks wait for each other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import Connection

from app.channel.services import CallbackRequest
from app.gateways.capabilities import Gateway
from app.records import stock_sync
from app.storefront import reservations


def acknowledged(connection: Connection, channel: str, source: Gateway, order_refnum: str, now: datetime) -> None:
    """RetailOps has the order: its next statements of stock will count the units.

    It says so when it ships, completes or cancels the order as well, for an acknowledgement may be lost.
    """
    if _grace_s(source) is not None:
        reservations.note_acknowledged(connection, channel, order_refnum, now)


def cancelled(connection: Connection, channel: str, source: Gateway | None, order_refnum: str) -> None:
    """The order is cancelled at its source (None: not configured any more): its units can be sold again."""
    if source is not None and _grace_s(source) is not None:
        skus = reservations.skus_of(connection, channel, [order_refnum])
        stock_sync.owe_again(connection, channel, source.token, skus)
        reservations.release(connection, channel, order_refnum)


def moved(connection: Connection, request: CallbackRequest, skus: Iterable[str]) -> None:
    """An order was handed out or a shipment is sent: vendors that subtract it by themselves have moved these SKUs.

    Not a vendor that is sent what is left after the units of orders: its figure stays right (R25).
    """
    moving = [
        gateway.token
        for gateway in request.services.gateways_of(request.channel)
        if gateway.stock is not None and gateway.stock.can_move_at_vendor and _grace_s(gateway) is None
    ]
    named = {sku for sku in skus if sku}
    stock_sync.note_moved(connection, request.channel.key, named, request.services.clock(), gateways=moving)


def stated(connection: Connection, request: CallbackRequest, skus: Collection[str]) -> None:
    """RetailOps stated the stock of these SKUs: what it must have counted by now is no longer subtracted."""
    source = request.order_source
    if source is not None and (grace_s := _grace_s(source)) is not None:
        freed = reservations.settle(connection, request.channel.key, skus, request.services.clock(), grace_s)
        stock_sync.owe_again(connection, request.channel.key, source.token, freed)


def _grace_s(gateway: Gateway) -> float | None:
    """After which time stock counts an acknowledged order; None where units of orders are not subtracted here."""
    return gateway.orders.reserve_grace_s if gateway.orders is not None else None
