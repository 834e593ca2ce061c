"""`channel pause` and `channel resume`: nothing is sent to a gateway that an operator has paused (R34)."""

from __future__ import annotations

import click

from app.cli.acting import act_options, ask, operator_of
from app.cli.record_options import iso, key_of, records, when
from app.cli.vendors import channel_named, check_vendor
from app.operations import acts
from app.operations.pauses import KNOWN_WITHIN_S, Pause, paused
from app.operations.scope import Scope
from app.records.database import Database
from app.terminal import json_option, print_json


@click.command(short_help="Send nothing more to a gateway, until it is resumed.")
@click.argument("channel")
@click.argument("gateway")
@act_options(needs_reason=True)
@json_option
def pause(channel: str, gateway: str, reason: str, by: str, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Send nothing more to GATEWAY of CHANNEL, until `channel resume`.

    Calls that are owed wait and stay owed, as do stock and catalogue.  What needs the vendor's answer, such as
    order_pull from Pipe17, is answered 503, and what only the vendor can decide fails and can be sent again.  Requests
    of the vendor itself are answered as ever.  Every server process goes by it within a second; calls that have begun
    by then end as they would.  Commands that call a vendor themselves, such as check, still do.  Harmless twice.
    """
    operator = operator_of(by, reason, needs_reason=not dry_run)
    if as_json and not (yes or dry_run):
        raise click.UsageError("--json cannot ask: add --yes or --dry-run")
    with records() as (configured, database):
        found = channel_named(configured, channel)
        check_vendor(found, gateway)
        was = _pause_of(database, found.key, gateway)
        if was is None and not dry_run:
            if not yes:
                ask(f"Send nothing more to {gateway} of channel {channel}?")
            acts.pause(database, operator, found.key, gateway, database.now())
    if as_json:
        is_paused = was is not None or not dry_run
        since = {"since": iso(was.at), "by": was.who} if was is not None else {}
        print_json({"channel": channel, "gateway": gateway, "paused": is_paused, "dry_run": dry_run, **since})
    elif was is not None:
        click.echo(f"{gateway} of channel {channel} is paused already, since {when(was.at)} UTC by {was.who}.")
    elif dry_run:
        click.echo(f"{gateway} of channel {channel} would be paused.")
    else:
        click.echo(f"{gateway} of channel {channel} is paused: from {KNOWN_WITHIN_S:g} s on no call to it begins.")
        click.echo(f"What is owed waits. To go on: channel resume {channel} {gateway}")


@click.command(short_help="Let a paused gateway be sent what has waited.")
@click.argument("channel")
@click.argument("gateway")
@act_options()
@json_option
def resume(channel: str, gateway: str, reason: str, by: str, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Let GATEWAY of CHANNEL be sent what has waited since `channel pause`.

    No confirmation is needed: it is what would have happened without the pause.  Harmless twice.
    """
    operator = operator_of(by, reason)
    with records() as (_, database):
        key = key_of(channel)
        was = _pause_of(database, key, gateway)
        if was is not None and not dry_run:
            acts.resume(database, operator, key, gateway, database.now())
    if as_json:
        print_json({"channel": channel, "gateway": gateway, "paused": was is not None and dry_run, "dry_run": dry_run})
    elif was is None:
        click.echo(f"{gateway} of channel {channel} is not paused.")
    else:
        since = f"after a pause since {when(was.at)} UTC"
        click.echo(f"{gateway} of channel {channel} {'would be' if dry_run else 'is'} resumed, {since}.")


def _pause_of(database: Database, key: str, gateway: str) -> Pause | None:
    of_channel = paused(database, Scope(frozenset({key})))
    return next((item for item in of_channel if item.gateway == gateway), None)
