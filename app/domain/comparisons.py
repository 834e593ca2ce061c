"""Where a vendor holds other figures, products or orders than RetailOps stated: what `reconcile` shows."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")

Figures = Mapping[str, int | None]
"""Units by what they are: on_hand, unavailable, future; None is a figure the vendor does not show."""


class StockDifference(msgspec.Struct, frozen=True):
    """A SKU at one place of which the vendor holds another figure than the one RetailOps stated.

    `place` is RetailOps' name of it, or the vendor's where RetailOps has none; `theirs` is None where the vendor has
    no record; `vendor_sku` is the vendor's name of the SKU where it is another.
    """

    sku: str
    place: str
    ours: Figures
    theirs: Figures | None
    vendor_sku: str = ""


class StockCompared(msgspec.Struct, frozen=True):
    """`theirs`: every SKU as the vendor names it, so that those RetailOps never stated can be counted.

    `skipped` are SKUs that the vendor does not take stock of just now (locked, not tracked), `unreadable` SKUs that
    cannot be requested.
    """

    differences: tuple[StockDifference, ...] = ()
    theirs: tuple[str, ...] = ()
    skipped: int = 0
    unreadable: tuple[str, ...] = ()


class ProductDifference(msgspec.Struct, frozen=True):
    """A field of a product that the vendor holds otherwise; `field` is "" and `theirs` None where it has no product."""

    sku: str
    field: str
    ours: str
    theirs: str | None


class OrderThere(msgspec.Struct, frozen=True):
    """An order as its source has it; `state` is the source's own word."""

    refnum: str
    state: str
    is_open: bool


def plain(value: Any) -> Any:
    """JSON as it is compared: numbers by their value, an absent field like an empty one, order of names no matter."""
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items() if plain(item) is not None}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value] or None
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return Decimal(str(value))
    return value if value != "" else None


def shown(value: Any) -> str:
    """JSON as a person reads it; "" for nothing."""
    if value is None:
        return ""
    return value if isinstance(value, str) else _ENCODER.encode(value).decode()
