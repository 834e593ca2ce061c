"""Stock levels as state: what RetailOps stated last, and how far each gateway has heard it (R13)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import msgspec
from sqlalchemy import Connection, bindparam, func, select, text, update

from app.gateways.words import StockChange, StockLevel, StockSent
from app.records import streams
from app.records.tables import stock


def accept(connection: Connection, channel: str, gateway: str, levels: Mapping[str, bytes]) -> None:
    """Keep the levels; a SKU whose level changed is owed anew with a higher `seq`.

    Pushes for one gateway follow one another: the counter's row is held until the transaction ends.
    """
    seq = streams.next_seq(connection, channel, gateway)
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


Batch = streams.Batch[StockChange]


def claim(
    connection: Connection, channel: str, gateway: str, *, token: str, limit: int, now: datetime, lease_s: float
) -> Batch | None:
    """Take the stream and its oldest unheard levels; None when nothing is owed, due or free.

    One sender per (channel, gateway), so no two calls for one SKU overlap.
    """
    attempts = streams.take(connection, channel, gateway, token=token, now=now, lease_s=lease_s)
    if attempts is None:
        return None
    owed = connection.execute(
        select(stock)
        .where(stock.c.channel == channel, stock.c.gateway == gateway, stock.c.seq > stock.c.sent_seq)
        .order_by(stock.c.seq, stock.c.sku)
        .limit(limit)
    ).all()
    changes = tuple(StockChange(item.sku, msgspec.json.decode(item.level, type=StockLevel), item.sent) for item in owed)
    batch = Batch(channel, gateway, token, attempts, changes, {item.sku: item.seq for item in owed})
    if not owed:
        streams.release(connection, batch)
        return None
    return batch


def record(connection: Connection, batch: Batch, sent: Sequence[StockSent]) -> bool:
    """The vendor answered for these SKUs; a refused one waits for its next change.

    False, and nothing written, when somebody else holds the stream now.
    """
    if not streams.release(connection, batch):
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


def owe_again(connection: Connection, channel: str, gateway: str, skus: Collection[str]) -> None:
    """What this server itself knows of these SKUs has changed (a reservation, R25): they are told anew."""
    if skus:
        seq = streams.next_seq(connection, channel, gateway)
        connection.execute(
            update(stock)
            .where(stock.c.channel == channel, stock.c.gateway == gateway, stock.c.sku.in_(skus))
            .values(seq=seq)
        )


def levels_of(connection: Connection, channel: str, gateway: str, skus: Collection[str]) -> dict[str, StockLevel]:
    """What RetailOps stated last; a SKU it never named is left out."""
    rows = connection.execute(
        select(stock.c.sku, stock.c.level).where(
            stock.c.channel == channel, stock.c.gateway == gateway, stock.c.sku.in_(skus)
        )
    )
    return {row.sku: msgspec.json.decode(row.level, type=StockLevel) for row in rows}


def owed_count(connection: Connection) -> int:
    """How many (gateway, SKU) levels have not been heard yet."""
    return int(
        connection.execute(select(func.count()).select_from(stock).where(stock.c.seq > stock.c.sent_seq)).scalar_one()
    )


def is_owed(connection: Connection, channel: str, gateway: str, now: datetime) -> bool:
    """True when the gateway has levels to hear and may be tried now; costs no write lock."""
    row = connection.execute(
        select(stock.c.sku)
        .where(
            stock.c.channel == channel,
            stock.c.gateway == gateway,
            stock.c.seq > stock.c.sent_seq,
            ~streams.is_waiting(channel, gateway, now),
        )
        .limit(1)
    ).first()
    return row is not None
