"""The tables of `channel reconcile`: differences of stock, products and orders."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import click

from app.cli.showing import age, plural
from app.operations.differences import Difference, Result
from app.terminal import Column, print_sentence, print_table, shortened

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
    for kind, columns in (("stock", _stock(now)), ("product", _products(now)), ("order", _orders(now))):
        found = [item for item in result.differences if item.kind.startswith(kind)]
        if found:
            title = "Stock that differs" if kind == "stock" else f"{kind.capitalize()}s that differ"
            print_table(f"{title} at {vendor}", columns, found[:limit])
        if len(found) > limit:
            print_sentence(f"{len(found) - limit} more; see --limit, or --json for all.")
    counts = ", ".join(f"{count} {UNITS[subject]}" for subject, count in result.compared.items()) or "nothing"
    differences = len(result.differences)
    said = "no difference" if not differences else plural(differences, "difference")
    print_sentence(f"{vendor} (channel {channel}): {said}; compared {counts}.")
    if result.unstated:
        print_sentence(f"{vendor} holds units of {result.unstated} SKUs that RetailOps never stated.")
    if result.skipped:
        print_sentence(f"Of {result.skipped} SKUs {vendor} takes no stock just now (locked or not tracked).")
    if result.refused:
        print_sentence(f"{vendor} refused the stock of {result.refused} SKUs; see `channel deliveries list`.")
    for subject, why in result.left_out.items():
        click.echo(f"{vendor}: {subject} not compared: {why}.", err=True)
    if result.unreadable:
        click.echo(f"{vendor} cannot be sent a request for: {', '.join(result.unreadable[:20])}.", err=True)


def _stock(now: datetime) -> list[Column[Difference]]:
    return [
        Column("SKU", lambda item: _sku(item, 40), narrow=lambda item: _sku(item, 20)),
        Column("Facility", lambda item: shortened(item.place, 36), narrow=lambda item: shortened(item.place, 16)),
        Column("Ours", lambda item: _figures(item.ours, item.theirs)),
        Column("Theirs", lambda item: _figures(item.theirs, item.ours)),
        *_end("Stated", now),
    ]


def _products(now: datetime) -> list[Column[Difference]]:
    def theirs(item: Difference, length: int) -> str:
        return "no product" if item.theirs is None else shortened(item.theirs, length)

    return [
        Column("SKU", lambda item: shortened(item.subject, 40), narrow=lambda item: shortened(item.subject, 20)),
        Column("Field", lambda item: item.field),
        Column("Ours", lambda item: shortened(item.ours, 40), narrow=lambda item: shortened(item.ours, 16)),
        Column("Theirs", lambda item: theirs(item, 40), narrow=lambda item: theirs(item, 16)),
        *_end("Changed", now),
    ]


def _orders(now: datetime) -> list[Column[Difference]]:
    def note(item: Difference) -> str:
        return CALLED_OFF if item.note == "pending" and item.kind == "order_open_here" else NOTES[item.note]

    return [
        Column("Order", lambda item: item.subject),
        Column("Here", lambda item: item.ours),
        Column("There", lambda item: item.theirs or "unknown there"),
        Column("Since", lambda item: age(item.stated_at, now)),
        Column("Note", note),
    ]


def _end(stated: str, now: datetime) -> list[Column[Difference]]:
    """When ours was stated and sent, and why it may differ; in a narrow window that in a word."""
    return [
        Column(stated, lambda item: age(item.stated_at, now)),
        Column("Sent last", lambda item: age(item.sent_at, now), rank=1),
        Column("Note", lambda item: NOTES[item.note], narrow=lambda item: item.note),
    ]


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
