"""How the orders of a channel stand here, page by page, for a comparison with their source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select

from app.domain.commands import PackageLine
from app.domain.orders import SketchLine
from app.records.statements import chunked
from app.records.tables.deliveries import IS_OPEN, deliveries
from app.records.tables.orders import IS_OPEN_ORDER, handed_out, packages


@dataclass(frozen=True)
class Standing:
    """An order as it stands here; `state` is open, cancelled or completed.

    `is_shipped`: every unit of it is in a registered package.  `is_called_off`: its source cancelled it, which is
    known here; `is_settled`: RetailOps has acknowledged that too.  `is_pending`: a call about it is still to be made.
    """

    refnum: str
    state: str
    since: datetime | None
    is_shipped: bool
    is_called_off: bool
    is_settled: bool
    is_pending: bool


def open_after(connection: Connection, channel: str, after: str, limit: int) -> list[Standing]:
    """The next orders RetailOps has and has neither cancelled nor completed, by number ("" is the beginning)."""
    rows = connection.execute(
        select(handed_out)
        .where(handed_out.c.channel == channel, IS_OPEN_ORDER, handed_out.c.refnum > after)
        .order_by(handed_out.c.refnum)
        .limit(limit)
    ).all()
    return _standings(connection, channel, rows)


def named(connection: Connection, channel: str, refnums: Collection[str]) -> list[Standing]:
    """These orders whatever their state; unknown ones are left out."""
    rows: list[Row[Any]] = []
    for some in chunked(sorted(set(refnums))):
        is_one = handed_out.c.refnum.in_(some)
        rows += connection.execute(select(handed_out).where(handed_out.c.channel == channel, is_one)).all()
    return _standings(connection, channel, rows)


def _standings(connection: Connection, channel: str, rows: Sequence[Row[Any]]) -> list[Standing]:
    refnums = [row.refnum for row in rows]
    shipped = _shipped(connection, channel, refnums)
    pending = _pending(connection, channel, refnums)
    return [
        Standing(
            row.refnum,
            row.state,
            row.acknowledged_at or row.last_handed_at,
            _is_shipped(row.lines, shipped.get(row.refnum, Counter())),
            row.source_cancelled_at is not None,
            row.cancellation_known_at is not None,
            row.refnum in pending,
        )
        for row in rows
    ]


def _is_shipped(lines: bytes, shipped: Counter[str]) -> bool:
    ordered = msgspec.json.decode(lines, type=tuple[SketchLine, ...])
    return bool(ordered) and all(shipped[line.refnum] >= line.quantity for line in ordered)


def _shipped(connection: Connection, channel: str, refnums: Sequence[str]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for some in chunked(refnums):
        is_one = packages.c.order_refnum.in_(some)
        for row in connection.execute(
            select(packages.c.order_refnum, packages.c.lines).where(packages.c.channel == channel, is_one)
        ):
            units = found.setdefault(row.order_refnum, Counter())
            for line in msgspec.json.decode(row.lines, type=tuple[PackageLine, ...]):
                units[line.line_refnum] += line.quantity
    return found


def _pending(connection: Connection, channel: str, refnums: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for some in chunked(refnums):
        is_one = deliveries.c.lane.in_(some)
        found |= set(
            connection.execute(
                select(deliveries.c.lane).where(deliveries.c.channel == channel, is_one, IS_OPEN)
            ).scalars()
        )
    return found
