"""`channel forget`: removes what is kept of a channel that is gone, or whose account is another one now (R35)."""

from __future__ import annotations

import click

from app import settings as configuration
from app.channel import registration
from app.cli.acting import Act, operator_act
from app.cli.db import database_alone
from app.errors import SettingsFault
from app.gateways import VENDORS
from app.operations import acts
from app.records import channels, forgetting
from app.records.database import Database
from app.terminal import print_cells, warn

WORDS = {
    "source_cancellation_cursors": "marks of how far cancellations were read",
    "call_figures": "counts of callbacks and of calls to vendors",
    "carts": "carts of shoppers",
    "catalogue": "products and variants, as RetailOps stated them",
    "catalogue_sync": "marks of which product each vendor has",
    "categories": "categories and their numbers",
    "channel_accounts": "names of the vendors' accounts",
    "deliveries": "calls to vendors, made or owed",
    "fact_obstacles": "reasons why a vendor refused goods or stock",
    "sync_states": "marks of what goes to each vendor next",
    "feed_pieces": "pieces of the feed's text",
    "feeds": "feeds",
    "handed_out": "marks of which orders RetailOps got",
    "held_back": "orders that could not be handed out",
    "inbound_requests": "counts of requests from vendors",
    "journal": "lines of the journal",
    "last_calls": "times of the last calls",
    "late_events": "events found after an answer",
    "pauses": "pauses of vendors",
    "pending_figures": "samples of what was pending",
    "pending_reports": "orders not yet reported to a vendor",
    "open_breakers": "marks of vendors that are left alone for a while",
    "orders": "orders of shoppers",
    "packages": "parcels",
    "reservations": "units reserved for orders",
    "search_keys": "numbers that orders and SKUs are found by",
    "sku_numbers": "numbers of SKUs",
    "stock": "stock figures, as RetailOps stated them",
    "stock_disagreements": "counts of stock figures that contradict themselves",
    "reported_lines": "goods of orders reported to a vendor",
}
"""What the rows of each table are, for people."""


@click.command()
@click.argument("name")
@operator_act(needs_reason=True, carried_out_by="yes")
def forget(name: str, act: Act) -> None:
    """Remove the orders, carts, goods, stock, calls and journal lines kept of channel NAME.

    Without --yes it only says what that would be.  The ledgers of commands, payments and refunds stay: they hold ids
    and amounts only.  Open calls are never made.  For a channel that channels.toml has no more, or that is set aside
    because its account is another one now; one that is served is left alone.  Runs despite any fault of the
    configuration but that of DATABASE_URL.
    """
    with database_alone() as database:
        database.prepare()
        with database.read() as connection:
            found = channels.named(connection, name)
            if found is None:
                known = ", ".join(sorted(item.name for item in channels.known(connection))) or "none"
                raise click.BadParameter(f"nothing is kept of '{name}'; known: {known}", param_hint="NAME")
            key, forgotten_at = found
            counts = forgetting.held(connection, key)
            what = channels.what_is_open(connection, key)
        if key in _served(database):
            raise click.ClickException(
                f"channel '{name}' is configured and served: take it out of channels.toml first, or give it the "
                "account it is to have"
            )
        if act.may_go_on():
            acts.forget(database, act.operator, key, name, database.now())
    if counts and not act.as_json:
        rows = [(count, WORDS[kind]) for kind, count in counts.items()]
        print_cells(f"Kept of channel '{name}'", ("Rows", "What"), rows)
    sentences = [f"It has {what}."] if what else []
    if act.is_dry_run:
        outcome = "would be forgotten"
        nothing = f"Of channel '{name}' nothing is kept but the ledgers."
        undone = "Nothing was done: add --yes and --reason TEXT to remove all of this for good."
        sentences.append(undone if counts else nothing)
    else:
        outcome = "forgotten" if counts or forgotten_at is None else "already forgotten"
        restart = "Restart the server if a channel was set aside because of it."
        sentences.append(f"Channel '{name}' is {outcome}. {restart}")
    act.finish({"channel": name, "outcome": outcome, "rows": counts, "open": str(what)}, *sentences)


def _served(database: Database) -> frozenset[str]:
    """The keys of the channels that are configured and not in doubt; none where the configuration cannot be read."""
    try:
        configured = configuration.load(vendors=VENDORS)
    except SettingsFault as error:
        warn(f"channels.toml cannot be read, so it is unknown whether it is served: {error.faults[0]}")
        return frozenset()
    return registration.served_keys(configured, database)
