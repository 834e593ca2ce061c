"""How each channel stands at this moment: its gateways by their last recorded calls, and what waits for a person.

No vendor is called: what is said of one is what the journal of calls recorded last.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from sqlalchemy import Connection

from app.channel import registration
from app.channel_settings import Channel
from app.operations.health_checks.waiting import LEFT_OPEN_FOR
from app.operations.pauses import Pause
from app.operations.scope import Scope
from app.operations.wrong_pairs import WrongPair, wrong_pairs
from app.records import attention, call_figures, inbound, pauses, pending_figures
from app.records.call_figures import GOOD, HOUR_S, LastCall
from app.records.database import Database, DatabaseUnavailable
from app.records.pending_figures import Pending
from app.settings import Settings

HOURS: Final = 24
"""Of the small picture of a channel."""

REFUSED_HOOKS_OF: Final = timedelta(hours=1)

GatewayState = Literal["answering", "failing", "paused", "never called"]
"""answering: the last recorded call went through.  failing: it did not."""

WaitingKind = Literal[
    "parked", "held_back", "late", "refund_in_doubt", "refused_hooks", "paused", "set_aside", "unacknowledged",
    "left_open",
]  # fmt: skip


@dataclass(frozen=True)
class GatewayNow:
    """One gateway of a channel."""

    gateway: str
    state: GatewayState
    last: LastCall | None
    """The last call that was recorded; None where there was none."""
    pause: Pause | None
    pending: Pending
    """What it has not received at this moment."""


@dataclass(frozen=True)
class LastCallback:
    """When RetailOps called something last."""

    callback: str
    at: datetime
    outcome: str
    status: int


@dataclass(frozen=True)
class Waiting:
    """Something of a channel that waits for a person."""

    kind: WaitingKind
    count: int
    since: datetime | None
    """The oldest of them, where it is known."""
    gateway: str = ""
    """The vendor, where it is about one."""
    example: str = ""
    """One of them: an order's number, or a sentence without customer data."""


@dataclass(frozen=True)
class HourOfCallbacks:
    """How many callbacks came in an hour, and how many of them were refused or failed."""

    at: datetime
    count: int
    bad: int


@dataclass(frozen=True)
class ChannelNow:
    """One channel; `key` is that of its records."""

    key: str
    name: str
    gateways: tuple[GatewayNow, ...]
    callbacks: tuple[LastCallback, ...]
    """The latest first; what was never called is left out."""
    waiting: tuple[Waiting, ...]
    oldest_pending_s: int
    """Age of the oldest call that is owed, being found out or parked, in seconds; 0 where there is none."""
    hours: tuple[HourOfCallbacks, ...]
    """The last 24, oldest first, the present one included."""


@dataclass(frozen=True)
class Overview:
    """How everything stands."""

    at: datetime
    channels: tuple[ChannelNow, ...]
    wrong_pairs: tuple[WrongPair, ...]
    """Of the last 24 hours; only for those who see all channels."""


def overview(database: Database, scope: Scope, channels: Iterable[Channel]) -> Overview:
    """How these channels stand, in their order.  Raises `DatabaseUnavailable`."""
    now = database.now()
    shown = [channel for channel in channels if scope.sees(channel.key)]
    keys = frozenset(channel.key for channel in shown)
    streams = [(channel.key, token) for channel in shown for token in channel.gateways]
    with database.read() as connection:
        last = call_figures.last_of(connection, keys)
        pending = {
            (item.channel, item.gateway): item for item in pending_figures.now_pending(connection, streams, now, keys)
        }
        paused = {(item.channel, item.gateway): item for item in pauses.all_of(connection, keys)}
        hours = _hours(connection, keys, now)
        waiting = _waiting(connection, shown, paused.values(), now)
        pairs = _wrong_pairs(connection, now) if scope.keys is None else ()
    calls = {(item.kind, item.channel, item.name): item for item in last}

    def gateway(channel: Channel, token: str) -> GatewayNow:
        stream = (channel.key, token)
        found = calls.get(("vendor", *stream))
        return GatewayNow(token, _state(found, stream in paused), found, paused.get(stream), pending[stream])

    return Overview(
        now,
        tuple(
            ChannelNow(
                channel.key,
                channel.name,
                tuple(gateway(channel, token) for token in channel.gateways),
                _callbacks(last, channel.key),
                tuple(waiting[channel.key]),
                max((item.oldest_s for item in pending.values() if item.channel == channel.key), default=0),
                hours[channel.key],
            )
            for channel in shown
        ),
        pairs,
    )


def left_behind(configured: Settings, database: Database, scope: Scope) -> list[str] | None:
    """Of each channel that is not configured any more, what is open of it and what to do: for who sees all channels.

    None where the database does not say it in time: all orders of such a channel are looked at.
    """
    if scope.keys is not None:
        return []
    try:
        unserved = registration.unserved(configured, database)
    except DatabaseUnavailable:
        return None
    return [registration.unserved_sentence(item, what) for item, what in unserved]


def _state(last: LastCall | None, is_paused: bool) -> GatewayState:
    if is_paused:
        return "paused"
    if last is None:
        return "never called"
    return "answering" if last.outcome in GOOD else "failing"


def _callbacks(last: Iterable[LastCall], channel: str) -> tuple[LastCallback, ...]:
    mine = [item for item in last if item.kind == "callback" and item.channel == channel]
    return tuple(
        LastCallback(item.name, item.at, item.outcome, item.status or 0)
        for item in sorted(mine, key=lambda item: item.at, reverse=True)
    )


def _hours(connection: Connection, keys: frozenset[str], now: datetime) -> dict[str, tuple[HourOfCallbacks, ...]]:
    begin = now.replace(minute=0, second=0, microsecond=0)
    begins = [begin - timedelta(hours=number) for number in reversed(range(HOURS))]
    counts: dict[tuple[str, datetime], tuple[int, int]] = {}
    for at, channel, outcome, count in call_figures.by_span(connection, "callback", HOUR_S, begins[0], keys):
        before = counts.get((channel, at), (0, 0))
        counts[channel, at] = before[0] + count, before[1] + (0 if outcome in GOOD else count)
    return {key: tuple(HourOfCallbacks(at, *counts.get((key, at), (0, 0))) for at in begins) for key in keys}


def _waiting(
    connection: Connection, channels: Sequence[Channel], paused: Iterable[Pause], now: datetime
) -> dict[str, list[Waiting]]:
    found: dict[str, list[Waiting]] = defaultdict(list)
    for channel in channels:
        found[channel.key] += [Waiting("set_aside", 1, None, example=fault) for fault in channel.set_aside]
        for token in channel.gateways:
            answered = inbound.since(connection, channel.key, token, now - REFUSED_HOOKS_OF)
            refused = {item: count for item, count in answered.items() if item.reason}
            if refused:
                worst = next(iter(refused))
                found[channel.key].append(
                    Waiting("refused_hooks", sum(refused.values()), None, token, f"{worst.topic}: {worst.reason}")
                )
    keys = [channel.key for channel in channels]
    for row in attention.open_calls(connection, keys):
        if row.state == "parked":
            found[row.channel].append(Waiting("parked", row.number, row.since, row.gateway))
    for orders in attention.held_back_orders(connection, keys):
        found[orders.channel].append(Waiting("held_back", orders.number, orders.since, example=str(orders)))
    for row in attention.unacknowledged(connection, now, keys):
        found[row.channel].append(Waiting("unacknowledged", row.number, None, example=row.one))
    for orders in attention.left_open(connection, now - LEFT_OPEN_FOR, keys):
        found[orders.channel].append(Waiting("left_open", orders.number, orders.since, example=str(orders)))
    for row in attention.open_late_events(connection, keys):
        found[row.channel].append(Waiting("late", row.number, row.since))
    for row in attention.refunds_in_doubt(connection, keys):
        found[row.channel].append(Waiting("refund_in_doubt", row.number, row.since))
    for pause in paused:
        found[pause.channel].append(Waiting("paused", 1, pause.at, pause.gateway, pause.reason))
    return found


def _wrong_pairs(connection: Connection, now: datetime) -> tuple[WrongPair, ...]:
    """Those somebody has to mend: not what certification sends."""
    return tuple(item for item in wrong_pairs(connection, now - timedelta(hours=HOURS)) if not item.is_of_fixtures)
