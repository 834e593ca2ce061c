"""The bodies of Rally's order webhooks, made of the order as it is kept (contract 2.3 to 2.5, 4.1 column W)."""

from __future__ import annotations

from decimal import Decimal

from app.gateways.vendors.rally.hook_responses import address_json, customer_json, discount_json, line_json, tax_json
from app.gateways.vendors.rally.options import RallyOptions
from app.gateways.wire_objects import Json
from app.storefront.order_document import Fulfillment, OrderDocument, PaymentMethod, Refunded, RefundRow

ZERO = Decimal(0)


def status_body(refnum: str, number: str, status: str, options: RallyOptions) -> Json:
    """`webhooks/order-status-update`."""
    return {
        "organization_id": options.organization_id,
        "external_id": refnum,
        "external_number": number,
        "status": status,
    }


def snapshot(order: OrderDocument, status: str, options: RallyOptions) -> Json:
    """`webhooks/order-update`: the whole order; what has shipped stands in `meta`, by our convention (contract B)."""
    shipped = {"fulfillments": [fulfillment_body(item) for item in order.fulfillments]} if order.fulfillments else {}
    return {
        "organization_id": options.organization_id,
        "external_id": order.refnum,
        "external_number": order.number,
        "cart": {"external_id": order.cart_id},
        "email": order.customer.email,
        "line_items": [line_json(line, at, 0) | {"meta": []} for at, line in enumerate(order.lines)],
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


def refund_body(refnum: str, refund: Refunded, options: RallyOptions) -> Json:
    """`webhooks/order-refund-create`."""
    return {
        "organization_id": options.organization_id,
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
