"""The search box: what any number that anybody has stands for."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, redirect
from werkzeug.wrappers import Response as AnyResponse

from app.console import choosing
from app.console.page_context import PageContext
from app.console.rendering import segment, shown
from app.console.sessions import PATH
from app.operations import find
from app.operations.find import Hit

WORDS: Final = {
    "order": "order", "retailops_order": "order, RetailOps' number", "source_order": "order, the merchant's number",
    "cart": "cart", "payment": "payment", "shipment": "shipment", "package": "package", "tracking": "tracking number",
    "return": "return", "refund": "refund", "credit": "credit", "delivery": "call to a vendor", "request": "request",
    "sku": "SKU",
}  # fmt: skip
"""What each kind of number is."""


def add_to(console: Blueprint, context: PageContext) -> None:
    """Add the page."""

    def place(hit: Hit) -> str:
        """The page of what was found."""
        channel = segment(context.scope.name(hit.channel))
        if hit.kind == "delivery":
            return f"{PATH}/deliveries/{segment(hit.id)}"
        if hit.kind == "request":
            return f"{PATH}/requests/{segment(hit.id)}"
        if hit.kind == "sku":
            return f"{PATH}/stock/{channel}/{segment(hit.id)}"
        return f"{PATH}/orders/{channel}/{segment(hit.refnum or hit.id)}"

    @console.get("/find", provide_automatic_options=False)
    def search() -> AnyResponse:
        hits = find.find(context.database, context.scope, choosing.text("q"))
        places = {place(hit) for hit in hits}
        if len(places) == 1:
            return redirect(places.pop(), 303)
        return shown("find.html", hits=hits, words=WORDS, place=place)
