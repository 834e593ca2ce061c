"""Pages of a list, each continued where the one before ended, so that none has to count or skip rows.

Every list raises `UnknownPlace` where what is passed as `after` names no place in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from app.errors import ChannelError

PAGE = 50
"""Rows of one page."""

SEARCHED = 20_000
"""Rows that one page looks through at most for those a filter chooses."""

T = TypeVar("T")


class UnknownPlace(ChannelError):
    """What is to name a place in a list is no cursor of that list."""

    def __init__(self) -> None:
        super().__init__("after is no place in this list")


@dataclass(frozen=True)
class Page(Generic[T]):
    """Part of a list; it may hold fewer than `PAGE` rows, or none, although more follow."""

    rows: tuple[T, ...]
    after: str = ""
    """What is passed for the next page; "" where there is none."""
    searched_to: datetime | None = None
    """Set where the search for rare rows stopped at this moment: older ones are found by the next page."""


def first(limit: int, page: Callable[..., Page[T]]) -> list[T]:
    """At most `limit` rows from the beginning of a list; `page` gives the page after the cursor `after`."""
    found: list[T] = []
    after = ""
    while True:
        part = page(after=after)
        found += part.rows
        after = part.after
        if not after or len(found) >= limit:
            return found[:limit]


def cursor(*numbers: int) -> str:
    """What names a row's place in its list."""
    return "-".join(map(str, numbers))


def place(after: str, numbers: int) -> tuple[int, ...] | None:
    """The numbers of a cursor; None for "", the beginning.  Raises `UnknownPlace` for what is no cursor of so many."""
    if not after:
        return None
    parts = after.split("-")
    if len(parts) != numbers or not all(part.isascii() and part.isdigit() and len(part) <= 18 for part in parts):
        raise UnknownPlace
    return tuple(map(int, parts))
