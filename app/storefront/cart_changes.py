"""What changes in a cart: its shopper, coupons, units and lines; stock is checked where there are to be more units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
from sqlalchemy import Connection

from app.domain.texts import mended
from app.storefront.cart_document import CartDocument
from app.storefront.goods import Unit, find_units, line_of
from app.storefront.options import ShopOptions
from app.storefront.order_document import Address, Line
from app.storefront.pricing import coupon_of, holds, rounded
from app.storefront.refusals import Remaining, ShopRefused
from app.storefront.requests import RequestedLine, ShopperNews
from app.storefront.shop import Shop

LONGEST_TEXT: Final = 10_000
"""Characters of a name, a note or a line of an address; beyond it somebody is not filling in a form."""


class Added(NamedTuple):
    """A cart with more units, and whether every stated price was taken, or is the catalogue's anyway."""

    cart: CartDocument
    is_price_taken: bool


def with_shopper(cart: CartDocument, news: ShopperNews) -> CartDocument:
    """What the request says of customer, addresses, shipping and notes; what it is silent about stays.

    So does that the billing address is the one of shipping: it goes along with it.
    """
    shipping, billing = news.shipping_address or cart.shipping_address, news.billing_address or cart.billing_address
    is_one = news.is_billed_to_shipping
    if is_one is None:
        is_one = cart.billing_address == cart.shipping_address
    if is_one and news.billing_address is None:
        billing = shipping
    return msgspec.structs.replace(
        cart,
        customer=msgspec.structs.replace(cart.customer, **news.customer),
        billing_address=billing,
        shipping_address=shipping,
        chosen_shipping=news.chosen_shipping or cart.chosen_shipping,
        notes=cart.notes if news.notes is None else news.notes,
    )


def check_texts(cart: CartDocument) -> None:
    """Raises `ShopRefused` cart_differs for a text beyond `LONGEST_TEXT`: nothing is cut.

    Only while nothing is paid; an order is taken with whatever was written.
    """
    of_parts = (cart.customer, cart.billing_address or Address(), cart.shipping_address or Address())
    texts = [cart.notes, *(value for part in of_parts for value in msgspec.structs.astuple(part))]
    if any(isinstance(value, str) and len(value) > LONGEST_TEXT for value in texts):
        raise ShopRefused("cart_differs", f"a text has more than {LONGEST_TEXT} characters")


def with_coupons(cart: CartDocument, codes: Sequence[str] | None, options: ShopOptions) -> CartDocument:
    """Exactly these coupons, where the request names any list at all; those the cart has keep their order.

    Coupons take off one after the other, so that in another order the same cart would cost something else.
    Raises `ShopRefused` coupon_invalid for one that is unknown or does not hold for these goods.
    """
    if codes is None:
        return cart
    found = [coupon_of(code, options) for code in codes]
    held = [coupon for coupon in found if coupon is not None and holds(coupon, cart.lines, options)]
    if len(held) < len(codes):
        raise ShopRefused("coupon_invalid")
    named = dict.fromkeys(coupon.code for coupon in held)
    kept = [code for code in cart.coupons if code in named]
    return msgspec.structs.replace(cart, coupons=(*kept, *(code for code in named if code not in kept)))


def with_added(
    connection: Connection, shop: Shop, cart: CartDocument, requested: Sequence[RequestedLine], *, trusts_price: bool
) -> Added:
    """The cart with these units; the same product at the same price joins the line that is there.

    Raises `ShopRefused` out_of_stock.
    """
    units = find_units(connection, shop, ((item.product_id, item.variant_id) for item in requested))
    check_stock(requested, units, _quantities(cart.lines))
    lines, number = list(cart.lines), cart.next_line
    is_price_taken = True
    for item, unit in zip(requested, units, strict=True):
        if unit is None or item.quantity == 0:
            continue
        fresh = line_of(unit, None, external_id=f"li-{number}", quantity=item.quantity)
        if trusts_price and item.price is not None and item.price >= 0:
            fresh = msgspec.structs.replace(fresh, discounted_price=item.price, is_price_given=True)
        elif item.price is not None and item.price != rounded(fresh.discounted_price, shop.options.currency):
            is_price_taken = False
        place = next((at for at, line in enumerate(lines) if _is_same(line, fresh)), None)
        if place is None:
            lines.append(fresh)
            number += 1
        else:
            more = lines[place].quantity + item.quantity
            lines[place] = msgspec.structs.replace(lines[place], quantity=more)
    return Added(msgspec.structs.replace(cart, lines=tuple(lines), next_line=number), is_price_taken)


def check_stock(requested: Sequence[RequestedLine], units: Sequence[Unit | None], have: Mapping[str, int]) -> None:
    """Raises `ShopRefused` out_of_stock, naming what is left of each product that cannot be had as requested.

    `have` counts units by SKU that are taken already.
    """
    total = dict(have)
    for item, unit in zip(requested, units, strict=True):
        if unit is not None:
            total[unit.item.sku] = total.get(unit.item.sku, 0) + item.quantity
    missing = []
    for item, unit in zip(requested, units, strict=True):
        if unit is None:
            named = mended(item.product_id or item.variant_id or "unknown")
            missing.append(Remaining(named, mended(item.variant_id), 0))
        elif total[unit.item.sku] > unit.sellable:
            left = max(unit.sellable - have.get(unit.item.sku, 0), 0)
            missing.append(Remaining(unit.product_key, unit.item.key, left))
    if missing:
        raise ShopRefused("out_of_stock", remaining=list(dict.fromkeys(missing)))


def requested_lines(lines: Iterable[Line]) -> list[RequestedLine]:
    """What a cart's own lines want."""
    return [RequestedLine(line.external_id, line.product_key, line.variant_key, line.quantity, None) for line in lines]


def _quantities(lines: Iterable[Line]) -> dict[str, int]:
    found: dict[str, int] = {}
    for line in lines:
        found[line.sku] = found.get(line.sku, 0) + line.quantity
    return found


def _is_same(line: Line, fresh: Line) -> bool:
    if line.variant_key != fresh.variant_key or line.is_price_given != fresh.is_price_given:
        return False
    return not line.is_price_given or line.discounted_price == fresh.discounted_price


def with_quantities(
    connection: Connection, shop: Shop, cart: CartDocument, requested: Sequence[RequestedLine]
) -> CartDocument:
    """Other quantities of lines that are there; stock is looked at only where there are to be more.

    See Rally contract 3.3.
    """
    counts = {item.line_id: item.quantity for item in requested}
    lines = [msgspec.structs.replace(line, quantity=counts.get(line.external_id, line.quantity)) for line in cart.lines]
    raised = {line.sku for line, before in zip(lines, cart.lines, strict=True) if line.quantity > before.quantity}
    checked = requested_lines(line for line in lines if line.sku in raised)
    units = find_units(connection, shop, ((item.product_id, item.variant_id) for item in checked))
    check_stock(checked, units, {})
    return msgspec.structs.replace(cart, lines=tuple(line for line in lines if line.quantity > 0))
