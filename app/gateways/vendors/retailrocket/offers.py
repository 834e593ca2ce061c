"""Builds the offer of a unit that can be bought, in either mode, or the reason why there is none."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from app.domain import prices, stock_levels, texts, web_addresses
from app.domain.catalogue import Item, Product
from app.domain.stock import StockLevel
from app.gateways.vendors.retailrocket.options import RetailRocketOptions

LONGEST_NAME: Final = 120
LONGEST_URL: Final = 512
"""Limits of the Product API's table, which the feed is taken to share (contract 2.1, 3)."""

_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML 1.0 document may hold, escaped or not: control characters, lone surrogates, two noncharacters."""


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
        self._name_of = {stock_levels.facility_key(place): stock_id for place, stock_id in options.stock_ids.items()}
        self._is_when_unstated = options.available_when_unstated
        self.stock_ids = list(dict.fromkeys(options.stock_ids.values())) or [""]

    def fits(self, flags: Mapping[str, bool]) -> bool:
        """Whether these name the stock ids the store has now."""
        return set(flags) == set(self.stock_ids)

    def of(self, level: StockLevel | None, reserved: int) -> dict[str, bool]:
        """By stock id; under "" for a store that has none.  A boolean is all Retail Rocket knows of stock."""
        if level is None:
            return dict.fromkeys(self.stock_ids, self._is_when_unstated)
        if not self._name_of:
            return {"": stock_levels.sellable(level.quantity_available, reserved) > 0}
        places = stock_levels.sellable_places(level, reserved, self._name_of)
        return {name: name in places for name in self.stock_ids}


class Offers:
    """Makes offers by one store's options."""

    def __init__(self, options: RetailRocketOptions) -> None:
        self._shop_url = options.shop_url
        self._separator = options.category_separator.strip() or options.category_separator

    def of(self, product: Product, unit: Item, stocks: Mapping[str, bool], currency: str) -> Offer | str:
        """The offer, or what is wrong with the unit, in words for the operator and without values.

        `currency` is the store's, "" while that is not known.
        """
        name = texts.shortened(clean(unit.title).strip(), LONGEST_NAME)
        price, old_price = _prices(unit, currency)
        url, url_fault = self._first_address([unit.url])
        picture, picture_fault = self._first_address(unit.images or ())
        categories = tuple(dict.fromkeys(path for raw in unit.categories or () if (path := self._path(raw))))
        parts = (
            ("name", "title", name, ""),
            ("price", "price", price, ""),
            ("url", "url", url, url_fault),
            ("picture", "images", picture, picture_fault),
            ("categoryId", "categories", categories, ""),
        )
        ignored = unit.ignored or {}
        lacking = {element: fault or ignored.get(stated, "") for element, stated, made, fault in parts if not made}
        if price is None or lacking:
            return _reason(lacking)
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

    def _path(self, raw: str) -> str:
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
        return self._first_address([raw])[0]

    def _first_address(self, addresses: Sequence[str | None]) -> tuple[str, str]:
        """The first that can be used, and why the first that cannot be used is not."""
        fault = ""
        for raw in filter(None, addresses):
            try:
                found = web_addresses.read(raw, self._shop_url)
                if not web_addresses.is_absolute(found):
                    raise ValueError("is relative, and shop_url is not set")
                if len(found) > LONGEST_URL:
                    raise ValueError(f"has more than {LONGEST_URL} characters")
            except ValueError as error:
                fault = fault or str(error)
            else:
                return found, ""
        return "", fault


def clean(text: str | None) -> str:
    """The text without what XML cannot carry."""
    return _NOT_XML.sub("", text) if text else ""


def plain(amount: Decimal) -> Decimal:
    """The same amount in a form that is written without an exponent."""
    return Decimal(f"{amount:f}")


def _reason(lacking: Mapping[str, str]) -> str:
    """Why a unit cannot be an offer: by element that cannot be made, why what is stated cannot be used, or ""."""
    missing = [element for element, fault in lacking.items() if not fault]
    unusable = [f"its {element} {fault}" for element, fault in lacking.items() if fault]
    return ", and ".join([*([f"without {', '.join(missing)}"] if missing else []), *unusable])


def _prices(unit: Item, currency: str) -> tuple[Decimal | None, Decimal | None]:
    """What a unit costs now, and before the discount where there is one; the store's currency has the last word."""
    currency = unit.currency or currency
    full = prices.price(unit.price, currency)
    sale = prices.sale_price(unit.sale_price, full, currency)
    if sale is not None and full is not None:
        return plain(sale), plain(full)
    return (None if full is None else plain(full)), None
