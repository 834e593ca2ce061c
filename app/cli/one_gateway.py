"""`channel pause`, `channel resume` and `channel streams free`: whether one gateway of a channel is sent anything.

Nothing is sent to a gateway that an operator has paused (R34); a lease or a pause that is stuck is let go of (R36).
"""

from __future__ import annotations

import click

from app.cli.acting import Act, operator_act
from app.cli.records import key_of, records
from app.cli.showing import iso, plural, row_json, when
from app.cli.vendors import channel_named
from app.operations import acts
from app.operations.pauses import KNOWN_WITHIN_S, Pause, paused
from app.operations.scope import Scope
from app.records import freeing
from app.records.database import Database
from app.records.freeing import HeldUp
from app.terminal import Command, Group


def _one_gateway(command: Command) -> Command:
    """CHANNEL and GATEWAY, which the command takes as names."""
    return click.argument("channel")(click.argument("gateway")(command))


@click.command()
@_one_gateway
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
    shown = {"channel": channel, "gateway": gateway, "paused": was is not None or not act.is_dry_run}
    name = f"{gateway} of channel {channel}"
    if was is not None:
        shown |= {"since": iso(was.at), "by": was.who}
        act.finish(shown, f"{name} is paused already, since {when(was.at)} UTC by {was.who}.")
    if act.is_dry_run:
        act.finish(shown, f"{name} would be paused.")
    act.finish(
        shown,
        f"{name} is paused: from {KNOWN_WITHIN_S:g} s on no call to it begins.",
        f"What is owed waits. To go on: channel resume {channel} {gateway}",
    )


@click.command()
@_one_gateway
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


@click.group(cls=Group)
def streams() -> None:
    """What holds up a vendor's calls and facts: who sends just now, and the pauses after failures."""


@streams.command()
@_one_gateway
@operator_act(needs_reason=True)
def free(channel: str, gateway: str, act: Act) -> None:
    """End the lease of whoever sends to GATEWAY of CHANNEL, and its pauses.

    For one that is stuck; a lease ends by itself within three minutes, a pause within two hours. A sender that still
    runs finds its lease lost and sends its facts once more. Calls of which nobody knows whether they were sent are
    looked up first, or left to you. Harmless twice.
    """
    with records() as (configured, database):
        found = channel_named(configured, channel, gateway)
        with database.read() as connection:
            held = freeing.held_up(connection, found.key, gateway, database.now())
        if held.is_any and act.may_go_on(f"{_sentence(held)}\nFree it?"):
            held = acts.free_stream(database, act.operator, found.key, gateway, database.now())
    sentence = f"Nothing holds up {gateway} of channel {channel}."
    if held.is_any:
        sentence = f"{gateway} of channel {channel} {act.be} freed: {_sentence(held)}"
    facts = row_json(held, "stream_until paused_until feed_until calls", was_held_up=held.is_any)
    act.finish({"channel": channel, "gateway": gateway, **facts}, sentence)


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
        parts.append(f"{plural(held.calls, 'call')} waited for a time that no clock shows")
    return ", ".join(parts) + "."


def _pause_of(database: Database, key: str, gateway: str) -> Pause | None:
    of_channel = paused(database, Scope(frozenset({key})))
    return next((item for item in of_channel if item.gateway == gateway), None)
