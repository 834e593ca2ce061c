"""Turns a kept order into the order RetailOps pulls (the last paragraph of Rally contract B)."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal

import msgspec

from app.domain.attributes import numbered
from app.domain.orders import Address as OrderAddress
from app.domain.orders import Attribute, Order, OrderLine, OrderSketch, Payment, SketchLine
from app.storefront.order_changes import goods_rates
from app.storefront.order_document import WITHOUT_DECIMALS, Address, Line, OrderDocument, PaymentMethod
from app.storefront.pricing import rounded


def to_order(document: OrderDocument, source: str, *, default_ship_code: str, is_cancelled: bool = False) -> Order:
    """The order RetailOps gets; `source` is the token of its vendor, `default_ship_code` for one without shipping.

    A row's tax is stated by the unit with four decimals, cut off; what that leaves of it stands with the order's.
    """
    shipping, rates = document.shipping, goods_rates(document.as_bought)
    lines = tuple(_to_line(line, rates, document.currency) for line in document.lines)
    tax_of_units = sum((line.unit_tax * line.quantity for line in lines), Decimal(0))
    customer, place = document.customer, document.shipping_address or document.billing_address or Address()
    named = (customer.first_name, customer.last_name) if customer.last_name else (place.first_name, place.last_name)
    return Order(
        refnum=document.refnum,
        created_at=document.created_at,
        currency_code=document.currency,
        ship_service_code=(shipping.ship_code if shipping else "") or default_ship_code,
        shipping_address=to_address(place),
        billing_address=to_address(document.billing_address or place),
        lines=lines,
        email=customer.email,
        full_name=" ".join(filter(None, named)),
        phone_number=customer.phone or place.phone,
        ip_address=document.ip_address,
        shipping_amount=document.shipping_amount,
        tax_amount=document.tax_amount - tax_of_units,
        discount_amount=document.discount_amount - sum((line.discount for line in lines), Decimal(0)),
        payments=to_payments(document, source),
        attributes=_attributes(document, source),
        tags=_tags(document, source),
        is_cancelled=is_cancelled,
    )


def as_ordered(document: OrderDocument) -> OrderDocument:
    """The order with the rows the shopper bought."""
    base = document.as_bought
    return msgspec.structs.replace(document, lines=base.lines, discounts=base.discounts, taxes=base.taxes, bought=None)


def to_sketch(document: OrderDocument, source: str) -> OrderSketch:
    """What the core remembers of an order: its lines as bought, and the units RetailOps has of them."""
    base = document.as_bought
    units = {line.external_id: line.quantity for line in document.lines}
    added = {line.external_id for line in base.added}
    rates = goods_rates(base)
    lines = tuple(
        SketchLine(
            line.external_id,
            line.sku,
            units.get(line.external_id, 0),
            needs_shipping=line.requires_shipping,
            charged=line.subtotal - line.discount_amount,
            tax=line.tax_amount,
            tax_rates=rates if line.tax_rate else (),
            bought=line.quantity,
            is_added=line.external_id in added,
            unit_price=line.discounted_price,
        )
        for line in (*base.lines, *base.added)
    )
    ordered = as_ordered(document)
    return OrderSketch(
        document.refnum,
        lines,
        document.currency,
        to_payments(document, source),
        shipping=ordered.shipping_paid,
        shipping_tax=ordered.shipping_tax,
    )


def to_payments(document: OrderDocument, source: str) -> tuple[Payment, ...]:
    """Each transaction as a charge."""
    payment_type = (document.payment_method or PaymentMethod()).payment_type or source
    return tuple(
        Payment(transaction.external_id, payment_type, rounded(transaction.amount, document.currency))
        for transaction in document.transactions
        if transaction.amount > 0
    )


def to_address(address: Address) -> OrderAddress:
    return OrderAddress(
        first_name=address.first_name,
        last_name=address.last_name,
        company=address.company,
        address1=address.address1,
        address2=address.address2,
        city=address.city,
        state_match=address.province,
        postal_code=address.zip,
        country_match=address.country_code or address.country,
        phone_number=address.phone,
    )


def _to_line(line: Line, rates: tuple[Decimal, ...], currency: str) -> OrderLine:
    smallest = Decimal(1) if currency in WITHOUT_DECIMALS else Decimal("0.0001")
    return OrderLine(
        refnum=line.external_id,
        sku=line.sku,
        quantity=line.quantity,
        description=line.title,
        item_type="ship" if line.requires_shipping else "advisory",
        unit_price=line.discounted_price,
        discount=line.discount_amount,
        unit_tax=(line.tax_amount / line.quantity).quantize(smallest, rounding=ROUND_DOWN),
        tax=line.tax_amount,
        tax_rates=rates if line.tax_rate else (),
    )


def _attributes(document: OrderDocument, source: str) -> tuple[Attribute, ...]:
    """What RetailOps has no field for."""
    method = document.payment_method or PaymentMethod()
    named = {
        f"{source}_cart": document.cart_id,
        "shipping_title": document.shipping.title if document.shipping else "",
        "coupons": ", ".join(row.name for row in document.discounts if row.type == "coupon"),
        "payment_method": method.method_name,
        "payment_processor": method.processor_name,
        "accepts_email": "yes" if document.customer.accepts_email else "no",
        "customer_note": document.notes,
    }
    return tuple(Attribute(handle, value) for handle, value in numbered(named))


def _tags(document: OrderDocument, source: str) -> tuple[str, ...]:
    has_offer = any(line.is_offer for line in document.lines)
    return (source, *(["post_purchase_offer"] if has_offer else []))
