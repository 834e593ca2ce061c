"""What a list is restricted to, as it stands in the address of its page.

What cannot be read does not restrict, and the page says so: it would look like what was searched for.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import unquote, urlencode

from flask import g, request

W = TypeVar("W", bound=str)

LONGEST = 200
"""Characters of a value that are looked at."""

LONGEST_PLACE = 2000
"""Characters of a place in a list that are looked at."""


def unread() -> list[str]:
    """The names in the address whose values could not be read so far."""
    names: list[str] = g.setdefault("unread", [])
    return names


def _unread(name: str) -> None:
    if text(name) and name not in unread():
        unread().append(name)


def text(name: str) -> str:
    """A text of the query, without blanks around it."""
    return request.args.get(name, "").strip()[:LONGEST]


def after() -> str:
    """What names the place where the page begins, as it stands: the end of an id may be a blank, and ids are long."""
    return request.args.get("after", "")[:LONGEST_PLACE]


def word(name: str, known: Collection[W]) -> W | None:
    """One of some known words, None for any other."""
    given = text(name)
    found = next((each for each in known if each == given), None)
    if found is None:
        _unread(name)
    return found


def whole(name: str) -> int:
    """A whole number above 0, else 0."""
    given = text(name)
    if given.isascii() and given.isdecimal() and len(given) <= 12:
        return int(given)
    _unread(name)
    return 0


def moment(name: str) -> datetime | None:
    """A moment as browsers write it, taken as UTC where it names no zone."""
    try:
        found = datetime.fromisoformat(text(name))
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        _unread(name)
        return None


def address(**changes: str) -> str:
    """The address of the present page with other values in its query; "" removes one."""
    values = {name: value for name, value in request.args.items() if value and name not in ("done", "count")}
    values.update(changes)
    query = urlencode({name: value for name, value in values.items() if value})
    return f"{request.path}?{query}" if query else request.path


def last_segments(count: int) -> list[str]:
    """The last parts of the present address, decoded each by itself, for an id may hold a slash.

    What routes by the decoded path has lost which slash was one of the id's.
    """
    raw = str(request.environ.get("RAW_URI") or request.environ.get("REQUEST_URI") or request.path)
    parts = raw.partition("?")[0].rstrip("/").split("/")
    return [unquote(part) for part in parts[-count:]]
