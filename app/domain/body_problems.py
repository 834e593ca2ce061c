"""What was wrong with the body of a callback, or of our answer to it, as it is kept with the call: place and rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

Effect = Literal["refused", "entry_refused", "part_dropped", "field_ignored", "answer_withheld"]

EFFECTS: Final[Mapping[Effect, str]] = {
    "refused": "nothing of the callback was done",
    "entry_refused": "its entry was not done; the others were",
    "part_dropped": "the part it is in was left out",
    "field_ignored": "the field alone was left out",
    "answer_withheld": "our answer was not sent: RetailOps would have thrown it away",
}
"""What came of a fault."""


class BodyProblem(msgspec.Struct, frozen=True):
    """One fault of a body, without its value (P20)."""

    pointer: str
    """Where (RFC 6901): names of the contract's fields and places in lists alone; "" for the whole body."""
    rule: str
    """The schema's keyword that was broken."""
    effect: Effect


class BodyProblems(msgspec.Struct, frozen=True):
    """All faults of one callback, of which the first ones are listed (R6)."""

    listed: tuple[BodyProblem, ...] = ()
    more: int = 0
    """How many are not listed."""

    def __bool__(self) -> bool:
        return bool(self.listed or self.more)


NO_PROBLEMS: Final = BodyProblems()
