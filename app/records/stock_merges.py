"""Writes pushes of stock over the levels that are kept, several pushes in one statement (R13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Connection

from app.records.statements import execute_later


class Accepted(NamedTuple):
    """When and where pushes are accepted."""

    channel: str
    gateway: str
    now_ms: int
    restate_after_s: float | None


def merge(connection: Connection, pushes: Sequence[Mapping[str, bytes]], accepted: Accepted) -> None:
    """Write the levels of each push, by SKU, as if one push after another, at the latest with the COMMIT.

    The gateway's counter has been advanced by their number in this transaction: the last has its number.
    """
    channel, gateway, now_ms, restate_after_s = accepted
    before_ms = now_ms - int((restate_after_s or 0.0) * 1000)
    given: dict[str, Any] = {"channel": channel, "gateway": gateway, "now": now_ms, "before": before_ms}
    given["count"] = len(pushes)
    restated = "never" if restate_after_s is None else "later" if restate_after_s > 0 else "always"
    if connection.dialect.name == "sqlite":
        _merge_in_sqlite(connection, pushes, given, restated)
        return
    given |= _rows(pushes[0]) if len(pushes) == 1 else _arrays(_folded(pushes))
    if given["skus"]:
        execute_later(connection, _update_and_insert(restated, len(pushes) == 1), given)


def _merge_in_sqlite(
    connection: Connection, pushes: Sequence[Mapping[str, bytes]], given: dict[str, Any], restated: str
) -> None:
    if len(pushes) == 1:
        given["rows"] = _json({sku: level.decode() for sku, level in pushes[0].items()})
        connection.exec_driver_sql(_upsert(restated), given)
        return
    folded = _folded(pushes)
    given["rows"] = _json([
        (sku, row.level.decode(), row.first_level.decode(), row.seq, row.first_seq, row.turned_seq or None,
         row.changed_seq)
        for sku, row in folded.items()
    ])  # fmt: skip
    update, insert = _update_then_insert(restated)
    if connection.exec_driver_sql(update, given).rowcount < len(folded):
        connection.exec_driver_sql(insert, given)


def _json(rows: object) -> str:
    return msgspec.json.encode(rows).decode()


def _rows(levels: Mapping[str, bytes]) -> dict[str, Any]:
    return {"skus": list(levels), "levels": list(levels.values())}


class _Folded:
    """What the statements of a SKU in several pushes come to, whatever was kept before."""

    __slots__ = ("changed_seq", "first_level", "first_seq", "level", "seq", "turned_seq")

    def __init__(self, level: bytes, seq: int) -> None:
        self.level = self.first_level = level
        self.seq = self.first_seq = self.changed_seq = seq
        self.turned_seq = 0

    def add(self, level: bytes, seq: int) -> None:
        if level != self.level:
            self.level, self.changed_seq = level, seq
            self.turned_seq = self.turned_seq or seq
        self.seq = seq


def _folded(pushes: Sequence[Mapping[str, bytes]]) -> dict[str, _Folded]:
    """Each SKU once; the pushes are counted from 1."""
    found: dict[str, _Folded] = {}
    for seq, levels in enumerate(pushes, 1):
        for sku, level in levels.items():
            if sku in found:
                found[sku].add(level, seq)
            else:
                found[sku] = _Folded(level, seq)
    return found


def _arrays(folded: Mapping[str, _Folded]) -> dict[str, Any]:
    rows = folded.values()
    return {
        "skus": list(folded),
        "levels": [row.level for row in rows],
        "first_levels": [row.first_level for row in rows],
        "seqs": [row.seq for row in rows],
        "first_seqs": [row.first_seq for row in rows],
        "turned_seqs": [row.turned_seq for row in rows],
        "changed_seqs": [row.changed_seq for row in rows],
    }


class _Pushed(NamedTuple):
    """What a statement knows of a SKU, as SQL."""

    differs: str
    """Whether any level differs from the one before it, the first from what is kept."""
    turn: str
    """The number of the first that does."""
    changed_seq: str
    """The number of the last that does; of the first statement where none does."""


_ALONE: Final = _Pushed("stock.level <> excluded.level", "excluded.seq", "excluded.seq")
_TOGETHER: Final = _Pushed(
    "(stock.level <> excluded.first_level or excluded.turned_seq is not null)",
    "case when stock.level <> excluded.first_level then excluded.first_seq else excluded.turned_seq end",
    "excluded.changed_seq",
)

_IN_DOUBT: Final = "(stock.refusal <> '' or stock.is_uncertain)"
_AGAIN: Final = {
    "never": _IN_DOUBT,
    "later": f"({_IN_DOUBT} or coalesce(stock.sent_at, 0) <= {{before}})",
    "always": "true",
}
"""Whether an equal level is owed again, by how soon it is restated."""

_SEQ: Final = "case when {again} then excluded.seq when {differs} then {changed_seq} else stock.seq end"
# A level that changes again before it is sent keeps its turn, or one that changes every minute would never be sent.
_CHANGE: Final = """
    level = excluded.level, stated_at = excluded.stated_at, moved_at = null,
    seq = {seq},
    is_changed = stock.is_changed or {differs},
    turn = case when {differs} and not stock.is_changed then {turn}
                when stock.seq > stock.sent_seq then stock.turn
                else coalesce(stock.sent_at, 0) end
"""


def _change(restated: str, pushed: _Pushed, before: str, *, keeps_seq: bool = False) -> tuple[str, str]:
    """What becomes of a level that is kept, and of which of them."""
    again = _AGAIN[restated].format(before=before)
    seq = _SEQ.format(again=again, **pushed._asdict())
    if keeps_seq:
        seq = f"case when stock.seq > stock.sent_seq and not excluded.is_leased then stock.seq else {seq} end"
    which = f"({again} or {pushed.differs} or stock.moved_at is not null)" if restated == "never" else "true"
    return _CHANGE.format(seq=seq, **pushed._asdict()), which


@cache
def _upsert(restated: str) -> str:
    """SQLite's: one parameter and one step; executing it for each row would let other threads run after each, with the
    writer's turn."""
    change, which = _change(restated, _ALONE, ":before")
    return f"""
        insert into stock (channel, gateway, sku, level, seq, stated_at, turn)
        select :channel, :gateway, key, cast(value as blob), counter.seq, :now, counter.seq
        from sync_states as counter, json_each(:rows) where counter.channel = :channel and counter.gateway = :gateway
        on conflict (channel, gateway, sku) do update set {change} where {which}
    """


_FOLDED_ROWS: Final = """
    with counter as (
        select seq - :count as earlier from sync_states where channel = :channel and gateway = :gateway
    ), pushed as materialized (
        select value ->> 0 as sku, cast(value ->> 1 as blob) as level, cast(value ->> 2 as blob) as first_level,
            earlier + (value ->> 3) as seq, earlier + (value ->> 4) as first_seq, earlier + (value ->> 5) as turned_seq,
            earlier + (value ->> 6) as changed_seq, :now as stated_at
        from counter, json_each(:rows)
    )
"""


@cache
def _update_then_insert(restated: str) -> tuple[str, str]:
    """SQLite's for several pushes; most levels are kept already, so that nothing is inserted."""
    change, which = _change(restated, _TOGETHER, ":before")
    update = f"""
        {_FOLDED_ROWS} update stock set {change} from pushed as excluded
        where stock.channel = :channel and stock.gateway = :gateway and stock.sku = excluded.sku and {which}
    """
    seq = "changed_seq" if restated == "never" else "seq"
    insert = f"""
        {_FOLDED_ROWS} insert into stock (channel, gateway, sku, level, seq, stated_at, turn)
        select :channel, :gateway, sku, level, {seq}, stated_at, first_seq from pushed where true
        on conflict (channel, gateway, sku) do nothing
    """
    return update, insert


_ROWS_ALONE: Final = """
    select row.*, earlier + 1 as seq, earlier + 1 as first_seq, earlier + 1 as changed_seq, is_leased
    from counter, unnest(%(skus)s::text[], %(levels)s::bytea[]) as row (sku, level)
"""
_ROWS_TOGETHER: Final = """
    select row.sku, row.level, row.first_level, earlier + row.seq as seq, earlier + row.first_seq as first_seq,
        earlier + nullif(row.turned_seq, 0) as turned_seq, earlier + row.changed_seq as changed_seq, is_leased
    from counter, unnest(
        %(skus)s::text[], %(levels)s::bytea[], %(first_levels)s::bytea[],
        %(seqs)s::bigint[], %(first_seqs)s::bigint[], %(turned_seqs)s::bigint[], %(changed_seqs)s::bigint[]
    ) as row (sku, level, first_level, seq, first_seq, turned_seq, changed_seq)
"""


@cache
def _update_and_insert(restated: str, is_alone: bool) -> str:
    """PostgreSQL's.  Most levels are kept already, and joining them takes less than a conflict for each.

    The statement sees what the pushes before it have written, for the counter was waited for by one of its own; as
    nobody adds a level without the counter, what the update has not found is new.

    A level that is owed, and that nobody is sending, keeps its number.  Its entries in the indexes then stay as they
    are, which takes a third of the time (PostgreSQL's HOT updates), such as while a vendor is away.
    """
    pushed, rows = (_ALONE, _ROWS_ALONE) if is_alone else (_TOGETHER, _ROWS_TOGETHER)
    change, which = _change(restated, pushed, "%(before)s", keeps_seq=True)
    seq = "changed_seq" if restated == "never" else "seq"
    return f"""
        with counter as (
            select seq - %(count)s::bigint as earlier, lease_token is not null as is_leased
            from sync_states where channel = %(channel)s::text and gateway = %(gateway)s::text
        ), pushed as (
            select rows.*, %(now)s::bigint as stated_at from ({rows}) as rows
        ), kept as (
            update stock set {change} from pushed as excluded
            where stock.channel = %(channel)s::text and stock.gateway = %(gateway)s::text and stock.sku = excluded.sku
            and {which}
            returning stock.sku
        )
        insert into stock (channel, gateway, sku, level, seq, stated_at, turn)
        select %(channel)s::text, %(gateway)s::text, sku, level, {seq}, stated_at, first_seq
        from pushed where sku not in (select sku from kept) on conflict (channel, gateway, sku) do nothing
    """
