"""Orders that a pull holds back, because RetailOps cannot be given them correctly: noted for the operator."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from sqlalchemy import Connection

from app.channel.services import CallbackRequest
from app.domain.orders import HeldBack, Order
from app.records import held_orders
from app.records.pulls import Kept

log = logging.getLogger(__name__)


def to_note(request: CallbackRequest, held: list[HeldBack], most: int) -> list[HeldBack]:
    """Those to be noted now: all, or where they are more than `most` so many of which the operator does not see yet.

    The next pulls note the rest.  Each is locked for it, and all connections to PostgreSQL share some thousand locks.
    """
    if len(held) <= most:
        return held
    with request.services.database.read() as connection:
        noted = held_orders.noted(connection, request.channel.key, [item.refnum for item in held])
    return [item for item in held if item.refnum not in noted][:most]


def note(
    connection: Connection, request: CallbackRequest, given: Sequence[Order], held: Sequence[HeldBack], before: Kept
) -> None:
    """The operator sees what is held back, and no longer what is given."""
    channel = request.channel.key
    held_orders.let_go(connection, channel, before.held_back.intersection(order.refnum for order in given))
    fresh = [item for item in held if item.refnum not in before.held_back]
    are_new = before.handed_out.keys().isdisjoint(item.refnum for item in fresh)
    unknown = held_orders.hold(connection, channel, fresh, request.services.clock(), are_new=are_new)
    if news := [item for item in fresh if item.refnum in unknown]:
        message = "channel %s: %s more orders are held back, the first: %s"
        log.warning(message, channel, len(news), news[0].reason, extra={"order": news[0].refnum})
