"""An outbox with calls in it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from app.records.database import Database
from app.records.tables.deliveries import commands

START = datetime(2026, 2, 3, 12, tzinfo=UTC)


STREAM = ("first", "pipe17")


def fill(database: Database, lanes: int, calls: int, *, stream: tuple[str, str] = STREAM, **values: Any) -> None:
    """`calls` owed calls in each of `lanes` lanes, all due; the later ones of a lane stand behind the first.

    In portions, for a transaction that takes seconds is cut off.
    """
    numbers = "with recursive n(i) as (select cast(:first as int) union all select i + 1 from n where i + 1 < :end)"
    with database.write() as connection:
        connection.execute(
            sa.insert(commands),
            {"id": 1, "channel": stream[0], "callback": "order_update", "natural_key": "k", "order_refnum": "r",
             "digest": "d", "events": b"[]", "request_id": "q", "begun_at": START, "lease_until": START},
        )  # fmt: skip
        row = {"state": "owed", "next_try_at": START, "lease_token": None, "lease_until": None, **values}
        moments = {name: int(value.timestamp() * 1000) for name, value in row.items() if isinstance(value, datetime)}
    insert = sa.text(
        f"{numbers} insert into deliveries (channel, gateway, verb, lane, command_id, body, about, state, "
        "next_try_at, lease_token, lease_until, request_id, created_at) select :channel, :gateway, 'verb', "
        "'lane ' || (i % :lanes), 1, null, cast('[]' as bytea_), :state, "
        "cast(:next_try_at as bigint), :lease_token, cast(:lease_until as bigint), 'q', 0 from n".replace(
            "bytea_", "blob" if database.is_sqlite else "bytea"
        )
    )
    shared = {"channel": stream[0], "gateway": stream[1], "lanes": lanes, **row, **moments}
    for first in range(0, lanes * calls, PORTION):
        with database.write() as connection:
            end = min(first + PORTION, lanes * calls)
            connection.execute(insert, {**shared, "first": first, "end": end})
    if not database.is_sqlite:
        with database.write() as connection:
            connection.execute(sa.text("analyze deliveries"))


PORTION = 10_000
"""Rows of one transaction."""
