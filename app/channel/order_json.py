"""An order as RetailOps reads it, and the reasons for which an order is not fit to be sent.

Every enum, date and list is present in every object, because RetailOps fills what is missing with empty
values and then refuses the whole page for them (SDK contract 1.6).
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from msgspec import to_builtins
from msgspec.structs import asdict

from app.channel.money import CURRENCIES, as_number, line_tolerance
from app.domain.attributes import all_stand_alone, pieces
from app.domain.orders import Attribute, Order, OrderLine, Payment
from app.domain.texts import are_plain_keys, key_fault

_TO_THE_SECOND = len("2026-01-31T12:00:00")

MOST_TAGS = 100
"""Tags of an order at RetailOps."""

_NO_MONEY = {"shipping_amt": 0, "tax_amt": 0, "discount_amt": 0}
"""The amounts of each order of a source that carries no money (R20)."""

_NO_LINE_MONEY = {"unit_price": 0, "unit_tax": 0, "discount_amt": 0}
"""The same of each line."""

_NONE: list[Any] = []
"""What every list that is empty is, for a page has hundreds; nothing is ever added to it."""


def unfit(order: Order) -> str:
    """Why this order must be held back, as a sentence without values; "" when it may go.

    One that was cancelled goes whatever its sums are: nothing is booked of it (R18).
    """
    if order.currency_code not in CURRENCIES:
        return "its currency is not one RetailOps knows"
    if not order.lines:
        return "it has no lines"
    if not order.ship_service_code:
        return "it names no shipping service and no default is set"
    keys = [order.refnum, *[payment.refnum for payment in order.payments]]
    for line in order.lines:
        if line.quantity < 1:
            return "a line has no positive quantity"
        if not line.sku:
            return "a line has no SKU"
        keys += (line.refnum, line.sku, line.source_sku)
    if not are_plain_keys(keys) and (reason := _unkeepable(order)):
        return reason
    if len(order.tags) > MOST_TAGS:
        return f"it has more than {MOST_TAGS} tags"
    if order.carries_money and not order.is_cancelled and not _is_covered(order):
        return (
            "SUMS_DIFFER: the sums of its lines, charges and payments differ: mend its lines with "
            "`channel send order_update`, or give all back with `channel send order_cancel`"
        )
    return ""


def _unkeepable(order: Order) -> str:
    """Which of its numbers later calls could not name, for our records know everything by them; "" for none."""
    numbers = {"its number": [order.refnum]}
    numbers["a line's number"] = [line.refnum for line in order.lines]
    numbers["a line's SKU"] = [sku for line in order.lines for sku in (line.sku, line.source_sku)]
    numbers["a payment's number"] = [payment.refnum for payment in order.payments]
    return next(
        (f"{what} {fault}" for what, texts in numbers.items() for text in texts if (fault := key_fault(text))), ""
    )


def _is_covered(order: Order) -> bool:
    return abs(_owed(order) - _paid(order)) <= line_tolerance(len(order.lines), order.currency_code)


def _owed(order: Order) -> Decimal:
    lines = sum((line.quantity * (line.unit_price + line.unit_tax) - line.discount for line in order.lines), Decimal(0))
    return lines + order.shipping_amount + order.tax_amount - order.discount_amount


def _paid(order: Order) -> Decimal:
    return sum((payment.amount for payment in order.payments), Decimal(0))


def order_json(order: Order) -> dict[str, Any]:
    """The element of order_pull's `orders`."""
    currency = order.currency_code
    shipping_address = asdict(order.shipping_address)
    return {
        "channel_order_refnum": order.refnum,
        "channel_date_created": moment_text(order.created_at),
        "currency_code": currency,
        "ship_service_code": order.ship_service_code,
        "cancel": order.is_cancelled,
        "currency_values": {
            "shipping_amt": as_number(order.shipping_amount, currency),
            "tax_amt": as_number(order.tax_amount, currency),
            "discount_amt": as_number(order.discount_amount, currency),
        }
        if order.shipping_amount or order.tax_amount or order.discount_amount
        else _NO_MONEY,
        "billing_address": asdict(order.billing_address) if order.billing_address else shipping_address,
        "shipping_address": shipping_address,
        "customer_info": {
            "email_address": order.email,
            "full_name": order.full_name,
            "phone_number": order.phone_number,
        },
        "order_items": [_line(line, currency) for line in order.lines],
        "payment_transactions": [_payment(each, currency) for each in order.payments] if order.payments else _NONE,
        "attributes": _attributes(order.attributes),
        "tags": list(dict.fromkeys(order.tags)) if order.tags else _NONE,
        "gift_message": order.gift_message,
        "ip_address": order.ip_address,
    }


def moment_text(moment: datetime) -> str:
    """RFC 3339 with offset, to the second."""
    in_utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    text: str = to_builtins(in_utc)  # in a fifth of the time that `isoformat` takes
    return text[:_TO_THE_SECOND] + "+00:00"


def _attributes(given: tuple[Attribute, ...]) -> list[dict[str, str]]:
    if all_stand_alone([item.value for item in given]):
        return list(map(asdict, given))
    return [
        {"attribute_type": item.attribute_type, "handle": handle, "value": part}
        for item in given
        for handle, part in pieces(item.handle, item.value)
    ]


def _line(line: OrderLine, currency: str) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "channel_item_refnum": line.refnum,
        "sku": line.sku,
        "sku_description": line.description,
        "quantity": line.quantity,
        "item_type": line.item_type,
        "currency_values": {
            "unit_price": as_number(line.unit_price, currency),
            "unit_tax": as_number(line.unit_tax, currency, decimals=4),
            "discount_amt": as_number(line.discount, currency),
        }
        if line.unit_price or line.unit_tax or line.discount
        else _NO_LINE_MONEY,
        "options": _NONE,
        "attributes": _NONE,
        "tags": _NONE,
    }
    if line.expected_ship_date:
        fields["expected_ship_date"] = moment_text(line.expected_ship_date)
    if line.expected_arrival_date:
        fields["expected_arrival_date"] = moment_text(line.expected_arrival_date)
    return fields


def _payment(payment: Payment, currency: str) -> dict[str, Any]:
    return {
        "payment_processing_type": payment.payment_processing_type,
        "transaction_type": payment.transaction_type,
        "payment_type": payment.payment_type,
        "amount": as_number(payment.amount, currency),
        "refnum": payment.refnum,
    }
