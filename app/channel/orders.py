"""An order a callback is about, remembered here or found at its source."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec
from sqlalchemy import Connection

from app.channel.money import rounded
from app.channel.services import CallbackRequest, Services
from app.domain.orders import OrderSketch
from app.records import handed_out, refunds
from app.records.handed_out import KnownOrder


def find(services: Services, request: CallbackRequest, refnum: str) -> KnownOrder | None:
    """The order as remembered, or as its source tells; None when neither knows it.

    Raises `GatewayError` when it is not remembered and the source cannot be asked.
    """
    channel = request.channel.key
    with services.database.read() as connection:
        order = handed_out.known_as_stated(connection, channel, [refnum]).get(refnum)
    source = services.order_source(request.channel)
    if order is not None or source is None or source.orders is None:
        return order
    sketch = source.orders.find_order(refnum, request.call("question"))
    if sketch is None:
        return None
    with services.database.write(
        wait_s=max(request.deadline.left_s(), 1.0), serial=[f"{channel}/{refnum}"]
    ) as connection:
        remember(connection, channel, sketch)
        return handed_out.known(connection, channel, [refnum])[refnum]


def remember(connection: Connection, channel: str, sketch: OrderSketch) -> None:
    """Keep an order's lines unless they are kept already, and its payments as they are now."""
    known = handed_out.known_refnums(connection, channel, [sketch.refnum])
    remember_all(connection, channel, [sketch], known)


def remember_all(connection: Connection, channel: str, sketches: Sequence[OrderSketch], known: Collection[str]) -> None:
    """The same of many orders, of which those of the numbers `known` are kept already."""
    kept = [_rounded(sketch) for sketch in sketches]
    refunds.remember_payments(connection, channel, kept)
    handed_out.add(connection, channel, [sketch for sketch in kept if sketch.refnum not in known])


def _rounded(sketch: OrderSketch) -> OrderSketch:
    currency = sketch.currency_code
    return msgspec.structs.replace(
        sketch,
        payments=tuple(
            msgspec.structs.replace(item, amount=rounded(item.amount, currency)) for item in sketch.payments
        ),
        shipping=rounded(sketch.shipping, currency),
        shipping_tax=rounded(sketch.shipping_tax, currency),
    )
