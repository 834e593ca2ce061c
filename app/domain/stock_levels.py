"""Which of RetailOps' stock figures counts, and what of it may be sold: the same for every vendor (R6, R25)."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Literal

from app.domain.stock import StockLevel

StockFrom = Literal["", "top", "details"]
"""Which figure of a SKU counts where its total and the sum of its sources disagree; "" is the lower of the two."""

OWN_STOCK = ("internal", "")
"""`quantity_type` of units in an own facility; RetailOps leaves it empty where it is not filled."""

EXTERNAL_STOCK = "external"


def facility_key(name: str) -> str:
    """A facility's name as it is compared: case, blanks and the Unicode form of its letters do not count."""
    return " ".join(unicodedata.normalize("NFC", name).split()).casefold()


def contradict(by_facility: Mapping[str, str]) -> bool:
    """True where one facility, written in two ways, is given two different values."""
    pairs = {(facility_key(name), value) for name, value in by_facility.items()}
    return len(pairs) > len({name for name, _ in pairs})


def counted(top: int, added: int, stock_from: StockFrom) -> int:
    """The figure for a vendor that is sent one: `top` is the stated total, `added` the sum of the sources."""
    if stock_from == "top":
        return top
    return added if stock_from == "details" else min(top, added)


def sellable(quantity: int, reserved: int = 0) -> int:
    """Units that may be sold: less what orders hold, and never below 0, however far below RetailOps' figure is."""
    return max(quantity - reserved, 0)


def on_shelf(total: int, unavailable: int) -> tuple[int, int]:
    """The units at one place and how many of them may not be sold, both at least 0.

    Sources of one place are added up as stated; only the sum is raised to 0.
    """
    available = max(total - unavailable, 0)
    at_hand = max(total, available)
    return at_hand, at_hand - available


def sellable_places(level: StockLevel, reserved: int, name_of: Mapping[str, str]) -> frozenset[str]:
    """Where units may be sold from own stock, by a vendor's name of each facility; facilities of one name are added up.

    `name_of` goes by `facility_key`.
    Which facility will ship the reserved units nobody knows; when they are all there are, none has any.
    """
    if reserved and not sellable(level.quantity_available, reserved):
        return frozenset()
    units: dict[str, int] = {}
    for detail in level.details:
        name = name_of.get(facility_key(detail.place))
        if name and detail.quantity_type in OWN_STOCK:
            units[name] = units.get(name, 0) + detail.available
    return frozenset(name for name, count in units.items() if sellable(count))
