"""Times as vendors write them (ISO-8601, UTC, milliseconds) and as numbers that can be compared."""

from __future__ import annotations

from datetime import UTC, datetime


def ms_if_any(at: datetime | None) -> int | None:
    """As `to_ms`; None for no time."""
    return None if at is None else to_ms(at)


def to_ms(at: datetime) -> int:
    """Milliseconds since 1970, whole ones that have passed."""
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000


def moment_of(ms: int | None) -> datetime | None:
    """The time so many milliseconds after 1970, UTC; None for none."""
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)


def moment_text(at_ms: int) -> str:
    """A time as text, 2026-01-31T08:30:49.767Z."""
    return iso_ms(datetime.fromtimestamp(at_ms // 1000, UTC).replace(microsecond=at_ms % 1000 * 1000))


def iso_ms(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
