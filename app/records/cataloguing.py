"""Keeps what a catalogue push states: finds each record's row, merges what it mentions, owes what changed."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Column, Connection, bindparam, case, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from app.gateways.words import Item
from app.records import streams
from app.records.catalogue import MANY, SEARCHED, owe_stated, roots_after
from app.records.tables import catalogue, catalogue_heard, categories, sku_numbers


@dataclass(frozen=True)
class Statement:
    """One record of a push: who it is and only the fields it mentions.

    `identity` is made of RetailOps' object id and kind, or "" where it gives none; `parent` is the place, in
    the same list and before this one, of the record this one is a variant of.
    """

    identity: str
    fields: Mapping[str, Any]
    parent: int | None = None


@dataclass
class _Row:
    """A row as it is and as it shall be."""

    key: str
    root_key: str
    identity: str
    item: Item
    number: int = 0
    sku_number: int = 0
    is_changed: bool = False

    @property
    def name(self) -> str:
        """What its number goes by."""
        return self.item.sku or self.key


@dataclass
class _Work:
    """What one push touches."""

    by_key: dict[str, _Row] = field(default_factory=dict)
    by_identity: dict[str, _Row] = field(default_factory=dict)
    by_sku: dict[str, _Row] = field(default_factory=dict)
    changed_roots: dict[str, None] = field(default_factory=dict)
    displaced: list[Item] = field(default_factory=list)

    def keep(self, row: _Row) -> None:
        self.by_key[row.key] = row
        if row.identity:
            self.by_identity[row.identity] = row
        if row.item.sku:
            self.by_sku[row.item.sku] = row

    def change(self, row: _Row, item: Item, root_key: str, identity: str = "") -> None:
        identity = identity or row.identity
        if row.number and row.sku_number and (row.item, row.root_key, row.identity) == (item, root_key, identity):
            return
        self.changed_roots[root_key] = None
        if row.number:
            self.changed_roots[row.root_key] = None
        if self.by_sku.get(row.item.sku) is row:
            del self.by_sku[row.item.sku]
        if row.item.sku != item.sku:
            row.sku_number = 0
        row.item, row.root_key, row.identity, row.is_changed = item, root_key, identity, True
        self.keep(row)


def accept(
    connection: Connection, channel: str, gateways: Sequence[str], statements: Sequence[Statement], now: datetime
) -> list[Item]:
    """Keep these records and owe every product that changed to each of the gateways.

    Returns the records whose SKU another record has taken over; they count as switched off.  Pushes of one
    channel follow one another.
    """
    seqs = {gateway: streams.next_seq(connection, channel, gateway) for gateway in sorted(gateways)}
    work = _Work()
    _load(connection, channel, statements, work)
    rows: list[_Row] = []
    for statement in statements:
        rows.append(_merge(work, statement, rows[statement.parent] if statement.parent is not None else None))
    _adopt_waiting(connection, channel, rows, work)
    _write(connection, channel, [row for row in work.by_key.values() if row.is_changed], now)
    roots = list(work.changed_roots)
    stated = {row.root_key for row in rows}.difference(roots)
    for gateway, seq in seqs.items():
        _owe(connection, channel, gateway, seq, roots)
        owe_stated(connection, channel, gateway, seq, stated)
    return work.displaced


def _load(connection: Connection, channel: str, statements: Sequence[Statement], work: _Work) -> None:
    identities = {statement.identity for statement in statements if statement.identity}
    skus = {sku for statement in statements for sku in (_sku(statement), _parent_sku(statement)) if sku}
    for column, values in ((catalogue.c.identity, identities), (catalogue.c.sku, skus)):
        for row in _rows(connection, channel, column, values):
            if row.key not in work.by_key:
                work.keep(row)


def _rows(connection: Connection, channel: str, column: Column[str], values: set[str]) -> Iterator[_Row]:
    """Rows by a text that is not empty; it is said so, for some indexes hold only those."""
    wanted = sorted(values)
    for at in range(0, len(wanted), MANY):
        for row in connection.execute(
            select(
                catalogue.c.number,
                catalogue.c.sku_number,
                catalogue.c.key,
                catalogue.c.root_key,
                catalogue.c.identity,
                catalogue.c.item,
            ).where(catalogue.c.channel == channel, column.in_(wanted[at : at + MANY]), text(f"{column.name} <> ''"))
        ):
            item = msgspec.json.decode(row.item, type=Item)
            yield _Row(row.key, row.root_key, row.identity, item, row.number, row.sku_number)


def _sku(statement: Statement) -> str:
    return str(statement.fields.get("sku") or "")


def _parent_sku(statement: Statement) -> str:
    return str(statement.fields.get("parent_sku") or "")


def _merge(work: _Work, statement: Statement, parent: _Row | None) -> _Row:
    """The record's row, found by its object id or else by its SKU, or a new one."""
    row = work.by_identity.get(statement.identity) if statement.identity else None
    sku = _sku(statement) or (row.item.sku if row else "")
    holder = work.by_sku.get(sku) if sku else None
    if row is None and holder is not None and _may_adopt(holder, statement):
        row = holder
    elif holder is not None and holder is not row:
        work.displaced.append(holder.item)
        work.change(holder, msgspec.structs.replace(holder.item, sku="", is_enabled=False), holder.root_key)
    if row is None:
        key = secrets.token_hex(8)
        row = _Row(key, key, statement.identity, Item())
    item = msgspec.structs.replace(row.item, **{"ignored": None, **statement.fields})
    root_key = row.root_key
    if parent is not None:
        root_key = parent.root_key
    elif item.parent_sku and (above := work.by_sku.get(item.parent_sku)) is not None and above is not row:
        root_key = above.root_key
    work.change(row, item, root_key, statement.identity)
    return row


def _may_adopt(holder: _Row, statement: Statement) -> bool:
    """A row known by its SKU alone becomes the row of the object that turns out to have this SKU."""
    return not statement.identity or not holder.identity


def _adopt_waiting(connection: Connection, channel: str, rows: Sequence[_Row], work: _Work) -> None:
    """Variants that were pushed before their product, or stand before it, and name it by its SKU, join it now."""
    parents = {row.item.sku for row in rows if row.item.sku and row.root_key == row.key}
    kept = _rows(connection, channel, catalogue.c.parent_sku, parents)
    fresh = [row for row in rows if not row.number and row.item.parent_sku in parents]
    for row in [*kept, *fresh]:
        row = work.by_key.setdefault(row.key, row)
        above = work.by_sku.get(row.item.parent_sku)
        if above is not None and above is not row:
            work.change(row, row.item, above.root_key)


def _write(connection: Connection, channel: str, rows: Sequence[_Row], now: datetime) -> None:
    _number(connection, channel, [row for row in rows if not row.sku_number])
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
    paths = {path for row in rows for path in row.item.categories or ()}
    if paths:
        connection.execute(
            _insert(connection, categories).on_conflict_do_nothing(),
            [{"channel": channel, "path": path} for path in sorted(paths)],
        )


def _number(connection: Connection, channel: str, rows: Sequence[_Row]) -> None:
    """Give each row its SKU's number: the one it ever had, else a new one."""
    keys = {row.name: row.key for row in rows}
    if not keys:
        return
    statement = _insert(connection, sku_numbers)
    statement = statement.on_conflict_do_update(
        index_elements=[sku_numbers.c.channel, sku_numbers.c.name], set_={"key": statement.excluded.key}
    ).returning(sku_numbers.c.name, sku_numbers.c.number)
    named = connection.execute(
        statement, [{"channel": channel, "name": name, "key": key} for name, key in keys.items()]
    )
    numbers = {row.name: row.number for row in named}
    for row in rows:
        row.sku_number = numbers[row.name]


def _keep_estimates_true(connection: Connection) -> None:
    """PostgreSQL plans by what it last counted; until it counts by itself, a first catalogue would be read whole
    again and again, for every few records."""
    if connection.dialect.name == "sqlite":
        return
    counted, there = connection.execute(_COUNTED).one()
    if there > 2 * max(counted, MANY):
        connection.execute(text("analyze (skip_locked) catalogue, sku_numbers"))


_COUNTED = text("select reltuples, (select max(number) from catalogue) from pg_class where oid = 'catalogue'::regclass")


def _values(row: _Row, now: datetime) -> dict[str, Any]:
    item = msgspec.structs.replace(row.item, key="", number=0)
    return {
        "key": row.key,
        "root_key": row.root_key,
        "identity": row.identity,
        "parent_sku": item.parent_sku,
        "sku": item.sku,
        "sku_number": row.sku_number,
        "title": (item.title or "").casefold()[:SEARCHED],
        "item": msgspec.json.encode(item),
        "is_enabled": item.is_enabled is not False,
        "changed_at": now,
    }


def owe_page(connection: Connection, channel: str, gateway: str, after: str, limit: int, *, forgets_notes: bool) -> str:
    """Owe a gateway the next products after a root key ("" is the beginning), whatever it heard of them.

    Returns the key to go on from, "" at the end.  `forgets_notes`: what the gateway noted of them holds no more.
    """
    seq = streams.next_seq(connection, channel, gateway)
    roots = roots_after(connection, channel, after, limit)
    _owe(connection, channel, gateway, seq, roots, forgets_notes=forgets_notes)
    return roots[-1] if len(roots) == limit else ""


def _owe(
    connection: Connection, channel: str, gateway: str, seq: int, roots: Sequence[str], *, forgets_notes: bool = False
) -> None:
    if not roots:
        return
    statement = _insert(connection, catalogue_heard)
    statement = statement.on_conflict_do_update(
        index_elements=[catalogue_heard.c.channel, catalogue_heard.c.gateway, catalogue_heard.c.root_key],
        # A product that changes again before it is sent keeps its turn.
        set_={
            "seq": statement.excluded.seq,
            "turn": case((catalogue_heard.c.is_changed, catalogue_heard.c.turn), else_=statement.excluded.turn),
            "is_changed": True,
        }
        | ({"sent": None} if forgets_notes else {}),
    )
    connection.execute(
        statement,
        [{"channel": channel, "gateway": gateway, "root_key": root, "seq": seq, "turn": seq} for root in roots],
    )


def _insert(connection: Connection, table: Any) -> Any:
    return (sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert)(table)
