"""Rally's five cart hooks: each changes the cart, prices it anew from the catalogue, and answers it whole.

Nothing is reserved for a cart; stock is checked where units are added, and again when it becomes an order.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from app.gateways.rally import hook_errors
from app.gateways.rally.cart_document import CartDocument, read_cart, write_cart
from app.gateways.rally.hook_bodies import (
    Json,
    WantedLine,
    billing_address,
    coupons,
    customer,
    line_items,
    shipping_address,
    text,
)
from app.gateways.rally.hook_errors import Remaining
from app.gateways.rally.options import RallyOptions
from app.gateways.rally.order_document import Line
from app.gateways.rally.pricing import coupon_of, holds
from app.gateways.rally.products import Unit, find_units, line_of
from app.gateways.rally.shop import Shop
from app.gateways.rally.showing import cart_json
from app.records import carts

Change = Callable[[Connection, CartDocument], CartDocument]


def create(shop: Shop, body: Json, *, is_offers_only: bool) -> dict[str, Any]:
    """A new cart of these lines.  Raises `HookRefused` out_of_stock, with all that cannot be had as wanted."""
    wanted = line_items(body)
    now = shop.clock()
    cart = CartDocument(cart_id=f"cart-{secrets.token_hex(10)}", created_at=now)
    with shop.database.write(serial=[carts.lock_name(shop.channel, cart.cart_id)]) as connection:
        cart = with_added(connection, shop, cart, wanted, trusts_price=False)
        return _kept(connection, shop, cart, None, is_offers_only)


def fetch(shop: Shop, cart_id: str, *, is_offers_only: bool) -> dict[str, Any]:
    """The cart with the prices of now; where they are those of before, nothing waits for a writer."""
    with shop.database.read() as connection:
        before = load(connection, shop, cart_id)
        cart, units = _as_now(connection, shop, before)
    if cart == before:
        if cart.lines:
            _check_shippable(shop, cart, is_offers_only)
        return _shown(shop, cart, units)
    return _changed(shop, cart_id, lambda connection, cart: cart, is_offers_only)


def update(shop: Shop, cart_id: str, body: Json, *, is_offers_only: bool) -> dict[str, Any]:
    """Customer, addresses, quantities, coupons, shipping or notes.

    Raises `HookRefused` invalid_discount_code or out_of_stock; then nothing is changed.
    """

    def change(connection: Connection, cart: CartDocument) -> CartDocument:
        cart = with_shopper(cart, body)
        cart = _with_quantities(connection, shop, cart, line_items(body))
        return with_coupons(cart, coupons(body), shop.options)

    return _changed(shop, cart_id, change, is_offers_only)


def add(shop: Shop, cart_id: str, body: Json, *, is_offers_only: bool) -> dict[str, Any]:
    """More units.  Raises `HookRefused` out_of_stock; then nothing is changed."""
    wanted = line_items(body)

    def change(connection: Connection, cart: CartDocument) -> CartDocument:
        return with_added(connection, shop, cart, wanted, trusts_price=shop.options.trust_added_price)

    return _changed(shop, cart_id, change, is_offers_only)


def remove(shop: Shop, cart_id: str, body: Json, *, is_offers_only: bool) -> dict[str, Any]:
    """Fewer units; a line of which none are left goes.  A line that is gone already is no fault."""
    less = {item.line_id: item.quantity for item in line_items(body)}

    def change(connection: Connection, cart: CartDocument) -> CartDocument:
        left = [
            msgspec.structs.replace(line, quantity=line.quantity - less.get(line.external_id, 0)) for line in cart.lines
        ]
        return msgspec.structs.replace(cart, lines=tuple(line for line in left if line.quantity > 0))

    return _changed(shop, cart_id, change, is_offers_only)


def load(connection: Connection, shop: Shop, cart_id: str) -> CartDocument:
    """Raises `HookRefused` cart_not_found for one that is unknown, too old or an order by now."""
    kept = carts.get(connection, shop.channel, cart_id, shop.clock())
    if kept is None:
        raise hook_errors.cart_not_found()
    return read_cart(kept)


def with_shopper(cart: CartDocument, body: Json) -> CartDocument:
    """What the body says of customer, addresses, shipping and notes; what it is silent about stays."""
    chosen = text(body.get("selected_shipping_line_external_id"))
    return msgspec.structs.replace(
        cart,
        customer=customer(body, cart.customer),
        billing_address=billing_address(body) or cart.billing_address,
        shipping_address=shipping_address(body) or cart.shipping_address,
        chosen_shipping=chosen or cart.chosen_shipping,
        notes=text(body["notes"]) if body.get("notes") is not None else cart.notes,
    )


def with_coupons(cart: CartDocument, codes: Sequence[str] | None, options: RallyOptions) -> CartDocument:
    """Exactly these coupons, where the body names any list at all.

    Raises `HookRefused` invalid_discount_code for one that is unknown or does not hold for these goods.
    """
    if codes is None:
        return cart
    found = [coupon_of(code, options) for code in codes]
    held = [coupon for coupon in found if coupon is not None and holds(coupon, cart.lines, options)]
    if len(held) < len(codes):
        raise hook_errors.invalid_discount_code()
    return msgspec.structs.replace(cart, coupons=tuple(coupon.code for coupon in held))


def with_added(
    connection: Connection, shop: Shop, cart: CartDocument, wanted: Sequence[WantedLine], *, trusts_price: bool
) -> CartDocument:
    """The cart with these units; the same product at the same price joins the line that is there.

    Raises `HookRefused` out_of_stock.
    """
    units = find_units(connection, shop.channel, [(item.product_id, item.variant_id) for item in wanted], shop.options)
    check_stock(wanted, units, _quantities(cart.lines))
    lines, number = list(cart.lines), cart.next_line
    for item, unit in zip(wanted, units, strict=True):
        if unit is None or item.quantity == 0:
            continue
        fresh = line_of(unit, None, external_id=f"li-{number}", quantity=item.quantity)
        if trusts_price and item.price is not None and item.price >= 0:
            fresh = msgspec.structs.replace(fresh, discounted_price=item.price, is_price_given=True)
        place = next((at for at, line in enumerate(lines) if _is_same(line, fresh)), None)
        if place is None:
            lines.append(fresh)
            number += 1
        else:
            more = lines[place].quantity + item.quantity
            lines[place] = msgspec.structs.replace(lines[place], quantity=more)
    return msgspec.structs.replace(cart, lines=tuple(lines), next_line=number)


def check_stock(
    wanted: Sequence[WantedLine], units: Sequence[Unit | None], have: Mapping[str, int], *, status: int = 422
) -> None:
    """Raises `HookRefused` out_of_stock, naming what is left of each product that cannot be had as wanted.

    `have` counts units by SKU that are taken already.
    """
    total = dict(have)
    for item, unit in zip(wanted, units, strict=True):
        if unit is not None:
            total[unit.item.sku] = total.get(unit.item.sku, 0) + item.quantity
    missing = []
    for item, unit in zip(wanted, units, strict=True):
        if unit is None:
            missing.append(Remaining(item.product_id or item.variant_id or "unknown", item.variant_id, 0))
        elif total[unit.item.sku] > unit.sellable:
            left = max(unit.sellable - have.get(unit.item.sku, 0), 0)
            missing.append(Remaining(unit.product_key, unit.item.key, left))
    if missing:
        raise hook_errors.out_of_stock(list(dict.fromkeys(missing)), status)


def wanted_of(lines: Iterable[Line]) -> list[WantedLine]:
    """What a cart's own lines want."""
    return [WantedLine(line.external_id, line.product_key, line.variant_key, line.quantity, None) for line in lines]


def _quantities(lines: Iterable[Line]) -> dict[str, int]:
    found: dict[str, int] = {}
    for line in lines:
        found[line.sku] = found.get(line.sku, 0) + line.quantity
    return found


def _is_same(line: Line, fresh: Line) -> bool:
    if line.variant_key != fresh.variant_key or line.is_price_given != fresh.is_price_given:
        return False
    return not line.is_price_given or line.discounted_price == fresh.discounted_price


def _with_quantities(
    connection: Connection, shop: Shop, cart: CartDocument, wanted: Sequence[WantedLine]
) -> CartDocument:
    """Other quantities of lines that are there (contract 3.3); stock is looked at only where there are to be more."""
    asked = {item.line_id: item.quantity for item in wanted}
    lines = [msgspec.structs.replace(line, quantity=asked.get(line.external_id, line.quantity)) for line in cart.lines]
    raised = {line.sku for line, before in zip(lines, cart.lines, strict=True) if line.quantity > before.quantity}
    checked = wanted_of(line for line in lines if line.sku in raised)
    units = find_units(connection, shop.channel, [(item.product_id, item.variant_id) for item in checked], shop.options)
    check_stock(checked, units, {})
    return msgspec.structs.replace(cart, lines=tuple(line for line in lines if line.quantity > 0))


def _changed(shop: Shop, cart_id: str, change: Change, is_offers_only: bool) -> dict[str, Any]:
    with shop.database.write(serial=[carts.lock_name(shop.channel, cart_id)]) as connection:
        before = load(connection, shop, cart_id)
        return _kept(connection, shop, change(connection, before), before, is_offers_only)


def _kept(
    connection: Connection, shop: Shop, cart: CartDocument, before: CartDocument | None, is_offers_only: bool
) -> dict[str, Any]:
    """The cart as the catalogue has its goods now, kept if anything is new of it, and shown.

    Raises `HookRefused` cart_contains_only_digital_items.
    """
    cart, units = _as_now(connection, shop, cart)
    if cart.lines or before is None:  # an empty cart is all right, once it has been made
        _check_shippable(shop, cart, is_offers_only)
    if cart != before:
        now = shop.clock()
        carts.put(connection, shop.channel, cart.cart_id, write_cart(cart), now, shop.cart_date(now))
    return _shown(shop, cart, units)


def _as_now(connection: Connection, shop: Shop, cart: CartDocument) -> tuple[CartDocument, Sequence[Unit | None]]:
    """What cannot be bought any more stays as it was, so that the shopper sees why there is none left."""
    asked = [(line.product_key, line.variant_key) for line in cart.lines]
    units = find_units(connection, shop.channel, asked, shop.options)
    lines = [line if unit is None else line_of(unit, line) for line, unit in zip(cart.lines, units, strict=True)]
    return msgspec.structs.replace(cart, lines=tuple(lines)), units


def _check_shippable(shop: Shop, cart: CartDocument, is_offers_only: bool) -> None:
    if not (cart.needs_shipping or is_offers_only or shop.options.offers_only):
        raise hook_errors.only_digital_items()


def _shown(shop: Shop, cart: CartDocument, units: Sequence[Unit | None]) -> dict[str, Any]:
    left = {unit.item.sku: unit.sellable for unit in units if unit is not None}
    return cart_json(cart, cart.priced(shop.options), left, shop.options)
