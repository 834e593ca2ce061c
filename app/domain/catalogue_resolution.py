"""Decides what the records of a catalogue are to each other: who has a SKU, who belongs to whom, what is a group.

Everything here follows from what was stated and nothing else, so that the order of the records of a push makes no
difference, and what one record takes from another comes back by itself when it is given up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Record:
    """What is stated of one record, as far as it decides about others; "" is what was not stated.

    `nested_in` is the key of the record it was stated inside of, which counts before `parent_sku`.  `parent` is the
    record it belongs to so far.  Of two records that state one SKU the one with the greater `order` stated it later.
    """

    key: str
    sku: str = ""
    nested_in: str = ""
    parent_sku: str = ""
    parent: str = ""
    order: tuple[int, bool] = (0, False)


@dataclass(frozen=True, slots=True)
class Place:
    """What a record is.  `sku` is the one it has, `parent` "" for a product, whose `root` is its own key."""

    sku: str
    parent: str
    root: str
    is_group: bool
    """True for what has variants: it is not sold itself."""
    is_displaced: bool
    """True when it states a SKU that a record of another family has."""
    is_in_cycle: bool
    """True when what it is stated to belong to belongs to it."""


def resolve(records: Collection[Record]) -> dict[str, Place]:
    """The place of each record, by key.

    The records must be complete: with a record come all that state its SKU, the one it belongs to and those that
    belong to it.
    """
    by_key = {record.key: record for record in records}
    claims: dict[str, list[Record]] = {}
    for record in records:
        if record.sku:
            claims.setdefault(record.sku, []).append(record)
    for claimants in claims.values():
        if len(claimants) > 1:
            claimants.sort(key=lambda claimant: claimant.order, reverse=True)
    parents: dict[str, str] = {}
    for record in records:
        if parent := _stated_parent(record, by_key, claims):
            parents[record.key] = parent
    in_cycle = _cut_cycles(by_key, parents)
    groups = set(parents.values())
    found = {}
    for record in records:
        claimants = claims.get(record.sku, [])
        holder = _holder(claimants, parents) if len(claimants) > 1 else record.key
        has_sku = holder == record.key
        root = record.key
        while root in parents:
            root = parents[root]
        found[record.key] = Place(
            sku=record.sku if has_sku else "",
            parent=parents.get(record.key, ""),
            root=root,
            is_group=record.key in groups,
            is_displaced=not has_sku and record.key not in _lineage(holder, parents),
            is_in_cycle=record.key in in_cycle,
        )
    return found


def _stated_parent(record: Record, by_key: Mapping[str, Record], claims: Mapping[str, Sequence[Record]]) -> str:
    """The key of the record it is stated to belong to, "" for none, or for one that is not known (yet)."""
    if record.nested_in:
        return record.nested_in if record.nested_in in by_key and record.nested_in != record.key else ""
    if not record.parent_sku:
        return ""
    claimants = claims.get(record.parent_sku, ())
    keys = {claimant.key for claimant in claimants}
    itself = own = ""
    for claimant in claimants:
        # A product and its variant may have one SKU: the product is meant.
        if claimant.key == record.key or _is_inside(claimant, keys - {record.key}, by_key):
            continue
        if _is_inside(claimant, {record.key}, by_key):
            own = own or claimant.key
        elif claimant.nested_in or claimant.parent_sku != claimant.sku:
            return claimant.key
        else:
            # It names itself, as some feeds have it for every product, or another one that has the same SKU.
            itself = itself or claimant.key
    if record.parent_sku == record.sku:
        return ""
    return itself or own


def _is_inside(record: Record, keys: Collection[str], by_key: Mapping[str, Record]) -> bool:
    """True when it was stated inside of one of these, at any depth."""
    above = record.nested_in
    seen = {record.key}
    while above and above not in seen:
        if above in keys:
            return True
        seen.add(above)
        above = by_key[above].nested_in if above in by_key else ""
    return False


def _cut_cycles(by_key: Mapping[str, Record], parents: dict[str, str]) -> set[str]:
    """Take away what makes records belong to themselves; what held before holds on, nesting before SKUs.

    Returns every record of such a circle.
    """
    found: set[str] = set()
    done: set[str] = set()
    for start in by_key:
        trail: dict[str, None] = {}
        key = start
        while key in parents and key not in done and key not in trail:
            trail[key] = None
            key = parents[key]
        if key in trail:
            keys = list(trail)
            circle = [by_key[member] for member in keys[keys.index(key) :]]
            fresh = [member for member in circle if member.parent != parents[member.key]] or circle
            for member in [member for member in fresh if not member.nested_in] or fresh:
                del parents[member.key]
            found.update(member.key for member in circle)
        done.update(trail)
    return found


def _lineage(key: str, parents: Mapping[str, str]) -> Iterator[str]:
    """The records above this one, the nearest first."""
    while key in parents:
        key = parents[key]
        yield key


def _holder(claimants: Sequence[Record], parents: Mapping[str, str]) -> str:
    """Who has a SKU that these state, the latest first: of a product and its variants it is the variant."""
    newest = claimants[0].key
    deepest, depth = newest, 0
    for claimant in claimants[1:]:
        above = list(_lineage(claimant.key, parents))
        if newest in above and above.index(newest) + 1 > depth:
            deepest, depth = claimant.key, above.index(newest) + 1
    return deepest


@dataclass
class PushNames:
    """What the objects of a whole push state of SKUs and of each other, for pushes that are written in pieces.

    An object goes by its identity; one without any is left out.
    """

    sku_of: dict[str, str] = field(default_factory=dict)
    """The SKU an object states last."""
    identity_of: dict[str, str] = field(default_factory=dict)
    """By SKU the object that states it last."""
    host_of: dict[str, str] = field(default_factory=dict)
    """The object it stands inside of, where it does."""
    parent_sku_of: dict[str, str] = field(default_factory=dict)
    """The SKU it names as its parent's, "" where it states that it has none."""

    def add(self, identity: str, sku: str, host: str | None, parent_sku: str | None) -> None:
        """One record, in the order of the push; None where it stands in none, and mentions no parent."""
        if not identity:
            return
        if sku:
            self.sku_of[identity] = sku
            self.identity_of[sku] = identity
        if parent_sku is not None:
            self.parent_sku_of[identity] = parent_sku
        if host:
            self.host_of[identity] = host
        elif host is None and parent_sku is not None:
            self.host_of.pop(identity, None)
