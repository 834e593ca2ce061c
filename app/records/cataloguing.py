"""Stores what a catalogue push states: finds each record's row, merges what it mentions, marks changes as due."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, case, insert, text, update

from app.domain.catalogue_resolution import PushNames
from app.records import search_keys, sync_state
from app.records.catalogue import SEARCHED, number_categories, roots_after
from app.records.catalogue_rows import Looker, Row, Work
from app.records.catalogue_statements import (
    MOST_OF_A_PIECE,
    Accepted,
    Statement,
    give_places,
    merge,
    parent_sku_of,
    sku_of,
)
from app.records.catalogue_sync import owe_stated
from app.records.search_keys import Number
from app.records.statements import MANY, upsert
from app.records.tables.catalogue import catalogue, catalogue_sync, sku_numbers


def accept(
    connection: Connection, channel: str, gateways: Sequence[str], statements: Sequence[Statement], now: datetime,
    names: Callable[[], PushNames] | None = None,
) -> Accepted:  # fmt: skip
    """Keep these records and owe every product that changed to each of the gateways.

    `names` gives what the whole push states of SKUs and parents, where these are only a piece of it, so that no record
    counts for a moment as what a later piece says it is not.  Pushes of one channel follow one another.
    """
    seqs = {gateway: sync_state.next_seq(connection, channel, gateway) for gateway in sorted(gateways)}
    work = Work()
    accepted = Accepted()
    looker = Looker(connection, channel, work)
    looker.look(catalogue.c.identity, {name for one in statements for name in (one.identity, one.spelled) if name})
    looker.look(catalogue.c.sku, {sku for one in statements for sku in (sku_of(one), parent_sku_of(one)) if sku})
    looker.look(catalogue.c.waits_for, map(sku_of, statements))
    seq = max(seqs.values(), default=0)
    hosts = {statement.parent for statement in statements}
    rows: list[Row | None] = []
    for at, statement in enumerate(statements):
        parent = rows[statement.parent] if statement.parent is not None else None
        row = merge(work, looker, statement, seq * MOST_OF_A_PIECE + at + 1, parent, at in hosts, names)
        rows.append(row)
        if row is None:
            accepted.unknown.append(statement)
    if work.moved:
        give_places(work, looker, names, accepted, seq)
    changed = [row for row in work.by_key.values() if row.is_changed]
    _write(connection, channel, changed, now)
    roots = list(work.changed_roots)
    stated = {row.root_key for row in rows if row is not None}.difference(roots)
    for gateway, seq in seqs.items():
        _owe(connection, channel, gateway, seq, roots)
        owe_stated(connection, channel, gateway, seq, stated)
    return accepted


def _write(connection: Connection, channel: str, rows: Sequence[Row], now: datetime) -> None:
    unnumbered = [row for row in rows if not row.sku_number]
    _number(connection, channel, unnumbered)
    search_keys.learn(connection, channel, (Number("", "sku", row.sku) for row in unnumbered if row.sku), now)
    fresh = [_values(row, now) | {"channel": channel} for row in rows if not row.number]
    known = [_values(row, now) | {"of_number": row.number} for row in rows if row.number]
    if fresh:
        connection.execute(insert(catalogue), fresh)
        _keep_estimates_true(connection)
    if known:
        columns: dict[str, Any] = {name: bindparam(f"to_{name}") for name in known[0] if name != "of_number"}
        connection.execute(
            update(catalogue).where(catalogue.c.number == bindparam("of_number")).values(columns),
            [{"of_number": row["of_number"]} | {f"to_{name}": row[name] for name in columns} for row in known],
        )
    number_categories(connection, channel, {path for row in rows for path in row.item.categories or ()})


def _number(connection: Connection, channel: str, rows: Sequence[Row]) -> None:
    """Give each row its SKU's number: the one it ever had, else a new one."""
    keys = {row.name: row.key for row in rows}
    if not keys:
        return
    named = upsert(
        connection,
        sku_numbers,
        [{"channel": channel, "name": name, "key": key} for name, key in keys.items()],
        lambda added: {"key": added.key},
        key=("channel", "name"),
        returning=(sku_numbers.c.name, sku_numbers.c.number),
    )
    numbers = {row.name: row.number for row in named}
    for row in rows:
        row.sku_number = numbers[row.name]


def _keep_estimates_true(connection: Connection) -> None:
    """PostgreSQL plans by what it last counted; until it counts by itself, a first catalogue would be read whole
    again and again, for every few records, and `catalogue.unknown_skus` would compare each SKU with each other."""
    if connection.dialect.name == "sqlite":
        return
    counted, there = connection.execute(_COUNTED).one()
    if there > 2 * max(counted, MANY):
        connection.execute(text("analyze (skip_locked) catalogue, sku_numbers"))


_COUNTED = text("select reltuples, (select max(number) from catalogue) from pg_class where oid = 'catalogue'::regclass")


def _values(row: Row, now: datetime) -> dict[str, Any]:
    item = row.item
    return {
        "key": row.key,
        "root_key": row.root_key,
        "identity": row.spelled or row.identity,
        "parent_sku": item.parent_sku,
        "parent_key": row.parent_key,
        "nested_key": row.nested_key,
        "sku": row.sku,
        "waits_for": row.waits_for,
        "claimed": row.claimed,
        "sku_number": row.sku_number,
        "title": (item.title or "").casefold()[:SEARCHED],
        "item": msgspec.json.encode(item),
        "is_enabled": item.is_enabled is not False,
        "changed_at": now,
    }


def owe_page(connection: Connection, channel: str, gateway: str, after: str, limit: int, *, forgets_notes: bool) -> str:
    """Make the next products after a root key ("" is the beginning) due for a gateway, whatever it received of them.

    Returns the key to go on from, "" at the end.  `forgets_notes`: what the gateway noted of them holds no more.
    """
    seq = sync_state.next_seq(connection, channel, gateway)
    roots = roots_after(connection, channel, after, limit)
    _owe(connection, channel, gateway, seq, roots, forgets_notes=forgets_notes)
    return roots[-1] if len(roots) == limit else ""


def _owe(
    connection: Connection, channel: str, gateway: str, seq: int, roots: Sequence[str], *, forgets_notes: bool = False
) -> None:
    if not roots:
        return

    def due(added: Any) -> dict[str, Any]:
        # A product that changes again before it is sent keeps its turn.
        turn = case((catalogue_sync.c.is_changed, catalogue_sync.c.turn), else_=added.turn)
        forgotten = {"sent": None} if forgets_notes else {}
        return {"seq": added.seq, "turn": turn, "is_changed": True, **forgotten}

    row = {"channel": channel, "gateway": gateway, "seq": seq, "turn": seq}
    upsert(connection, catalogue_sync, [{**row, "root_key": root} for root in roots], due)
