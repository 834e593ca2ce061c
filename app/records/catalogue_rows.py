"""Rows of the catalogue while a push is kept: as they are, as they shall be, and who else states their SKUs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import Column, Connection, select, text

from app.domain.catalogue import Item
from app.domain.catalogue_resolution import Record
from app.domain.retailops_numbers import canonical
from app.records.statements import chunked
from app.records.tables.catalogue import catalogue


@dataclass(slots=True)
class Row:
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
    spelled: str = ""
    """The identity as it is kept, where that was before ids had one form; processes of then find the row by it."""

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
class Work:
    """What one piece of a push touches."""

    by_key: dict[str, Row] = field(default_factory=dict)
    by_identity: dict[str, Row] = field(default_factory=dict)
    claims: dict[str, dict[str, Row]] = field(default_factory=dict)
    """By SKU the rows that state it, by key."""
    moved: dict[str, Row] = field(default_factory=dict)
    changed_roots: dict[str, None] = field(default_factory=dict)
    looked_up: dict[str, set[str]] = field(default_factory=dict)
    """By column the values whose rows are all here."""

    def keep(self, row: Row) -> Row:
        """The row, or the one that is here already."""
        known = self.by_key.setdefault(row.key, row)
        if known is row:
            if row.identity and _is_better(row, self.by_identity.get(row.identity)):
                self.by_identity[row.identity] = row
            if row.item.sku:
                self.claims.setdefault(row.item.sku, {})[row.key] = row
        return known

    def is_contested(self, row: Row) -> bool:
        """True when it has just stated a SKU that another record states too."""
        return row.order != row.claimed and len(self.claims.get(row.item.sku, ())) > 1

    def state(self, row: Row, item: Item, nested_key: str, identity: str) -> None:
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
        if identity != row.identity:
            row.spelled = ""
        if is_other or not row.number or self.is_contested(row):
            self.moved[row.key] = row
        row.item, row.nested_key, row.identity = item, nested_key, identity


def _is_better(row: Row, other: Row | None) -> bool:
    """Which of two rows of one object is gone on with: that which is sold, for processes of before made the other."""
    return other is None or (bool(row.sku), not row.spelled) > (bool(other.sku), not other.spelled)


def _one_form(identity: str, item: Item) -> str:
    """The kept identity with its id in its one form (R7)."""
    kind = f"{item.source_type or 'object'}:"
    return kind + canonical(identity.removeprefix(kind)) if identity.startswith(kind) else identity


_SELDOM = frozenset({"waits_for", "parent_sku"})
"""Columns that are empty in all rows of many catalogues."""


class Looker:
    """Fetches rows that are not here yet."""

    def __init__(self, connection: Connection, channel: str, work: Work) -> None:
        self._connection = connection
        self._channel = channel
        self._work = work
        self._used: dict[str, bool] = {}

    def look(self, column: Column[str], values: Iterable[str]) -> list[Row]:
        """Rows by a text that is not empty, of those values that were not looked up before."""
        seen = self._work.looked_up.setdefault(column.name, set())
        found = {value for value in values if value}.difference(seen)
        if column is catalogue.c.sku:  # a SKU has one holder, which may be here already
            found = {sku for sku in found if not any(row.sku == sku for row in self._work.claims.get(sku, {}).values())}
        fresh = sorted(found)
        seen.update(fresh)
        if not fresh or (column.name in _SELDOM and not self._is_used(column)):
            return []
        return [self._work.keep(row) for row in self._rows(column, fresh)]

    def _is_used(self, column: Column[str]) -> bool:
        """Whether any row of the channel has a text there: one step in an index of those alone."""
        if column.name not in self._used:
            found = select(catalogue.c.number).where(catalogue.c.channel == self._channel, text(f"{column.name} <> ''"))
            self._used[column.name] = self._connection.execute(found.limit(1)).first() is not None
        return self._used[column.name]

    def _rows(self, column: Column[str], values: Sequence[str]) -> Iterator[Row]:
        """It is said that the text is not empty, for some indexes hold only those."""
        columns = (
            catalogue.c.number, catalogue.c.sku_number, catalogue.c.key, catalogue.c.root_key, catalogue.c.identity,
            catalogue.c.item, catalogue.c.sku, catalogue.c.parent_key, catalogue.c.nested_key, catalogue.c.waits_for,
            catalogue.c.claimed,
        )  # fmt: skip
        for some in chunked(values):
            for row in self._connection.execute(
                select(*columns).where(
                    catalogue.c.channel == self._channel,
                    column.in_(some),
                    text(f"{column.name} <> ''"),
                )
            ):
                item = msgspec.json.decode(row.item, type=Item)
                identity = _one_form(row.identity, item)
                spelled = row.identity if row.identity != identity else ""
                yield Row(
                    row.key, row.root_key, identity, item, row.number, row.sku_number, row.sku, row.parent_key,
                    row.nested_key, row.waits_for, row.claimed, row.claimed, former_sku=item.sku, spelled=spelled,
                )  # fmt: skip
