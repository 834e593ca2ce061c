"""Rally's object models (contract 4) as shapes, because field names are what connectors drift away from.

A field the contract lists without "only in", "unused" or "?" must be there; "?" may be null but not missing,
save in addresses, of which a shopper gives one line after the other.
"""

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
    fraction,
    integer,
    money,
    nullable,
    one_of,
    positive_money,
    record,
    text,
    units,
)

STATUSES = ("pending", "paid", "completed", "refunded")
"""In the order in which an order goes through them (contract 4.2)."""

order_status = one_of(*STATUSES)
text_or_null = nullable(text)
_ADDRESS: Mapping[str, Check] = {
    **dict.fromkeys(
        ("external_id", "first_name", "last_name", "company", "phone", "address1", "address2", "city", "zip"),
        text_or_null,
    ),
    "province": text_or_null,
    "country": text_or_null,
    "country_code": nullable(country),
}
_ADDRESS_NEEDS = ("first_name", "last_name", "address1", "city", "zip", "country_code")

partial_address = record({}, _ADDRESS)
"""4.4, as far as the shopper has come."""

address = record({name: _ADDRESS[name] for name in _ADDRESS_NEEDS}, _ADDRESS)
"""4.4 in `webhooks/order-update`."""

_CUSTOMER: Mapping[str, Check] = {
    "external_id": text,
    "email": text_or_null,
    "first_name": text_or_null,
    "last_name": text_or_null,
}
_CUSTOMER_MORE: Mapping[str, Check] = {"phone": text_or_null, "consent": nullable(record({}, {"email": boolean}))}

cart_customer = record(
    {
        **_CUSTOMER,
        "billing_address": nullable(partial_address),
        "shipping_address": nullable(partial_address),
        "is_billing_equal_shipping": boolean,
    },
    _CUSTOMER_MORE,
)
snapshot_customer = record(_CUSTOMER, _CUSTOMER_MORE)
"""4.5 in `webhooks/order-update`: without addresses."""

_category_of_line = record({"external_id": filled}, {"organization_id": text, "title": text, "image_url": text})
_LINE: Mapping[str, Check] = {
    "external_id": filled,
    "external_product_id": filled,
    "external_variant_id": text,
    "quantity": units,
    "title": text,
    "external_vendor": text,
    "sku": filled,
    "image": text,
    "inventory_quantity": integer,
    "requires_shipping": boolean,
    "taxable": boolean,
    "position": count,
    "price": positive_money,
    "discounted_price": positive_money,
    "tax_rate": fraction,
    "tax_amount": positive_money,
    "subtotal": positive_money,
    "discount_amount": positive_money,
    "total": positive_money,
    "options": array(record({"external_id": text, "name": text, "value": text, "position": integer})),
    "categories": array(_category_of_line),
}

cart_line = record({**_LINE, "is_removable": boolean}, {"metafields": array(anything)})
order_line = record(_LINE, {"metafields": array(anything)})
snapshot_line = record({**_LINE, "quantity": count}, {"meta": anything})
"""4.3 in `webhooks/order-update`; a cancelled line may stay with nothing left."""

discount = record(
    {
        "external_id": text,
        "type": one_of("coupon", "promotion"),
        "subtype": one_of("total_price", "free_shipping", "shipping"),
        "name": text,
        "amount": positive_money,
    }
)
tax = record({"title": text, "tax_rate": fraction, "tax_amount": positive_money}, {"meta": anything})
shipping_line = record(
    {
        "external_id": filled,
        "title": text,
        "carrier_identifier": text_or_null,
        "code": text_or_null,
        "description": text_or_null,
        "price": positive_money,
        "subtotal": positive_money,
        "tax_rate": fraction,
        "tax_amount": positive_money,
        "total": positive_money,
    }
)

cart = record(
    {
        "organization_id": text,
        "external_id": filled,
        "customer": cart_customer,
        "line_items": array(cart_line),
        "shipping_lines": array(shipping_line),
        "selected_shipping_line_external_id": text_or_null,
        "discounts": array(discount),
        "taxes": array(tax),
        "subtotal": positive_money,
        "total": positive_money,
        "shipping_total": positive_money,
        "handling_total": positive_money,
        "currency": currency,
        "notes": text_or_null,
        "meta": text_or_null,
    }
)
"""4.6."""

_ORDER_IDS: Mapping[str, Check] = {"external_id": filled, "external_number": filled}
_UNPLACED: Mapping[str, Check] = {
    "cart_id": filled,
    "status": order_status,
    "line_items": array(order_line, at_least=1),
    "subtotal": positive_money,
    "total": positive_money,
    "tax_amount": positive_money,
    "discounts": array(discount),
    "taxes": array(tax),
    "shipping_lines": array(shipping_line),
    "shipping_cost": nullable(shipping_line),
    "meta": anything,
}
_ORDER: Mapping[str, Check] = {**_ORDER_IDS, **_UNPLACED}
_payment_created = record({"external_platform_transaction_id": filled, "amount": money})

order = record(_ORDER, {"handling_fee": nullable(shipping_line), "payment_created": nullable(_payment_created)})
"""4.1 column R."""

created_order = record({**_ORDER, "payment_created": _payment_created}, {"handling_fee": nullable(shipping_line)})
"""4.1 column R as `order/create` answers it."""

unplaced_order = record(_UNPLACED, {"handling_fee": nullable(shipping_line)})
"""What `order/create` answers to a request without `payment_method`: no ids, for nothing is placed (9)."""

_image = record({"external_id": text, "src": text, "position": integer})
_variant = record(
    {
        "external_id": filled,
        "external_sku": filled,
        "inventory_quantity": integer,
        "position": units,
        "requires_shipping": boolean,
        "taxable": boolean,
        "images": array(_image),
        "option_values": array(record({"product_option_value_id": filled})),
        "prices": array(
            record({"currency": currency, "price": positive_money, "discounted_price": positive_money}), at_least=1
        ),
    }
)
_option_value = record({"external_id": filled, "name": text, "position": integer})

product = record(
    {
        "organization_id": text,
        "external_id": filled,
        "title": text,
        "body_html": text,
        "vendor": text,
        "product_type": one_of("physical", "digital"),
        "inventory_quantity": integer,
        "inventory_management": one_of("product", "variant", "bypass"),
        "img_src": text,
        "is_subscription_only": boolean,
        "options": array(
            record({"external_id": filled, "name": text, "position": integer, "option_value": array(_option_value)})
        ),
        "variants": array(_variant, at_least=1),
        "images": array(_image),
    }
)
"""4.7."""

category = record(
    {"organization_id": text, "external_id": filled, "title": text, "image_url": text_or_null}, {"meta": anything}
)
store = record(
    {
        "organization_id": text,
        "external_id": text,
        "country_code": country,
        "address": text_or_null,
        "store_phone": text_or_null,
        "store_locale": text,
        "timezone": text,
        "currency": currency,
        "store_name": text,
        "store_url": text,
        "native_checkout_url": text_or_null,
        "cart_url": text_or_null,
        "logo_url": text_or_null,
    },
    {"meta": anything},
)
order_page = record(
    {
        "total": count,
        "per_page": units,
        "current_page": units,
        "data": array(
            record({"id": filled, "created_at": units, "products": array(record({"id": filled, "name": text}))})
        ),
    }
)
registered_store = record({"store_name": text, "store_url": text, "store_logo": text_or_null})
