"""What RetailOps is told of an order of Rally's (the last paragraph of the contract's section B)."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal

from app.domain.attributes import numbered
from app.gateways import words
from app.gateways.rally.order_document import WITHOUT_DECIMALS, Address, Line, OrderDocument, PaymentMethod
from app.gateways.rally.pricing import rounded


def to_order(document: OrderDocument, *, default_ship_code: str, is_cancelled: bool = False) -> words.Order:
    """The order RetailOps gets; `default_ship_code` is for one that has no shipping.

    A row's tax is told by the unit with four decimals, cut off; what that leaves of it stands with the order's.
    """
    shipping = document.shipping
    lines = tuple(_to_line(line, document.currency) for line in document.lines)
    tax_of_units = sum((line.unit_tax * line.quantity for line in lines), Decimal(0))
    customer, place = document.customer, document.shipping_address or document.billing_address or Address()
    named = (customer.first_name, customer.last_name) if customer.last_name else (place.first_name, place.last_name)
    return words.Order(
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
        payments=to_payments(document),
        attributes=_attributes(document),
        tags=_tags(document),
        is_cancelled=is_cancelled,
    )


def to_sketch(document: OrderDocument) -> words.OrderSketch:
    """What the core remembers of an order."""
    lines = tuple(
        words.SketchLine(
            line.external_id,
            line.sku,
            line.quantity,
            needs_shipping=line.requires_shipping,
            charged=line.subtotal - line.discount_amount,
            tax=line.tax_amount,
        )
        for line in document.lines
    )
    return words.OrderSketch(document.refnum, lines, document.currency, to_payments(document))


def to_payments(document: OrderDocument) -> tuple[words.Payment, ...]:
    """Each transaction as a charge."""
    payment_type = (document.payment_method or PaymentMethod()).payment_type
    return tuple(
        words.Payment(transaction.external_id, payment_type, rounded(transaction.amount, document.currency))
        for transaction in document.transactions
        if transaction.amount > 0
    )


def to_address(address: Address) -> words.Address:
    return words.Address(
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


def _to_line(line: Line, currency: str) -> words.OrderLine:
    smallest = Decimal(1) if currency in WITHOUT_DECIMALS else Decimal("0.0001")
    return words.OrderLine(
        refnum=line.external_id,
        sku=line.sku,
        quantity=line.quantity,
        description=line.title,
        item_type="ship" if line.requires_shipping else "advisory",
        unit_price=line.discounted_price,
        discount=line.discount_amount,
        unit_tax=(line.tax_amount / line.quantity).quantize(smallest, rounding=ROUND_DOWN),
        tax=line.tax_amount,
    )


def _attributes(document: OrderDocument) -> tuple[words.Attribute, ...]:
    """What RetailOps has no field for."""
    method = document.payment_method or PaymentMethod()
    named = {
        "rally_cart": document.cart_id,
        "shipping_title": document.shipping.title if document.shipping else "",
        "coupons": ", ".join(row.name for row in document.discounts if row.type == "coupon"),
        "payment_method": method.method_name,
        "payment_processor": method.processor_name,
        "accepts_email": "yes" if document.customer.accepts_email else "no",
        "customer_note": document.notes,
    }
    return tuple(words.Attribute(handle, value) for handle, value in numbered(named))


def _tags(document: OrderDocument) -> tuple[str, ...]:
    has_offer = any(line.is_offer for line in document.lines)
    return ("rally", *(["post_purchase_offer"] if has_offer else []))
