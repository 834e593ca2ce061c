"""`channel streams free`: lets go of a lease or a pause that holds up a vendor's calls and facts (R36)."""

from __future__ import annotations

from typing import Any

import click

from app.cli.acting import act_options, ask, operator_of
from app.cli.record_options import iso, records, when
from app.cli.vendors import channel_named, check_vendor
from app.operations import acts
from app.records import freeing
from app.records.freeing import HeldUp
from app.terminal import json_option, print_json


@click.group(short_help="Free what holds up a vendor's calls and facts.")
def streams() -> None:
    """What holds up a vendor's calls and facts: who sends just now, and the pauses after failures."""


@streams.command()
@click.argument("channel")
@click.argument("gateway")
@act_options(needs_reason=True)
@json_option
def free(channel: str, gateway: str, reason: str, by: str, yes: bool, dry_run: bool, as_json: bool) -> None:
    """End the lease of whoever sends to GATEWAY of CHANNEL, and its pauses.

    For one that is stuck; a lease ends by itself within three minutes, a pause within two hours. A sender that still
    runs finds its lease lost and sends its facts once more. Calls of which nobody knows whether they were sent are
    looked up first, or left to you. Harmless twice.
    """
    operator = operator_of(by, reason, needs_reason=not dry_run)
    if as_json and not (yes or dry_run):
        raise click.UsageError("--json cannot ask: add --yes or --dry-run")
    with records() as (configured, database):
        found = channel_named(configured, channel)
        check_vendor(found, gateway)
        now = database.now()
        with database.read() as connection:
            held = freeing.held_up(connection, found.key, gateway, now)
        if held.is_any and not dry_run:
            if not yes:
                click.echo(_sentence(held))
                ask("Free it?")
            held = acts.free_stream(database, operator, found.key, gateway, database.now())
    if as_json:
        print_json({"channel": channel, "gateway": gateway, "dry_run": dry_run, **_as_json(held)})
    elif not held.is_any:
        click.echo(f"Nothing holds up {gateway} of channel {channel}.")
    else:
        click.echo(f"{gateway} of channel {channel} {'would be' if dry_run else 'is'} freed: {_sentence(held)}")


def _sentence(held: HeldUp) -> str:
    parts = [
        f"{what} until {when(until)}"
        for what, until in (
            ("somebody sends its facts", held.stream_until),
            ("its facts pause", held.paused_until),
            ("somebody builds its feed", held.feed_until),
        )
        if until is not None
    ]
    if held.calls:
        parts.append(f"{held.calls} call{'s' * (held.calls != 1)} waited for a time that no clock shows")
    return ", ".join(parts) + "."


def _as_json(held: HeldUp) -> dict[str, Any]:
    return {
        "was_held_up": held.is_any,
        "stream_until": iso(held.stream_until),
        "paused_until": iso(held.paused_until),
        "feed_until": iso(held.feed_until),
        "calls": held.calls,
    }
