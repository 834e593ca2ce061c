"""Rally's five cart hooks: each changes the cart, prices it anew from the catalogue, and answers it whole.

Nothing is reserved for a cart; stock is checked where units are added, and again when it becomes an order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from app.domain.traffic import InboundRequest
from app.gateways.vendors.rally import hook_errors
from app.gateways.vendors.rally.cart_changes import (
    Added,
    check_texts,
    with_added,
    with_coupons,
    with_quantities,
    with_shopper,
)
from app.gateways.vendors.rally.cart_document import CartDocument, new_cart_id, read_cart, write_cart
from app.gateways.vendors.rally.hook_bodies import Json, coupons, line_items
from app.gateways.vendors.rally.products import Unit, find_units, line_of
from app.gateways.vendors.rally.shop import Shop
from app.gateways.vendors.rally.showing import cart_json
from app.records import carts

Change = Callable[[Connection, CartDocument], CartDocument]


def create(shop: Shop, body: Json, *, is_offers_only: bool) -> dict[str, Any]:
    """A new cart of these lines.  Raises `HookRefused` out_of_stock, with all that cannot be had as wanted."""
    trusts_price = shop.options.trust_created_price
    wanted = line_items(body, takes_price=trusts_price)
    now = shop.clock()
    cart = CartDocument(cart_id=new_cart_id(), created_at=now)
    with shop.database.write(serial=[carts.lock_name(shop.channel, cart.cart_id)]) as connection:
        added = with_added(connection, shop, cart, wanted, trusts_price=trusts_price)
        answer = _kept(connection, shop, added.cart, None, is_offers_only)
    _note_prices(shop, "cart/create", added)
    return answer


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

    Raises `HookRefused` invalid_discount_code, out_of_stock, or cart_has_been_updated for a text that is too long;
    then nothing is changed.
    """

    def change(connection: Connection, cart: CartDocument) -> CartDocument:
        cart = with_shopper(cart, body)
        check_texts(cart)
        cart = with_quantities(connection, shop, cart, line_items(body))
        return with_coupons(cart, coupons(body), shop.options)

    return _changed(shop, cart_id, change, is_offers_only)


def add(shop: Shop, cart_id: str, body: Json, *, is_offers_only: bool) -> dict[str, Any]:
    """More units, at Rally's price where one is stated.  Raises `HookRefused` out_of_stock; then nothing is changed."""
    trusts_price = shop.options.trust_added_price
    wanted = line_items(body, takes_price=trusts_price)
    done: list[Added] = []

    def change(connection: Connection, cart: CartDocument) -> CartDocument:
        done.append(with_added(connection, shop, cart, wanted, trusts_price=trusts_price))
        return done[-1].cart

    answer = _changed(shop, cart_id, change, is_offers_only)
    _note_prices(shop, "cart/add", done[-1])
    return answer


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


def _note_prices(shop: Shop, topic: str, added: Added) -> None:
    if not added.is_price_taken:
        shop.observe_inbound(InboundRequest(topic, 200, event="PRICE_NOT_TAKEN", subject=added.cart.cart_id))


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
