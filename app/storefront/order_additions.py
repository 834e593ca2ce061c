"""What a shopper adds after the purchase: lines at the checkout's price, without discounts and tax.

See Rally contract 3.5.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal

import msgspec
from sqlalchemy import Connection

from app.records import stock_sync
from app.storefront import reservations
from app.storefront.cart_changes import check_stock
from app.storefront.digests import digest
from app.storefront.goods import Unit, discounted_price, find_units, line_of
from app.storefront.order_document import Line, OrderDocument, ShippingLine, TaxRow
from app.storefront.pricing import ZERO, rounded
from app.storefront.refusals import ShopRefused
from app.storefront.requests import AddedShipping, OrderUpdate, RequestedLine
from app.storefront.shop import Shop

ADDED_SHIPPING = "post-purchase"
"""Id of shipping that an order gets only by what is added to it."""


def with_additions(connection: Connection, shop: Shop, document: OrderDocument, news: OrderUpdate) -> OrderDocument:
    """The order with what the update adds, unless the very same was added before.

    The same means the same lines, shipping and transactions: a checkout repeats a request whose answer it missed.
    Raises `ShopRefused` out_of_stock or addition_invalid.
    """
    additions = news.read_additions()
    requested, extra = additions.lines, additions.shipping
    if not requested and extra is None:
        return document
    lines = [(item.product_id, item.variant_id, item.quantity, str(item.price)) for item in requested]
    mark = digest(lines, None if extra is None else [str(extra.subtotal), str(extra.tax_amount)],
                  sorted(transaction.external_id for transaction in news.charged))  # fmt: skip
    if mark in document.additions:
        return document
    if any(item.quantity < 1 or (item.price is not None and item.price < 0) for item in requested):
        raise ShopRefused("addition_invalid")
    units = find_units(connection, shop, ((item.product_id, item.variant_id) for item in requested))
    check_stock(requested, units, {})
    numbered = enumerate(zip(requested, units, strict=True), document.next_line)
    added = tuple(_line(item, unit, number, document.currency) for number, (item, unit) in numbered if unit is not None)
    document = msgspec.structs.replace(
        document,
        lines=document.lines + added,
        next_line=document.next_line + len(added),
        additions=(*document.additions, mark),
    )
    return document if extra is None else _with_shipping(document, extra)


def reserve(
    connection: Connection, shop: Shop, refnum: str, before: Iterable[Line], after: Iterable[Line]
) -> Counter[str]:
    """Hold the units the order has more than before, and owe the vendor the stock that leaves (R25); returns those.

    Owed first and held afterwards, as everywhere, or two transactions would wait for each other.
    """
    more = _units(after) - _units(before)
    stock_sync.owe_again(connection, shop.channel, shop.source, sorted(more))
    reservations.reserve(connection, shop.channel, refnum, more)
    return more


def release(connection: Connection, shop: Shop, document: OrderDocument) -> None:
    """The order holds nothing any more, and the vendor is owed the stock that leaves (R25)."""
    stock_sync.owe_again(connection, shop.channel, shop.source, sorted(_units(document.lines)))
    reservations.release(connection, shop.channel, document.refnum)


def _units(lines: Iterable[Line]) -> Counter[str]:
    found: Counter[str] = Counter()
    for line in lines:
        found[line.sku] += line.quantity
    return found


def _line(item: RequestedLine, unit: Unit, number: int, currency: str) -> Line:
    line = line_of(unit, None, external_id=f"li-{number}", quantity=item.quantity)
    each = rounded(discounted_price(unit.item) if item.price is None else item.price, currency)
    return msgspec.structs.replace(
        line,
        price=max(rounded(line.price, currency), each),
        discounted_price=each,
        subtotal=each * item.quantity,
        taxable=False,
        is_price_given=item.price is not None,
        is_offer=True,
    )


def _with_shipping(document: OrderDocument, extra: AddedShipping) -> OrderDocument:
    """The order's shipping costs more; the tax on that is a row of its own."""
    subtotal, tax = rounded(extra.subtotal, document.currency), rounded(extra.tax_amount, document.currency)
    shipping = document.shipping or ShippingLine(
        external_id=ADDED_SHIPPING, title="Shipping", ship_code="", subtotal=ZERO
    )
    rate = (tax / subtotal).quantize(Decimal("0.0001")) if subtotal else ZERO
    row = TaxRow(title="Shipping tax", tax_rate=min(rate, Decimal("0.9999")), tax_amount=tax)
    return msgspec.structs.replace(
        document,
        shipping=msgspec.structs.replace(
            shipping, subtotal=shipping.subtotal + subtotal, tax_amount=shipping.tax_amount + tax
        ),
        taxes=(*document.taxes, row) if tax else document.taxes,
    )
