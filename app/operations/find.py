"""Finds what any number that anybody has stands for: an order, a call, a payment, a request, a SKU (P38)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, cast

from sqlalchemy import Connection

from app.operations import pasted_numbers
from app.operations.scope import Scope
from app.records import searching
from app.records.database import Database
from app.records.search_keys import folded

Kind = Literal[
    "order", "retailops_order", "source_order", "cart", "payment", "shipment", "package", "tracking", "return",
    "refund", "credit", "delivery", "request", "sku",
]  # fmt: skip
"""What a number is.  order: the channel's; retailops_order: RetailOps' of an order; source_order: the merchant's own at
the source; cart and payment: ids of a checkout; refund and credit: of money that went back, or our id of a refund;
delivery: our id of a call.  The others say it themselves."""

_OURS: dict[Kind, tuple[str, ...]] = {"delivery": ("delivery", "call"), "refund": ("refund",)}
"""What has an id of ours, and the words for it: such ids are small, and a number beside other words means none."""

_OF_RETAILOPS: tuple[Kind, ...] = ("retailops_order", "shipment", "package", "return")
"""Numbers of RetailOps, of which two spellings are one (R7)."""

SHORTEST_PREFIX = 6
"""Characters from which on the begin of a number finds it; shorter ones have to be whole."""

MOST = 50
"""Hits at most."""


@dataclass(frozen=True)
class Hit:
    """One thing with this number.

    `channel` is the key of its records, `refnum` the order it belongs to ("" for a SKU, and for a request about none or
    many), and `id` the number as it is written: of a delivery its id, of a request its request id.  `is_our_id` is true
    of a delivery or refund that the number finds by our id of it.
    """

    kind: Kind
    channel: str
    refnum: str
    id: str
    is_our_id: bool = False


def find(database: Database, scope: Scope, query: str) -> list[Hit]:
    """Everything with a number that is this one or, from six characters on, begins so; case does not matter.

    Where nothing has the number as it is written, what stands around it does not count: a sign, quotes, blanks in
    between, a word before it (`pasted_numbers`).  Our own ids are found where nothing else is typed, or the word for
    what they are.  Whole matches come first.  At most `MOST`.  Raises `DatabaseUnavailable`.
    """
    if not query.strip():
        return []
    with database.read() as connection:
        for number in pasted_numbers.readings(query):
            hits = _with_number(connection, scope, number, _ours(query, number))
            if number != query.strip():
                hits = [hit for hit in hits if folded(hit.id) == folded(number)] or hits
            if hits:
                return hits
        of_retailops = _with_number(connection, scope, pasted_numbers.of_retailops(query), ())
        return [hit for hit in of_retailops if hit.kind in _OF_RETAILOPS]


def _ours(query: str, number: str) -> Collection[Kind]:
    """The kinds of which this reading of the query may be our id."""
    if pasted_numbers.bare(query) == number:
        return tuple(_OURS)
    words = pasted_numbers.words(query.casefold())
    return [kind for kind, names in _OURS.items() if not words.isdisjoint(names)]


def _with_number(connection: Connection, scope: Scope, number: str, ours: Collection[Kind]) -> list[Hit]:
    """What has this number, or begins with it; whole matches first."""
    is_begin = len(number) >= SHORTEST_PREFIX
    found = [
        *searching.kept_numbers(connection, scope.keys, number, is_begin=is_begin, limit=MOST),
        *searching.orders_where_they_stand(connection, scope.keys, number),
        *searching.stocked_skus(connection, scope.keys, number),
        *searching.packages_at_vendors(connection, scope.keys, number),
        *searching.requests(connection, scope.keys, number, is_begin=is_begin, limit=MOST),
    ]
    by_our_id = searching.by_our_id(connection, scope.keys, number) if ours else []
    hits = {item: Hit(cast(Kind, item.kind), item.channel, item.order_refnum, item.number) for item in found}
    for item in by_our_id:
        if item.kind in ours:
            hits.setdefault(item, Hit(cast(Kind, item.kind), item.channel, item.order_refnum, item.number, True))
    whole = folded(number)
    return sorted(hits.values(), key=lambda hit: folded(hit.id) != whole)[:MOST]


def orders_of(hits: list[Hit]) -> list[tuple[str, str]]:
    """The orders that hits belong to, (key of the channel, number) each once, in the order of the hits."""
    return list(dict.fromkeys((hit.channel, hit.refnum) for hit in hits if hit.refnum))
