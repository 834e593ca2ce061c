"""Moments, ages, numbers and rows as commands print them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.cli.records import shown_channel


def when(at: datetime | None) -> str:
    """A moment for people: UTC to the second."""
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else ""


def when_exactly(at: datetime) -> str:
    """The same to the millisecond, for moments that follow one another closely."""
    return f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03}"


def age(at: datetime | None, now: datetime) -> str:
    """How long ago, for people: in the largest unit that says enough; "never" for None."""
    if at is None:
        return "never"
    seconds = max(0, int((now - at).total_seconds()))
    for at_least, unit_s, unit in ((172_800, 86_400, "d"), (7_200, 3_600, "h"), (120, 60, "min")):
        if seconds >= at_least:
            return f"{seconds // unit_s} {unit} ago"
    return f"{seconds} s ago"


def iso(at: datetime | None) -> str | None:
    """A moment for programs."""
    return at.isoformat(timespec="milliseconds") if at else None


def row_json(row: object, names: str, **others: object) -> dict[str, Any]:
    """The named attributes of a row and some others, for programs: each moment in ISO 8601, a channel by its name.

    `vendor=gateway` is the attribute `gateway` under the name `vendor`.
    """
    found: dict[str, Any] = {}
    for name, _, attribute in (item.partition("=") for item in names.split()):
        found[name] = getattr(row, attribute or name)
    if "channel" in found:
        found["channel"] = shown_channel(found["channel"])
    return {name: iso(value) if isinstance(value, datetime) else value for name, value in (found | others).items()}


def plural(count: int, noun: str) -> str:
    """ "1 SKU", "2 SKUs"."""
    return f"{count} {noun}{'s' * (count != 1)}"
