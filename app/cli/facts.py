"""`channel stock send` and `channel catalogue send`: what RetailOps stated last is sent to vendors once more (R13)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal

import click

from app.channel_settings import Channel
from app.cli.acting import act_options, ask, operator_of
from app.cli.record_options import age, iso, records
from app.cli.vendors import build, channel_named, check_vendor
from app.operations import fact_acts
from app.operations.operators import Operator
from app.records import catalogue_sync, stock_sync
from app.records import stock as levels
from app.records.database import Database
from app.records.stock import StatedLevel
from app.records.stock_sync import SendAgain
from app.terminal import console, json_option, new_table, print_json

SHOWN = 50
"""Rows of a dry run's table; JSON has all."""

Subject = Literal["stock", "catalogue"]
Command = Callable[..., Any]

vendor_option = click.option(
    "--gateway", "vendor", default="", metavar="VENDOR", help="Only this vendor, such as pipe17."
)


@click.group()
def stock() -> None:
    """Send stock again that RetailOps has stated.

    Stock is sent whenever RetailOps states it.  These commands are for a vendor whose copy has changed by itself,
    and that is not to wait for the next statement.
    """


@click.group()
def catalogue() -> None:
    """Send products again that RetailOps has stated."""


@stock.command("send")
@click.argument("channel")
@click.argument("skus", metavar="[SKU]...", nargs=-1)
@click.option("--all", "is_all", is_flag=True, help="Every SKU RetailOps has stated.")
@vendor_option
@click.option(
    "--even-if-moved",
    is_flag=True,
    help="Also figures that a shipment or an order has moved at the vendor since RetailOps stated them.",
)
@act_options()
@json_option
@click.pass_context
def send_stock(
    ctx: click.Context,
    /,
    channel: str,
    skus: tuple[str, ...],
    is_all: bool,
    vendor: str,
    even_if_moved: bool,
    reason: str,
    by: str,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make the stock of these SKUs pending again, as RetailOps stated it last; the server sends it.

    A figure that a shipment or an order has moved at the vendor since RetailOps stated it would put sold units back
    on sale: it is named and left (STOCK_STALE) until RetailOps states it anew, or for --even-if-moved.

    Exit code 1 when a SKU was left or is unknown here.
    """
    ctx.exit(_send("stock", channel, skus, is_all, vendor, even_if_moved, reason, by, yes, dry_run, as_json))


@catalogue.command("send")
@click.argument("channel")
@click.argument("skus", metavar="[SKU]...", nargs=-1)
@click.option("--all", "is_all", is_flag=True, help="Every product RetailOps has stated.")
@vendor_option
@act_options()
@json_option
@click.pass_context
def send_catalogue(
    ctx: click.Context,
    /,
    channel: str,
    skus: tuple[str, ...],
    is_all: bool,
    vendor: str,
    reason: str,
    by: str,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make the products of these SKUs pending again, as RetailOps stated them last; the server sends them.

    A product goes with all its variants.  Exit code 1 when a SKU is unknown here.
    """
    ctx.exit(_send("catalogue", channel, skus, is_all, vendor, False, reason, by, yes, dry_run, as_json))


def _send(
    subject: Subject,
    name: str,
    skus: Sequence[str],
    is_all: bool,
    vendor: str,
    even_if_moved: bool,
    reason: str,
    by: str,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """The exit code."""
    if bool(skus) == is_all:
        raise click.UsageError("name SKUs, or choose all of them with --all")
    if as_json and not (yes or dry_run):
        raise click.UsageError("--json cannot ask: add --yes or --dry-run")
    operator = operator_of(by, reason)
    chosen = None if is_all else skus
    with records() as (configured, database):
        channel = channel_named(configured, name)
        check_vendor(channel, vendor)
        built = build(configured, database)
        takers = [
            token
            for token in channel.gateways
            if vendor in ("", token) and (gateway := built.get((channel.key, token))) is not None
            and (gateway.stock if subject == "stock" else gateway.catalogue) is not None
        ]  # fmt: skip
        if not takers:
            raise click.UsageError(f"no vendor of channel '{name}' takes {subject}" if not vendor else
                                   f"{vendor} takes no {subject} from channel '{name}'")  # fmt: skip
        now = database.now()
        found = {token: _would(database, subject, channel.key, token, chosen, even_if_moved) for token in takers}
        if dry_run:
            _show_dry_run(database, subject, channel, found, now, as_json=as_json)
            return _exit_code(found)
        # What is left is noted too: until it is stated anew `channel check` names it.
        if any(item.owed or item.moved for item in found.values()):
            if not yes and any(item.owed for item in found.values()):
                _summary(subject, name, found, is_done=False)
                ask("Send all that again?")
            found = {
                token: _do(database, operator, subject, channel.key, token, chosen, now, even_if_moved)
                for token in takers
            }
    if as_json:
        print_json({"dry_run": False, "channel": name, "gateways": [_as_json(*item) for item in found.items()]})
    else:
        _summary(subject, name, found, is_done=True)
    return _exit_code(found)


def _would(
    database: Database, subject: Subject, channel: str, token: str, skus: Sequence[str] | None, even_if_moved: bool
) -> SendAgain:
    with database.read() as connection:
        if subject == "catalogue":
            return catalogue_sync.send_again(connection, channel, token, skus, is_dry_run=True)
        return stock_sync.send_again(connection, channel, token, skus, even_if_moved=even_if_moved, is_dry_run=True)


def _do(
    database: Database,
    operator: Operator,
    subject: Subject,
    channel: str,
    token: str,
    skus: Sequence[str] | None,
    now: datetime,
    even_if_moved: bool,
) -> SendAgain:
    if subject == "catalogue":
        return fact_acts.send_catalogue(database, operator, channel, token, skus, now)
    return fact_acts.send_stock(database, operator, channel, token, skus, now, even_if_moved=even_if_moved)


def _exit_code(found: dict[str, SendAgain]) -> int:
    return 1 if any(item.moved or item.unknown for item in found.values()) else 0


def _as_json(token: str, item: SendAgain) -> dict[str, Any]:
    return {"vendor": token, "pending": item.owed, "moved": item.moved, "unknown": item.unknown}


def _summary(subject: Subject, channel: str, found: dict[str, SendAgain], *, is_done: bool) -> None:
    what, are = ("stock", "is") if subject == "stock" else ("the products", "are")
    for token, item in found.items():
        count = f"{what} of {len(item.owed)} SKU{'s' * (len(item.owed) != 1)}"
        click.echo(
            f"{token}: {count} of channel {channel} {f'{are} pending again' if is_done else 'would be pending again'}"
        )
        _name(item.moved, f"{token}: left, for a shipment or an order moved it since it was stated (STOCK_STALE)")
        _name(item.unknown, f"{token}: never stated by RetailOps")
    if any(item.moved for item in found.values()):
        click.echo(
            "What was left waits for RetailOps' next statement; --even-if-moved sends it all the same.", err=True
        )


def _name(skus: Sequence[str], sentence: str) -> None:
    if skus:
        more = f" and {len(skus) - SHOWN} more (--json names all)" if len(skus) > SHOWN else ""
        click.echo(f"{sentence}: {', '.join(skus[:SHOWN])}{more}", err=True)


def _show_dry_run(
    database: Database, subject: Subject, channel: Channel, found: dict[str, SendAgain], now: datetime, *, as_json: bool
) -> None:
    shown: list[dict[str, Any]] = []
    for token, item in found.items():
        facts = _stated(database, channel.key, token, item.owed if as_json else item.owed[:SHOWN])
        if as_json:
            facts_json = {"facts": [_level_json(level) for level in facts]} if subject == "stock" else {}
            shown.append({**_as_json(token, item), **facts_json})
        elif subject == "stock" and facts:
            table = new_table(f"Would be sent to {token}", "SKU", "Available", "Facilities", "Stated", "Sent last")
            for level in facts:
                places = ", ".join(f"{part.place or '?'} {part.total}" for part in level.level.details)
                table.add_row(
                    level.sku, str(level.level.quantity_available), places, age(level.stated_at, now),
                    age(level.sent_at, now),
                )  # fmt: skip
            console().print(table)
        elif item.owed:
            click.echo(f"Would be sent to {token}: {', '.join(item.owed[:SHOWN])}")
    if as_json:
        print_json({"dry_run": True, "channel": channel.name, "gateways": shown})
    else:
        _summary(subject, channel.name, found, is_done=False)


def _stated(database: Database, channel: str, token: str, skus: Sequence[str]) -> list[StatedLevel]:
    with database.read() as connection:
        return levels.stated_of(connection, channel, token, skus)


def _level_json(item: StatedLevel) -> dict[str, Any]:
    return {
        "sku": item.sku,
        "quantity_available": item.level.quantity_available,
        "details": [
            {"quantity_type": part.quantity_type, "place": part.place, "available": part.available, "total": part.total}
            for part in item.level.details
        ],
        "stated_at": iso(item.stated_at),
        "sent_at": iso(item.sent_at),
        "is_pending": item.is_owed,
        "refusal": item.refusal,
    }
