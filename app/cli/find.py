"""`channel find`: what a number is that somebody has: an order, a parcel, a refund, a call, a request, a SKU (P38)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import click

from app.cli.choosing import channel_option
from app.cli.records import records, scope_of, shown_channel
from app.cli.showing import row_json
from app.cli.timelines import show_timeline, timelines_of
from app.operations.find import MOST, Hit, orders_of
from app.operations.find import find as find_number
from app.terminal import Column, Output, json_option, shortened, table

MEANINGS = {
    "order": "order",
    "retailops_order": "RetailOps' number of an order",
    "source_order": "the merchant's number of an order",
    "cart": "cart of an order",
    "payment": "payment",
    "shipment": "shipment",
    "package": "package",
    "tracking": "tracking number",
    "return": "return",
    "refund": "refund",
    "credit": "credit",
    "delivery": "call to a vendor",
    "request": "request",
    "sku": "SKU",
}

COLUMNS: Sequence[Column[Hit]] = (
    Column("Number", lambda hit: hit.id, narrow=lambda hit: shortened(hit.id, 24)),
    Column("Is", lambda hit: MEANINGS[hit.kind]),
    Column("Order", lambda hit: hit.refnum or "-", narrow=lambda hit: shortened(hit.refnum, 20) or "-"),
    Column("Channel", lambda hit: shown_channel(hit.channel), rank=1),
)


@click.command()
@click.argument("number", metavar="ANYTHING")
@channel_option
@json_option
def find(number: str, channel: str, as_json: bool) -> None:
    """Find whatever a number stands for, whole or by its start.

    The channel's or RetailOps' number of an order, or the merchant's own; shipment, package, return, tracking number;
    refund or credit; the id of a call or a request; a SKU.  Case does not matter, and its first six characters are
    enough.  A number of one order shows what happened to it.

    Exit code 1 when nothing has it.
    """
    if not number.strip():
        raise click.BadParameter("it is blank", param_hint="ANYTHING")
    with records() as (_, database):
        scope = scope_of(channel)
        hits = find_number(database, scope, number)
        orders = orders_of(hits)
        is_one = len(orders) == 1 and all(hit.refnum for hit in hits)
        timelines = timelines_of(database, scope, number) if is_one and not as_json else []
    shown = {"query": number, "hits": [row_json(hit, "kind refnum id channel") for hit in hits]}
    if timelines:
        Output(shown, *(partial(show_timeline, item, is_order=True) for item in timelines)).finish(as_json=False)
    more = "There may be more; name more of the number." if len(hits) >= MOST else ""
    failures = [] if hits else [f"channel: nothing has the number {number}"]
    Output(shown, table("", COLUMNS, hits), more, failures=failures).finish(as_json=as_json)
