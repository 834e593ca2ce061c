"""A cart becomes an order's document: what the shopper was shown, checked against what the checkout says.

See Rally contract 3.4.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection

from app.domain.orders import HeldBack
from app.records import held_orders
from app.storefront import cart_check
from app.storefront.cart_changes import check_stock, requested_lines, with_coupons, with_shopper
from app.storefront.cart_document import CartDocument
from app.storefront.goods import Unit, find_units
from app.storefront.order_document import OrderDocument
from app.storefront.order_progress import with_transactions
from app.storefront.pricing import Priced, is_deliverable
from app.storefront.refusals import ShopRefused
from app.storefront.requests import Checkout, StatedLine
from app.storefront.shop import Shop

_ALPHABET: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_LENGTH: Final = 10
"""50 bits: numbers that nobody guesses, short enough to be read out."""

log = logging.getLogger(__name__)


class Disagreement(Exception):
    """The request and the cart differ, and this was not said yet of the same."""

    def __init__(self, mark: str, sentence: str) -> None:
        super().__init__(sentence)
        self.mark = mark
        self.refusal = ShopRefused("cart_differs", sentence)


class Placed(NamedTuple):
    """An order to be, and how many units of each SKU could be sold before it."""

    document: OrderDocument
    units: Mapping[str, int]


def placed(connection: Connection, shop: Shop, known: CartDocument, checkout: Checkout) -> Placed:
    """The order this cart makes, at the prices the shopper was shown.  Raises `ShopRefused` and `Disagreement`."""
    lines = requested_lines(known.lines)
    units = find_units(connection, shop, ((item.product_id, item.variant_id) for item in lines))
    doubt = _check_lines(shop, known, units, checkout.read_lines())
    cart = with_coupons(with_shopper(known, checkout.shopper), checkout.coupons, shop.options)
    if not (cart.needs_shipping or checkout.is_offers_only or shop.options.offers_only):
        raise ShopRefused("nothing_to_ship")
    priced = cart.priced(shop.options)
    _check_shipping(cart, priced, checkout, shop)
    check_stock(lines, units, {})
    refnum = shop.refnum_prefix + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    document = OrderDocument(
        refnum=refnum,
        number=refnum,
        cart_id=cart.cart_id,
        created_at=shop.clock(),
        currency=shop.options.currency,
        lines=priced.lines,
        next_line=cart.next_line,
        customer=cart.customer,
        billing_address=cart.billing_address,
        shipping_address=cart.shipping_address,
        shipping=priced.chosen,
        discounts=priced.discounts,
        taxes=priced.taxes,
        payment_method=checkout.read_payment_method(),
        ip_address=checkout.ip_address,
        notes=cart.notes,
        is_offers_only=checkout.is_offers_only,
        is_under_review=bool(checkout.is_under_review),
        doubt=doubt,
        meta=checkout.meta,
    )
    document = with_transactions(document, checkout.charged)
    if document.payment_method is not None and not doubt:
        _check_sum(known, document, checkout)
    return Placed(document, {unit.item.sku: unit.sellable for unit in units if unit is not None})


def _check_lines(
    shop: Shop, cart: CartDocument, units: Sequence[Unit | None], stated: Sequence[StatedLine]
) -> str:  # fmt: skip
    """The shopper bought what the cart holds, and its goods still have the SKUs that were shown.

    Returns why the order is doubtful where that was refused before.  Raises `Disagreement`.
    """
    if not cart.lines:
        raise ShopRefused("cart_differs", "the cart is empty")
    has_skus = all(unit is None or unit.item.sku == line.sku for unit, line in zip(units, cart.lines, strict=True))
    if has_skus and cart_check.has_stated_lines(cart, stated):
        return ""
    mark = cart_check.lines_mark(cart, stated)
    if mark not in cart.refused:
        raise Disagreement(mark, "the lines are not those of the cart" if has_skus else "goods have other SKUs now")
    return f"LINES_DIFFER: {shop.vendor} insists on other lines than those of the cart; {cart_check.REMEDY}"


def _check_sum(cart: CartDocument, document: OrderDocument, checkout: Checkout) -> None:
    """What was charged is what the shopper was shown.  Raises `Disagreement`."""
    charged = document.transactions
    if cart_check.has_stated_sum(document, charged) or checkout.names_other_money:
        return
    if cart_check.is_part_of_sum(document, charged):
        return
    if not cart_check.was_refused(cart):
        sentence = "the transactions do not come to the total of the cart"
        raise Disagreement(cart_check.sum_mark(cart, charged), sentence)


def note_doubt(connection: Connection, shop: Shop, document: OrderDocument) -> None:
    """The operator sees at once what a pull would hold back: the shopper has paid."""
    reason = document.doubt
    if not reason and not cart_check.has_stated_sum(document, document.transactions):
        reason = f"SUMS_DIFFER: what was charged is not what the order comes to; {cart_check.REMEDY}"
    if reason:
        log.warning("channel %s: %s", shop.channel, reason, extra={"order": document.refnum})
        held_orders.hold(connection, shop.channel, [HeldBack(document.refnum, reason)], document.created_at)


def _check_shipping(cart: CartDocument, priced: Priced, checkout: Checkout, shop: Shop) -> None:
    """Raises `ShopRefused` where the goods could not be shipped as the shopper believes."""
    if not cart.needs_shipping:
        return
    if not is_deliverable(cart.shipping_address, shop.options):
        raise ShopRefused("cart_differs", "the shipping address lacks its country or region")
    if not priced.offers:
        raise ShopRefused("not_placed", "nothing is shipped to this address")
    chosen = checkout.shopper.chosen_shipping
    if chosen and chosen != (priced.chosen.external_id if priced.chosen else ""):
        raise ShopRefused("cart_differs", "the chosen shipping is not offered any more")
