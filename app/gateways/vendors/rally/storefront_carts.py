"""Makes a cart for a shop that keeps carts itself, so that Rally's `cart/fetch` finds the one the page names.

With a cart id Rally's button sends id and currency alone (contract 9), so the cart has to be here before.  Nothing is
reserved for it and nothing of it is the page's: goods by SKU, prices from the catalogue.
"""

from __future__ import annotations

from typing import Any

import msgspec

from app.gateways.vendors.rally.cart_document import CartDocument, new_cart_id, write_cart
from app.gateways.vendors.rally.products import line_of, units_of_skus
from app.gateways.vendors.rally.shop import Shop
from app.records import carts
from app.storefront.cart_requests import LINES, CartRefused, Fault, catalogue_faults, read_request

Json = dict[str, Any]


def create(shop: Shop, raw: bytes) -> Json:
    """Keep a new cart of these lines and show it; `total` is that of the goods, before shipping, taxes and coupons.

    Raises `CartRefused` with all faults of the request, and `DatabaseUnavailable`; then there is no cart.
    """
    wanted = read_request(raw, shop.options.currency)
    with shop.database.read() as connection:
        units = units_of_skus(connection, shop.channel, wanted.units, shop.options)
    sellable = {sku: None if unit is None else unit.sellable for sku, unit in units.items()}
    faults = (*wanted.faults, *catalogue_faults(wanted, sellable))
    if faults:
        raise CartRefused(422, *faults)
    lines = tuple(
        line_of(unit, None, external_id=f"li-{number}", quantity=quantity)
        for number, (sku, quantity) in enumerate(wanted.units.items(), 1)
        if (unit := units[sku]) is not None
    )
    now = shop.clock()
    cart = CartDocument(cart_id=new_cart_id(), created_at=now, lines=lines, next_line=len(lines) + 1)
    if not (cart.needs_shipping or shop.options.offers_only):
        rule = "nothing of it is shipped, and Rally's checkout takes such a cart only with offers_only"
        raise CartRefused(422, Fault(LINES, "NOTHING_TO_SHIP", rule))
    with shop.database.write(serial=[carts.lock_name(shop.channel, cart.cart_id)]) as connection:
        carts.put(connection, shop.channel, cart.cart_id, write_cart(cart), now, shop.cart_date(now))
    return _shown(shop, cart)


def _shown(shop: Shop, cart: CartDocument) -> Json:
    priced = cart.priced(shop.options)
    return {
        "id": cart.cart_id,
        "currency": shop.options.currency,
        "line_items": [
            {
                "sku": line.sku,
                "product_id": line.product_key,
                "variant_id": line.variant_key,
                "title": line.title,
                "quantity": line.quantity,
                "price": line.discounted_price,
                "total": line.subtotal,
            }
            for line in priced.lines
        ],
        "total": priced.subtotal,
    }


def shown_faults(faults: tuple[Fault, ...]) -> Json:
    """The body of every refusal."""
    return {"faults": msgspec.to_builtins(faults)}
