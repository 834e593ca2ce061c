"""What a check finds out about a channel's gateway or shop."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One thing a check found out, stated in a sentence without secrets and without customer data.

    ok: as it should be; off: at rest because somebody wants it so; note: worth knowing, nobody has to act;
    attention: an operator has to act.
    """

    name: str
    state: Literal["ok", "off", "note", "attention"]
    sentence: str
    address: str = ""
    """What others fetch from this server, if the finding is about that: whoever checks tries it."""
    secret: str = field(default="", repr=False)
    """The part of `address` that is never shown."""
