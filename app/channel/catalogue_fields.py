"""Reads the fields of one catalogue record, once for every vendor: one spelling of prices, codes, flags and addresses.

A field that cannot be read decides nothing: it keeps the value it had, and a warning names it (R6, R32).  Only a SKU
that cannot be read refuses its record, for nobody could say whose record it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from app.contract.reading import optional_amount, text
from app.domain import feed_shapes, prices, spellings, texts, web_addresses

DEFAULT_PATHS: Final[Mapping[str, str]] = {
    "sku": "General.SKU",
    "parent_sku": "General.ParentSKU",
    "title": "General.Title",
    "description": "General.Description",
    "vendor": "General.Vendor",
    "price": "General.Price",
    "sale_price": "General.SalePrice",
    "currency": "General.Currency",
    "images": "Images",
    "url": "General.URL",
    "categories": "Categories",
    "options": "Options",
    "requires_shipping": "General.RequiresShipping",
    "taxable": "General.Taxable",
    "enabled": "General.Enabled",
    "weight": "General.Weight",
}
"""Where each field stands unless the channel says otherwise; only `feed_data` and `General.SKU` were ever seen."""

MOST_DIGITS: Final = 12
"""Digits of a price before the point; RetailOps' own contract takes no more."""

EXACT: Final = 2**53
"""A JSON number with a fraction part is exact below this (R7)."""

ABSENT: Final = object()
"""Stands for a value that a record does not mention."""

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
class Fields:
    """What a record mentions, by the names of `words.Item`."""

    values: dict[str, Any] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    sku_fault: str = ""
    """Why the SKU cannot be read; then nothing of the record can be kept."""


@dataclass
class _Context:
    """What readers need beside the value itself."""

    place: str
    shop_url: str
    currency: str
    not_sold: Collection[str]
    notes: list[Note]

    def ignore(self, below: str, rule: str, *, is_error: bool = False) -> None:
        self.notes.append(Note("FIELD_IGNORED", f"{self.place}{below}", rule, is_error))


Paths = Mapping[str, tuple[str, str, str]]
"""By field its path, and the path's first part and the rest; made once, for there may be many records."""


def split_paths(paths: Mapping[str, str]) -> Paths:
    """Where each field stands in the records of an account."""
    found = {}
    for name, path in {**DEFAULT_PATHS, **paths}.items():
        head, _, rest = path.partition(".")
        found[name] = (path, head, rest)
    return found


def read_fields(
    feed: Mapping[str, Any], places: Paths, *, shop_url: str, currency: str, not_sold: Collection[str]
) -> Fields:
    """The fields a record mentions; `currency` is its product's, where it states none itself.

    `not_sold` are words at `enabled` that mean no, in small letters.
    """
    found = Fields()
    ignored: dict[str, str] = {}
    context = _Context("", shop_url, currency, not_sold, found.notes)
    for name, (target, convert) in _READERS.items():
        path, head, rest = places[name]
        if path in feed:
            value = feed[path]
        elif not rest or not isinstance(inner := feed.get(head), dict):
            continue
        elif rest in inner:
            value = inner[rest]
        elif "." not in rest or (value := at_path(inner, rest)) is ABSENT:
            continue
        noted = len(found.notes)
        context.place = path
        try:
            found.values[target] = convert(value, context)
            if name == "currency":
                context.currency = str(found.values[target] or currency)
            for note in found.notes[noted:]:
                if note.code == "PRICE_ZERO":
                    ignored[target] = note.rule
        except ValueError as error:
            if name == "sku":
                found.sku_fault = str(error)
                continue
            context.ignore("", str(error), is_error=name == "enabled")
            ignored[target] = str(error)
    if ignored:
        found.values["ignored"] = ignored
    return found


def at_path(feed: Any, path: str) -> Any:
    """The value at a dotted path, else `ABSENT`; a key that holds dots itself is found too."""
    if isinstance(feed, dict) and path in feed:
        return feed[path]
    head, dot, rest = path.partition(".")
    if not dot or not isinstance(feed, dict) or head not in feed:
        return ABSENT
    return at_path(feed[head], rest)


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


def _key(value: Any, context: _Context) -> str:
    return key(value)


def _prose(value: Any) -> str | None:
    """Text for people.  What no vendor's document can carry becomes a blank, or U+FFFD where it was a sign."""
    if isinstance(value, dict | list):
        raise ValueError("must be text")
    found = value if isinstance(value, str) else text(value)
    if found.isascii() and found.isprintable():
        return found.strip() or None  # nearly all
    return _NOT_TEXT.sub(texts.REPLACEMENT, _UNPRINTED.sub(" ", texts.mended(found))).strip() or None


def _free_text(value: Any, context: _Context) -> str | None:
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


def _price(value: Any, context: _Context) -> Decimal | None:
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


def _full_price(value: Any, context: _Context) -> Decimal | None:
    found = _price(value, context)
    if found is not None and not found:
        context.notes.append(Note("PRICE_ZERO", context.place, "is 0, which is no price: nothing is sold for nothing"))
    return found


def _sale_price(value: Any, context: _Context) -> Decimal | None:
    """One of 0 or less ends a sale, as one that is not below the price does."""
    found = _number(value)
    if found is None or found >= 0:
        return _price(value, context)
    rule = "is below 0, which is no sale price: the full price counts"
    context.notes.append(Note("NO_SALE_PRICE", context.place, rule))
    return Decimal(0)


def _weight(value: Any, context: _Context) -> Decimal | None:
    found = _number(value)
    if found is not None and found < 0:
        raise ValueError("must not be below 0")
    return found


def _flag(value: Any, context: _Context) -> bool | None:
    if isinstance(value, dict | list):
        raise ValueError("must be a word for yes or no, such as true or false")
    word = text(value)
    return spellings.flag(word) if word else None


_SOLD_OR_NOT: Final = "must be a word for yes or no, such as true, or one of not_sold_words; it counts as before"


def _enabled(value: Any, context: _Context) -> bool | None:
    if isinstance(value, dict | list):
        raise ValueError(_SOLD_OR_NOT)
    word = text(value)
    try:
        return spellings.flag(word, context.not_sold) if word else None
    except ValueError:
        raise ValueError(_SOLD_OR_NOT) from None


def _currency(value: Any, context: _Context) -> str | None:
    if isinstance(value, dict | list):
        raise ValueError("must be a code of three letters such as USD")
    code = text(value)
    return spellings.currency(code) if code else None


def _address(value: Any, context: _Context) -> str | None:
    if isinstance(value, dict | list):
        raise ValueError("must be text")
    found = text(value) if not isinstance(value, str) else value.strip()
    return web_addresses.read(found, context.shop_url) if found else None


def _each(
    parts: Iterable[feed_shapes.Part], context: _Context, read: Callable[[Any], str | None]
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


def _images(value: Any, context: _Context) -> tuple[str, ...]:
    return _each(feed_shapes.addresses(value), context, lambda item: _address(item, context))


def _categories(value: Any, context: _Context) -> tuple[str, ...]:
    def read(item: Any) -> str | None:
        path = _prose(item)
        if path and (fault := texts.key_fault(path)):
            raise ValueError(fault)
        return path

    return _each(feed_shapes.categories(value), context, read)


def _options(value: Any, context: _Context) -> tuple[tuple[str, str], ...]:
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


_READERS: Final[Mapping[str, tuple[str, Callable[[Any, _Context], Any]]]] = {
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
