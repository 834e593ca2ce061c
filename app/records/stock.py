"""Stock levels as state: what RetailOps stated last, and how far each gateway has received it (R13).

A statement makes a SKU owed, whether its level is new or not, for a vendor's copy moves by itself.  Changed levels go
first, in the order in which they changed; the others go longest-unsent first and keep their place when stated again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Row,
    bindparam,
    case,
    false,
    func,
    or_,
    select,
    true,
    type_coerce,
    update,
)

from app.gateways.words import Obstacle, StockChange, StockDetail, StockLevel, StockSent
from app.records import obstacles, streams
from app.records.obstacles import parts
from app.records.tables import stock

SKIPPED: Final = "skipped"
"""Stands in the column `refusal` for a level that the vendor does not accept just now and need not."""

TRIES: Final = 3
"""How often a SKU whose obstacle is gone is sent again after a refusal, for what is created appears late."""

_DOUBTS: Final = b"\0"
"""In the column `sent` it parts a gateway's note from what is in doubt; no JSON holds it."""

_STOCK = stock.c
Batch = streams.Batch[StockChange]


@dataclass(frozen=True)
class StatedLevel:
    """A SKU as RetailOps stated it last, and how far one gateway has received it."""

    sku: str
    level: StockLevel
    stated_at: datetime
    sent_at: datetime | None
    """When the vendor last answered for it, accepted or refused; None before the first time."""
    is_owed: bool
    refusal: str
    """Why it was refused the last time, `SKIPPED` where the gateway need not send it, "" where it was accepted."""
    is_moved: bool
    """True when a shipment or an order moved the figure at the vendor since it was stated."""


@dataclass(frozen=True)
class SendAgain:
    """Facts owed again because a person wants it; `moved` are left until RetailOps states them anew."""

    owed: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Attention:
    """How many SKUs of a gateway concern the operator, and one of them with its sentence."""

    channel: str
    gateway: str
    count: int
    sku: str
    sentence: str = ""


# What RetailOps states


def accept(
    connection: Connection,
    channel: str,
    gateway: str,
    levels: Mapping[str, bytes],
    *,
    now: datetime | None = None,
    restate_after_s: float | None = 0.0,
) -> None:
    """Keep the levels; each SKU is owed, with a higher `seq` than all before.

    An equal level is owed again if it was last sent `restate_after_s` ago or longer (None: never), and at once if the
    vendor refused it or may have another.  `now` is when it is stated, None: this moment.  Pushes for one gateway
    follow one another: the counter's row is held until the transaction ends.
    """
    now_ms = _ms(now or datetime.now(UTC))
    merge = _MERGE.format(news="true")
    limit: tuple[int, ...] = ()
    if restate_after_s is None:
        merge = f"{_MERGE.format(news=_NEWS)} where {_NEWS} or stock.moved_at is not null"
    elif restate_after_s > 0:
        limit = (now_ms - int(restate_after_s * 1000),)
        merge = _MERGE.format(news=f"({_NEWS} or coalesce(stock.sent_at, 0) <= :before)")
    if connection.dialect.name == "sqlite":
        seq = streams.next_seq(connection, channel, gateway)
        connection.exec_driver_sql(
            "insert into stock (channel, gateway, sku, level, seq, stated_at, turn)"
            f" values (?, ?, ?, ?, ?, ?, ?) {merge.replace(':before', '?')}",
            [(channel, gateway, sku, level, seq, now_ms, seq, *limit) for sku, level in levels.items()],
        )
        return
    pushed = {"skus": list(levels), "levels": list(levels.values()), "now": now_ms, "before": sum(limit)}
    statement = _ACCEPT_ARRAYS + merge.replace(":before", "%(before)s")
    connection.exec_driver_sql(statement, {"channel": channel, "gateway": gateway, **pushed})


_NEWS: Final = "(stock.level <> excluded.level or stock.refusal <> '' or stock.is_uncertain)"
# A level that changes again before it is sent keeps its turn, or one that changes every minute would never be sent.
_MERGE: Final = """
    on conflict (channel, gateway, sku) do update set
    level = excluded.level, stated_at = excluded.stated_at, moved_at = null,
    seq = case when {news} then excluded.seq else stock.seq end,
    is_changed = stock.is_changed or stock.level <> excluded.level,
    turn = case when stock.level <> excluded.level and not stock.is_changed then excluded.seq
                when stock.seq > stock.sent_seq then stock.turn
                else coalesce(stock.sent_at, 0) end
"""
# One statement, for the next push waits for the counter's row while this one goes to the server and back; it
# asks for the counter before it touches a level.  The arrays are binary (%b): writing the levels as text would
# take as long as all the rest.
_ACCEPT_ARRAYS: Final = """
    with counter as (
        insert into fact_streams (channel, gateway, seq) values (%(channel)s, %(gateway)s, 1)
        on conflict (channel, gateway) do update set seq = fact_streams.seq + 1 returning seq
    )
    insert into stock (channel, gateway, sku, level, seq, stated_at, turn)
    select %(channel)s::text, %(gateway)s::text, sku, level, counter.seq, %(now)s::bigint, counter.seq
    from counter, unnest(%(skus)b::text[], %(levels)b::bytea[]) as pushed (sku, level)
"""


# What is sent


def claim(
    connection: Connection, channel: str, gateway: str, *, token: str, limit: int, now: datetime, lease_s: float
) -> Batch | None:
    """Take the stream and the levels whose turn it is; None when nothing is owed, due or free.

    One sender per (channel, gateway), so no two calls for one SKU overlap.  Until `record` what the vendor has of
    these SKUs is in doubt, whatever becomes of the sender.
    """
    attempts = streams.take(connection, "stock", channel, gateway, token=token, now=now, lease_s=lease_s)
    if attempts is None:
        return None
    _owe_due(connection, channel, gateway, now)
    owed: list[Row[Any]] = []
    for is_changed in (True, False):
        owed += connection.execute(
            select(stock)
            .where(*_of(channel, gateway), _STOCK.seq > _STOCK.sent_seq, _STOCK.is_changed.is_(is_changed))
            .order_by(_STOCK.turn, _STOCK.sku)
            .limit(limit - len(owed))
        ).all()
        if len(owed) == limit:
            break
    seqs, levels = {item.sku: item.seq for item in owed}, {item.sku: item.level for item in owed}
    changes = tuple(map(_change, owed))
    batch = Batch(channel, gateway, "stock", token, attempts, changes, seqs, levels, now)
    if not owed:
        streams.release(connection, batch)
        return None
    _doubt(connection, batch)
    return batch


def _change(row: Row[Any]) -> StockChange:
    level = msgspec.json.decode(row.level, type=StockLevel)
    _, is_doubted, sources = (row.sent or b"").partition(_DOUBTS)
    doubted = msgspec.json.decode(sources, type=tuple[StockDetail, ...]) if is_doubted else None
    note = _note(row.sent) if is_doubted else row.sent
    return StockChange(row.sku, level, note, doubted, row.is_uncertain, row.refusal != "", row.sent_at)


def _note(sent: bytes | None) -> bytes | None:
    return (sent or b"").partition(_DOUBTS)[0] or None


def _doubt(connection: Connection, batch: Batch) -> None:
    """These levels are about to be sent."""
    rows = []
    for change in batch.changes:
        named = (StockDetail(item.quantity_type, item.place, 0, 0) for item in change.level.details)
        sources = tuple(dict.fromkeys((*(change.doubted or ()), *named)))
        if sources != change.doubted:
            sent = (change.sent or b"") + _DOUBTS + msgspec.json.encode(sources)
            rows.append({"of_channel": batch.channel, "of_gateway": batch.gateway, "of_sku": change.sku, "was": sent})
    if rows:
        connection.execute(_DOUBT, rows)


def record(
    connection: Connection, batch: Batch, sent: Sequence[StockSent], *, now: datetime | None = None,
    settle_s: float = 60.0,
) -> bool:  # fmt: skip
    """The vendor answered for these SKUs at `now` (None: when they were claimed).

    A refused one waits for its next statement or until its obstacle is gone.  One whose earlier attempt nobody knows
    the end of is owed once more after `settle_s`, for that attempt may still arrive.  False, and nothing written,
    when somebody else holds the stream now.
    """
    if not streams.release(connection, batch):
        return False
    if not sent:
        return True
    now = now or batch.claimed_at
    changes = {change.sku: change for change in batch.changes}
    settled_at = now + timedelta(seconds=settle_s)
    connection.execute(
        _RECORD,
        [
            {"of_sku": item.sku, "of_channel": batch.channel, "of_gateway": batch.gateway,
             "was": item.sent, "heard": batch.seqs[item.sku], "heard_level": batch.levels[item.sku],
             "because": SKIPPED if item.is_skipped else item.refusal, "is_refused": bool(item.refusal),
             "at": now if item.was_sent else changes[item.sku].sent_at, "now": now,
             "later": None if changes[item.sku].doubted is None else settled_at, "note": item.attention}
            for item in sent
        ],
    )  # fmt: skip
    refused = {item.sku: item.obstacles for item in sent if item.refusal or item.is_skipped}
    known = [item.sku for item in sent if changes[item.sku].was_refused]
    obstacles.replace(connection, "stock", batch.channel, batch.gateway, refused, known)
    _try_later(connection, batch, refused, now, settle_s)
    return True


def _try_later(connection: Connection, batch: Batch, skus: Collection[str], now: datetime, settle_s: float) -> None:
    """Those whose obstacle was said to be gone are sent again after `settle_s`, then after twice that, and again."""
    for some in parts(skus):
        for tries in range(1, TRIES + 1):
            wait_s = settle_s * 2 ** (TRIES - tries)
            connection.execute(
                update(stock)
                .where(*_of(batch.channel, batch.gateway), _STOCK.sku.in_(some), _STOCK.tries == tries)
                .values(again_at=now + timedelta(seconds=wait_s), tries=tries - 1)
            )


def is_owed(connection: Connection, channel: str, gateway: str, now: datetime) -> bool:
    """True when the gateway has levels to receive and may be tried now; costs no write lock."""
    is_open = ~streams.is_waiting("stock", channel, gateway, now)
    for which in (_STOCK.seq > _STOCK.sent_seq, _is_due(now)):
        found = select(_STOCK.sku).where(*_of(channel, gateway), which, is_open).limit(1)
        if connection.execute(found).first() is not None:
            return True
    return False


def _is_due(now: datetime) -> ColumnElement[bool]:
    """Owed again by itself; what has been moved since it was stated waits for the next statement."""
    return _STOCK.again_at.is_not(None) & (_STOCK.again_at <= now) & _STOCK.moved_at.is_(None)


def _owe_due(connection: Connection, channel: str, gateway: str, now: datetime) -> None:
    due = (*_of(channel, gateway), _is_due(now))
    if connection.execute(select(_STOCK.sku).where(*due).limit(1)).first() is not None:
        _owe(connection, due, streams.next_seq(connection, channel, gateway), goes_first=_STOCK.refusal != "")


def _owe(
    connection: Connection,
    which: Iterable[ColumnElement[bool]],
    seq: int,
    *,
    goes_first: ColumnElement[bool],
    is_uncertain: bool = True,
    **values: Any,
) -> int:
    """Owe these rows anew; those that go first count as changed now.  Returns how many there were."""
    keeps_turn = _STOCK.seq > _STOCK.sent_seq
    last_sent = func.coalesce(_sent_ms(), 0)
    turn = case(
        (_STOCK.is_changed & keeps_turn, _STOCK.turn), (goes_first, seq), (keeps_turn, _STOCK.turn), else_=last_sent
    )
    uncertain = {"is_uncertain": True} if is_uncertain else {}
    statement = update(stock).where(*which)
    changed = {"seq": seq, "turn": turn, "is_changed": or_(_STOCK.is_changed, goes_first), "again_at": None}
    return connection.execute(statement.values(**changed, **uncertain, **values)).rowcount


def _sent_ms() -> ColumnElement[Any]:
    """`sent_at` as it is kept, in milliseconds."""
    return type_coerce(_STOCK.sent_at, BigInteger)


_OF_ONE = update(stock).where(
    _STOCK.channel == bindparam("of_channel"),
    _STOCK.gateway == bindparam("of_gateway"),
    _STOCK.sku == bindparam("of_sku"),
)
_DOUBT = _OF_ONE.values(sent=bindparam("was"))
_IS_HEARD = _STOCK.seq == bindparam("heard")
_NOW_MS = type_coerce(bindparam("now", type_=_STOCK.sent_at.type), BigInteger)
# What was stated or owed anew while this was under way counts as changed only where it differs from what was sent.
_IS_CHANGED_SINCE = case(
    (_IS_HEARD, false()), (_STOCK.level != bindparam("heard_level"), true()), else_=_STOCK.is_uncertain
)
_RECORD = _OF_ONE.values(
    sent=bindparam("was"),
    sent_seq=bindparam("heard"),
    sent_at=bindparam("at"),
    refusal=bindparam("because"),
    attention=bindparam("note"),
    is_changed=_IS_CHANGED_SINCE,
    turn=case((_IS_CHANGED_SINCE, _STOCK.seq), else_=_NOW_MS),
    is_uncertain=case((_IS_HEARD, bindparam("is_refused")), else_=_STOCK.is_uncertain),
    again_at=func.coalesce(
        bindparam("later", type_=_STOCK.again_at.type),
        case((_STOCK.again_at > bindparam("now", type_=_STOCK.sent_at.type), _STOCK.again_at)),
    ),
    tries=case((bindparam("is_refused"), _STOCK.tries), else_=0),
)


# What makes a level owed besides a statement


def owe_again(connection: Connection, channel: str, gateway: str | None, skus: Collection[str]) -> None:
    """What this server itself knows of these SKUs has changed (a reservation, R25): their stock is sent anew.

    To the gateway whose orders they are (None: nobody knows any more), whose own figure may have moved by that, and
    to every other that receives their stock; their counters are taken in the order of their names, as by every push,
    so that two transactions never wait for each other.
    """
    named = [(_STOCK.channel == channel, _STOCK.sku.in_(some)) for some in parts(skus)]
    receiving = {gateway} if gateway and named else set()
    for which in named:
        receiving |= set(connection.execute(select(_STOCK.gateway).where(*which).distinct()).scalars())
    for token in sorted(receiving):
        seq = streams.next_seq(connection, channel, token)
        for which in named:
            own = (*which, _STOCK.gateway == token)
            _owe(connection, own, seq, goes_first=true(), is_uncertain=token == gateway)


def note_uncertain(connection: Connection, channel: str, gateway: str, skus: Collection[str]) -> None:
    """The gateway's next call may replace what the vendor has of these SKUs; none is owed for that."""
    for some in parts(skus):
        connection.execute(update(stock).where(*_of(channel, gateway), _STOCK.sku.in_(some)).values(is_uncertain=True))


def note_moved(
    connection: Connection, channel: str, skus: Collection[str], at: datetime, *,
    gateways: Collection[str] | None = None,
) -> None:  # fmt: skip
    """A shipment was sent or an order handed out: what was stated of these SKUs before is not said again by itself.

    Concerns all gateways of the channel, or these.
    """
    if not skus or (gateways is not None and not gateways):
        return
    streams.hold(connection, channel, gateways)
    among = [] if gateways is None else [_STOCK.gateway.in_(sorted(gateways))]
    for some in parts(skus):
        connection.execute(
            update(stock).where(_STOCK.channel == channel, *among, _STOCK.sku.in_(some)).values(moved_at=at)
        )


def clear(connection: Connection, channel: str, gateway: str, gone: Collection[Obstacle], now: datetime) -> bool:
    """These obstacles are gone: the stock that was refused for them is owed again.  False when none was."""
    return owe_refused(connection, channel, gateway, obstacles.behind(connection, "stock", channel, gateway, gone), now)


def owe_refused(connection: Connection, channel: str, gateway: str, skus: Collection[str], now: datetime) -> bool:
    """The vendor may accept these SKUs now: those it refused are owed again, and tried `TRIES` times more.

    What has been moved since it was stated waits for the next statement.  False when none was refused.
    """
    if not skus:
        return False
    seq = streams.next_seq(connection, channel, gateway)
    count = 0
    for some in parts(skus):
        refused = (*_of(channel, gateway), _STOCK.sku.in_(some), _STOCK.refusal != "")
        count += _owe(connection, (*refused, _STOCK.moved_at.is_(None)), seq, goes_first=true(), tries=TRIES)
        _await_statement(connection, refused, now)
    return count > 0


def send_again(
    connection: Connection,
    channel: str,
    gateway: str,
    skus: Collection[str] | None,
    *,
    even_if_moved: bool,
    is_dry_run: bool,
    now: datetime | None = None,
) -> SendAgain:
    """Owe the present levels again; of SKUs that are named, before others.  None: all that were ever stated.

    What has been moved since it was stated is left, and shown as STOCK_STALE from `now` on, unless `even_if_moved`.
    """
    found: dict[str, bool] = {}
    for some in [None] if skus is None else parts(skus):
        named = [] if some is None else [_STOCK.sku.in_(some)]
        rows = connection.execute(
            select(_STOCK.sku, _STOCK.moved_at).where(*_of(channel, gateway), *named).order_by(_STOCK.sku)
        )
        found |= {row.sku: row.moved_at is not None for row in rows}
    moved = () if even_if_moved else tuple(sku for sku, is_moved in found.items() if is_moved)
    left = set(moved)
    owed = tuple(sku for sku in found if sku not in left)
    unknown = tuple(sorted(set(skus or ()) - found.keys()))
    if not is_dry_run and found:
        at = now or datetime.now(UTC)
        seq = streams.next_seq(connection, channel, gateway)
        may = [] if even_if_moved else [_STOCK.moved_at.is_(None)]
        for some in [None] if skus is None else parts(found):
            which = (*_of(channel, gateway), *([] if some is None else [_STOCK.sku.in_(some)]))
            _owe(connection, (*which, *may), seq, goes_first=false() if skus is None else true())
            if not even_if_moved:
                _await_statement(connection, which, at)
    return SendAgain(owed, moved, unknown)


def _await_statement(connection: Connection, which: Iterable[ColumnElement[bool]], now: datetime) -> None:
    """Those of these that have been moved since they were stated are shown as STOCK_STALE."""
    connection.execute(update(stock).where(*which, _STOCK.moved_at.is_not(None)).values(again_at=now))


# What is known


def stated(connection: Connection, channel: str, gateway: str, *, after: str, limit: int) -> list[StatedLevel]:
    """The next SKUs after this one ("" is the beginning), in their order."""
    rows = connection.execute(
        select(stock).where(*_of(channel, gateway), _STOCK.sku > after).order_by(_STOCK.sku).limit(limit)
    )
    return [
        StatedLevel(
            row.sku, msgspec.json.decode(row.level, type=StockLevel), row.stated_at, row.sent_at,
            row.seq > row.sent_seq, row.refusal, row.moved_at is not None,
        )
        for row in rows
    ]  # fmt: skip


def stale(connection: Connection, now: datetime) -> list[Attention]:
    """Figures that were to be sent again by now but have been moved since they were stated (STOCK_STALE)."""
    is_stale = (_STOCK.again_at.is_not(None), _STOCK.again_at <= now, _STOCK.moved_at.is_not(None))
    rows = connection.execute(
        select(_STOCK.channel, _STOCK.gateway, func.count().label("number"), func.min(_STOCK.sku).label("sku"))
        .where(*is_stale)
        .group_by(_STOCK.channel, _STOCK.gateway)
    )
    return [Attention(row.channel, row.gateway, row.number, row.sku) for row in rows]


def noted(connection: Connection) -> list[Attention]:
    """What gateways have to say to the operator about SKUs, one of them for each gateway."""
    rows = connection.execute(
        select(
            _STOCK.channel, _STOCK.gateway, func.count().label("number"), func.min(_STOCK.sku).label("sku"),
            func.min(_STOCK.attention).label("sentence"),
        )
        .where(_STOCK.attention != "")
        .group_by(_STOCK.channel, _STOCK.gateway)
    )  # fmt: skip
    return [Attention(row.channel, row.gateway, row.number, row.sku, row.sentence) for row in rows]


def levels_of(connection: Connection, channel: str, gateway: str, skus: Collection[str]) -> dict[str, StockLevel]:
    """What RetailOps stated last; a SKU it never named is left out."""
    found: dict[str, StockLevel] = {}
    for some in parts(skus):
        rows = connection.execute(select(_STOCK.sku, _STOCK.level).where(*_of(channel, gateway), _STOCK.sku.in_(some)))
        found |= {row.sku: msgspec.json.decode(row.level, type=StockLevel) for row in rows}
    return found


def notes_of(connection: Connection, channel: str, gateway: str, skus: Collection[str]) -> dict[str, bytes | None]:
    """What the gateway noted of each SKU when the vendor last answered; a SKU RetailOps never named is left out."""
    found: dict[str, bytes | None] = {}
    for some in parts(skus):
        rows = connection.execute(select(_STOCK.sku, _STOCK.sent).where(*_of(channel, gateway), _STOCK.sku.in_(some)))
        found |= {row.sku: _note(row.sent) for row in rows}
    return found


def owed_count(connection: Connection) -> int:
    """How many (gateway, SKU) levels have not been received yet."""
    return int(
        connection.execute(select(func.count()).select_from(stock).where(_STOCK.seq > _STOCK.sent_seq)).scalar_one()
    )


def _of(channel: str, gateway: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return _STOCK.channel == channel, _STOCK.gateway == gateway


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
