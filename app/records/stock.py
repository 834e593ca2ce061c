"""Stock levels as state: what RetailOps stated last, and how far each gateway has heard it (R13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import Connection, bindparam, func, or_, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from app.gateways.words import StockChange, StockLevel, StockSent
from app.records.tables import fact_streams, stock


def accept(connection: Connection, channel: str, gateway: str, levels: Mapping[str, bytes]) -> None:
    """Keep the levels; a SKU whose level changed is owed anew with a higher `seq`.

    Pushes for one gateway follow one another: the counter's row is held until the transaction ends.
    """
    seq = _next_seq(connection, channel, gateway)
    keys = {"channel": channel, "gateway": gateway, "seq": seq}
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(
            f"insert into stock (channel, gateway, sku, level, seq) values (?, ?, ?, ?, ?) {_KEEP_CHANGED}",
            [(channel, gateway, sku, level, seq) for sku, level in levels.items()],
        )
        return
    # One statement with two arrays: a row for each level would cost a round trip's work each.
    connection.execute(_ACCEPT_ARRAYS, {**keys, "skus": list(levels), "levels": list(levels.values())})


_KEEP_CHANGED = """
    on conflict (channel, gateway, sku) do update set level = excluded.level, seq = excluded.seq
    where stock.level <> excluded.level
"""
_ACCEPT_ARRAYS = text(
    f"""
    insert into stock (channel, gateway, sku, level, seq)
    select cast(:channel as text), cast(:gateway as text), sku, level, cast(:seq as bigint)
    from unnest(cast(:skus as text[]), cast(:levels as bytea[])) as pushed (sku, level) {_KEEP_CHANGED}
    """
)


def _next_seq(connection: Connection, channel: str, gateway: str) -> int:
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = insert(fact_streams).values(channel=channel, gateway=gateway, seq=1)
    statement = statement.on_conflict_do_update(
        index_elements=[fact_streams.c.channel, fact_streams.c.gateway], set_={"seq": fact_streams.c.seq + 1}
    )
    return int(connection.execute(statement.returning(fact_streams.c.seq)).scalar_one())


@dataclass(frozen=True)
class Batch:
    """Changed SKUs one sender holds the stream for."""

    channel: str
    gateway: str
    token: str
    attempts: int
    changes: tuple[StockChange, ...]
    seqs: Mapping[str, int]


def claim(
    connection: Connection, channel: str, gateway: str, *, token: str, limit: int, now: datetime, lease_s: float
) -> Batch | None:
    """Take the stream and its oldest unheard levels; None when nothing is owed, due or free.

    One sender per (channel, gateway), so no two calls for one SKU overlap.  The stream is taken before the
    levels are read: what was read earlier another sender might have replaced at the vendor by a newer one.
    """
    row = connection.execute(
        update(fact_streams)
        .where(
            fact_streams.c.channel == channel,
            fact_streams.c.gateway == gateway,
            or_(fact_streams.c.lease_until.is_(None), fact_streams.c.lease_until <= now),
            or_(fact_streams.c.next_try_at.is_(None), fact_streams.c.next_try_at <= now),
        )
        .values(lease_token=token, lease_until=now + timedelta(seconds=lease_s))
        .returning(fact_streams.c.attempts)
    ).first()
    if row is None:
        return None
    owed = connection.execute(
        select(stock)
        .where(stock.c.channel == channel, stock.c.gateway == gateway, stock.c.seq > stock.c.sent_seq)
        .order_by(stock.c.seq, stock.c.sku)
        .limit(limit)
    ).all()
    changes = tuple(StockChange(item.sku, msgspec.json.decode(item.level, type=StockLevel), item.sent) for item in owed)
    batch = Batch(channel, gateway, token, row.attempts, changes, {item.sku: item.seq for item in owed})
    if not owed:
        _release(connection, batch, attempts=0, next_try_at=None, last_error="")
        return None
    return batch


def record(connection: Connection, batch: Batch, sent: Sequence[StockSent]) -> bool:
    """The vendor answered for these SKUs; a refused one waits for its next change.

    False, and nothing written, when somebody else holds the stream now.
    """
    if not _release(connection, batch, attempts=0, next_try_at=None, last_error=""):
        return False
    if sent:
        connection.execute(
            _RECORD,
            [
                {"of_sku": item.sku, "was": item.sent, "heard": batch.seqs[item.sku], "because": item.refusal,
                 "of_channel": batch.channel, "of_gateway": batch.gateway}
                for item in sent
            ],
        )  # fmt: skip
    return True


_RECORD = (
    update(stock)
    .where(
        stock.c.channel == bindparam("of_channel"),
        stock.c.gateway == bindparam("of_gateway"),
        stock.c.sku == bindparam("of_sku"),
    )
    .values(sent=bindparam("was"), sent_seq=bindparam("heard"), refusal=bindparam("because"))
)


def postpone(connection: Connection, batch: Batch, *, until: datetime, was_tried: bool, error: str) -> None:
    """Nothing could be told now; the current levels are sent again later."""
    _release(connection, batch, attempts=batch.attempts + was_tried, next_try_at=until, last_error=error)


def _release(connection: Connection, batch: Batch, **values: object) -> bool:
    result = connection.execute(
        update(fact_streams)
        .where(
            fact_streams.c.channel == batch.channel,
            fact_streams.c.gateway == batch.gateway,
            fact_streams.c.lease_token == batch.token,
        )
        .values(lease_token=None, lease_until=None, **values)
    )
    return result.rowcount == 1


def owed_count(connection: Connection) -> int:
    """How many (gateway, SKU) levels have not been heard yet."""
    return int(
        connection.execute(select(func.count()).select_from(stock).where(stock.c.seq > stock.c.sent_seq)).scalar_one()
    )


def is_owed(connection: Connection, channel: str, gateway: str, now: datetime) -> bool:
    """True when the gateway has levels to hear and may be tried now; costs no write lock."""
    is_waiting = select(fact_streams.c.channel).where(
        fact_streams.c.channel == channel, fact_streams.c.gateway == gateway, fact_streams.c.next_try_at > now
    )
    row = connection.execute(
        select(stock.c.sku)
        .where(
            stock.c.channel == channel,
            stock.c.gateway == gateway,
            stock.c.seq > stock.c.sent_seq,
            ~is_waiting.exists(),
        )
        .limit(1)
    ).first()
    return row is not None
