"""Orders: a list by state, channel, vendor and time, as a page and as CSV, and everything of one order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from flask import Blueprint, Response, abort

from app.console import choosing
from app.console.csv_rows import csv_reply
from app.console.page_context import PageContext
from app.console.pages.finding import WORDS
from app.console.rendering import shown
from app.console.showing import machine
from app.operations import order_facts, orders, timeline
from app.operations.orders import STATES, OrderFilter, OrderRow, Sources
from app.operations.scope import Scope

AT_ONCE: Final = 1000
"""Orders of a CSV that are read together."""

HEADS: Final = (
    "channel", "order", "vendor", "state", "known_at", "retailops_order_id", "handed_out_times", "acknowledged_at",
    "held_back_because",
)  # fmt: skip


def add_to(console: Blueprint, context: PageContext) -> None:
    """Add the pages."""
    sources = Sources(
        {channel.key: channel.order_source for channel in context.configured.channels if channel.order_source}
    )

    def chosen_orders() -> OrderFilter:
        channel = choosing.text("channel")
        return OrderFilter(
            state=choosing.word("state", STATES),
            channel=context.key_of(channel) if channel else "",
            vendor=choosing.text("vendor"),
            since=choosing.moment("since"),
            until=choosing.moment("until"),
        )

    @console.get("/orders", provide_automatic_options=False)
    def list_of_orders() -> Response:
        chosen = chosen_orders()
        found = orders.listing(context.database, context.scope, sources, chosen, after=choosing.after())
        return shown(
            "orders.html", found=found, chosen=chosen, channel=choosing.text("channel"), state_words=STATES,
            channels=context.channel_choices(), vendors=context.vendor_choices(),
            states=[("", "all"), *((state, state) for state in STATES)], is_chosen=chosen != OrderFilter(),
        )  # fmt: skip

    @console.get("/orders.csv", provide_automatic_options=False)
    def orders_as_csv() -> Response:
        chosen, scope = chosen_orders(), context.scope
        return csv_reply("orders.csv", HEADS, pages(chosen, scope), "orders")

    def pages(chosen: OrderFilter, scope: Scope) -> Iterator[list[list[str]]]:
        after = ""
        while True:
            found = orders.listing(context.database, scope, sources, chosen, after=after, limit=AT_ONCE)
            yield [_cells(row, scope) for row in found.rows]
            after = found.after
            if not after:
                return

    @console.get("/orders/<channel>/<path:refnum>", provide_automatic_options=False)
    def order(channel: str, refnum: str) -> Response:
        channel, refnum = choosing.last_segments(2)
        key = context.key_of(channel)
        facts = order_facts.facts(context.database, context.scope, sources, key, refnum)
        found_timeline = timeline.of_order(context.database, context.scope, key, refnum)
        if facts is None and found_timeline is None:
            abort(404)
        return shown(
            "order.html", channel=context.scope.name(key), refnum=refnum, facts=facts, kinds=WORDS,
            sentences=found_timeline.now if found_timeline else (),
            entries=found_timeline.entries if found_timeline else (),
        )  # fmt: skip


def _cells(row: OrderRow, scope: Scope) -> list[str]:
    return [
        scope.name(row.channel), row.refnum, row.vendor, row.state, machine(row.known_at), row.retailops_order_id,
        str(row.handed_out_times), machine(row.acknowledged_at), row.held_back_because,
    ]  # fmt: skip
