"""How moments, durations, ids and money are written on pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from app.domain.prices import decimals
from app.domain.texts import counted, with_signs

LONGEST_ID: Final = 18
"""Characters of an id that are shown in a table; the rest is left out in the middle."""

_BLANKS: Final = re.compile(r"^ +| +$|(?<= ) ")
"""Those of an id that a page would not show."""

_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def exact(moment: datetime | None) -> str:
    """A moment with milliseconds, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d} UTC" if moment else ""


def moment(moment: datetime | None) -> str:
    """A moment to the second, in UTC; the page says so once."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if moment else ""


def machine(moment: datetime | None) -> str:
    """A moment for programs (ISO 8601)."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds") if moment else ""


def duration(length: timedelta | float | int | None) -> str:
    """A duration in one unit, such as "2 min": the largest of which there are two, or else the next one."""
    if length is None:
        return ""
    seconds = length.total_seconds() if isinstance(length, timedelta) else float(length)
    seconds = max(seconds, 0.0)
    if 0 < seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for size, unit in _UNITS:
        if seconds >= 2 * size or (size == 1 and seconds >= 0):
            return f"{seconds / size:.0f} {unit}"
    return "0 s"


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago, or in how long."""
    if moment is None:
        return "never"
    passed = now - moment
    if passed < timedelta(seconds=-1):
        return f"in {duration(-passed)}"
    return "just now" if passed < timedelta(seconds=2) else f"{duration(passed)} ago"


def milliseconds(ms: float | None) -> str:
    """A measured time: "12 ms" or "1.4 s"."""
    if ms is None:
        return ""
    return f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.1f} s"


def short_id(text: object, longest: int = LONGEST_ID) -> str:
    """An id without its middle, where it is long, and with a sign for each character that nobody would see.

    Such characters tell ids apart, or turn them round: blanks at the ends, controls, marks of direction.
    """
    seen = with_signs(str(text)).replace("\n", "[U+000A]")
    word = _BLANKS.sub(lambda found: "\u2423" * len(found[0]), seen)
    if len(word) <= longest:
        return word
    half = (longest - 1) // 2
    return f"{word[: longest - 1 - half]}…{word[len(word) - half :]}"


def money(amount: Decimal | str | None, currency: str) -> str:
    """An amount with the digits of its currency, and the code."""
    if amount is None:
        return ""
    digits = decimals(currency)
    return f"{Decimal(amount):,.{digits}f} {currency}".strip()


def number(value: float | int | None) -> str:
    """A count with its thousands apart."""
    return "" if value is None else f"{value:,}"


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "ago": ago, "count": counted, "duration": duration, "exact": exact, "machine": machine,
    "milliseconds": milliseconds, "moment": moment, "money": money, "number": number, "short_id": short_id,
}  # fmt: skip
