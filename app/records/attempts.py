"""Attempts at owed calls, one by one: when, how long, and what each left the call in.  Never what a vendor said."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Update, bindparam, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert

from app.records.deliveries import OPEN_STATES, Delivery, Settled
from app.records.statements import Prepared, upserted
from app.records.tables.deliveries import attempts

_COLUMNS = [column.name for column in attempts.columns]

_ADD = Prepared(lambda dialect: upserted(dialect, attempts))


def row_of(delivery: Delivery, settled: Settled) -> dict[str, Any] | None:
    """The row of an attempt; None for what was none, because nothing was sent and nothing was decided."""
    is_decided = settled.state not in OPEN_STATES
    if settled.begun_at is None or not (settled.attempts > delivery.attempts or is_decided):
        return None
    return {
        "delivery_id": delivery.id,
        "at": settled.begun_at,
        "number": settled.attempts,
        "ms": settled.ms,
        "outcome": settled.state,
        "status": _status(settled.code),
        "code": settled.code[:64],
    }


def _status(code: str) -> int | None:
    """The HTTP status that the code of an error names."""
    if code == "THROTTLED":
        return 429
    number = code.removeprefix("HTTP_")
    return int(number) if number != code and number.isdecimal() else None


def add(connection: Connection, rows: Iterable[dict[str, Any]]) -> None:
    """Keep these; one that is kept already, by a process that did not learn of it, stays as it is."""
    if added := list(rows):
        _ADD.execute_many(connection, added)


def with_attempt(written: Update, result: str) -> Any:
    """A statement of PostgreSQL's that writes a call and, if it was written, the attempt; it gives `result`."""
    held = written.cte("held")
    given = [bindparam(f"attempt_{column.name}", type_=column.type) for column in attempts.columns]
    added = postgresql_insert(attempts).from_select(_COLUMNS, select(*given).select_from(held))
    return select(held.c[result]).add_cte(added.on_conflict_do_nothing().cte("attempted"))


def beside(row: dict[str, Any]) -> dict[str, Any]:
    """The parameters of `with_attempt` for this attempt."""
    return {f"attempt_{name}": value for name, value in row.items()}


def of_deliveries(connection: Connection, delivery_ids: Collection[int]) -> Sequence[Row[Any]]:
    """The attempts at these calls, oldest first."""
    if not delivery_ids:
        return ()
    return connection.execute(
        select(attempts).where(attempts.c.delivery_id.in_(delivery_ids)).order_by(attempts.c.at)
    ).all()
