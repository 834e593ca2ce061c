"""Keeps what later callbacks need of an order: its lines as bought, and its payments in whole minor units."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal

import msgspec
from sqlalchemy import Connection

from app.channel.money import rounded
from app.domain.orders import Order, OrderLine, OrderSketch, SketchLine
from app.records import handed_out, payment_ledger
from app.records.pulls import Walk

_NOTHING = Decimal(0)


def remember(connection: Connection, channel: str, sketch: OrderSketch) -> None:
    """Keep an order's lines unless they are kept already, and its payments as they are now."""
    known = handed_out.known_refnums(connection, channel, [sketch.refnum])
    remember_all(connection, channel, [sketch], known)


def remember_all(
    connection: Connection,
    channel: str,
    sketches: Sequence[OrderSketch],
    known: Collection[str],
    walk: Walk | None = None,
) -> None:
    """The same of many orders, of which those of the numbers `known` are kept already; `walk` hands out the others."""
    kept = [_rounded(sketch) for sketch in sketches]
    payment_ledger.remember_payments(connection, channel, kept)
    handed_out.add(connection, channel, [sketch for sketch in kept if sketch.refnum not in known], walk)


def _rounded(sketch: OrderSketch) -> OrderSketch:
    if not (sketch.payments or sketch.shipping or sketch.shipping_tax):
        return sketch
    currency = sketch.currency_code
    return msgspec.structs.replace(
        sketch,
        payments=tuple(
            msgspec.structs.replace(item, amount=rounded(item.amount, currency)) for item in sketch.payments
        ),
        shipping=rounded(sketch.shipping, currency),
        shipping_tax=rounded(sketch.shipping_tax, currency),
    )


def sketch_of(order: Order) -> OrderSketch:
    """The lines as bought, for all that is computed of the order later."""
    return OrderSketch(
        order.refnum,
        tuple([_sketch_line(line, carries_money=order.carries_money) for line in order.lines]),
        order.currency_code,
        order.payments,
        _shipping(order),
        order.shipping_tax,
        order.source_number,
    )


def _shipping(order: Order) -> Decimal:
    if not (order.shipping_amount or order.discount_amount):
        return _NOTHING
    return max(order.shipping_amount - order.discount_amount, _NOTHING)


def _sketch_line(line: OrderLine, *, carries_money: bool) -> SketchLine:
    needs_shipping = line.item_type == "ship"
    if not (carries_money or line.unit_price or line.discount or line.unit_tax or line.tax or line.tax_rates):
        return SketchLine(line.refnum, line.sku, line.quantity, line.source_sku, needs_shipping)
    return SketchLine(
        line.refnum,
        line.sku,
        line.quantity,
        line.source_sku,
        needs_shipping,
        charged=line.unit_price * line.quantity - line.discount,
        tax=line.all_tax,
        tax_rates=line.tax_rates,
        unit_price=line.unit_price if carries_money else None,
    )
