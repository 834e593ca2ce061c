"""The acts of operators as they are kept: who did what, when, on what, and why (R34)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from app.records.statements import visible
from app.records.tables.operations import operation_targets, operations

WHO_LENGTH = 60
"""Longest name of an operator."""

REASON_LENGTH = 500
"""Longest reason."""


@dataclass(frozen=True)
class Target:
    """An object that an act changed; `kind` is delivery, order, refund, late_event, sku, product,
    channel, account, stream or gateway."""

    kind: str
    id: str


@dataclass(frozen=True)
class Operation:
    """One act.  `count` is how many objects it changed; `targets` may name fewer of them (see `listing`)."""

    id: int
    at: datetime
    who: str
    act: str
    channel: str
    gateway: str
    reason: str
    detail: str
    outcome: str
    count: int
    targets: tuple[Target, ...]


def add(
    connection: Connection,
    *,
    who: str,
    act: str,
    channel: str,
    gateway: str,
    reason: str,
    outcome: str,
    targets: Sequence[Target],
    now: datetime,
    detail: str = "",
    count: int = 1,
) -> int:
    """Keep one act in the transaction that carries it out, so that neither exists without the other.

    `detail` holds the options that widen the act, such as --even-if-done.  Returns its id.
    """
    values = {
        "at": now, "who": who, "act": act, "channel": channel, "gateway": gateway, "reason": reason, "detail": detail,
        "outcome": outcome, "count": count,
    }  # fmt: skip
    operation_id = int(connection.execute(insert(operations).returning(operations.c.id), values).scalar_one())
    _name(connection, operation_id, targets)
    return operation_id


def extend(connection: Connection, operation_id: int, targets: Sequence[Target]) -> None:
    """An act carried out in several transactions has changed these objects as well."""
    connection.execute(
        update(operations).where(operations.c.id == operation_id).values(count=operations.c.count + len(targets))
    )
    _name(connection, operation_id, targets)


def _name(connection: Connection, operation_id: int, targets: Collection[Target]) -> None:
    if targets:
        connection.execute(
            insert(operation_targets),
            [{"operation_id": operation_id, "kind": target.kind, "id": target.id} for target in targets],
        )


def listing(
    connection: Connection,
    *,
    channel: str = "",
    since: datetime | None = None,
    limit: int = 100,
    named: int = 100,
    channels: Collection[str] | None = None,
    before: int | None = None,
) -> list[Operation]:
    """Acts of these channels (None: all) before an id, newest first; of each at most `named` objects it changed."""
    query = select(operations).where(visible(operations.c.channel, channels))
    query = query.order_by(operations.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(operations.c.id < before)
    if channel:
        query = query.where(operations.c.channel == channel)
    if since is not None:
        query = query.where(operations.c.at >= since)
    rows = connection.execute(query).all()
    targets = _targets(connection, [row.id for row in rows], named)
    return list(_operations(rows, targets))


def count(
    connection: Connection,
    *,
    channel: str = "",
    since: datetime | None = None,
    channels: Collection[str] | None = None,
) -> int:
    """How many acts `listing` would give without a limit."""
    query = select(func.count()).select_from(operations).where(visible(operations.c.channel, channels))
    if channel:
        query = query.where(operations.c.channel == channel)
    if since is not None:
        query = query.where(operations.c.at >= since)
    return int(connection.execute(query).scalar_one())


def _targets(connection: Connection, operation_ids: Sequence[int], named: int) -> dict[int, list[Target]]:
    place = func.row_number().over(
        partition_by=operation_targets.c.operation_id, order_by=(operation_targets.c.kind, operation_targets.c.id)
    )
    numbered = (
        select(operation_targets, place.label("place"))
        .where(operation_targets.c.operation_id.in_(operation_ids))
        .subquery()
    )
    found: dict[int, list[Target]] = {}
    rows = connection.execute(
        select(numbered).where(numbered.c.place <= named).order_by(numbered.c.operation_id, numbered.c.place)
    )
    for row in rows:
        found.setdefault(row.operation_id, []).append(Target(row.kind, row.id))
    return found


def _operations(rows: Sequence[Row[Any]], targets: dict[int, list[Target]]) -> Iterator[Operation]:
    for row in rows:
        yield Operation(**row._mapping, targets=tuple(targets.get(row.id, ())))
