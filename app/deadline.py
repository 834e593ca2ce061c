"""The moment by which an answer must stand, handed down from the request to the last byte of a vendor call."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment of the monotonic clock by which an answer must stand; handed down through every layer."""

    at_s: float

    @classmethod
    def in_s(cls, seconds: float) -> Deadline:
        return cls(time.monotonic() + seconds)

    def left_s(self) -> float:
        """Seconds left, never below 0."""
        return max(0.0, self.at_s - time.monotonic())

    def within_s(self, seconds: float) -> Deadline:
        """This deadline, or the one `seconds` from now if that is sooner."""
        return Deadline(min(self.at_s, time.monotonic() + seconds))

    def less_s(self, seconds: float) -> Deadline:
        """The moment `seconds` before this deadline."""
        return Deadline(self.at_s - seconds)
