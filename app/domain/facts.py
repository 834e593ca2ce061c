"""Facts at a vendor, stock and catalogue alike: what stands in their way, and what its people request again."""

from __future__ import annotations

from typing import Literal

import msgspec


class Obstacle(msgspec.Struct, frozen=True, array_like=True):
    """What at a vendor stands in the way of a fact, so that the fact can be sent once that is gone.

    `subject` names it as the gateway does: of a product the vendor lacks its SKU there.
    """

    code: Literal["product", "location", "lock"]
    subject: str


class PollResult(msgspec.Struct, frozen=True):
    """SKUs whose products a vendor's people request anew, and up to when, by its clock, that is known.

    `is_all` is False when more is to be read from there on; `until_ms` None is never known.  `gone` are obstacles
    that stand in the way of a fact no more; `stock` are SKUs whose stock is to be sent again for another reason.
    """

    skus: tuple[str, ...]
    until_ms: int | None
    is_all: bool = True
    gone: tuple[Obstacle, ...] = ()
    stock: tuple[str, ...] = ()
