"""Samples of what each gateway had not received, every five minutes, for the picture of a backlog over time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Select, case, delete, func, select, type_coerce

from app.records import sync_state
from app.records.call_figures import begin_of
from app.records.database import Database
from app.records.statements import upsert, visible
from app.records.tables.deliveries import IS_OPEN, deliveries
from app.records.tables.figures import pending_figures

EVERY_S: Final = 300

KEPT: Final = timedelta(days=90)


@dataclass(frozen=True)
class Pending:
    """What a gateway had not received at a moment; `channel` is the key of the records."""

    at: datetime
    channel: str
    gateway: str
    owed: int
    """Calls owed or being found out."""
    parked: int
    oldest_s: int
    """Age of the oldest of all these calls in seconds; 0 where there is none."""
    facts: int
    """SKUs and products."""


def now_pending(
    connection: Connection, streams: Iterable[tuple[str, str]], now: datetime, channels: Collection[str] | None = None
) -> list[Pending]:
    """What is pending at this moment of these channels (None: all): a row for each (channel, gateway) of `streams`,
    and for every other that has something."""
    is_parked = case((deliveries.c.state == "parked", 1), else_=0)
    of = (deliveries.c.channel, deliveries.c.gateway)
    calls = {
        (row.channel, row.gateway): row
        for row in connection.execute(
            select(*of, func.count().label("number"), func.sum(is_parked).label("parked"),
                   func.min(deliveries.c.created_at).label("since"))
            .where(IS_OPEN, visible(deliveries.c.channel, channels))
            .group_by(*of)
        )
    }  # fmt: skip
    facts: dict[tuple[str, str], int] = {}
    for owed in sync_state.owed(connection):
        if channels is None or owed.channel in channels:
            facts[owed.channel, owed.gateway] = facts.get((owed.channel, owed.gateway), 0) + owed.count
    found = []
    for channel, gateway in sorted({*streams, *calls, *facts}):
        row = calls.get((channel, gateway))
        parked = int(row.parked) if row else 0
        oldest_s = max(0, int((now - row.since).total_seconds())) if row else 0
        count = row.number - parked if row else 0
        found.append(Pending(now, channel, gateway, count, parked, oldest_s, facts.get((channel, gateway), 0)))
    return found


def sample(connection: Connection, streams: Iterable[tuple[str, str]], now: datetime) -> None:
    """Keep what is pending now, under the begin of its five minutes; what is kept of them already stays."""
    at = begin_of(now, EVERY_S)
    rows = [
        {
            "at": at, "channel": item.channel, "gateway": item.gateway, "owed": item.owed, "parked": item.parked,
            "oldest_s": item.oldest_s, "facts": item.facts,
        }
        for item in now_pending(connection, streams, now)
    ]  # fmt: skip
    if rows:
        upsert(connection, pending_figures, rows)


class PendingSampler:
    """Keeps a sample every five minutes, in whichever process of the server looks first."""

    def __init__(self, database: Database, streams: Collection[tuple[str, str]]) -> None:
        """`streams`: every (key of a channel's records, gateway) that is served."""
        self._database = database
        self._streams = streams

    def turn(self) -> None:
        """Keep a sample if the present five minutes have none.  Raises `DatabaseUnavailable`."""
        now = self._database.now()
        with self._database.read() as connection:
            of_now = select(pending_figures.c.at).where(pending_figures.c.at == begin_of(now, EVERY_S)).limit(1)
            if connection.execute(of_now).first() is not None:
                return
        with self._database.write(is_durable=False) as connection:
            sample(connection, self._streams, now)


def most_pending(
    connection: Connection, since: datetime, step_s: int, channels: Collection[str] | None
) -> dict[datetime, tuple[int, int, int, int]]:
    """The most that was pending of these channels together since then, by begin of each step: calls owed, calls parked,
    age of the oldest in seconds, and facts.  A step without a sample is left out."""
    of = pending_figures.c
    of_moment = (
        select(
            type_coerce(of.at, BigInteger).label("ms"), func.sum(of.owed).label("owed"),
            func.sum(of.parked).label("parked"), func.max(of.oldest_s).label("oldest_s"),
            func.sum(of.facts).label("facts"),
        )
        .where(of.at >= since, visible(of.channel, channels))
        .group_by(of.at)
        .subquery()
    )  # fmt: skip
    step = (of_moment.c.ms - of_moment.c.ms % (step_s * 1000)).label("step")
    most = [func.max(of_moment.c[name]) for name in ("owed", "parked", "oldest_s", "facts")]
    return {
        datetime.fromtimestamp(row[0] / 1000, UTC): (int(row[1]), int(row[2]), int(row[3]), int(row[4]))
        for row in connection.execute(select(step, *most).group_by(step))
    }


def expired(now: datetime) -> Select[Any]:
    """Moments whose samples are past their date."""
    return select(pending_figures.c.at).where(pending_figures.c.at < now - KEPT).distinct()


def purge(connection: Connection, moments: Sequence[Any]) -> None:
    """Delete the samples of these moments."""
    connection.execute(delete(pending_figures).where(pending_figures.c.at.in_([row.at for row in moments])))
