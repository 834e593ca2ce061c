"""What the operator's commands are asked in: moments as people write them, and the records they look into."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import click

from app import settings
from app.deliveries.courier import utc_now
from app.records.database import Database
from app.settings import Settings

_AGO = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def moment(text: str) -> datetime:
    """`2h` (that long ago; s, m, h, d) or ISO 8601; a time without an offset is UTC.

    Raises `click.BadParameter` for anything else.
    """
    if ago := _AGO.fullmatch(text):
        return utc_now() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter("write it as 30m, 2h, 7d or 2026-02-03T15:00:00Z") from None
    return given if given.tzinfo else given.replace(tzinfo=UTC)


@contextmanager
def records() -> Iterator[tuple[Settings, Database]]:
    """The configuration and its database, for the length of a command.

    Raises `SettingsFault` when either cannot be used.
    """
    configured = settings.load()
    database = Database(configured.database_url)
    try:
        database.prepare()
        yield configured, database
    finally:
        database.close()


def when(at: datetime | None) -> str:
    """A moment for people: UTC to the second."""
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else ""


def iso(at: datetime | None) -> str | None:
    """A moment for programs."""
    return at.isoformat(timespec="milliseconds") if at else None
