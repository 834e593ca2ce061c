"""The five things a checkout does to a cart: each prices it anew from the catalogue and shows it whole.

Nothing is reserved for a cart; stock is checked where units are added, and again when it becomes an order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
from sqlalchemy import Connection

from app.storefront import cart_store
from app.storefront.cart_changes import (
    Added,
    check_texts,
    with_added,
    with_coupons,
    with_quantities,
    with_shopper,
)
from app.storefront.cart_document import CartDocument, new_cart_id, read_cart, write_cart
from app.storefront.goods import Unit, find_units, line_of
from app.storefront.pricing import Priced
from app.storefront.refusals import ShopRefused
from app.storefront.requests import CartUpdate, RequestedLine
from app.storefront.shop import Shop

Change = Callable[[Connection, CartDocument], CartDocument]


@dataclass(frozen=True)
class ShownCart:
    """A cart as it is answered.  `units` is what may be sold now of each of its SKUs."""

    cart: CartDocument
    priced: Priced
    units: Mapping[str, int]
    is_price_taken: bool = True
    """False where a price that the request states is not the one taken."""


def create(shop: Shop, requested: Sequence[RequestedLine], *, trusts_price: bool, is_offers_only: bool) -> ShownCart:
    """A new cart of these lines.  Raises `ShopRefused` out_of_stock, with all that cannot be had as requested."""
    now = shop.clock()
    cart = CartDocument(cart_id=new_cart_id(), created_at=now)
    with shop.database.write(serial=[cart_store.lock_name(shop.channel, cart.cart_id)]) as connection:
        added = with_added(connection, shop, cart, requested, trusts_price=trusts_price)
        shown = _kept(connection, shop, added.cart, None, is_offers_only)
    return replace(shown, is_price_taken=added.is_price_taken)


def fetch(shop: Shop, cart_id: str, *, is_offers_only: bool) -> ShownCart:
    """The cart with the prices of now; where they are those of before, nothing waits for a writer."""
    with shop.database.read() as connection:
        before = load(connection, shop, cart_id)
        cart, units = _as_now(connection, shop, before)
    if cart == before:
        if cart.lines:
            _check_shippable(shop, cart, is_offers_only)
        return _shown(shop, cart, units)
    return _changed(shop, cart_id, lambda connection, cart: cart, is_offers_only)


def update(shop: Shop, cart_id: str, changes: CartUpdate, *, is_offers_only: bool) -> ShownCart:
    """Customer, addresses, quantities, coupons, shipping or notes.

    Raises `ShopRefused` coupon_invalid, out_of_stock, or cart_differs for a text that is too long; then nothing is
    changed.
    """

    def change(connection: Connection, cart: CartDocument) -> CartDocument:
        cart = with_shopper(cart, changes.shopper)
        check_texts(cart)
        cart = with_quantities(connection, shop, cart, changes.read_lines())
        return with_coupons(cart, changes.coupons, shop.options)

    return _changed(shop, cart_id, change, is_offers_only)


def add(
    shop: Shop, cart_id: str, requested: Sequence[RequestedLine], *, trusts_price: bool, is_offers_only: bool
) -> ShownCart:
    """More units, at the stated price where it is trusted.  Raises `ShopRefused` out_of_stock; then nothing changes."""
    done: list[Added] = []

    def change(connection: Connection, cart: CartDocument) -> CartDocument:
        done.append(with_added(connection, shop, cart, requested, trusts_price=trusts_price))
        return done[-1].cart

    shown = _changed(shop, cart_id, change, is_offers_only)
    return replace(shown, is_price_taken=done[-1].is_price_taken)


def remove(shop: Shop, cart_id: str, requested: Sequence[RequestedLine], *, is_offers_only: bool) -> ShownCart:
    """Fewer units; a line of which none are left goes.  A line that is gone already is no fault."""
    less: Counter[str] = Counter()
    for item in requested:
        less[item.line_id] += item.quantity

    def change(connection: Connection, cart: CartDocument) -> CartDocument:
        left = [msgspec.structs.replace(line, quantity=line.quantity - less[line.external_id]) for line in cart.lines]
        return msgspec.structs.replace(cart, lines=tuple(line for line in left if line.quantity > 0))

    return _changed(shop, cart_id, change, is_offers_only)


def load(connection: Connection, shop: Shop, cart_id: str) -> CartDocument:
    """Raises `ShopRefused` cart_not_found for one that is unknown, too old or an order by now."""
    cart = find(connection, shop, cart_id)
    if cart is None:
        raise ShopRefused("cart_not_found")
    return cart


def find(connection: Connection, shop: Shop, cart_id: str) -> CartDocument | None:
    """The cart, or None for one that is unknown, too old or an order by now."""
    kept = cart_store.get(connection, shop.channel, cart_id, shop.clock())
    return None if kept is None else read_cart(kept)


def _changed(shop: Shop, cart_id: str, change: Change, is_offers_only: bool) -> ShownCart:
    with shop.database.write(serial=[cart_store.lock_name(shop.channel, cart_id)]) as connection:
        before = load(connection, shop, cart_id)
        return _kept(connection, shop, change(connection, before), before, is_offers_only)


def _kept(
    connection: Connection, shop: Shop, cart: CartDocument, before: CartDocument | None, is_offers_only: bool
) -> ShownCart:
    """The cart as the catalogue has its goods now, kept if anything is new of it, and shown.

    Raises `ShopRefused` nothing_to_ship.
    """
    cart, units = _as_now(connection, shop, cart)
    if cart.lines or before is None:  # an empty cart is all right, once it has been made
        _check_shippable(shop, cart, is_offers_only)
    if cart != before:
        now = shop.clock()
        cart_store.put(connection, shop.channel, cart.cart_id, write_cart(cart), now, shop.cart_date(now))
    return _shown(shop, cart, units)


def _as_now(connection: Connection, shop: Shop, cart: CartDocument) -> tuple[CartDocument, Sequence[Unit | None]]:
    """What cannot be bought any more stays as it was, so that the shopper sees why there is none left."""
    units = find_units(connection, shop, ((line.product_key, line.variant_key) for line in cart.lines))
    lines = [line if unit is None else line_of(unit, line) for line, unit in zip(cart.lines, units, strict=True)]
    return msgspec.structs.replace(cart, lines=tuple(lines)), units


def _check_shippable(shop: Shop, cart: CartDocument, is_offers_only: bool) -> None:
    if not (cart.needs_shipping or is_offers_only or shop.options.offers_only):
        raise ShopRefused("nothing_to_ship")


def _shown(shop: Shop, cart: CartDocument, units: Sequence[Unit | None]) -> ShownCart:
    left = {unit.item.sku: unit.sellable for unit in units if unit is not None}
    return ShownCart(cart, cart.priced(shop.options), left)
