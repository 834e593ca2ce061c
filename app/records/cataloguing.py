"""Keeps what a catalogue push states: finds each record's row, merges what it mentions, owes what changed."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Column, Connection, bindparam, case, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from app.domain.catalogue_resolution import PushNames, Record, resolve
from app.gateways.words import Item
from app.records import streams
from app.records.catalogue import MANY, SEARCHED, owe_stated, roots_after
from app.records.tables import catalogue, catalogue_heard, categories, sku_numbers


@dataclass(frozen=True)
class Statement:
    """One record of a push: who it is and only the fields it mentions.

    `identity` is made of RetailOps' object id and kind, or "" where it gives none; `parent` is the place, in
    the same list and before this one, of the record this one stands inside of.  `place` names it in the push.
    """

    identity: str
    fields: Mapping[str, Any]
    parent: int | None = None
    has_variants: bool = False
    place: str = ""


@dataclass(frozen=True)
class Displaced:
    """A record whose SKU a record of another family has; a group's variants are sold all the same."""

    item: Item
    is_group: bool


@dataclass
class Accepted:
    """What RetailOps should know of records that were kept, or could not be."""

    displaced: list[Displaced] = field(default_factory=list)
    in_cycle: list[Item] = field(default_factory=list)
    """Records that are stated to belong to what belongs to them; the statement has no effect."""
    unknown: list[Statement] = field(default_factory=list)
    """Records without SKU and variants, of an object nobody has named: nothing of them was kept."""

    def add(self, other: Accepted) -> None:
        """What became of further records of the push."""
        self.displaced += other.displaced
        self.in_cycle += other.in_cycle
        self.unknown += other.unknown


@dataclass(slots=True)
class _Row:
    """A row as it is and as it shall be: `item`, `identity` and `nested_key` are stated, the rest follows from all."""

    key: str
    root_key: str
    identity: str
    item: Item
    number: int = 0
    sku_number: int = 0
    sku: str = ""
    parent_key: str = ""
    nested_key: str = ""
    waits_for: str = ""
    claimed: int = 0
    order: int = 0
    """When it stated its SKU last; `claimed` is that as it is kept."""
    is_stated: bool = False
    is_moved: bool = False
    is_changed: bool = False
    former_sku: str = ""
    """The SKU it stated before this push."""

    @property
    def name(self) -> str:
        """What its number goes by."""
        return self.sku or self.key

    def as_record(self) -> Record:
        """What the resolution needs of it."""
        return Record(
            self.key,
            self.item.sku,
            self.nested_key,
            self.item.parent_sku,
            self.parent_key,
            (self.order, bool(self.sku)),
        )


@dataclass
class _Work:
    """What one piece of a push touches."""

    by_key: dict[str, _Row] = field(default_factory=dict)
    by_identity: dict[str, _Row] = field(default_factory=dict)
    claims: dict[str, dict[str, _Row]] = field(default_factory=dict)
    """By SKU the rows that state it, by key."""
    moved: dict[str, _Row] = field(default_factory=dict)
    changed_roots: dict[str, None] = field(default_factory=dict)
    looked_up: dict[str, set[str]] = field(default_factory=dict)
    """By column the values whose rows are all here."""

    def keep(self, row: _Row) -> _Row:
        """The row, or the one that is here already."""
        known = self.by_key.setdefault(row.key, row)
        if known is row:
            if row.identity:
                self.by_identity[row.identity] = row
            if row.item.sku:
                self.claims.setdefault(row.item.sku, {})[row.key] = row
        return known

    def is_contested(self, row: _Row) -> bool:
        """True when it has just stated a SKU that another record states too."""
        return row.order != row.claimed and len(self.claims.get(row.item.sku, ())) > 1

    def state(self, row: _Row, item: Item, nested_key: str, identity: str) -> None:
        """Take over what is stated of the row."""
        row.is_stated = True
        was = row.item
        is_same = item == was and identity == row.identity
        if row.number and row.sku_number and is_same and nested_key == row.nested_key:
            if self.is_contested(row) or (not row.parent_key and (nested_key or item.parent_sku)):
                self.moved[row.key] = row  # nothing new about itself; but what it waits for may have come
            return
        row.is_changed = True
        self.changed_roots[row.root_key] = None
        if item.sku != was.sku:
            self.claims.get(was.sku, {}).pop(row.key, None)
            if item.sku:
                self.claims.setdefault(item.sku, {})[row.key] = row
        if identity:
            self.by_identity[identity] = row
        is_other = (item.sku, item.parent_sku, nested_key) != (was.sku, was.parent_sku, row.nested_key)
        if item.sku != was.sku:
            row.claimed = row.order
        if is_other or not row.number or self.is_contested(row):
            self.moved[row.key] = row
        row.item, row.nested_key, row.identity = item, nested_key, identity


MOST_OF_A_PIECE = 1_000_000
"""More records than a piece of a push has: what is stated later is greater (`catalogue.claimed`)."""

ROUNDS = 25
"""How often it is looked who else is touched by what changes, at most; each push goes on where the last one ended."""


def accept(
    connection: Connection, channel: str, gateways: Sequence[str], statements: Sequence[Statement], now: datetime,
    names: Callable[[], PushNames] | None = None,
) -> Accepted:  # fmt: skip
    """Keep these records and owe every product that changed to each of the gateways.

    `names` gives what the whole push states of SKUs and parents, where these are only a piece of it, so that no record
    counts for a moment as what a later piece says it is not.  Pushes of one channel follow one another.
    """
    seqs = {gateway: streams.next_seq(connection, channel, gateway) for gateway in sorted(gateways)}
    work = _Work()
    accepted = Accepted()
    looker = _Looker(connection, channel, work)
    looker.look(catalogue.c.identity, {statement.identity for statement in statements if statement.identity})
    looker.look(catalogue.c.sku, {sku for one in statements for sku in (_sku(one), _parent_sku(one)) if sku})
    looker.look(catalogue.c.waits_for, map(_sku, statements))
    seq = max(seqs.values())
    rows: list[_Row | None] = []
    for at, statement in enumerate(statements):
        parent = rows[statement.parent] if statement.parent is not None else None
        row = _merge(work, looker, statement, seq * MOST_OF_A_PIECE + at + 1, parent, names)
        rows.append(row)
        if row is None:
            accepted.unknown.append(statement)
    if work.moved:
        _resolve(work, looker, names, accepted, seq)
    changed = [row for row in work.by_key.values() if row.is_changed]
    _write(connection, channel, changed, now)
    roots = list(work.changed_roots)
    stated = {row.root_key for row in rows if row is not None}.difference(roots)
    for gateway, seq in seqs.items():
        _owe(connection, channel, gateway, seq, roots)
        owe_stated(connection, channel, gateway, seq, stated)
    return accepted


_SELDOM = frozenset({"waits_for", "parent_sku"})
"""Columns that are empty in all rows of many catalogues."""


class _Looker:
    """Fetches rows that are not here yet."""

    def __init__(self, connection: Connection, channel: str, work: _Work) -> None:
        self._connection = connection
        self._channel = channel
        self._work = work
        self._used: dict[str, bool] = {}

    def look(self, column: Column[str], values: Iterable[str]) -> list[_Row]:
        """Rows by a text that is not empty, of those values that were not looked up before."""
        seen = self._work.looked_up.setdefault(column.name, set())
        found = {value for value in values if value}.difference(seen)
        if column is catalogue.c.sku:  # a SKU has one holder, which may be here already
            found = {sku for sku in found if not any(row.sku == sku for row in self._work.claims.get(sku, {}).values())}
        wanted = sorted(found)
        seen.update(wanted)
        if not wanted or (column.name in _SELDOM and not self._is_used(column)):
            return []
        return [self._work.keep(row) for row in self._rows(column, wanted)]

    def _is_used(self, column: Column[str]) -> bool:
        """Whether any row of the channel has a text there: one step in an index of those alone."""
        if column.name not in self._used:
            found = select(catalogue.c.number).where(catalogue.c.channel == self._channel, text(f"{column.name} <> ''"))
            self._used[column.name] = self._connection.execute(found.limit(1)).first() is not None
        return self._used[column.name]

    def _rows(self, column: Column[str], wanted: Sequence[str]) -> Iterator[_Row]:
        """It is said that the text is not empty, for some indexes hold only those."""
        columns = (
            catalogue.c.number, catalogue.c.sku_number, catalogue.c.key, catalogue.c.root_key, catalogue.c.identity,
            catalogue.c.item, catalogue.c.sku, catalogue.c.parent_key, catalogue.c.nested_key, catalogue.c.waits_for,
            catalogue.c.claimed,
        )  # fmt: skip
        for at in range(0, len(wanted), MANY):
            for row in self._connection.execute(
                select(*columns).where(
                    catalogue.c.channel == self._channel,
                    column.in_(wanted[at : at + MANY]),
                    text(f"{column.name} <> ''"),
                )
            ):
                item = msgspec.json.decode(row.item, type=Item)
                yield _Row(
                    row.key, row.root_key, row.identity, item, row.number, row.sku_number, row.sku, row.parent_key,
                    row.nested_key, row.waits_for, row.claimed, row.claimed, former_sku=item.sku,
                )  # fmt: skip


def _sku(statement: Statement) -> str:
    return str(statement.fields.get("sku") or "")


def _parent_sku(statement: Statement) -> str:
    return str(statement.fields.get("parent_sku") or "")


def _merge(
    work: _Work, looker: _Looker, statement: Statement, order: int, parent: _Row | None,
    names: Callable[[], PushNames] | None,
) -> _Row | None:  # fmt: skip
    """The record's row, found by its object id or else by its SKU, or a new one; None where it can have none."""
    identity, sku = statement.identity, _sku(statement)
    row = work.by_identity.get(identity) if identity else None
    if row is None and sku:
        row = _known_by_sku(work, statement, sku, parent)
        if row is not None and row.identity and not row.is_stated and names is not None:
            # The object that has the SKU now may give it up in another piece of the push.
            after = names()
            if after.sku_of.get(row.identity, sku) != sku:
                identity = after.identity_of.get(sku, "")
                looker.look(catalogue.c.identity, [identity])
                row = work.by_identity.get(identity) if identity else None
    if row is None:
        if not sku and not statement.has_variants:
            return None
        key = secrets.token_hex(8)
        row = work.keep(_Row(key, key, "", Item()))
    fields = statement.fields
    if sku:
        row.order = order
        item = msgspec.structs.replace(row.item, **{"ignored": None, **fields})
    else:  # "" is no SKU: it is not stated
        item = msgspec.structs.replace(row.item, **{"ignored": None, **fields, "sku": row.item.sku})
    nested_key = row.nested_key
    if parent is not None:
        nested_key = parent.key
    elif "parent_sku" in fields:
        nested_key = ""
    work.state(row, item, nested_key, identity or row.identity)
    return row


def _known_by_sku(work: _Work, statement: Statement, sku: str, parent: _Row | None) -> _Row | None:
    """The row that a record without a known object id is about.

    A row known by its SKU alone becomes the row of the object that turns out to have this SKU.  Where a product and
    its variant have one SKU, the product is what has variants, and the variant what stands inside of it.
    """
    if not (claims := work.claims.get(sku)):
        return None  # nearly always, in a first push
    found = [row for row in claims.values() if not statement.identity or not row.identity]
    above: set[str] = set()
    while parent is not None and parent.key not in above:
        if not above and (own := [row for row in found if parent.key in (row.nested_key, row.parent_key)]):
            return _newest(own)
        above.add(parent.key)
        parent = work.by_key.get(parent.nested_key or parent.parent_key)
    found = [row for row in found if row.key not in above]
    if statement.has_variants and len(found) > 1:
        keys = {row.key for row in found}
        found = [row for row in found if row.nested_key not in keys and row.parent_key not in keys] or found
    return _newest(found)


def _newest(rows: Sequence[_Row]) -> _Row | None:
    return max(rows, key=lambda row: (bool(row.sku), row.order), default=None)


def _resolve(work: _Work, looker: _Looker, names: Callable[[], PushNames] | None, accepted: Accepted, seq: int) -> None:
    """Give every row that what is stated touches its place; `seq` is the number of what is accepted now."""
    scope = _touched(work, looker, names, seq)
    places = resolve([row.as_record() for row in scope.values()])
    for row in scope.values():
        place = places[row.key]
        waits_for = "" if place.sku else row.item.sku
        if place.is_displaced and (row.is_stated or row.sku) and not _is_given_up(row, names):
            accepted.displaced.append(Displaced(row.item, place.is_group))
        if place.is_in_cycle and row.is_stated:
            accepted.in_cycle.append(row.item)
        if (place.sku, place.parent, place.root, waits_for) == (row.sku, row.parent_key, row.root_key, row.waits_for):
            if row.is_changed:
                work.changed_roots[place.root] = None
            continue
        if row.number:
            work.changed_roots[row.root_key] = None
        else:
            work.changed_roots.pop(row.root_key, None)
        work.changed_roots[place.root] = None
        if place.sku != row.sku:
            row.sku_number = 0
        row.sku, row.parent_key, row.root_key, row.waits_for = place.sku, place.parent, place.root, waits_for
        row.is_changed = True
    for sku in {row.item.sku for row in scope.values() if row.order != row.claimed}:
        if len(claimants := work.claims.get(sku, {})) > 1:
            _keep_order(list(claimants.values()))


def _keep_order(claimants: Sequence[_Row]) -> None:
    """Keep who stated a SKU later, where that is another one than before; no news for a vendor."""
    now = sorted(claimants, key=lambda row: (row.order, bool(row.sku)))
    if now != sorted(claimants, key=lambda row: (row.claimed, bool(row.sku))):
        for row in now:
            row.is_changed = row.is_changed or row.claimed != row.order
            row.claimed = row.order


def _touched(work: _Work, looker: _Looker, names: Callable[[], PushNames] | None, seq: int) -> dict[str, _Row]:
    """The rows whose place may change: those that moved, their families, and who states a SKU of theirs."""
    scope: dict[str, _Row] = {}
    fresh = work.moved
    for _ in range(ROUNDS):
        scope |= fresh
        rows = list(fresh.values())
        skus = {sku for row in rows for sku in (row.item.sku, row.former_sku, row.item.parent_sku) if sku}
        found = looker.look(catalogue.c.root_key, {row.root_key for row in rows if row.number})
        found += looker.look(catalogue.c.key, {row.nested_key for row in rows}.difference(work.by_key))
        for column in (catalogue.c.sku, catalogue.c.waits_for, catalogue.c.parent_sku):
            found += looker.look(column, skus)
        found += [row for sku in skus for row in work.claims.get(sku, {}).values()]
        found += [row for key in {row.nested_key for row in rows} if (row := work.by_key.get(key)) is not None]
        roots = {row.root_key for row in rows}
        found += [row for row in work.by_key.values() if row.root_key in roots or row.item.parent_sku in skus]
        fresh = {row.key: row for row in found if row.key not in scope}
        others = [row for row in fresh.values() if row.identity and not row.is_stated]
        if names is not None and others:
            _foresee(work, looker, others, names(), seq)
        if not fresh:
            break
    return scope | fresh


def _foresee(work: _Work, looker: _Looker, rows: Sequence[_Row], names: PushNames, seq: int) -> None:
    """Take over what other pieces of the push state of these: their SKUs and whom they belong to."""
    for row in rows:
        sku = names.sku_of.get(row.identity, row.item.sku)
        parent_sku = names.parent_sku_of.get(row.identity, row.item.parent_sku)
        nested_key = row.nested_key
        if host := names.host_of.get(row.identity):
            looker.look(catalogue.c.identity, [host])
            nested_key = work.by_identity[host].key if host in work.by_identity else nested_key
        elif row.identity in names.parent_sku_of:
            nested_key = ""
        if row.identity in names.sku_of:
            is_last = names.identity_of[sku] == row.identity
            row.order = (seq + is_last) * MOST_OF_A_PIECE
        if (sku, parent_sku, nested_key) != (row.item.sku, row.item.parent_sku, row.nested_key):
            item = msgspec.structs.replace(row.item, sku=sku, parent_sku=parent_sku)
            work.state(row, item, nested_key, row.identity)


def _is_given_up(row: _Row, names: Callable[[], PushNames] | None) -> bool:
    """True when another piece of the push gives the record another SKU."""
    return names is not None and names().sku_of.get(row.identity, row.item.sku) != row.item.sku


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
    item = row.item
    return {
        "key": row.key,
        "root_key": row.root_key,
        "identity": row.identity,
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
