"""Stock levels as state: what RetailOps stated last, and how far each gateway has heard it (R13)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import Connection, bindparam, func, select, update

from app.gateways.words import StockChange, StockDetail, StockLevel, StockSent
from app.records import streams
from app.records.tables import stock

MANY = 500
"""How many SKUs one statement names."""

PASSED_OVER: Final = "passed over"
"""Stands in the column `refusal` for a level that nobody wanted to hear."""

_DOUBTS: Final = b"\0"
"""In the column `sent` it parts a gateway's note from what is in doubt; no JSON holds it."""


def accept(connection: Connection, channel: str, gateway: str, levels: Mapping[str, bytes]) -> None:
    """Keep the levels; a SKU whose level changed, or was passed over, is owed anew with a higher `seq`.

    Pushes for one gateway follow one another: the counter's row is held until the transaction ends.
    """
    if connection.dialect.name == "sqlite":
        seq = streams.next_seq(connection, channel, gateway)
        connection.exec_driver_sql(
            f"insert into stock (channel, gateway, sku, level, seq) values (?, ?, ?, ?, ?) {_KEEP_CHANGED}",
            [(channel, gateway, sku, level, seq) for sku, level in levels.items()],
        )
        return
    pushed = {"skus": list(levels), "levels": list(levels.values())}
    connection.exec_driver_sql(_ACCEPT_ARRAYS, {"channel": channel, "gateway": gateway, **pushed})


_KEEP_CHANGED = f"""
    on conflict (channel, gateway, sku) do update set level = excluded.level, seq = excluded.seq, refusal = ''
    where stock.level <> excluded.level
    or stock.refusal = '{PASSED_OVER}'
"""
# One statement, for the next push waits for the counter's row while this one goes to the server and back; it
# asks for the counter before it touches a level.  The arrays are binary (%b): writing the levels as text would
# take as long as all the rest.
_ACCEPT_ARRAYS = f"""
    with counter as (
        insert into fact_streams (channel, gateway, seq) values (%(channel)s, %(gateway)s, 1)
        on conflict (channel, gateway) do update set seq = fact_streams.seq + 1 returning seq
    )
    insert into stock (channel, gateway, sku, level, seq)
    select %(channel)s::text, %(gateway)s::text, sku, level, counter.seq
    from counter, unnest(%(skus)b::text[], %(levels)b::bytea[]) as pushed (sku, level) {_KEEP_CHANGED}
"""


Batch = streams.Batch[StockChange]


def claim(
    connection: Connection, channel: str, gateway: str, *, token: str, limit: int, now: datetime, lease_s: float
) -> Batch | None:
    """Take the stream and its oldest unheard levels; None when nothing is owed, due or free.

    One sender per (channel, gateway), so no two calls for one SKU overlap.  Until `record` what the vendor has of
    these SKUs is in doubt, whatever becomes of the sender.
    """
    attempts = streams.take(connection, "stock", channel, gateway, token=token, now=now, lease_s=lease_s)
    if attempts is None:
        return None
    owed = connection.execute(
        select(stock)
        .where(stock.c.channel == channel, stock.c.gateway == gateway, stock.c.seq > stock.c.sent_seq)
        .order_by(stock.c.seq, stock.c.sku)
        .limit(limit)
    ).all()
    changes = tuple(_change(item.sku, item.level, item.sent) for item in owed)
    seqs = {item.sku: item.seq for item in owed}
    batch = Batch(channel, gateway, "stock", token, attempts, changes, seqs)
    if not owed:
        streams.release(connection, batch)
        return None
    _doubt(connection, batch)
    return batch


def _change(sku: str, encoded: bytes, sent: bytes | None) -> StockChange:
    level = msgspec.json.decode(encoded, type=StockLevel)
    _, is_doubted, sources = (sent or b"").partition(_DOUBTS)
    if not is_doubted:
        return StockChange(sku, level, sent)
    return StockChange(sku, level, _note(sent), msgspec.json.decode(sources, type=tuple[StockDetail, ...]))


def _note(sent: bytes | None) -> bytes | None:
    return (sent or b"").partition(_DOUBTS)[0] or None


def _doubt(connection: Connection, batch: Batch) -> None:
    """These levels are about to be told."""
    rows = []
    for change in batch.changes:
        named = (StockDetail(item.quantity_type, item.place, 0, 0) for item in change.level.details)
        sources = tuple(dict.fromkeys((*(change.doubted or ()), *named)))
        if sources != change.doubted:
            sent = (change.sent or b"") + _DOUBTS + msgspec.json.encode(sources)
            rows.append({"of_channel": batch.channel, "of_gateway": batch.gateway, "of_sku": change.sku, "was": sent})
    if rows:
        connection.execute(_DOUBT, rows)


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
                {"of_sku": item.sku, "was": item.sent, "heard": batch.seqs[item.sku],
                 "because": PASSED_OVER if item.is_passed_over else item.refusal,
                 "of_channel": batch.channel, "of_gateway": batch.gateway}
                for item in sent
            ],
        )  # fmt: skip
    return True


_OF_ONE = update(stock).where(
    stock.c.channel == bindparam("of_channel"),
    stock.c.gateway == bindparam("of_gateway"),
    stock.c.sku == bindparam("of_sku"),
)
_DOUBT = _OF_ONE.values(sent=bindparam("was"))
_RECORD = _OF_ONE.values(sent=bindparam("was"), sent_seq=bindparam("heard"), refusal=bindparam("because"))


def owe_again(connection: Connection, channel: str, gateway: str | None, skus: Collection[str]) -> None:
    """What this server itself knows of these SKUs has changed (a reservation, R25): they are told anew.

    The gateway whose orders they are (None: nobody knows any more) hears it, and so does every other that hears
    their stock; their counters are taken in the order of their names, as by every push, lest two transactions wait
    for each other.
    """
    parts = [(stock.c.channel == channel, stock.c.sku.in_(some)) for some in _parts(skus)]
    hearing = {gateway} if gateway and parts else set()
    for is_one in parts:
        hearing |= set(connection.execute(select(stock.c.gateway).where(*is_one).distinct()).scalars())
    for token in sorted(hearing):
        seq = streams.next_seq(connection, channel, token)
        for is_one in parts:
            connection.execute(update(stock).where(*is_one, stock.c.gateway == token).values(seq=seq))


def forget_heard(connection: Connection, channel: str, gateway: str, skus: Collection[str]) -> None:
    """What the gateway heard of these SKUs is in doubt, for it is about to be told: its notes are cleared."""
    for some in _parts(skus):
        connection.execute(
            update(stock)
            .where(stock.c.channel == channel, stock.c.gateway == gateway, stock.c.sku.in_(some))
            .values(sent=None)
        )


def levels_of(connection: Connection, channel: str, gateway: str, skus: Collection[str]) -> dict[str, StockLevel]:
    """What RetailOps stated last; a SKU it never named is left out."""
    found: dict[str, StockLevel] = {}
    for some in _parts(skus):
        rows = connection.execute(
            select(stock.c.sku, stock.c.level).where(
                stock.c.channel == channel, stock.c.gateway == gateway, stock.c.sku.in_(some)
            )
        )
        found |= {row.sku: msgspec.json.decode(row.level, type=StockLevel) for row in rows}
    return found


def notes_of(connection: Connection, channel: str, gateway: str, skus: Collection[str]) -> dict[str, bytes | None]:
    """What the gateway noted of each SKU when it last heard of it; a SKU RetailOps never named is left out."""
    found: dict[str, bytes | None] = {}
    for some in _parts(skus):
        rows = connection.execute(
            select(stock.c.sku, stock.c.sent).where(
                stock.c.channel == channel, stock.c.gateway == gateway, stock.c.sku.in_(some)
            )
        )
        found |= {row.sku: _note(row.sent) for row in rows}
    return found


def _parts(skus: Collection[str]) -> Iterator[list[str]]:
    """So many SKUs as one statement may name."""
    wanted = sorted(set(skus))
    for at in range(0, len(wanted), MANY):
        yield wanted[at : at + MANY]


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
            ~streams.is_waiting("stock", channel, gateway, now),
        )
        .limit(1)
    ).first()
    return row is not None
