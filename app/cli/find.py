"""`channel find`: what a number is that somebody has: an order, a parcel, a refund, a call, a request, a SKU (P38)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from rich.table import Table

from app.cli.record_options import key_of, records, shown_channel
from app.cli.timelines import show_timeline, timelines_of
from app.operations.find import MOST, Hit, orders_of
from app.operations.find import find as find_number
from app.operations.scope import Scope
from app.terminal import console, is_wide, json_option, new_table, print_json, shortened

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


@click.command()
@click.argument("number", metavar="ANYTHING")
@click.option("--channel", default="", help="Only on this channel.")
@json_option
@click.pass_context
def find(ctx: click.Context, number: str, channel: str, as_json: bool) -> None:
    """Find whatever a number stands for, whole or by its start.

    The channel's or RetailOps' number of an order, or the merchant's own; shipment, package, return, tracking number;
    refund or credit; the id of a call or a request; a SKU.  Case does not matter, and six characters of the begin are
    enough.  A number of one order shows what happened to it.

    Exit code 1 when nothing has it.
    """
    with records() as (_, database):
        scope = Scope(frozenset((key_of(channel),))) if channel else Scope()
        hits = find_number(database, scope, number)
        orders = orders_of(hits)
        is_one = len(orders) == 1 and all(hit.refnum for hit in hits)
        timelines = timelines_of(database, scope, number) if is_one and not as_json else []
    if as_json:
        print_json({"query": number, "hits": [_as_json(hit) for hit in hits]})
    elif timelines:
        for item in timelines:
            show_timeline(item, is_order=True)
    elif hits:
        console().print(_table(hits, is_whole=is_wide(console())))
        if len(hits) >= MOST:
            click.echo("There may be more; name more of the number.")
    else:
        click.echo(f"channel: nothing has the number {number}", err=True)
    ctx.exit(0 if hits else 1)


def _table(hits: Sequence[Hit], *, is_whole: bool) -> Table:
    rows = new_table("", "Number", "Is", "Order", *(["Channel"] if is_whole else []))
    for hit in hits:
        number, refnum = (hit.id, hit.refnum) if is_whole else (shortened(hit.id, 24), shortened(hit.refnum, 20))
        rows.add_row(number, MEANINGS[hit.kind], refnum or "-", *([shown_channel(hit.channel)] if is_whole else []))
    return rows


def _as_json(hit: Hit) -> dict[str, Any]:
    return {"kind": hit.kind, "channel": shown_channel(hit.channel), "refnum": hit.refnum, "id": hit.id}
