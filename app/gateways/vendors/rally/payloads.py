"""Builds Rally's objects from ours: answers to hooks, and the webhooks of an order (contract 2.3 to 2.5, 4.1 to 4.8).

Money is `Decimal` until then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from app.gateways.vendors.rally.options import RallyOptions
from app.gateways.wire_objects import Json
from app.storefront.carts import ShownCart
from app.storefront.order_document import (
    Address,
    Customer,
    DiscountRow,
    Fulfillment,
    Line,
    OrderDocument,
    PaymentMethod,
    Refunded,
    RefundRow,
    ShippingLine,
    TaxRow,
)
from app.storefront.order_store import OrderState
from app.storefront.orders import ShownOrder
from app.storefront.pricing import ZERO

_LINE: Final = (
    "external_id", "quantity", "title", "sku", "image", "requires_shipping", "taxable", "price", "discounted_price",
    "tax_rate", "tax_amount", "subtotal", "discount_amount", "total",
)  # fmt: skip
"""What a line is called by both."""


def status_of(state: OrderState, options: RallyOptions) -> str:
    """Rally's word for a state, as the merchant has configured it, for hooks and webhooks alike (contract 4.2)."""
    own: dict[OrderState, str] = {
        "cancelled": options.cancel_status,
        "refunded": options.refunded_status,
        "completed": options.completed_status,
        "paid": options.paid_status,
    }
    return own.get(state, "pending")


def cart_json(shown: ShownCart, options: RallyOptions) -> Json:
    """The Cart."""
    cart, priced, units = shown.cart, shown.priced, shown.units
    customer = customer_json(cart.customer, f"guest-{cart.cart_id}") | {
        "billing_address": address_json(cart.billing_address or cart.shipping_address),
        "shipping_address": address_json(cart.shipping_address),
        "is_billing_equal_shipping": cart.billing_address in (None, cart.shipping_address),
    }
    return {
        "organization_id": options.organization_id,
        "external_id": cart.cart_id,
        "customer": customer,
        "line_items": _lines_json(priced.lines, units, is_removable=True, metafields=[]),
        "shipping_lines": [shipping_json(offer) for offer in priced.offers],
        "selected_shipping_line_external_id": priced.chosen.external_id if priced.chosen else None,
        "discounts": [discount_json(row) for row in priced.discounts],
        "taxes": [tax_json(row) for row in priced.taxes],
        "subtotal": priced.subtotal,
        "total": priced.total,
        "shipping_total": priced.chosen.subtotal if priced.chosen else ZERO,
        "handling_total": ZERO,
        "currency": options.currency,
        "notes": cart.notes or None,
        "meta": None,
    }


def order_json(shown: ShownOrder, options: RallyOptions) -> Json:
    """The Order as hooks answer it: nothing but contract 4.1's column R, so nothing of the shopper."""
    order, units = shown.document, shown.units
    shipping = shipping_json(order.shipping) if order.shipping else None
    return {
        "external_id": order.refnum,
        "external_number": order.number,
        "cart_id": order.cart_id,
        "status": status_of(shown.state, options),
        "line_items": _lines_json(order.lines, units, metafields=[]),
        "subtotal": order.subtotal,
        "total": order.total,
        "tax_amount": order.tax_amount,
        "discounts": [discount_json(row) for row in order.discounts],
        "taxes": [tax_json(row) for row in order.taxes],
        "shipping_lines": [shipping] if shipping else [],
        "shipping_cost": shipping,
        "handling_fee": None,
        "meta": order.meta,
    }


def _lines_json(lines: Sequence[Line], units: Mapping[str, int], **further: Any) -> list[Json]:
    """`further` is what only carts or only orders have of a line; `units` may still be sold, by SKU."""
    return [_line_json(line, at, units.get(line.sku, 0)) | further for at, line in enumerate(lines)]


def _line_json(line: Line, position: int, units: int) -> Json:
    """LineItem (contract 4.3)."""
    return {
        **_named(line, _LINE),
        "external_product_id": line.product_key,
        "external_variant_id": line.variant_key,
        "external_vendor": line.vendor,
        "inventory_quantity": units,
        "position": position,
        "options": [
            {"external_id": name, "name": name, "value": value, "position": at}
            for at, (name, value) in enumerate(line.options, 1)
        ],
        "categories": [{"external_id": path} for path in line.categories],
    }


def customer_json(customer: Customer, guest_id: str) -> Json:
    """Customer (contract 4.5) without addresses."""
    return {
        "external_id": customer.external_id or guest_id,
        **{name: getattr(customer, name) or None for name in ("email", "first_name", "last_name", "phone")},
        "consent": {"email": customer.accepts_email},
    }


def address_json(address: Address | None) -> Json | None:
    """Address (contract 4.4); what is unknown is null."""
    if address is None:
        return None
    return {name: getattr(address, name) or None for name in Address.__struct_fields__}


def shipping_json(line: ShippingLine) -> Json:
    """ShippingLine; `total` is with tax and before discounts, which stand among the discounts."""
    return {
        **_named(line, ("external_id", "title", "subtotal", "tax_rate", "tax_amount", "total")),
        "carrier_identifier": line.external_id,
        "code": line.ship_code,
        "description": line.description or None,
        "price": line.subtotal,
    }


def discount_json(row: DiscountRow) -> Json:
    return _named(row, ("external_id", "type", "subtype", "name", "amount"))


def tax_json(row: TaxRow) -> Json:
    return _named(row, ("title", "tax_rate", "tax_amount")) | {"meta": None}


def _named(row: Line | ShippingLine | DiscountRow | TaxRow, names: Sequence[str]) -> Json:
    """What has the same name at Rally."""
    return {name: getattr(row, name) for name in names}


def status_body(refnum: str, number: str, status: str) -> Json:
    """`webhooks/order-status-update`."""
    return {"external_id": refnum, "external_number": number, "status": status}


def snapshot(order: OrderDocument, status: str) -> Json:
    """`webhooks/order-update`: the whole order; what has shipped stands in `meta`, by our convention (contract B)."""
    shipped = {"fulfillments": [fulfillment_body(item) for item in order.fulfillments]} if order.fulfillments else {}
    return {
        "external_id": order.refnum,
        "external_number": order.number,
        "cart": {"external_id": order.cart_id},
        "email": order.customer.email,
        "line_items": _lines_json(order.lines, {}, meta=[]),
        "customer": customer_json(order.customer, f"guest-{order.cart_id}"),
        "billing_address": address_json(order.billing_address or order.shipping_address),
        "shipping_address": address_json(order.shipping_address),
        "selected_shipping_line_external_id": order.shipping.external_id if order.shipping else None,
        "discounts": [discount_json(row) for row in order.discounts],
        "taxes": [tax_json(row) for row in order.taxes],
        "total_tax": order.tax_amount,
        "total_price": order.total,
        "subtotal_price": order.subtotal,
        "total_discounts": order.discount_amount,
        "payment_method": (order.payment_method or PaymentMethod()).method_name or "rally",
        "status": status,
        "taxes_included_in_price": False,
        "total_coupons_amount": 0,
        "meta": {**order.meta, **shipped},
    }


def fulfillment_body(item: Fulfillment) -> Json:
    """One parcel, for `meta.fulfillments` or for a path of its own."""
    return {
        "external_id": f"ro-ship-{item.key}",
        "carrier": item.carrier,
        "service": item.service,
        "tracking_number": item.tracking_number,
        "shipped_at": item.shipped_at.strftime("%Y-%m-%dT%H:%M:%SZ") if item.shipped_at else None,
        "line_items": [{"external_id": line, "quantity": quantity} for line, quantity in item.units],
    }


def refund_body(refnum: str, refund: Refunded) -> Json:
    """`webhooks/order-refund-create`."""
    return {
        "external_id": refund.key,
        "external_order_id": refnum,
        "amount": refund.amount,
        "refunds": [_row_body(row, refund.key) for row in refund.rows],
    }


def _row_body(row: RefundRow, key: str) -> Json:
    names = {"tax": f"tax-{key}", "shipping_rate": f"shipping-{key}"}
    return {
        "external_id": names.get(row.kind, row.line),
        "type": row.kind,
        "reason": row.reason or None,
        "quantity": row.quantity,
        "amount": row.amount,
    }
