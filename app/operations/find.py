"""Finds what any number that anybody has stands for: an order, a call, a payment, a request, a SKU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from app.operations.scope import Scope
from app.records import channels, handed_out
from app.records.database import Database

Kind = Literal[
    "order", "retailops_order", "source_order", "external", "shipment", "package", "tracking", "return", "refund",
    "credit", "delivery", "request", "sku",
]  # fmt: skip
"""What a number is.  order: the channel's; retailops_order: RetailOps' of an order; source_order: the merchant's own at
the source; external: a vendor's of an order, a cart or a payment.  The others say it themselves."""

SHORTEST_PREFIX = 6
"""Characters from which on the begin of a number finds it; shorter ones have to be whole."""


@dataclass(frozen=True)
class Hit:
    """One thing with this number.

    `channel` is the key of its records, `refnum` the order it belongs to ("" for a request or SKU of none), and `id`
    the number as it is written: for a delivery its id, for a request its request id.
    """

    kind: Kind
    channel: str
    refnum: str
    id: str


def find(database: Database, scope: Scope, query: str) -> list[Hit]:
    """Everything with a number that is this one or, from six characters on, begins so; case does not matter.

    Whole matches come first.  At most 50.  Raises `DatabaseUnavailable`.
    """
    wanted = query.strip()
    if not wanted:
        return []
    with database.read() as connection:
        keys = [known.key for known in channels.known(connection) if scope.sees(known.key)]
        found = [key for key in keys if handed_out.known_refnums(connection, key, [wanted])]
    return [Hit("order", key, wanted, wanted) for key in found]
