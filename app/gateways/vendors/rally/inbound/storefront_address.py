"""`POST /rally/merchants/<organization_id>/storefront/carts`: the shop's own server has a cart made.

It is no hook: nothing is signed, and no CORS header lets a page call it, for a page would give the key away.  Without
a key there is no such address.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask import Blueprint, Response, abort, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from app.gateways.vendors.rally.merchant import Merchant
from app.storefront.cart_requests import CartRefused, Fault
from app.storefront.cart_server import LARGEST_BODY, CartRequested, answer

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def add_storefront_carts(blueprint: Blueprint, merchants: Mapping[str, Merchant], set_aside: frozenset[str]) -> None:
    """Add the address; `merchants` are by organisation, `set_aside` the channels that make no carts (R35)."""

    def serve(organization_id: str) -> Response:
        merchant = merchants.get(organization_id)
        if merchant is None or not merchant.options.storefront_key:
            abort(404)  # as any address that there is not, whatever the method
        requested = CartRequested(request.method, request.headers.get("Authorization", ""), _body)
        made = answer(merchant, requested, is_set_aside=merchant.channel in set_aside)
        reply = Response(made.body, made.status, content_type="application/json")
        reply.headers.update(made.headers)
        return reply

    path = "/rally/merchants/<organization_id>/storefront/carts"
    blueprint.add_url_rule(
        path, endpoint="storefront-carts", view_func=serve, methods=METHODS, provide_automatic_options=False
    )


def _body() -> bytes:
    """Raises `CartRefused`."""
    request.max_content_length = LARGEST_BODY
    try:
        return request.get_data(cache=False)
    except RequestEntityTooLarge:
        rule = f"the body must have at most {LARGEST_BODY} bytes"
        raise CartRefused(413, Fault("", "TOO_LARGE", rule)) from None
    except (HTTPException, OSError):
        raise CartRefused(400, Fault("", "BROKEN_OFF", "the body broke off")) from None
