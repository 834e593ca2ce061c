"""Stock levels as state: what RetailOps stated last, and how far each gateway has heard it (R13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import Connection, and_, bindparam, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from app.gateways.words import StockChange, StockLevel, StockSent
from app.records.tables import fact_streams, stock


def accept(connection: Connection, channel: str, gateway: str, levels: Mapping[str, bytes]) -> None:
    """Keep the levels; a SKU whose level changed is owed anew with a higher `seq`."""
    seq = _next_seq(connection, channel, gateway)
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = insert(stock).values(
        channel=bindparam("channel"),
        gateway=bindparam("gateway"),
        sku=bindparam("sku"),
        level=bindparam("level"),
        seq=bindparam("seq"),
    )
    statement = statement.on_conflict_do_update(
        index_elements=[stock.c.channel, stock.c.gateway, stock.c.sku],
        set_={"level": statement.excluded.level, "seq": statement.excluded.seq},
        where=stock.c.level != statement.excluded.level,
    )
    connection.execute(
        statement,
        [
            {"channel": channel, "gateway": gateway, "sku": sku, "level": level, "seq": seq}
            for sku, level in levels.items()
        ],
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

    One sender per (channel, gateway), so no two calls for one SKU overlap.
    """
    owed = connection.execute(
        select(stock)
        .where(stock.c.channel == channel, stock.c.gateway == gateway, stock.c.seq > stock.c.sent_seq)
        .order_by(stock.c.seq, stock.c.sku)
        .limit(limit)
    ).all()
    if not owed:
        return None
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
    changes = tuple(StockChange(item.sku, msgspec.json.decode(item.level, type=StockLevel), item.sent) for item in owed)
    return Batch(channel, gateway, token, row.attempts, changes, {item.sku: item.seq for item in owed})


def record(connection: Connection, batch: Batch, sent: Sequence[StockSent]) -> bool:
    """The vendor answered for these SKUs; a refused one waits for its next change.

    False, and nothing written, when somebody else holds the stream now.
    """
    if not _release(connection, batch, attempts=0, next_try_at=None, last_error=""):
        return False
    for item in sent:
        connection.execute(
            update(stock)
            .where(and_(stock.c.channel == batch.channel, stock.c.gateway == batch.gateway, stock.c.sku == item.sku))
            .values(sent=item.sent, sent_seq=batch.seqs[item.sku], refusal=item.refusal)
        )
    return True


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
