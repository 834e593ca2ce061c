"""The rate of a vendor key that several processes share: one row of the database is their common bucket (R14).

Within a process the gate lets questions go before commands before facts; between processes a refused
question or command leaves a mark, and until it comes back for its token nobody of lower rank gets one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy import Float, cast, extract, func, select, update
from sqlalchemy.dialects import postgresql

from app.gateways.policy import CallKind, LocalRate, Rate, TokenBucket, take
from app.records.database import Database, DatabaseUnavailable
from app.records.tables import rates

MARK_SLACK_S = 0.25
"""How long after its time a mark still holds: what left it has to come back through the network."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Share:
    """What one ask came to: 0.0 and a token, or the seconds to wait; and the row as it is to be kept."""

    wait_s: float
    bucket: TokenBucket
    question_until: float
    command_until: float


def ask(bucket: TokenBucket, question_until: float, command_until: float, kind: CallKind, now: float) -> Share:
    """Decide on one token of the common bucket at `now` (seconds of the one clock all processes use)."""
    held_until = 0.0
    if kind != "question":
        held_until = max(held_until, question_until)
    if kind == "fact":
        held_until = max(held_until, command_until)
    if held_until > now:
        wait_s = held_until - now
    else:
        _, bucket, wait_s = take(bucket, now, kind)
    mark = now + wait_s + MARK_SLACK_S if wait_s > 0.0 else 0.0
    if kind == "question":
        question_until = max(question_until, mark) if mark else 0.0
    elif kind == "command":
        command_until = max(command_until, mark) if mark else 0.0
    return Share(wait_s, bucket, question_until, command_until)


class SharedRate:
    """One vendor key's rate in a PostgreSQL, by the clock of that server.

    While the database is away each process keeps to the rate by itself.
    """

    def __init__(self, database: Database, name: str, per_s: float) -> None:
        self._database = database
        self._name = name
        self._full = TokenBucket.full(per_s, 0.0)
        self._alone = LocalRate(per_s)
        now = extract("epoch", func.clock_timestamp()).label("now")
        self._locked = select(rates, cast(now, Float).label("now")).where(rates.c.name == name).with_for_update()

    def take(self, kind: CallKind) -> float:
        """See `policy.Rate`."""
        try:
            return self._take(kind)
        except DatabaseUnavailable as error:
            log.warning("a shared rate is kept alone while the database is away: %s", error)
            return self._alone.take(kind)

    def _take(self, kind: CallKind) -> float:
        with self._database.write() as connection:
            row = connection.execute(self._locked).first()
            if row is None:
                first = {
                    "name": self._name,
                    "tokens": self._full.tokens,
                    "fact_tokens": self._full.fact_tokens,
                    "at": 0,
                }
                connection.execute(postgresql.insert(rates).on_conflict_do_nothing(), first)
                row = connection.execute(self._locked).one()
            bucket = replace(self._full, tokens=row.tokens, fact_tokens=row.fact_tokens, at=row.at)
            share = ask(bucket, row.question_until, row.command_until, kind, row.now)
            connection.execute(
                update(rates)
                .where(rates.c.name == self._name)
                .values(
                    tokens=share.bucket.tokens,
                    fact_tokens=share.bucket.fact_tokens,
                    at=share.bucket.at,
                    question_until=share.question_until,
                    command_until=share.command_until,
                )
            )
        return share.wait_s


def rates_of(database: Database, processes: int) -> Callable[[str, float], Rate]:
    """The rate of each vendor key by digest and calls a second.

    On PostgreSQL the processes share it as they need; on SQLite, which they would wait for in turn, each of
    the `processes` has an equal part.  0 is no cap.
    """

    def rate(key: str, per_s: float) -> Rate:
        if per_s == 0.0:
            return LocalRate(0.0)
        if database.is_sqlite:
            return LocalRate(per_s / processes)
        return SharedRate(database, key, per_s)

    return rate
