"""Pages of long lists for filters that no index serves: rows are looked through in their order, so many and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, select

from app.domain.moments import to_ms


@dataclass(frozen=True)
class Part:
    """The rows of one page, in their order."""

    rows: Sequence[Row[Any]]
    last: tuple[Any, ...] | None
    """The place after which the next page begins (moments in milliseconds), None at the end of the list."""
    searched_to: datetime | None = None
    """Where the search stopped although the page is not full: the moment of the last row that was looked through."""


def look_through(
    connection: Connection,
    listed: Select[Any],
    rules: Callable[[Any], Iterable[ColumnElement[bool]]],
    *,
    by: Sequence[str],
    limit: int,
    searched: int,
    is_newest_first: bool = True,
    shown: Callable[[Any], Select[Any]] = select,
    parameters: Mapping[str, Any] | None = None,
) -> Part:
    """At most `limit` of the listed rows that follow the rules; at most `searched` of them are looked through.

    `by` names the columns of their order, which an index has to serve together with what `listed` restricts; `rules`
    are given the columns of a listed row.  `shown` selects more of such rows, and keeps the columns `by` among them;
    `parameters` are those of both.
    """

    def ordered(query: Select[Any], columns: Any) -> Select[Any]:
        return query.order_by(*(columns[name].desc() if is_newest_first else columns[name] for name in by))

    listed = ordered(listed, listed.selected_columns)
    some = listed.limit(searched).subquery()
    found = ordered(shown(some).where(*rules(some.c)), some.c).limit(limit + 1)
    rows = connection.execute(found, parameters or {}).all()
    if len(rows) > limit:
        return Part(rows[:limit], _place(rows[limit - 1], by))
    end = connection.execute(listed.offset(searched - 1).limit(1)).first()
    return Part(rows, None) if end is None else Part(rows, _place(end, by), getattr(end, "at", None))


def to_the_second(part: Part, before: Sequence[Any] | None, *first: Any) -> Part:
    """The same for a reader of some channels, who is not shown the row of another at which a search stopped.

    What is shown is the next whole second, and rows before it are left to the next page.  `before` is the place where
    this page began; `first` is what no row of a moment comes before, nothing where places are no moments.  A page that
    would not go on by whole seconds stays as it is.
    """
    if part.searched_to is None:
        return part
    second = to_ms(part.searched_to) // 1000 + 1
    end = datetime.fromtimestamp(second, UTC)
    if not first:
        return replace(part, searched_to=end)
    place = (second * 1000, *first)
    if before is not None and place >= tuple(before):
        return part
    return Part([row for row in part.rows if row.at >= end], place, end)


def _place(row: Row[Any], by: Sequence[str]) -> tuple[Any, ...]:
    values = (getattr(row, name) for name in by)
    return tuple(to_ms(value) if isinstance(value, datetime) else value for value in values)
