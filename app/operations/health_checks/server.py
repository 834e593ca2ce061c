"""Health of the server itself: its settings, its database, its clock and the rates it keeps to.

Everything here is read and nothing is changed; a database that is away is a finding like any other.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from app.clock import utc_now
from app.domain.findings import Finding
from app.errors import ChannelError, SettingsFault
from app.records.database import Database, DatabaseUnavailable
from app.records.database_errors import in_words
from app.settings import Settings
from app.transport.shared_rate import SharedRate

CLOCK_S = 5.0
"""How far this machine's wall clock may be from the clock that all processes share."""

TOO_MANY = "; DATABASE_PROCESSES has to count the web and worker processes of all machines, twice for a rolling release"
"""What mends it where more processes share the connections than `DATABASE_PROCESSES` says."""


def of_settings(configured: Settings) -> list[Finding]:
    """What is allowed, but should not stay so for long."""
    if configured.verify_key and configured.app_env == "production":
        sentence = "VERIFY_KEY is on in production: anybody may call with the SDK's public test key, as a dry run"
        return [Finding("test key", "attention", sentence)]
    return []


def of_rate(limit: SharedRate) -> Finding:
    """How fast a vendor is called: the rate that all processes share and learn, and when it was last cut."""
    plan, name = limit.plan, "rate" if limit.plan.setting == "requests_per_s" else f"rate of {limit.plan.setting}"
    if plan.per_s == 0.0:
        return Finding(name, "ok", f"not limited by us ({plan.setting} is 0)")
    try:
        learned = limit.seen()
    except ChannelError:
        return Finding(name, "ok", f"{plan.per_s:g} calls/s to begin with; what was learned cannot be read now")
    rate = plan.per_s if learned is None else min(learned.rate, plan.highest)
    if plan.highest == plan.per_s and rate == plan.per_s:
        return Finding(name, "ok", f"{rate:g} calls/s, which is never passed ({plan.setting})")
    cut_at = learned.cut_at if learned else 0.0
    last = f"last cut {datetime.fromtimestamp(cut_at, UTC):%Y-%m-%d %H:%M} UTC, when it throttled" if cut_at else ""
    what = f"{rate:.3g} calls/s learned ({plan.setting} {plan.per_s:g}, at most {plan.highest:g})"
    return Finding(name, "ok", f"{what}, {last or 'never cut'}")


def open_database(url: str) -> tuple[Finding, Database | None]:
    """The database's state, and the database where it can be read."""
    address = make_url(url)
    path = address.database or ""
    if url.startswith("sqlite:") and not path.startswith("file:") and not Path(path).exists():
        return Finding("database", "off", "SQLite has no file yet: the server makes it when it first starts"), None
    try:
        database = Database(url)
    except SettingsFault as error:
        return Finding("database", "attention", f"{error.faults[0]}"), None
    try:
        pending = database.pending()
    except SettingsFault as error:
        finding = Finding("database", "attention", f"{error.faults[0]}")
    except (DatabaseUnavailable, SQLAlchemyError) as error:
        why = str(error) if isinstance(error, DatabaseUnavailable) else in_words(getattr(error, "orig", None) or error)
        hint = TOO_MANY if "too many connections" in why else ""
        finding = Finding("database", "attention", f"DATABASE_URL: the database does not answer ({why}){hint}")
    else:
        brand = "SQLite" if database.is_sqlite else "PostgreSQL"
        if not pending:
            return Finding("database", "ok", f"{brand} answers, and no migration waits"), database
        count = f"{len(pending)} migrations wait" if len(pending) > 1 else "1 migration waits"
        finding = (
            Finding("database", "off", f"{brand} answers; {count} for the next start of the server")
            if database.is_sqlite
            else Finding("database", "attention", f"{brand} answers, but {count}: run `channel db upgrade`")
        )
    database.close()
    return finding, None


def of_clock(database: Database) -> list[Finding]:
    """A wall clock of this machine that differs from the clock the server goes by.  Raises `DatabaseUnavailable`."""
    ahead_s = (utc_now() - database.now()).total_seconds()
    if abs(ahead_s) < CLOCK_S:
        return []
    way = "ahead of" if ahead_s > 0 else "behind"
    by = f"{abs(ahead_s):,.0f} s {way}"
    if database.is_sqlite:
        sentence = f"this machine's clock is {by} the one the server goes by since its start; to go by this, restart it"
    else:
        sentence = f"this machine's clock is {by} PostgreSQL's, which the server goes by: set whichever is wrong"
    return [Finding("clock", "attention", sentence)]
