"""The shop's own server has a cart made, so that the checkout finds the one that a page names.

With a cart id some checkouts send id and currency alone (Rally contract 9), so the cart has to be here before.  From
server to server with the merchant's `storefront_key` as Bearer.  Nothing is reserved for it and nothing of it is the
page's: goods by SKU, prices from the catalogue.
"""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from app.domain.traffic import InboundRequest
from app.records.database import DatabaseRefused, DatabaseUnavailable
from app.records.transactions import repeated
from app.storefront import cart_store
from app.storefront.cart_document import CartDocument, new_cart_id, write_cart
from app.storefront.cart_requests import LINES, CartRefused, Fault, catalogue_faults, read_request
from app.storefront.goods import line_of, units_of_skus
from app.storefront.shop import Shop

Json = dict[str, Any]

TOPIC: Final = "storefront/carts"
"""What requests are counted under (`channel check`)."""

LARGEST_BODY: Final = 1024 * 1024
"""Bytes; 200 lines of the longest SKUs, each character escaped, are less."""

REPEAT_S: Final = 2.0
"""How long a request is run again while its transaction meets another's."""

_HEADERS: Final[Mapping[int, Mapping[str, str]]] = {
    401: {"WWW-Authenticate": "Bearer"},
    405: {"Allow": "POST"},
    503: {"Retry-After": "5"},
}

_encode: Final = msgspec.json.Encoder(decimal_format="number").encode

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CartRequested:
    """One request.  `read` gives its body, and raises `CartRefused` for one that breaks off or is too large."""

    method: str
    authorization: str
    read: Callable[[], bytes]


@dataclass(frozen=True)
class CartAnswer:
    """What to answer, as JSON."""

    status: int
    body: bytes
    headers: Mapping[str, str]


def answer(shop: Shop, requested: CartRequested, *, is_set_aside: bool) -> CartAnswer:
    """A new cart, or every fault of the request; counted and logged.  Raises nothing."""
    begun = time.perf_counter()
    reason = ""
    try:
        _check(shop, requested, is_set_aside=is_set_aside)
        made = CartAnswer(201, _encode(_created(shop, requested.read())), {})
    except CartRefused as refused:
        first = refused.faults[0]
        reason = f"{first.code}: {first.message}"
        faults = _encode({"faults": msgspec.to_builtins(refused.faults)})
        made = CartAnswer(refused.status, faults, _HEADERS.get(refused.status, {}))
    duration_ms = round((time.perf_counter() - begun) * 1000)
    is_known = made.status not in (401, 405)
    path = "" if is_known else TOPIC
    shop.observe_inbound(
        InboundRequest(TOPIC, made.status, reason, is_verified=is_known, duration_ms=duration_ms, path=path)
    )
    facts = {"hook": TOPIC, "status": made.status, "duration_ms": duration_ms}
    log.info("channel %s: the shop requested a cart", shop.channel, extra=facts)
    return made


def _check(shop: Shop, requested: CartRequested, *, is_set_aside: bool) -> None:
    """Raises `CartRefused` 405, 401 or 503, before anything of the body is read."""
    if requested.method != "POST":
        raise CartRefused(405, Fault("", "WRONG_METHOD", "this address takes POST"))
    scheme, _, given = requested.authorization.partition(" ")
    key = shop.options.storefront_key.encode()
    is_right = hmac.compare_digest(given.strip().encode("utf-8", "surrogatepass"), key)
    if not (is_right and scheme.casefold() == "bearer"):
        rule = "Authorization must be Bearer and the storefront_key of this merchant"
        raise CartRefused(401, Fault("", "WRONG_KEY", rule))
    if is_set_aside:
        raise CartRefused(503, Fault("", "CHANNEL_SET_ASIDE", "this channel is set aside: `channel check` says why"))


def _created(shop: Shop, raw: bytes) -> Json:
    """The cart.  Raises `CartRefused`, whatever happens."""
    try:
        return repeated(lambda: _made(shop, raw), time.monotonic() + REPEAT_S)
    except CartRefused:
        raise
    except DatabaseRefused:
        raise CartRefused(422, Fault("", "CANNOT_BE_KEPT", "the database cannot keep this cart")) from None
    except DatabaseUnavailable:
        raise CartRefused(503, Fault("", "UNAVAILABLE", "the database is away; nothing was made, try again")) from None
    except Exception:
        log.exception("channel %s: %s failed", shop.channel, TOPIC)
        raise CartRefused(500, Fault("", "FAULT_OF_THIS_SERVER", "this server failed; its log says why")) from None


def _made(shop: Shop, raw: bytes) -> Json:
    """Keep a new cart of these lines and show it; `total` is that of the goods, before shipping, taxes and coupons.

    Raises `CartRefused` with all faults of the request, and `DatabaseUnavailable`; then there is no cart.
    """
    requested = read_request(raw, shop.options.currency)
    with shop.database.read() as connection:
        units = units_of_skus(connection, shop, requested.units)
    sellable = {sku: None if unit is None else unit.sellable for sku, unit in units.items()}
    faults = (*requested.faults, *catalogue_faults(requested, sellable))
    if faults:
        raise CartRefused(422, *faults)
    lines = tuple(
        line_of(unit, None, external_id=f"li-{number}", quantity=quantity)
        for number, (sku, quantity) in enumerate(requested.units.items(), 1)
        if (unit := units[sku]) is not None
    )
    now = shop.clock()
    cart = CartDocument(cart_id=new_cart_id(), created_at=now, lines=lines, next_line=len(lines) + 1)
    if not (cart.needs_shipping or shop.options.offers_only):
        rule = f"nothing of it is shipped, and {shop.vendor}'s checkout takes such a cart only with offers_only"
        raise CartRefused(422, Fault(LINES, "NOTHING_TO_SHIP", rule))
    with shop.database.write(serial=[cart_store.lock_name(shop.channel, cart.cart_id)]) as connection:
        cart_store.put(connection, shop.channel, cart.cart_id, write_cart(cart), now, shop.cart_date(now))
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
