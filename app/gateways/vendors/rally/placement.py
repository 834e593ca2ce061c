"""A cart becomes an order's document: what the shopper was shown, checked against what Rally says (contract 3.4)."""

from __future__ import annotations

import ipaddress
import logging
import secrets
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection

from app.domain.orders import HeldBack
from app.gateways.vendors.rally import cart_check, hook_errors
from app.gateways.vendors.rally.cart_changes import check_stock, wanted_of, with_coupons, with_shopper
from app.gateways.vendors.rally.cart_document import CartDocument
from app.gateways.vendors.rally.hook_bodies import (
    Json,
    coupons,
    identifier,
    is_under_review,
    mapping,
    plain,
    stated_lines,
    text,
)
from app.gateways.vendors.rally.hook_money import payment_method
from app.gateways.vendors.rally.order_document import RALLY_STATUS, OrderDocument, Transaction
from app.gateways.vendors.rally.order_progress import with_transactions
from app.gateways.vendors.rally.pricing import Priced, is_deliverable
from app.gateways.vendors.rally.products import find_units, sellable
from app.gateways.vendors.rally.shop import Shop
from app.gateways.vendors.rally.showing import order_json
from app.records import held_orders

PREFIX: Final = "RLY-"
_ALPHABET: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_LENGTH: Final = 10
"""50 bits: numbers that nobody guesses, short enough to be read out."""

log = logging.getLogger(__name__)


class Disagreement(Exception):
    """The request and the cart differ, and this was not said yet of the same."""

    def __init__(self, mark: str, sentence: str) -> None:
        super().__init__(sentence)
        self.mark = mark
        self.refusal = hook_errors.cart_has_been_updated(sentence)


def placed(
    connection: Connection,
    shop: Shop,
    known: CartDocument,
    body: Json,
    charged: Sequence[Transaction],
    is_offers_only: bool,
) -> OrderDocument:
    """The order this cart makes, at the prices the shopper was shown.  Raises `HookRefused` and `Disagreement`."""
    doubt = _check_lines(known, body)
    cart = with_coupons(with_shopper(known, body), coupons(body), shop.options)
    if not (cart.needs_shipping or is_offers_only or shop.options.offers_only):
        raise hook_errors.only_digital_items()
    priced = cart.priced(shop.options)
    _check_shipping(cart, priced, body, shop)
    wanted = wanted_of(cart.lines)
    pairs = [(item.product_id, item.variant_id) for item in wanted]
    check_stock(wanted, find_units(connection, shop.channel, pairs, shop.options), {}, status=412)
    refnum = PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    device = mapping(body.get("device_information"))
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
        payment_method=payment_method(body),
        ip_address=_ip_address(text(device.get("device_ip_address"))),
        notes=cart.notes,
        is_offers_only=is_offers_only,
        is_under_review=bool(is_under_review(body)),
        doubt=doubt,
        meta=plain(mapping(body.get("meta"))),
    )
    document = with_transactions(document, charged)
    if document.payment_method is not None and not doubt:
        _check_sum(known, document, body)
    return document


def _check_lines(cart: CartDocument, body: Json) -> str:
    """The shopper bought what the cart holds (contract 3.4).

    Returns why the order is doubtful where that was refused before.  Raises `Disagreement`.
    """
    stated = stated_lines(body)
    if not cart.lines:
        raise hook_errors.cart_has_been_updated("the cart is empty")
    if cart_check.has_stated_lines(cart, stated):
        return ""
    mark = cart_check.lines_mark(cart, stated)
    if mark not in cart.refused:
        raise Disagreement(mark, "the lines are not those of the cart")
    return f"LINES_DIFFER: Rally insists on other lines than those of the cart; {cart_check.REMEDY}"


def _check_sum(cart: CartDocument, document: OrderDocument, body: Json) -> None:
    """What was charged is what the shopper was shown.  Raises `Disagreement`."""
    charged = document.transactions
    if cart_check.has_stated_sum(document, charged) or cart_check.is_other_money(document, charged, body):
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


def _check_shipping(cart: CartDocument, priced: Priced, body: Json, shop: Shop) -> None:
    """Raises `HookRefused` where the goods could not be shipped as the shopper believes."""
    if not cart.needs_shipping:
        return
    if not is_deliverable(cart.shipping_address, shop.options):
        raise hook_errors.cart_has_been_updated("the shipping address lacks its country or region")
    if not priced.offers:
        raise hook_errors.placement_failed("nothing is shipped to this address")
    asked = identifier(body.get("selected_shipping_line_external_id"))
    if asked and asked != (priced.chosen.external_id if priced.chosen else ""):
        raise hook_errors.cart_has_been_updated("the chosen shipping is not offered any more")


def _ip_address(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        return ""


def unplaced(connection: Connection, shop: Shop, document: OrderDocument) -> dict[str, Any]:
    """What the order would be; it has no ids, for there is none."""
    if document.transactions:
        message = "channel %s: order/create states transactions and no payment method; nothing is placed"
        log.warning(message, shop.channel)
    units = sellable(connection, shop.channel, {line.sku for line in document.lines})
    shown = order_json(document, RALLY_STATUS["pending"], units)
    return {name: value for name, value in shown.items() if name not in ("external_id", "external_number")}
