"""Keeps what later callbacks need of an order: its lines as bought, and its payments in whole minor units."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec
from sqlalchemy import Connection

from app.channel.money import rounded
from app.domain.orders import OrderSketch
from app.records import handed_out, refunds


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
