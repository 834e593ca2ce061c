"""Stock and catalogue by SKU: what RetailOps stated, what each vendor has received of it, and sending it again."""

from __future__ import annotations

from flask import Blueprint, Response, abort, request

from app.console import choosing
from app.console.acting import gone, who_acts
from app.console.guard import visitor
from app.console.page_context import PageContext
from app.console.rendering import segment, shown
from app.console.sessions import PATH
from app.operations import catalogue, fact_acts, stock
from app.operations.fact_acts import ChosenFacts, Subject


def add_to(console: Blueprint, context: PageContext) -> None:
    """Add the pages."""

    @console.get("/stock", provide_automatic_options=False)
    def list_of_stock() -> Response:
        channel, start = choosing.text("channel"), choosing.text("sku")
        key = context.key_of(channel) if channel else ""
        found = stock.find(context.database, context.scope, start, channel=key, after=choosing.after())
        return shown("stock.html", found=found, start=start, channel=channel, channels=context.channel_choices())

    @console.get("/catalogue", provide_automatic_options=False)
    def list_of_products() -> Response:
        channel, start = choosing.text("channel"), choosing.text("sku")
        key = context.key_of(channel) if channel else ""
        found = catalogue.find(context.database, context.scope, start, channel=key, after=choosing.after())
        return shown("catalogue.html", found=found, start=start, channel=channel, channels=context.channel_choices())

    @console.get("/stock/<channel>/<path:sku>", provide_automatic_options=False)
    def stock_of_sku(channel: str, sku: str) -> Response:
        channel, sku = choosing.last_segments(2)
        key = context.key_of(channel)
        found = stock.one(context.database, context.scope, key, sku, gateways=context.gateways)
        if found is None and not context.knows(key):
            abort(404)
        return shown("stock_of_sku.html", found=found, channel=channel, sku=sku)

    @console.get("/catalogue/<channel>/<path:sku>", provide_automatic_options=False)
    def product(channel: str, sku: str) -> Response:
        channel, sku = choosing.last_segments(2)
        key = context.key_of(channel)
        found = catalogue.one(context.database, context.scope, key, sku)
        if found is None and not context.knows(key):
            abort(404)
        return shown("product.html", found=found, channel=channel, sku=sku)

    @console.get("/send/<any(stock, catalogue):what>/<channel>/<vendor>/<path:sku>", provide_automatic_options=False)
    def ask_send(what: str, channel: str, vendor: str, sku: str) -> Response:
        if not visitor().role.may_act:
            abort(403, "Your token shows and does not act.")
        return form(what)

    def form(what: str, fault: str = "", status: int = 200) -> Response:
        channel, vendor, sku = choosing.last_segments(3)
        key = context.key_of(channel)
        kept: stock.StockOfSku | catalogue.ProductOfSku | None
        kept = (stock.one if what == "stock" else catalogue.one)(context.database, context.scope, key, sku)
        at_vendor = next((each for each in kept.vendors if each.gateway == vendor), None) if kept else None
        if at_vendor is None:
            abort(404)
        has_moved = isinstance(at_vendor, stock.StockAtVendor) and at_vendor.moved_at is not None
        return shown(
            "send_again.html", status, what=what, channel=channel, vendor=vendor, sku=sku, has_moved=has_moved,
            fault=fault, form=request.form,
        )  # fmt: skip

    @console.post("/send/<any(stock, catalogue):what>/<channel>/<vendor>/<path:sku>", provide_automatic_options=False)
    def send(what: Subject, channel: str, vendor: str, sku: str) -> Response:
        channel, vendor, sku = choosing.last_segments(3)
        key = context.key_of(channel)
        operator, fault = who_acts(needs_reason=False)
        if operator is None:
            return form(what, fault, 400)
        moved = what == "stock" and bool(request.form.get("even_if_moved"))
        chosen = ChosenFacts(what, key, vendor, [sku], moved)
        done = fact_acts.send(context.database, operator, chosen, context.now())
        if done.unknown:
            abort(404)
        if done.moved:
            return form(what, "Not sent: orders or shipments have moved it since RetailOps stated it.", 409)
        return gone(f"{PATH}/{what}/{segment(channel)}/{segment(sku)}", "sent" if done.owed else "nothing")
