"""`channel pause` and `channel resume`: nothing is sent to a gateway that an operator has paused (R34)."""

from __future__ import annotations

import click

from app.cli.acting import Act, operator_act
from app.cli.records import key_of, records
from app.cli.showing import iso, when
from app.cli.vendors import channel_named
from app.operations import acts
from app.operations.pauses import KNOWN_WITHIN_S, Pause, paused
from app.operations.scope import Scope
from app.records.database import Database


@click.command()
@click.argument("channel")
@click.argument("gateway")
@operator_act(needs_reason=True)
def pause(channel: str, gateway: str, act: Act) -> None:
    """Send nothing more to GATEWAY of CHANNEL, until `channel resume`.

    Calls that are owed wait and stay owed, as do stock and catalogue.  What needs the vendor's answer, such as
    order_pull from Pipe17, is answered 503, and what only the vendor can decide fails and can be sent again.  Requests
    of the vendor itself are answered as ever.  Every server process goes by it within a second; calls that have begun
    by then end as they would.  Commands that call a vendor themselves, such as check, still do.  Harmless twice.
    """
    with records() as (configured, database):
        found = channel_named(configured, channel, gateway)
        was = _pause_of(database, found.key, gateway)
        if was is None and act.may_go_on(f"Send nothing more to {gateway} of channel {channel}?"):
            acts.pause(database, act.operator, found.key, gateway, database.now())
    if was is not None:
        since = {"since": iso(was.at), "by": was.who}
        sentences = [f"{gateway} of channel {channel} is paused already, since {when(was.at)} UTC by {was.who}."]
    elif act.is_dry_run:
        since, sentences = {}, [f"{gateway} of channel {channel} would be paused."]
    else:
        since = {}
        sentences = [
            f"{gateway} of channel {channel} is paused: from {KNOWN_WITHIN_S:g} s on no call to it begins.",
            f"What is owed waits. To go on: channel resume {channel} {gateway}",
        ]
    is_paused = was is not None or not act.is_dry_run
    act.finish({"channel": channel, "gateway": gateway, "paused": is_paused, **since}, *sentences)


@click.command()
@click.argument("channel")
@click.argument("gateway")
@operator_act(asks=False)
def resume(channel: str, gateway: str, act: Act) -> None:
    """Let GATEWAY of CHANNEL be sent what has waited since `channel pause`.

    No confirmation is needed: it is what would have happened without the pause.  Harmless twice.
    """
    with records() as (_, database):
        key = key_of(channel)
        was = _pause_of(database, key, gateway)
        if was is not None and act.may_go_on():
            acts.resume(database, act.operator, key, gateway, database.now())
    sentence = "is not paused"
    if was is not None:
        sentence = f"{act.be} resumed, after a pause since {when(was.at)} UTC"
    act.finish(
        {"channel": channel, "gateway": gateway, "paused": was is not None and act.is_dry_run},
        f"{gateway} of channel {channel} {sentence}.",
    )


def _pause_of(database: Database, key: str, gateway: str) -> Pause | None:
    of_channel = paused(database, Scope(frozenset({key})))
    return next((item for item in of_channel if item.gateway == gateway), None)
