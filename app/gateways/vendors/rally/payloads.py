"""The bodies of Rally's order webhooks, made of the order as it is kept (contract 2.3 to 2.5, 4.1 column W)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from app.domain.commands import Package, Refund
from app.gateways.vendors.rally.api import Json
from app.gateways.vendors.rally.options import RallyOptions
from app.gateways.vendors.rally.order_document import Fulfillment, OrderDocument, PaymentMethod, Refunded, RefundRow
from app.gateways.vendors.rally.retailops_order import as_ordered
from app.gateways.vendors.rally.showing import address_json, customer_json, discount_json, line_json, tax_json

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


def fulfillment_of(package: Package) -> Fulfillment:
    """A parcel as it is kept with its order."""
    return Fulfillment(
        key=package.key,
        units=tuple((line.line_refnum, line.quantity) for line in package.lines),
        carrier=package.carrier_name,
        service=package.carrier_class_name,
        tracking_number=package.tracking_number,
        shipped_at=package.shipped_at,
    )


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


def refunded_of(order: OrderDocument | None, refund: Refund) -> Refunded:
    """The refund with rows that come to its very amount.

    Its lines are those of the order as it was bought, and those RetailOps added.  What it does not say what it is for
    is taken from what is left of the goods, then of tax, then of shipping; the rest of one that does say it from what
    is left of its own rows, then of tax, then of shipping.  Of an order that is not kept any more it is put to its
    first row.  A rest adds no unit to a row, and every row names one at least.
    """
    if order:
        lines = {line.external_id for line in (*order.as_bought.lines, *order.as_bought.added)}
    else:
        lines = {line.line_refnum for line in refund.lines} - {""}
    rows: list[RefundRow] = []
    for line in refund.lines:
        if line.kind == "line_item" and line.line_refnum in lines:
            _add(rows, RefundRow(kind="line_item", amount=line.amount, line=line.line_refnum,
                                 quantity=line.quantity, reason=line.reason))  # fmt: skip
        elif line.kind != "line_item":
            kind = "tax" if line.kind == "tax" else "shipping_rate"
            _add(rows, RefundRow(kind=kind, amount=line.amount, reason=line.reason))  # type: ignore[arg-type]
    rest = refund.amount - _total(rows)
    own = {(row.kind, row.line) for row in rows}
    left = _left_of(order, rows) if order else []
    if own:
        left.sort(key=lambda row: 0 if (row.kind, row.line) in own else 1 if row.kind != "line_item" else 2)
    for row in left:
        if rest <= ZERO:
            break
        part = min(row.amount, rest)
        quantity = row.quantity if part == row.amount and not own else 1
        if (row.kind, row.line) in own:
            quantity = 0
        _add(rows, RefundRow(kind=row.kind, amount=part, line=row.line, quantity=quantity))
        rest -= part
    if rest != ZERO:
        # More than the order comes to now (it was changed, or a fee was left out): the first row bears it.
        first = rows.pop(0) if rows else RefundRow(kind="shipping_rate", amount=ZERO)
        rows.insert(0, RefundRow(kind=first.kind, amount=first.amount + rest, line=first.line,
                                 quantity=first.quantity, reason=first.reason))  # fmt: skip
    counted = (msgspec.structs.replace(row, quantity=max(row.quantity, 1)) for row in rows)
    return Refunded(key=refund.key, amount=refund.amount, rows=tuple(counted))


def _add(rows: list[RefundRow], row: RefundRow) -> None:
    """One row for each line, and one for tax and for shipping."""
    for at, known in enumerate(rows):
        if (known.kind, known.line) == (row.kind, row.line):
            quantity = known.quantity + row.quantity if row.kind == "line_item" else 1
            rows[at] = RefundRow(kind=row.kind, amount=known.amount + row.amount, line=row.line,
                                 quantity=quantity, reason=known.reason or row.reason)  # fmt: skip
            return
    rows.append(row)


def _left_of(order: OrderDocument, planned: Iterable[RefundRow]) -> list[RefundRow]:
    """What of the order as bought no refund has touched yet, nor these rows."""
    order = as_ordered(order)
    touched = [*(row for refund in order.refunds for row in refund.rows), *planned]
    money = {(row.kind, row.line): ZERO for row in touched}
    units = {row.line: 0 for row in touched}
    for row in touched:
        money[(row.kind, row.line)] += row.amount
        units[row.line] += row.quantity
    left = [
        RefundRow(
            kind="line_item",
            line=line.external_id,
            amount=line.subtotal - line.discount_amount - money.get(("line_item", line.external_id), ZERO),
            quantity=max(line.quantity - units.get(line.external_id, 0), 1),
        )
        for line in order.lines
    ]
    shipping = order.shipping_paid
    left.append(RefundRow(kind="tax", amount=order.tax_amount - money.get(("tax", ""), ZERO)))
    left.append(RefundRow(kind="shipping_rate", amount=shipping - money.get(("shipping_rate", ""), ZERO)))
    return [row for row in left if row.amount > ZERO]


def _total(rows: Iterable[RefundRow]) -> Decimal:
    return sum((row.amount for row in rows), ZERO)
