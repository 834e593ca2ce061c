"""What a connector sends to Rally's webhooks (contract 2.3 to 2.10), checked before Rally takes any of it."""

from __future__ import annotations

from collections.abc import Mapping

from app.sandbox.vendors.rally.fields import (
    Check,
    anything,
    array,
    boolean,
    count,
    country,
    currency,
    filled,
    money,
    nullable,
    number,
    one_of,
    positive_money,
    record,
    text,
    units,
)
from app.sandbox.vendors.rally.objects import (
    address,
    category,
    discount,
    order_status,
    product,
    snapshot_customer,
    snapshot_line,
    tax,
    text_or_null,
)

_snapshot: Mapping[str, Check] = {
    "organization_id": text,
    "external_id": filled,
    "external_number": filled,
    "cart": record({"external_id": filled}),
    "email": text,
    "line_items": array(snapshot_line),
    "customer": snapshot_customer,
    "billing_address": nullable(address),
    "shipping_address": nullable(address),
    "selected_shipping_line_external_id": text_or_null,
    "discounts": array(discount),
    "taxes": array(tax),
    "total_tax": positive_money,
    "total_price": positive_money,
    "subtotal_price": positive_money,
    "total_discounts": positive_money,
    "payment_method": text,
    "status": order_status,
    "taxes_included_in_price": boolean,
}
_refund_row = record(
    {
        "external_id": filled,
        "type": one_of("line_item", "tax", "shipping_rate"),
        "quantity": units,
        "amount": money,
    },
    {"reason": text_or_null},
)
_reference = record({"organization_id": text, "external_id": filled})

WEBHOOKS: Mapping[str, Check] = {
    "order-create": record({"external_id": filled, "cart_id": filled}, {"organization_id": text}),
    "order-status-update": record(
        {"organization_id": text, "external_id": filled, "status": order_status}, {"external_number": text}
    ),
    "order-update": record(_snapshot, {"total_coupons_amount": number, "meta": anything}),
    "order-refund-create": record(
        {
            "organization_id": text,
            "external_id": filled,
            "external_order_id": filled,
            "amount": money,
            "refunds": array(_refund_row, at_least=1),
        }
    ),
    "product-update": product,
    "product-delete": _reference,
    "product-inventory-update": record(
        {
            "organization_id": text,
            "external_product_id": filled,
            "external_variant_id": text,
            "value": count,
            "method": one_of("absolute"),
        }
    ),
    "category-update": category,
    "category-delete": _reference,
    "shop-info-update": record(
        {
            "external_id": text,
            "organization_id": text,
            "country_code": country,
            "address": text,
            "phone": text_or_null,
            "locale": text,
            "timezone": text,
            "currency": currency,
            "weight_unit": one_of("kg", "lbs"),
        }
    ),
}
"""By the last part of the path."""
