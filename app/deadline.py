"""The moment by which an answer must stand, handed down from the request to the last byte of a vendor call."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

from app.clock import boot_s


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment of the monotonic clock by which an answer must stand; handed down through every layer.

    `held_until_s`: when the lease ends under which the call is made (`clock.boot_s`); infinite for a call without.
    """

    at_s: float
    held_until_s: float = math.inf

    @classmethod
    def in_s(cls, seconds: float) -> Deadline:
        return cls(time.monotonic() + seconds)

    def left_s(self) -> float:
        """Seconds left, never below 0."""
        return max(0.0, self.at_s - time.monotonic())

    def within_s(self, seconds: float) -> Deadline:
        """This deadline, or the one `seconds` from now if that is sooner."""
        return Deadline(min(self.at_s, time.monotonic() + seconds), self.held_until_s)

    def less_s(self, seconds: float) -> Deadline:
        """The moment `seconds` before this deadline."""
        return replace(self, at_s=self.at_s - seconds)

    def held_until(self, end_s: float) -> Deadline:
        """This deadline for a call under a lease that ends at `end_s` of `clock.boot_s`."""
        return replace(self, held_until_s=end_s)

    def is_lease_short(self) -> bool:
        """True when the lease might end before the call does.  Whoever stood still, or slept, sends nothing then."""
        return boot_s() + self.left_s() > self.held_until_s
