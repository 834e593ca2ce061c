"""What a comparison with a vendor has found: differences of stock, products and orders, and how old both sides are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import msgspec

from app.domain.comparisons import OrderThere, ProductDifference, StockDifference
from app.records.catalogue_sync import StatedProduct
from app.records.order_standings import Standing
from app.records.stock import StatedLevel
from app.records.stock_batches import SKIPPED

Kind = Literal[
    "stock_differs", "stock_missing", "product_differs", "product_missing", "order_open_there", "order_open_here"
]
Note = Literal["", "pending", "moved", "refused"]


class Difference(msgspec.Struct, frozen=True):
    """One thing that is otherwise at the vendor.

    `place` is a facility, `vendor_sku` the vendor's name of the SKU where it is another, `field` a field of a product.
    `note`: pending, ours is about to be sent anyway; moved, something known here has moved the figure since it was
    stated; refused, the vendor refused it the last time.
    """

    kind: Kind
    subject: str
    ours: Any
    theirs: Any
    place: str = ""
    vendor_sku: str = ""
    field: str = ""
    stated_at: datetime | None = None
    sent_at: datetime | None = None
    note: Note = ""


@dataclass
class Result:
    """What the comparison with one vendor came to.

    `compared` counts SKUs, products and orders by subject; `left_out` says why one was not, or not wholly.
    `unstated` counts SKUs the vendor holds units of and RetailOps never stated; `skipped` SKUs whose stock the vendor
    does not take just now, `refused` those it refused; `unreadable` names SKUs that no request to the vendor can name.
    """

    differences: list[Difference] = field(default_factory=list)
    compared: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    unstated: int = 0
    skipped: int = 0
    refused: int = 0
    unreadable: list[str] = field(default_factory=list)

    def skus(self, subject: Literal["stock", "product"]) -> list[str]:
        """SKUs of that kind whose fact can be sent again: they differ, and ours is not pending anyway."""
        found = (item for item in self.differences if item.kind.startswith(subject) and item.note != "pending")
        return list(dict.fromkeys(item.subject for item in found))


def stock_difference(found: StockDifference, ours: StatedLevel) -> Difference:
    """A figure of stock that is another one at the vendor, or that it does not have."""
    note: Note = "refused" if ours.refusal and ours.refusal != SKIPPED else ""
    if ours.is_owed or ours.is_moved:
        note = "pending" if ours.is_owed else "moved"
    return Difference(
        "stock_differs" if found.theirs is not None else "stock_missing", found.sku, found.ours, found.theirs,
        found.place, found.vendor_sku, stated_at=ours.stated_at, sent_at=ours.sent_at, note=note,
    )  # fmt: skip


def product_difference(found: ProductDifference, ours: StatedProduct) -> Difference:
    """A field of a product that is otherwise at the vendor, or a product that it does not have."""
    note: Note = "pending" if ours.is_owed else "refused" if ours.refusal else ""
    return Difference(
        "product_differs" if found.theirs is not None else "product_missing", found.sku, found.ours, found.theirs,
        field=found.field, stated_at=ours.stated_at, sent_at=ours.sent_at, note=note,
    )  # fmt: skip


def closed_there(ours: Sequence[Standing], theirs: Mapping[str, OrderThere]) -> Iterator[Difference]:
    """The orders that are open here and not at the vendor, which knows `theirs` by their refnums."""
    for order in ours:
        there = theirs.get(order.refnum)
        if (there is not None and there.is_open) or order.is_settled:
            continue
        if there is not None and there.state == "fulfilled" and order.is_shipped:
            continue  # Sent whole on both sides; RetailOps completes it next.
        yield order_difference("order_open_here", order, there.state if there else None)


def order_difference(kind: Kind, order: Standing, theirs: str | None) -> Difference:
    """An order that is open on one side alone."""
    # A cancellation at the source that is known here is sent to RetailOps with its next pull.
    note: Note = "pending" if order.is_pending or order.is_called_off else ""
    return Difference(kind, order.refnum, order.state, theirs, stated_at=order.since, note=note)
