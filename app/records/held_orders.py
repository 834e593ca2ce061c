"""Orders that RetailOps does not get before a person has looked, for the operator (see `tables.orders.held_back`)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete

from app.domain.orders import HeldBack
from app.records import search_keys
from app.records.search_keys import Number
from app.records.statements import among, upsert
from app.records.tables.orders import held_back

_LET_GO = delete(held_back).where(held_back.c.channel == bindparam("of_channel"), among(held_back.c.refnum, "refnums"))


def hold(connection: Connection, channel: str, held: Iterable[HeldBack], now: datetime) -> set[str]:
    """Name these orders as held back; which of them were not yet."""
    rows = {
        item.refnum: {"channel": channel, "refnum": item.refnum, "reason": item.reason, "since": now} for item in held
    }
    if not rows:
        return set()
    fresh = set(upsert(connection, held_back, list(rows.values()), returning=[held_back.c.refnum]).scalars())
    search_keys.learn(connection, channel, (Number(refnum, "order", refnum) for refnum in fresh), now)
    return fresh


def let_go(connection: Connection, channel: str, refnums: Collection[str]) -> None:
    """Nobody has to look any more: they are sent, or they are over."""
    if refnums:
        connection.execute(_LET_GO, {"of_channel": channel, "refnums": refnums})
