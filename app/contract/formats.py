"""The one set of formats, given to every validator so that none brings its own reading of a date."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime

_RFC_3339 = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})")


def is_date_time(value: object) -> bool:
    """True for a full RFC 3339 moment: date, time and offset, and a day the calendar has.

    Stricter than the upstream verifier, which lets a bare date pass: RetailOps' caller parses this
    field with a time and an offset, and one that does not parse cost the whole page (SDK contract 1.6).
    """
    if not isinstance(value, str) or _RFC_3339.fullmatch(value) is None:
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


Formats = Mapping[str, Callable[[object], bool]]

OUTGOING: Formats = {"date-time": is_date_time}
"""Formats of what we send.  Nothing that comes in is held to a format."""

NATIVE: Formats = {}
"""Formats as the validator itself knows them; a call back into Python takes it longer than the field's other rules."""

CERTAIN_MOMENT = (
    r"^[12][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-2][0-9]:[0-5][0-9]:[0-5][0-9](\.[0-9]+)?(Z|[+-][01][0-9]:[0-5][0-9])$"
)
"""Of the texts that match this, `is_date_time` and the validator's own `date-time` take the same ones: it leaves out
leap seconds, small letters and years and offsets beyond those of any calendar."""
