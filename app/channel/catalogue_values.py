"""Reads single values of a catalogue record: one spelling of prices, codes, flags, addresses, images and options.

A reader raises `ValueError` with the rule that a value breaks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from app.contract.reading import optional_amount, text
from app.domain import feed_shapes, prices, spellings, texts, web_addresses

MOST_DIGITS: Final = 12
"""Digits of a price before the point; RetailOps' own contract takes no more."""

EXACT: Final = 2**53
"""A JSON number with a fraction part is exact below this (R7)."""

_AMOUNT: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_UNPRINTED: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_NOT_TEXT: Final = re.compile("[\ufffe\uffff]")
_FLOAT_NOISE: Final = Decimal("0.000001")
"""RetailOps' older caller writes 32-bit floats: 79.98999786376953 is 79.99, and no rounding worth a warning."""


@dataclass(frozen=True)
class Note:
    """Something RetailOps should know of a field: `place` is below the record's data."""

    code: str
    place: str
    rule: str
    is_error: bool = False
    """True where goods may be sold, or not, against what RetailOps meant."""


@dataclass
class Context:
    """What readers need beside the value itself."""

    place: str
    shop_url: str
    currency: str
    not_sold: Collection[str]
    notes: list[Note]

    def ignore(self, below: str, rule: str, *, is_error: bool = False) -> None:
        """Note that a value keeps what it was, for it cannot be read."""
        self.notes.append(Note("FIELD_IGNORED", f"{self.place}{below}", rule, is_error))


def key(value: Any) -> str:
    """A text that becomes a key, such as a SKU, with its blanks (R7); "" where none or nothing but blanks is given.

    Raises `ValueError` for what is no text and no exact whole number, and for a text that cannot be a key.
    """
    if isinstance(value, str):
        found = value
    elif value is None:
        return ""
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be text or a whole number")
    elif isinstance(value, float) and not (value.is_integer() and abs(value) < EXACT):
        raise ValueError("must be text or a whole number that can be read exactly")
    else:
        found = text(value)
    if fault := texts.key_fault(found):
        raise ValueError(fault)
    return found if found.strip() else ""


def _key(value: Any, context: Context) -> str:
    return key(value)


def _prose(value: Any) -> str | None:
    """Text for people.  What no vendor's document can carry becomes a blank, or U+FFFD where it was a sign."""
    if isinstance(value, dict | list):
        raise ValueError("must be text")
    found = value if isinstance(value, str) else text(value)
    if found.isascii() and found.isprintable():
        return found.strip() or None  # nearly all
    return _NOT_TEXT.sub(texts.REPLACEMENT, _UNPRINTED.sub(" ", texts.mended(found))).strip() or None


def _free_text(value: Any, context: Context) -> str | None:
    return _prose(value)


def _number(value: Any) -> Decimal | None:
    if isinstance(value, str):
        value = value.strip()
        if value and not _AMOUNT.fullmatch(value):  # Decimal would take "1_000" and other scripts' digits too
            raise ValueError("must be a number such as 12.50")
    try:
        return optional_amount(value)
    except ValueError:
        raise ValueError("must be a number such as 12.50") from None


def _price(value: Any, context: Context) -> Decimal | None:
    """Whether it counts is decided with the product it belongs to (`words.Product`)."""
    found = _number(value)
    if found is None:
        return None
    if found < 0:
        raise ValueError("must not be below 0")
    if found.adjusted() >= MOST_DIGITS:
        raise ValueError(f"must have at most {MOST_DIGITS} digits before the point")
    amount = prices.rounded(found, context.currency)
    if abs(amount - found) > found * _FLOAT_NOISE:
        context.notes.append(Note("PRICE_ROUNDED", context.place, "has more decimals than its currency; it is rounded"))
    return amount


def _full_price(value: Any, context: Context) -> Decimal | None:
    found = _price(value, context)
    if found is not None and not found:
        context.notes.append(Note("PRICE_ZERO", context.place, "is 0, which is no price: nothing is sold for nothing"))
    return found


def _sale_price(value: Any, context: Context) -> Decimal | None:
    """One of 0 or less ends a sale, as one that is not below the price does."""
    found = _number(value)
    if found is None or found >= 0:
        return _price(value, context)
    rule = "is below 0, which is no sale price: the full price counts"
    context.notes.append(Note("NO_SALE_PRICE", context.place, rule))
    return Decimal(0)


def _weight(value: Any, context: Context) -> Decimal | None:
    found = _number(value)
    if found is not None and found < 0:
        raise ValueError("must not be below 0")
    return found


def _flag(value: Any, context: Context) -> bool | None:
    if isinstance(value, dict | list):
        raise ValueError("must be a word for yes or no, such as true or false")
    word = text(value)
    return spellings.flag(word) if word else None


_SOLD_OR_NOT: Final = "must be a word for yes or no, such as true, or one of not_sold_words; it counts as before"


def _enabled(value: Any, context: Context) -> bool | None:
    if isinstance(value, dict | list):
        raise ValueError(_SOLD_OR_NOT)
    word = text(value)
    try:
        return spellings.flag(word, context.not_sold) if word else None
    except ValueError:
        raise ValueError(_SOLD_OR_NOT) from None


def _currency(value: Any, context: Context) -> str | None:
    if isinstance(value, dict | list):
        raise ValueError("must be a code of three letters such as USD")
    code = text(value)
    return spellings.currency(code) if code else None


def _address(value: Any, context: Context) -> str | None:
    if isinstance(value, dict | list | bool):
        raise ValueError("must be text")
    found = text(value) if not isinstance(value, str) else value.strip()
    return web_addresses.read(found, context.shop_url) if found else None


def _each(
    parts: Iterable[feed_shapes.Part], context: Context, read: Callable[[Any], str | None]
) -> tuple[str, ...]:  # fmt: skip
    """Every entry that can be read.  Raises `ValueError` when there are entries and none can be."""
    found: dict[str, None] = {}
    faults: list[tuple[str, str]] = []
    for below, item in parts:
        try:
            if isinstance(item, feed_shapes.Unread):
                raise ValueError(item.rule)
            if entry := read(item):
                found[entry] = None
        except ValueError as error:
            faults.append((below, str(error)))
    if faults and not found:
        raise ValueError(faults[0][1])
    for below, rule in faults:
        context.ignore(below, rule)
    return tuple(found)


def _images(value: Any, context: Context) -> tuple[str, ...]:
    return _each(feed_shapes.addresses(value), context, lambda item: _address(item, context))


def _categories(value: Any, context: Context) -> tuple[str, ...]:
    def read(item: Any) -> str | None:
        path = _prose(item)
        if path and (fault := texts.key_fault(path)):
            raise ValueError(fault)
        return path

    return _each(feed_shapes.categories(value), context, read)


def _options(value: Any, context: Context) -> tuple[tuple[str, str], ...]:
    """Names and values in any plain shape.  Raises `ValueError` when something is stated and nothing can be read."""
    found: dict[tuple[str, str], None] = {}
    faults: list[tuple[str, str]] = []
    for below, name, held in feed_shapes.options(value):
        try:
            if isinstance(held, feed_shapes.Unread):
                raise ValueError(held.rule)
            option, chosen = _prose(name), _prose(held)
            if chosen and not option:
                raise ValueError("must be an object with name and value")
            if option and chosen:
                found[option, chosen] = None
        except ValueError as error:
            faults.append((below, str(error)))
    if faults and not found:
        raise ValueError(faults[0][1])
    for below, rule in faults:
        context.ignore(below, rule)
    return tuple(found)


READERS: Final[Mapping[str, tuple[str, Callable[[Any, Context], Any]]]] = {
    "sku": ("sku", _key),
    "parent_sku": ("parent_sku", _key),
    "title": ("title", _free_text),
    "description": ("description", _free_text),
    "vendor": ("vendor", _free_text),
    "currency": ("currency", _currency),  # before the prices, whose decimals it decides
    "price": ("price", _full_price),
    "sale_price": ("sale_price", _sale_price),
    "images": ("images", _images),
    "url": ("url", _address),
    "categories": ("categories", _categories),
    "options": ("options", _options),
    "requires_shipping": ("requires_shipping", _flag),
    "taxable": ("taxable", _flag),
    "enabled": ("is_enabled", _enabled),
    "weight": ("weight", _weight),
}
"""By the field's name in an account's paths: its name in `domain.catalogue.Item`, and what reads it."""
