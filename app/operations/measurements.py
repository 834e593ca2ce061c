"""The metrics of this server as they are now, the same from each of its processes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from app import caller, metrics
from app.metrics import Metric
from app.operations.vendor_limits import rate_now
from app.records import attention, breakers, call_figures, channels, counters, gauges, pauses, sync_state
from app.records.counters import Distribution, Labels
from app.records.database import Database
from app.records.deliveries import OPEN_STATES
from app.settings import Settings
from app.transport.limiters import Limit

READ_LIMIT_S = 2.0
"""How long the database may work on it: whoever looks at metrics must not cost callbacks anything."""

Place = tuple[str, str]
"""(key of a channel's records, gateway)."""


@dataclass(frozen=True)
class Measured:
    """One metric with its lines; a histogram's are distributions."""

    metric: Metric
    lines: Sequence[tuple[Labels, float | Distribution]]


def measured(configured: Settings, database: Database, limits: Collection[Limit]) -> list[Measured]:
    """Every metric.  `limits`: those of this process's gateways, which are the same in all.

    Raises `DatabaseUnavailable`, also when a statement takes too long.
    """
    now = database.now()
    before = caller.read_limit_s.set(READ_LIMIT_S)
    try:
        return _read(configured, database, limits, now)
    finally:
        caller.read_limit_s.reset(before)


def _read(configured: Settings, database: Database, limits: Collection[Limit], now: datetime) -> list[Measured]:
    places = [(channel.key, token) for channel in configured.channels for token in channel.gateways]
    with database.read() as connection:
        names = channels.names(connection)
        shown = {**names.shown, **{channel.key: channel.name for channel in configured.channels}}
        found = {
            **_counted(connection),
            **_deliveries(connection, places, now),
            **_of_channels(connection, [channel.key for channel in configured.channels]),
            **_of_vendors(connection, places, limits, now),
        }
    return [Measured(metric, _named(metric, found[metric], shown)) for metric in metrics.METRICS]


Values = Mapping[Labels, float | Distribution]


def _named(metric: Metric, values: Values, shown: Mapping[str, str]) -> list[tuple[Labels, float | Distribution]]:
    """The lines with the names of channels instead of the keys of their records."""
    if "channel" not in metric.labels:
        return sorted(values.items(), key=lambda line: line[0])
    at = metric.labels.index("channel")
    named = {(*labels[:at], shown.get(labels[at], labels[at]), *labels[at + 1 :]): v for labels, v in values.items()}
    return sorted(named.items(), key=lambda line: line[0])


def _counted(connection: Connection) -> dict[Metric, Values]:
    kept = counters.kept(connection)
    return {
        metric: counters.totals(kept, metric) if metric.kind == "counter" else counters.distributions(kept, metric)
        for metric in metrics.METRICS
        if metric.kind != "gauge"
    }


def _deliveries(connection: Connection, places: Iterable[Place], now: datetime) -> dict[Metric, Values]:
    calls: dict[Labels, float | Distribution] = {(state, *place): 0.0 for place in places for state in OPEN_STATES}
    ages = dict.fromkeys(places, 0.0)
    for row in attention.open_calls(connection):
        place = row.channel, row.gateway
        calls[row.state, *place] = float(row.number)
        if row.state != "parked":
            ages[place] = max((now - row.since).total_seconds(), ages.get(place, 0.0))
    facts: dict[Labels, float | Distribution] = {
        (kind, *place): 0.0 for place in places for kind in ("catalogue", "stock")
    }
    facts.update({(owed.kind, owed.channel, owed.gateway): float(owed.count) for owed in sync_state.owed(connection)})
    return {
        metrics.DELIVERIES: calls,
        metrics.OLDEST_OWED: {(*place,): age_s for place, age_s in ages.items()},
        metrics.FACTS_OWED: facts,
    }


def _of_channels(connection: Connection, keys: Sequence[str]) -> dict[Metric, Values]:
    counted = {
        metrics.HELD_BACK: gauges.held_back_orders(connection),
        metrics.LATE_EVENTS: {row.channel: row.number for row in attention.open_late_events(connection)},
        metrics.REFUNDS_IN_DOUBT: {row.channel: row.number for row in attention.refunds_in_doubt(connection)},
    }
    return {
        **{
            metric: {(key,): float(counts.get(key, 0)) for key in (*keys, *counts.keys() - set(keys))}
            for metric, counts in counted.items()
        },
        metrics.LAST_CALLBACK: {
            (last.channel, last.name): last.at.timestamp()
            for last in call_figures.last_of(connection, keys)
            if last.kind == "callback"
        },
    }


def _of_vendors(
    connection: Connection, places: Sequence[Place], limits: Collection[Limit], now: datetime
) -> dict[Metric, Values]:
    learned = gauges.learned_rates(connection)
    opened = breakers.processes(connection, places, now)
    paused = {(pause.channel, pause.gateway): 1.0 for pause in pauses.all_of(connection)}
    return {
        metrics.VENDOR_RATE: {
            (limit.plan.setting, limit.channel, limit.vendor): rate_now(limit.plan, learned.get(limit.key))
            for limit in limits
            if limit.plan.per_s
        },
        metrics.BREAKER_OPEN: {place: float(count) for place, count in opened.items()},
        metrics.PAUSED: {place: paused.get(place, 0.0) for place in places},
    }
