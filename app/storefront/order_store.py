"""Where orders are kept whole: a checkout has no other place where RetailOps could fetch them.

`body` is what `order_document` writes.  States: pending (may still grow, is not handed out),
review (held for fraud review), paid, completed, cancelled, refunded (nothing of its money is left).  An order is
handed out from `exportable_at` on; that is also its place in the queue, so an order that changes before RetailOps
has it is put at the end.  Whoever changes an order holds `lock_name` (`Database.write(serial=[...])`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, Select, exists, false, func, insert, or_, select, true, update

from app.domain.moments import to_ms
from app.records import search_keys
from app.records.search_keys import Number
from app.records.tables.orders import handed_out
from app.records.tables.storefront import IS_QUEUED, orders

OrderState = Literal["pending", "review", "paid", "completed", "cancelled", "refunded"]

Standing = Literal["unknown", "given", "taken"]
"""How far RetailOps has an order: given is one it named by its number, too, and taken what it acknowledged."""

MOST_HOOKS = 512 * 1024
"""Bytes of the checkout's bodies kept with one order; what comes later is left out."""


@dataclass(frozen=True)
class StoredOrder:
    """One order.  `body` and `hooks` hold personal data and stand in no repr."""

    channel: str
    refnum: str
    cart_id: str
    state: OrderState
    body: bytes = field(repr=False)
    hooks: bytes = field(repr=False)
    created_at: datetime
    exportable_at: datetime | None
    """From when it may be handed out; may lie ahead.  None: not yet."""
    cancelled_at: datetime | None
    """When it was cancelled at its source."""
    changed_at: datetime
    purge_after: datetime
    paid_at: datetime | None
    """When it was first known that the shopper has paid, all or a part."""
    taken_at: datetime | None
    """When it was taken out of the queue, for RetailOps has it or it is over."""

    def is_final(self, now: datetime) -> bool:
        """True when it may be handed out, so that it waits for nothing any more."""
        return self.state not in ("pending", "review") or (self.exportable_at is not None and self.exportable_at <= now)


class WaitingOrder(NamedTuple):
    """Of an order in the queue, its place there and what RetailOps is given of it: a walk may pass thousands."""

    refnum: str
    state: OrderState
    exportable_at: datetime
    cancelled_at: datetime | None
    body: bytes

    def __repr__(self) -> str:
        return f"WaitingOrder({self.refnum!r}, ...)"


def lock_name(channel: str, refnum: str) -> str:
    """What `Database.write(serial=...)` needs, so that one request at a time changes an order."""
    return f"{channel}/{refnum}"


def add(
    connection: Connection,
    channel: str,
    refnum: str,
    *,
    cart_id: str,
    state: OrderState,
    body: bytes,
    hook: bytes,
    now: datetime,
    exportable_at: datetime | None,
    purge_after: datetime,
    is_paid: bool = False,
    payments: Collection[str] = (),
) -> StoredOrder:
    """Keep a new order.  Raises `DatabaseConflict` when its number or its cart has one already.

    `payments` are the checkout's numbers of them.
    """
    statement = insert(orders).values(
        channel=channel,
        refnum=refnum,
        cart_id=cart_id,
        state=state,
        body=body,
        hooks=hook[:MOST_HOOKS],
        created_at=now,
        exportable_at=exportable_at,
        changed_at=now,
        purge_after=purge_after,
        paid_at=now if is_paid else None,
    )
    # It is found from its first moment on, whether RetailOps knows it or not.
    known_by = [Number(refnum, "order", refnum), Number(refnum, "cart", cart_id), *_payments(refnum, payments)]
    added = search_keys.learn_beside(connection, statement.returning(orders), {}, channel, known_by, now)
    return _stored(added.one())


def _payments(refnum: str, payments: Iterable[str]) -> Iterator[Number]:
    return (Number(refnum, "payment", payment) for payment in payments)


def get(connection: Connection, channel: str, refnum: str) -> StoredOrder | None:
    """The order, or None."""
    return _first(connection, _of(channel).where(orders.c.refnum == refnum))


def of_cart(connection: Connection, channel: str, cart_id: str) -> StoredOrder | None:
    """The order a cart became, or None."""
    return _first(connection, _of(channel).where(orders.c.cart_id == cart_id))


def standing(connection: Connection, channel: str, refnum: str) -> Standing:
    """How far RetailOps has the order."""
    row = connection.execute(
        select(handed_out.c.acknowledged_at).where(handed_out.c.channel == channel, handed_out.c.refnum == refnum)
    ).first()
    if row is None:
        return "unknown"
    return "given" if row.acknowledged_at is None else "taken"


def moved(connection: Connection, channel: str, places: Mapping[str, int]) -> set[str]:
    """Those kept here that stand elsewhere in the queue by now than at these places, in ms: they have changed."""
    rows = connection.execute(
        select(orders.c.refnum, orders.c.exportable_at).where(
            orders.c.channel == channel, orders.c.refnum.in_(list(places))
        )
    )
    return {row.refnum for row in rows if row.exportable_at is None or to_ms(row.exportable_at) != places[row.refnum]}


def of_refnums(connection: Connection, channel: str, refnums: Collection[str]) -> dict[str, StoredOrder]:
    """The known ones of these, whatever their state."""
    rows = connection.execute(_of(channel).where(orders.c.refnum.in_(list(refnums))))
    return {row.refnum: _stored(row) for row in rows}


def change(
    connection: Connection,
    order: StoredOrder,
    *,
    now: datetime,
    purge_after: datetime,
    body: bytes | None = None,
    hook: bytes = b"",
    is_paid: bool = False,
    payments: Collection[str] = (),
    **more: Any,
) -> StoredOrder:
    """Write what is new of an order just read under its lock, and return it as it is then.

    `more` may name state, exportable_at and cancelled_at.  `hook` is kept beside the earlier ones, `payments` are new.
    """
    values: dict[str, Any] = {"changed_at": now, "purge_after": purge_after, **more}
    if is_paid and order.paid_at is None:
        values["paid_at"] = now
    if body is not None:
        values["body"] = body
    if hook and len(order.hooks) + len(hook) < MOST_HOOKS:
        values["hooks"] = order.hooks + b"\n" + hook
    named = update(orders).where(orders.c.channel == order.channel, orders.c.refnum == order.refnum)
    stored = _stored(connection.execute(named.values(**values).returning(orders)).one())
    search_keys.learn(connection, order.channel, _payments(order.refnum, payments), now)
    return stored


def exportable_since(
    connection: Connection, channel: str, since: datetime | None, until: datetime, limit: int
) -> list[WaitingOrder]:
    """Orders RetailOps has not acknowledged, by (exportable_at, refnum), from `since` to `until` inclusive.

    About `limit` of them, but all that share the last one's `exportable_at`, so that the next call can begin one
    millisecond later.  Orders cancelled before RetailOps had them are among them, for it may have seen them.
    """
    # Looked up for one order after the other: PostgreSQL makes a join of `exists`, and reads all of both tables for it.
    is_had = func.coalesce(select(true()).where(*_IS_HAD).limit(1).scalar_subquery(), false())
    query = (
        select(*(orders.c[name] for name in WaitingOrder._fields))
        .where(orders.c.channel == channel)
        .where(IS_QUEUED, orders.c.exportable_at <= until, ~is_had)
        .order_by(orders.c.exportable_at, orders.c.refnum)
    )
    if since is not None:
        query = query.where(orders.c.exportable_at >= since)
    found = [WaitingOrder(*row) for row in connection.execute(query.limit(limit + 1)).all()]
    if len(found) <= limit:
        return found
    *found, following = found
    last = found[-1].exportable_at
    if following.exportable_at == last:
        same = connection.execute(query.where(orders.c.exportable_at == last)).all()
        found = [order for order in found if order.exportable_at != last] + [WaitingOrder(*row) for row in same]
    return found


def called_off(connection: Connection, channel: str, since: datetime | None, until: datetime) -> Sequence[str]:
    """The numbers of orders that were cancelled at their source in this time, both ends included."""
    query = select(orders.c.refnum).where(
        orders.c.channel == channel, orders.c.cancelled_at.is_not(None), orders.c.cancelled_at <= until
    )
    if since is not None:
        query = query.where(orders.c.cancelled_at >= since)
    return list(connection.execute(query.order_by(orders.c.cancelled_at, orders.c.refnum)).scalars())


def newest(connection: Connection, channel: str, offset: int, limit: int) -> list[StoredOrder]:
    """A page of all orders, newest first."""
    query = _of(channel).order_by(orders.c.created_at.desc(), orders.c.refnum.desc()).offset(offset).limit(limit)
    return [_stored(row) for row in connection.execute(query)]


def count(connection: Connection, channel: str) -> int:
    """How many orders are kept."""
    return int(
        connection.execute(select(func.count()).select_from(orders).where(orders.c.channel == channel)).scalar_one()
    )


def _of(channel: str) -> Select[Any]:
    return select(orders).where(orders.c.channel == channel)


_IS_HAD = (
    handed_out.c.channel == orders.c.channel,
    handed_out.c.refnum == orders.c.refnum,
    or_(handed_out.c.acknowledged_at.is_not(None), handed_out.c.state != "open"),
)


def is_acknowledged() -> ColumnElement[bool]:
    """Orders that RetailOps has, or that are over for it."""
    return exists().where(*_IS_HAD)


def _first(connection: Connection, query: Select[Any]) -> StoredOrder | None:
    row = connection.execute(query).first()
    return None if row is None else _stored(row)


def _stored(row: Row[Any]) -> StoredOrder:
    return StoredOrder(**row._mapping)
