"""Stock of a SKU: the level RetailOps stated, a change to be sent, and what became of it.

Levels and what a gateway notes of them are kept in the database as JSON arrays: fields are only ever added at the end,
with a default.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from app.domain.facts import Obstacle


class StockDetail(msgspec.Struct, frozen=True, array_like=True):
    """Units at one source: a facility (internal), a vendor (external) or a purchase order (inflight)."""

    quantity_type: str
    place: str
    available: int
    total: int


class StockLevel(msgspec.Struct, frozen=True, array_like=True):
    """The absolute stock of one SKU, as RetailOps stated it last."""

    quantity_available: int
    """Units over all sources, as they count for a vendor that is sent one figure; may be below 0 (R6)."""
    details: tuple[StockDetail, ...] = ()
    is_nowhere: bool = False
    """True when the push names the sources of its stock and none for this SKU: no place has a unit of it."""


class StockChange(msgspec.Struct, frozen=True):
    """A SKU whose stock is owed to a gateway: what holds now, and what the gateway last accepted.

    `sent` is the gateway's own note (its JSON), None before the first time.
    """

    sku: str
    level: StockLevel
    sent: bytes | None = None
    uncertain: tuple[StockDetail, ...] | None = None
    """After attempts, here or in another process, whose outcome is unknown: what they named, without
    units.  The vendor may have been sent anything of that."""
    is_uncertain: bool = False
    """True when the vendor may have another figure than `sent` says: an equal figure is sent all the same."""
    was_refused: bool = False
    """True when the vendor refused or the gateway skipped the SKU last time: what is cached about it is read anew."""
    sent_at: datetime | None = None
    """When the vendor last answered for the SKU."""


class StockSent(msgspec.Struct, frozen=True):
    """What became of one `StockChange`: the note to keep, or a refusal's sentence."""

    sku: str
    sent: bytes
    refusal: str = ""
    is_skipped: bool = False
    """True when the vendor does not accept the level just now and need not: no news for RetailOps."""
    obstacles: tuple[Obstacle, ...] = ()
    """Why it was refused or skipped, where that can go away; then the level is owed again."""
    was_sent: bool = True
    """False when the vendor has the figure already and was not called."""
    attention: str = ""
    """A sentence for the operator, kept until the SKU is sent again."""
    lost_product: str = ""
    """The key of the product, where the vendor took it and now says that it does not have it: that is owed when it
    is stated again.  Until then its stock is sent all the same, for the answer may be somebody else's."""
