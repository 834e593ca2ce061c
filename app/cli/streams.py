"""`channel streams free`: lets go of a lease or a pause that holds up a vendor's calls and facts (R36)."""

from __future__ import annotations

import click

from app.cli.acting import Act, operator_act
from app.cli.records import records
from app.cli.showing import plural, row_json, when
from app.cli.vendors import channel_named
from app.operations import acts
from app.records import freeing
from app.records.freeing import HeldUp


@click.group()
def streams() -> None:
    """What holds up a vendor's calls and facts: who sends just now, and the pauses after failures."""


@streams.command()
@click.argument("channel")
@click.argument("gateway")
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
