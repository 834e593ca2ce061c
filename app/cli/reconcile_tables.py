"""The tables of `channel reconcile`: differences of stock, products and orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import click

from app.cli.record_options import age
from app.operations.reconcile import Difference, Result
from app.terminal import console, is_wide, new_table, shortened

NOTES = {
    "": "",
    "pending": "ours is about to be sent",
    "moved": "moved since stated",
    "refused": "refused there",
}
CALLED_OFF = "RetailOps is sent it"
UNITS = {"stock": "SKUs", "products": "products", "orders": "open orders"}


def show_result(channel: str, vendor: str, result: Result, limit: int, now: datetime) -> None:
    """The tables of a vendor, at most `limit` rows each, and in words what was compared, refused and left out."""
    _stock_table([item for item in result.differences if item.kind.startswith("stock")], vendor, limit, now)
    _product_table([item for item in result.differences if item.kind.startswith("product")], vendor, limit, now)
    _order_table([item for item in result.differences if item.kind.startswith("order")], vendor, limit, now)
    counts = ", ".join(f"{count} {UNITS[subject]}" for subject, count in result.compared.items()) or "nothing"
    differences = len(result.differences)
    said = "no difference" if not differences else f"{differences} difference{'s' * (differences != 1)}"
    click.echo(f"{vendor} (channel {channel}): {said}; compared {counts}.")
    if result.unstated:
        click.echo(f"{vendor} holds units of {result.unstated} SKUs that RetailOps never stated.")
    if result.skipped:
        click.echo(f"Of {result.skipped} SKUs {vendor} takes no stock just now (locked or not tracked).")
    if result.refused:
        click.echo(f"{vendor} refused the stock of {result.refused} SKUs; see `channel deliveries list`.")
    for subject, why in result.left_out.items():
        click.echo(f"{vendor}: {subject} not compared: {why}.", err=True)
    if result.unreadable:
        click.echo(f"{vendor} cannot be sent a request for: {', '.join(result.unreadable[:20])}.", err=True)


def _stock_table(items: Sequence[Difference], vendor: str, limit: int, now: datetime) -> None:
    if not items:
        return
    out = console()
    wide = is_wide(out)
    more = ["Sent last", "Note"] if wide else ["Note"]
    table = new_table(f"Stock that differs at {vendor}", "SKU", "Facility", "Ours", "Theirs", "Stated", *more)
    for item in items[:limit]:
        rest = [age(item.sent_at, now), NOTES[item.note]] if wide else [item.note]
        length = 40 if wide else 20
        table.add_row(
            _sku(item, length), shortened(item.place, length - 4), _figures(item.ours, item.theirs),
            _figures(item.theirs, item.ours), age(item.stated_at, now), *rest,
        )  # fmt: skip
    out.print(table)
    _rest(items, limit)


def _sku(item: Difference, length: int) -> str:
    named = shortened(item.subject, length)
    return f"{named}, there {shortened(item.vendor_sku, length)}" if item.vendor_sku else named


def _figures(figures: Mapping[str, int | None] | None, others: Mapping[str, int | None] | None) -> str:
    """Units on hand; held (unavailable) and coming ones only where they differ from the other side's."""
    if figures is None:
        return "no record"
    named = {"unavailable": "held", "future": "coming"}
    extras = [
        f"{_unit(figures[name])} {word}"
        for name, word in named.items()
        if name in figures and (others is None or figures[name] != others.get(name)) and (others or figures[name])
    ]
    return _unit(figures.get("on_hand")) + (f" ({', '.join(extras)})" if extras else "")


def _unit(value: int | None) -> str:
    return "?" if value is None else str(value)


def _product_table(items: Sequence[Difference], vendor: str, limit: int, now: datetime) -> None:
    if not items:
        return
    out = console()
    wide = is_wide(out)
    more = ["Sent last", "Note"] if wide else ["Note"]
    table = new_table(f"Products that differ at {vendor}", "SKU", "Field", "Ours", "Theirs", "Changed", *more)
    for item in items[:limit]:
        rest = [age(item.sent_at, now), NOTES[item.note]] if wide else [item.note]
        theirs = "no product" if item.theirs is None else shortened(item.theirs, 40 if wide else 16)
        table.add_row(
            shortened(item.subject, 40 if wide else 20), item.field, shortened(item.ours, 40 if wide else 16), theirs,
            age(item.stated_at, now), *rest,
        )  # fmt: skip
    out.print(table)
    _rest(items, limit)


def _order_table(items: Sequence[Difference], vendor: str, limit: int, now: datetime) -> None:
    if not items:
        return
    table = new_table(f"Orders that differ at {vendor}", "Order", "Here", "There", "Since", "Note")
    for item in items[:limit]:
        note = CALLED_OFF if item.note == "pending" and item.kind == "order_open_here" else NOTES[item.note]
        table.add_row(item.subject, item.ours, item.theirs or "unknown there", age(item.stated_at, now), note)
    console().print(table)
    _rest(items, limit)


def _rest(items: Sequence[Difference], limit: int) -> None:
    if len(items) > limit:
        click.echo(f"{len(items) - limit} more; see --limit, or --json for all.")
