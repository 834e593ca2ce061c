"""Merges what a push states into the catalogue's rows, and gives every row that touches its place."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from app.domain.catalogue import Item
from app.domain.catalogue_resolution import PushNames, resolve
from app.records.catalogue_rows import Looker, Row, Work
from app.records.tables.catalogue import catalogue

MOST_OF_A_PIECE = 1_000_000
"""More records than a piece of a push has: what is stated later is greater (`catalogue.claimed`)."""

ROUNDS = 25
"""How often it is looked who else is touched by what changes, at most; each push goes on where the last one ended."""


@dataclass(frozen=True)
class Statement:
    """One record of a push: who it is and only the fields it mentions.

    `identity` is made of RetailOps' object id and kind, or "" where it gives none; `parent` is the place, in
    the same list and before this one, of the record this one stands inside of.  `place` names it in the push.
    `spelled` is the identity with the id as it came, "" where that has its one form: what was kept before ids had one
    form goes by it (R7).
    """

    identity: str
    fields: Mapping[str, Any]
    parent: int | None = None
    place: str = ""
    spelled: str = ""


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


def sku_of(statement: Statement) -> str:
    """The SKU it states, "" for none."""
    return str(statement.fields.get("sku") or "")


def parent_sku_of(statement: Statement) -> str:
    """The SKU it names as its parent's, "" for none."""
    return str(statement.fields.get("parent_sku") or "")


def merge(
    work: Work, looker: Looker, statement: Statement, order: int, parent: Row | None, has_variants: bool,
    names: Callable[[], PushNames] | None,
) -> Row | None:  # fmt: skip
    """The record's row, found by its object id or else by its SKU, or a new one; None where it can have none."""
    identity, sku = statement.identity, sku_of(statement)
    row = work.by_identity.get(identity) if identity else None
    if row is None and sku:
        row = _known_by_sku(work, statement, sku, parent, has_variants)
        if row is not None and row.identity and not row.is_stated and names is not None:
            # The object that has the SKU now may give it up in another piece of the push.
            after = names()
            if after.sku_of.get(row.identity, sku) != sku:
                identity = after.identity_of.get(sku, "")
                looker.look(catalogue.c.identity, [identity])
                row = work.by_identity.get(identity) if identity else None
    if row is None:
        if not sku and not has_variants:
            return None
        key = secrets.token_hex(8)
        row = work.keep(Row(key, key, "", Item()))
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


def _known_by_sku(work: Work, statement: Statement, sku: str, parent: Row | None, has_variants: bool) -> Row | None:
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
    if has_variants and len(found) > 1:
        keys = {row.key for row in found}
        found = [row for row in found if row.nested_key not in keys and row.parent_key not in keys] or found
    return _newest(found)


def _newest(rows: Sequence[Row]) -> Row | None:
    return max(rows, key=lambda row: (bool(row.sku), row.order), default=None)


def give_places(
    work: Work, looker: Looker, names: Callable[[], PushNames] | None, accepted: Accepted, seq: int
) -> None:
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


def _keep_order(claimants: Sequence[Row]) -> None:
    """Keep who stated a SKU later, where that is another one than before; no news for a vendor."""
    now = sorted(claimants, key=lambda row: (row.order, bool(row.sku)))
    if now != sorted(claimants, key=lambda row: (row.claimed, bool(row.sku))):
        for row in now:
            row.is_changed = row.is_changed or row.claimed != row.order
            row.claimed = row.order


def _touched(work: Work, looker: Looker, names: Callable[[], PushNames] | None, seq: int) -> dict[str, Row]:
    """The rows whose place may change: those that moved, their families, and who states a SKU of theirs."""
    scope: dict[str, Row] = {}
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


def _foresee(work: Work, looker: Looker, rows: Sequence[Row], names: PushNames, seq: int) -> None:
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


def _is_given_up(row: Row, names: Callable[[], PushNames] | None) -> bool:
    """True when another piece of the push gives the record another SKU."""
    return names is not None and names().sku_of.get(row.identity, row.item.sku) != row.item.sku
