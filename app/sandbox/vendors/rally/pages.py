"""Pages for shoppers: without scripts, never kept by a browser, and with forms that no other site can send."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask import Response, render_template, request

from app.sandbox.bodies import Failure, Json
from app.sandbox.vendors.rally.state import Merchant, State

WITHOUT_DECIMALS = ("JPY", "KRW")
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
}


def page(template: str, merchant: Merchant, **shown: Any) -> Response:
    """A page of this merchant's shop or checkout."""
    text = render_template(template, merchant=merchant, money=_money, **shown)
    return Response(text, headers=_HEADERS, mimetype="text/html")


def _money(amount: Any, currency: str) -> str:
    """An amount with the decimals of its currency."""
    return f"{amount:.0f}" if currency in WITHOUT_DECIMALS else f"{amount:.2f}"


def see_other(location: str) -> Response:
    """Where a browser goes on after a form."""
    return Response(status=303, headers={"Location": location})


def own_forms_only(state: State, parts: Json) -> None:
    """Raises `Failure` 403 for a form that another site's page has sent."""
    origin = request.headers.get("Origin")
    if request.method == "POST" and origin and urlsplit(origin).netloc != request.host:
        raise Failure(403, "another site's page may not use this one")
