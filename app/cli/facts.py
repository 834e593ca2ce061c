"""`channel stock send` and `channel catalogue send`: what RetailOps stated last is sent to vendors once more (R13)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

import click

from app.channel_settings import Channel
from app.cli.acting import Act, operator_act
from app.cli.choosing import gateway_option
from app.cli.records import records
from app.cli.showing import age, plural, row_json
from app.cli.vendors import Built, build, channel_named
from app.operations import fact_acts
from app.operations.fact_acts import ChosenFacts, Subject
from app.records import stock as levels
from app.records.stock import StatedLevel
from app.records.stock_sync import SendAgain
from app.terminal import Column, Command, Group, Part, table

SHOWN = 50
"""Rows of a dry run's table; JSON has all."""

MOVED = "left, for a shipment or an order moved it since it was stated (STOCK_STALE)"


@click.group(cls=Group)
def stock() -> None:
    """Send stock again that RetailOps has stated.

    Stock is sent whenever RetailOps states it.  These commands are for a vendor whose copy has changed by itself,
    and that is not to wait for the next statement.
    """


@click.group(cls=Group)
def catalogue() -> None:
    """Send products again that RetailOps has stated."""


def _choice(everything: str) -> Callable[[Command], Command]:
    """Channel, SKUs and vendor; what the command takes as `is_all` is `everything`."""

    def add(command: Command) -> Command:
        is_all = click.option("--all", "is_all", is_flag=True, help=everything)
        skus = click.argument("skus", metavar="[SKU]...", nargs=-1)
        return click.argument("name", metavar="CHANNEL")(skus(is_all(gateway_option(command))))

    return add


@stock.command("send")
@_choice("Every SKU RetailOps has stated.")
@click.option(
    "--even-if-moved",
    is_flag=True,
    help="Also figures that a shipment or an order has moved at the vendor since RetailOps stated them.",
)
@operator_act()
def send_stock(even_if_moved: bool, **chosen: Any) -> None:
    """Make the stock of these SKUs pending again, as RetailOps stated it last; the server sends it.

    A figure that a shipment or an order has moved at the vendor since RetailOps stated it would put sold units back
    on sale: it is named and left (STOCK_STALE) until RetailOps states it anew, or for --even-if-moved.

    Exit code 1 when a SKU was left or is unknown here.
    """
    _send("stock", **chosen, even_if_moved=even_if_moved)


@catalogue.command("send")
@_choice("Every product RetailOps has stated.")
@operator_act()
def send_catalogue(**chosen: Any) -> None:
    """Make the products of these SKUs pending again, as RetailOps stated them last; the server sends them.

    A product goes with all its variants.  Exit code 1 when a SKU is unknown here.
    """
    _send("catalogue", **chosen)


def _send(
    subject: Subject, act: Act, name: str, skus: Sequence[str], is_all: bool, vendor: str, even_if_moved: bool = False
) -> NoReturn:
    if bool(skus) == is_all:
        raise click.UsageError("name SKUs, or choose all of them with --all")
    with records() as (configured, database):
        channel = channel_named(configured, name, vendor, "--gateway")
        chosen = [
            ChosenFacts(subject, channel.key, token, None if is_all else skus, even_if_moved)
            for token in _takers(subject, build(configured, database), channel, vendor)
        ]
        now = database.now()
        found = {item.gateway: fact_acts.would_send(database, item) for item in chosen}
        # What is left is noted too: until it is stated anew `channel check` names it.
        if not act.is_dry_run and any(item.owed or item.moved for item in found.values()):
            question = ""
            if any(item.owed for item in found.values()) and not act.is_agreed:
                sentences, failures = _summary(subject, name, found, is_done=False)
                click.echo("\n".join([*sentences, *failures]))
                question = "Send all that again?"
            if act.may_go_on(question):
                found = {item.gateway: fact_acts.send(database, act.operator, item, now) for item in chosen}
        shown = {token: {"vendor": token, **send_again_json(item)} for token, item in found.items()}
        tables: list[Part] = []
        for token, item in found.items() if act.is_dry_run else ():
            stated: list[StatedLevel] = []
            if subject == "stock":
                with database.read() as connection:
                    skus = item.owed if act.as_json else item.owed[:SHOWN]
                    stated = levels.stated_of(connection, channel.key, token, skus)
                shown[token]["facts"] = list(map(_level_json, stated))
            tables.append(_pending(token, item, stated, now))
    sentences, failures = _summary(subject, name, found, is_done=not act.is_dry_run)
    act.finish({"channel": name, "gateways": list(shown.values())}, *tables, *sentences, failures=failures)


def _takers(subject: Subject, built: Built, channel: Channel, vendor: str) -> list[str]:
    """The vendors of the channel that take such facts.  Raises `click.UsageError` where none of the chosen does."""
    found = [
        token
        for token in channel.gateways
        if vendor in ("", token)
        and (gateway := built.get((channel.key, token))) is not None
        and (gateway.stock if subject == "stock" else gateway.catalogue) is not None
    ]
    if not found:
        none = f"no vendor of channel '{channel.name}' takes {subject}"
        raise click.UsageError(f"{vendor} takes no {subject} from channel '{channel.name}'" if vendor else none)
    return found


def send_again_json(item: SendAgain) -> dict[str, Any]:
    """SKUs that are pending again, and those that were left, for programs."""
    return {"pending": item.owed, "moved": item.moved, "unknown": item.unknown}


def _summary(
    subject: Subject, channel: str, found: Mapping[str, SendAgain], *, is_done: bool
) -> tuple[list[str], list[str]]:
    """In sentences what is pending again, and what is left."""
    sentences, failures = [], []
    what, are = ("stock", "is") if subject == "stock" else ("the products", "are")
    for token, item in found.items():
        be = are if is_done else "would be"
        sentences.append(f"{token}: {what} of {plural(len(item.owed), 'SKU')} of channel {channel} {be} pending again")
        if item.moved:
            failures.append(f"{token}: {MOVED}: {_named(item.moved)}")
        if item.unknown:
            failures.append(f"{token}: never stated by RetailOps: {_named(item.unknown)}")
    if any(item.moved for item in found.values()):
        failures.append("What was left waits for RetailOps' next statement; --even-if-moved sends it all the same.")
    return sentences, failures


def _named(skus: Sequence[str]) -> str:
    more = f" and {len(skus) - SHOWN} more (--json names all)" if len(skus) > SHOWN else ""
    return ", ".join(skus[:SHOWN]) + more


def _pending(token: str, item: SendAgain, stated: Sequence[StatedLevel], now: datetime) -> Part:
    """What would be sent, as a table where more than its SKUs is known."""
    columns: list[Column[StatedLevel]] = [
        Column("SKU", lambda level: level.sku),
        Column("Available", lambda level: level.level.quantity_available),
        Column("Facilities", lambda level: ", ".join(f"{it.place or '?'} {it.total}" for it in level.level.details)),
        Column("Stated", lambda level: age(level.stated_at, now)),
        Column("Sent last", lambda level: age(level.sent_at, now)),
    ]
    title = f"Would be sent to {token}"
    return table(title, columns, stated, none=f"{title}: {', '.join(item.owed[:SHOWN])}" if item.owed else "")


def _level_json(item: StatedLevel) -> dict[str, Any]:
    details = [row_json(part, "quantity_type place available total") for part in item.level.details]
    return row_json(
        item, "sku stated_at sent_at refusal",
        quantity_available=item.level.quantity_available, details=details, is_pending=item.is_owed,
    )  # fmt: skip
