"""The run's own look at the server's records and logs: what is owed, parked or left behind."""

from __future__ import annotations

import time
from collections import Counter
from typing import NamedTuple

from sqlalchemy import select

from app import settings
from app.records import refunds
from app.records.database import Database, DatabaseUnavailable
from app.records.refunds import Entry
from app.records.tables.deliveries import deliveries
from tests.databases import owed_levels
from tests.system.stage import Stage


def await_quiet(database_url: str, give_up_at: float) -> list[str]:
    """Wait until nothing is owed or being found out; what still is at the end."""
    database = opened(database_url)
    try:
        while True:
            left = _open_work(database)
            if not left:
                return []
            if time.monotonic() > give_up_at:
                return [f"still {number} {state} although all is well" for state, number in left.items()]
            time.sleep(0.3)
    finally:
        database.close()


def opened(url: str) -> Database:
    """The run's own look at the records."""
    return Database(settings.load_database_url({"APP_ENV": "demo", "DATABASE_URL": url}))


def _open_work(database: Database) -> dict[str, int]:
    try:
        with database.read() as connection:
            rows = connection.execute(select(deliveries.c.state, deliveries.c.lane)).all()
            held = {row.lane for row in rows if row.state == "parked"}  # What waits behind a person may wait.
            left = Counter(row.state for row in rows if row.state in ("owed", "checking") and row.lane not in held)
            owed = owed_levels(connection)
            return {**left, **({"stock levels owed": owed} if owed else {})}
    except DatabaseUnavailable:
        return {"database unavailable": 1}


class Parked(NamedTuple):
    """A call that waits for a person."""

    gateway: str
    lane: str
    verb: str
    code: str
    body: bytes


def parked(database_url: str, gateway: str) -> list[Parked]:
    """The calls to one vendor that wait for a person."""
    of = deliveries.c
    database = opened(database_url)
    try:
        with database.read() as connection:
            rows = connection.execute(
                select(of.gateway, of.lane, of.verb, of.last_code, of.body).where(
                    of.state == "parked", of.gateway == gateway
                )
            )
            return [Parked(*row) for row in rows]
    finally:
        database.close()


def bodies_left(database_url: str) -> list[str]:
    """Addresses stand in the bodies of calls; a call that is over needs none (P32)."""
    database = opened(database_url)
    try:
        with database.read() as connection:
            left = connection.execute(
                select(deliveries.c.id).where(deliveries.c.closed_at.is_not(None), deliveries.c.body.is_not(None))
            ).all()
            return [f"{len(left)} calls are over and their bodies are still kept"] if left else []
    finally:
        database.close()


def faults_in_logs(stage: Stage) -> list[str]:
    """Tracebacks are faults of ours, whatever happened around us; a log line has one as `trace` (`JsonLines`).

    That the database was away is none, wherever it was noticed.
    """
    found = []
    for name in stage.names_of_ours:
        lines = [line for line in stage.log_text(name).splitlines() if "Traceback" in line or '"trace":[' in line]
        lines = [line for line in lines if '"error":"DatabaseUnavailable"' not in line]
        if lines:
            found.append(f"{len(lines)} tracebacks in the {name}'s log; the first: {lines[0][:1500]}")
    return found


def refund_entries(database_url: str) -> list[Entry]:
    """The ledger of refunds of all channels."""
    database = opened(database_url)
    try:
        with database.read() as connection:
            most = 100_000
            chosen = refunds.RefundChoice()
            return refunds.page(connection, chosen, channels=None, before=None, limit=most, searched=most)[0]
    finally:
        database.close()
