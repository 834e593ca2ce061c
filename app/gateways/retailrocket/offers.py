"""What Retail Rocket can be told of a unit that can be bought, in either mode, or why nothing can be told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from urllib.parse import urljoin

from app.gateways.retailrocket.options import RetailRocketOptions
from app.gateways.words import Item, Product, StockLevel

LONGEST_NAME: Final = 120
LONGEST_URL: Final = 512
"""Limits of the Product API's table, which the feed is taken to share (contract 2.1, 3)."""

_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML 1.0 document may hold, escaped or not: control characters, lone surrogates, two noncharacters."""

_ADDRESS: Final = re.compile(r"https?://[^\s\\/?#]+[^\s]*\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Offer:
    """A unit with everything Retail Rocket requires.  `stocks` is empty for a store with one availability."""

    number: int
    group: int
    """The product's number where this is one of its variants, else 0."""
    name: str
    price: Decimal
    old_price: Decimal | None
    url: str
    picture: str
    categories: tuple[str, ...]
    vendor: str
    description: str
    params: tuple[tuple[str, str], ...]
    is_available: bool
    stocks: tuple[tuple[str, bool], ...]


class Availability:
    """Which goods can be had: by RetailOps' stock figures, less what orders hold that they do not count yet (R25)."""

    def __init__(self, options: RetailRocketOptions) -> None:
        self._stock_ids = options.stock_ids
        self._is_when_unstated = options.available_when_unstated
        self._names = tuple(dict.fromkeys(options.stock_ids.values()))

    def fits(self, flags: Mapping[str, bool] | None) -> bool:
        """Whether these name the stock ids the store has now."""
        return flags is not None and set(flags) == set(self._names or [""])

    def of(self, level: StockLevel | None, reserved: int) -> dict[str, bool]:
        """By stock id; under "" for a store that has none.  A boolean is all Retail Rocket knows of stock.

        Which facility will ship the reserved units nobody knows; when they are all there are, none has any.
        """
        is_there = self._is_when_unstated if level is None else level.quantity_available > reserved
        if not self._names:
            return {"": is_there}
        found = dict.fromkeys(self._names, is_there and level is None)
        for detail in level.details if level and (is_there or not reserved) else ():
            stock_id = self._stock_ids.get(detail.place)
            if stock_id and detail.available > 0 and detail.quantity_type in ("internal", ""):
                found[stock_id] = True
        return found


class Offers:
    """Makes offers by one store's options."""

    def __init__(self, options: RetailRocketOptions) -> None:
        self._shop_url = options.shop_url
        self._separator = options.category_separator.strip() or options.category_separator

    def of(self, product: Product, unit: Item, stocks: Mapping[str, bool], currency: str) -> Offer | str:
        """The offer, or what it lacks, in words for the operator and without values.

        `currency` is the store's, "" while that is not known.
        """
        name = clean(unit.title)[:LONGEST_NAME].strip()
        price, old_price = _prices(unit)
        url = self.address(unit.url)
        picture = next((found for image in unit.images or () if (found := self.address(image))), "")
        categories = tuple(dict.fromkeys(path for raw in unit.categories or () if (path := self.path(raw))))
        missing = [
            what
            for what, is_there in (
                ("name", name), ("price", price), ("url", url), ("picture", picture), ("categoryId", categories),
            )
            if not is_there
        ]  # fmt: skip
        if missing:
            return f"without {', '.join(missing)}"
        if currency and unit.currency and unit.currency != currency:
            return "priced in another currency than the store's"
        is_enabled = unit.is_enabled is not False
        own = {stock_id: is_enabled and is_there for stock_id, is_there in stocks.items()}
        params = tuple(
            (key, value) for raw, held in unit.options or () if (key := clean(raw)) and (value := clean(held))
        )
        return Offer(
            number=unit.number,
            group=product.item.number if product.variants else 0,
            name=name,
            price=price,
            old_price=old_price,
            url=url,
            picture=picture,
            categories=categories,
            vendor=clean(unit.vendor),
            description=clean(unit.description),
            params=params,
            is_available=own.get("", any(own.values())),
            stocks=tuple((stock_id, is_there) for stock_id, is_there in own.items() if stock_id),
        )

    def path(self, raw: str) -> str:
        """A category path in one spelling; "" when it has no level."""
        return self._separator.join(self.levels(raw))

    def levels(self, path: str) -> list[str]:
        """The names of a path, from the top."""
        return [level for part in path.split(self._separator) if (level := " ".join(clean(part).split()))]

    def parent(self, path: str) -> str:
        """The path above, "" at the top."""
        return self._separator.join(self.levels(path)[:-1])

    def address(self, raw: str | None) -> str:
        """An absolute address of at most 512 characters, or ""."""
        text = clean(raw).strip()
        if text and self._shop_url and "://" not in text[:8]:
            text = urljoin(self._shop_url if self._shop_url.endswith("/") else f"{self._shop_url}/", text)
        return text if len(text) <= LONGEST_URL and _ADDRESS.match(text) else ""


def clean(text: str | None) -> str:
    """The text without what XML cannot carry."""
    return _NOT_XML.sub("", text) if text else ""


def plain(amount: Decimal) -> Decimal:
    """The same amount in a form that is written without an exponent."""
    return Decimal(f"{amount:f}")


def _prices(unit: Item) -> tuple[Decimal, Decimal | None]:
    """What is asked now, and before the discount where there is one; 0 is no price."""
    full, sale = plain(unit.price or Decimal(0)), plain(unit.sale_price or Decimal(0))
    if sale and (not full or sale < full):
        return sale, full or None
    return full, None
