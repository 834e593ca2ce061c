"""`POST /rally/merchants/<organization_id>/storefront/carts`: the shop's own server has a cart made.

From server to server with the merchant's `storefront_key` as Bearer.  It is no hook: nothing is signed, and no CORS
header lets a page call it, for a page would give the key away.  Without a key there is no such address.
"""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Mapping
from typing import Final

import msgspec
from flask import Blueprint, Response, abort, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from app.domain.traffic import InboundRequest
from app.gateways.vendors.rally.shop import Shop
from app.gateways.vendors.rally.storefront_carts import create, shown_faults
from app.records.database import DatabaseRefused, DatabaseUnavailable, repeated
from app.storefront.cart_requests import CartRefused, Fault

TOPIC: Final = "storefront/carts"
"""What requests are counted under (`channel check`)."""

LARGEST_BODY: Final = 1024 * 1024
"""Bytes; 200 lines of the longest SKUs, each character escaped, are less."""

REPEAT_S: Final = 2.0
"""How long a request is run again while its transaction meets another's."""

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

_HEADERS: Final[Mapping[int, Mapping[str, str]]] = {
    401: {"WWW-Authenticate": "Bearer"},
    405: {"Allow": "POST"},
    503: {"Retry-After": "5"},
}

_encode: Final = msgspec.json.Encoder(decimal_format="number").encode

log = logging.getLogger(__name__)


def add_storefront_carts(blueprint: Blueprint, shops: Mapping[str, Shop], set_aside: frozenset[str]) -> None:
    """Add the address; `shops` are by organisation, `set_aside` the channels that make no carts (R35)."""

    def serve(organization_id: str) -> Response:
        shop = shops.get(organization_id)
        if shop is None or not shop.options.storefront_key:
            abort(404)  # as any address that there is not, whatever the method
        begun = time.perf_counter()
        reason = ""
        try:
            _check(shop, is_set_aside=shop.channel in set_aside)
            reply = Response(_encode(_created(shop)), 201, content_type="application/json")
        except CartRefused as refused:
            first = refused.faults[0]
            reason = f"{first.code}: {first.message}"
            reply = Response(_encode(shown_faults(refused.faults)), refused.status, content_type="application/json")
            reply.headers.update(_HEADERS.get(refused.status, {}))
        shop.observe_inbound(InboundRequest(TOPIC, reply.status_code, reason))
        duration_ms = round((time.perf_counter() - begun) * 1000)
        facts = {"hook": TOPIC, "status": reply.status_code, "duration_ms": duration_ms}
        log.info("channel %s: the shop asked for a cart", shop.channel, extra=facts)
        return reply

    path = "/rally/merchants/<organization_id>/storefront/carts"
    blueprint.add_url_rule(
        path, endpoint="storefront-carts", view_func=serve, methods=METHODS, provide_automatic_options=False
    )


def _check(shop: Shop, *, is_set_aside: bool) -> None:
    """Raises `CartRefused` 405, 401 or 503, before anything of the body is read."""
    if request.method != "POST":
        raise CartRefused(405, Fault("", "WRONG_METHOD", "this address takes POST"))
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    key = shop.options.storefront_key.encode()
    is_right = hmac.compare_digest(given.strip().encode("utf-8", "surrogatepass"), key)
    if not (is_right and scheme.casefold() == "bearer"):
        rule = "Authorization must be Bearer and the storefront_key of this merchant"
        raise CartRefused(401, Fault("", "WRONG_KEY", rule))
    if is_set_aside:
        raise CartRefused(503, Fault("", "CHANNEL_SET_ASIDE", "this channel is set aside: `channel check` says why"))


def _created(shop: Shop) -> object:
    """The cart.  Raises `CartRefused`, whatever happens."""
    raw = _body()
    try:
        return repeated(lambda: create(shop, raw), time.monotonic() + REPEAT_S)
    except CartRefused:
        raise
    except DatabaseRefused:
        raise CartRefused(422, Fault("", "CANNOT_BE_KEPT", "the database cannot keep this cart")) from None
    except DatabaseUnavailable:
        raise CartRefused(503, Fault("", "UNAVAILABLE", "the database is away; nothing was made, try again")) from None
    except Exception:
        log.exception("channel %s: %s failed", shop.channel, TOPIC)
        raise CartRefused(500, Fault("", "FAULT_OF_THIS_SERVER", "this server failed; its log says why")) from None


def _body() -> bytes:
    request.max_content_length = LARGEST_BODY
    try:
        return request.get_data(cache=False)
    except RequestEntityTooLarge:
        rule = f"the body must have at most {LARGEST_BODY} bytes"
        raise CartRefused(413, Fault("", "TOO_LARGE", rule)) from None
    except (HTTPException, OSError):
        raise CartRefused(400, Fault("", "BROKEN_OFF", "the body broke off")) from None
