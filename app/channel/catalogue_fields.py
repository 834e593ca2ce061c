"""Reads the fields of one catalogue record, once for every vendor: one spelling of prices, codes, flags and addresses.

A field that cannot be read decides nothing: it keeps the value it had, and a warning names it (R6, R32).  Only a SKU
that cannot be read refuses its record, for nobody could say whose record it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from app.contract.reading import mapping, optional_amount, text
from app.domain import prices, spellings, texts, web_addresses

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

_ABSENT: Final = object()
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
    notes: list[Note]

    def ignore(self, below: str, rule: str) -> None:
        self.notes.append(Note("FIELD_IGNORED", f"{self.place}{below}", rule))


def read_fields(feed: Mapping[str, Any], places: Mapping[str, str], *, shop_url: str, currency: str) -> Fields:
    """The fields a record mentions; `currency` is its product's, where it states none itself."""
    found = Fields()
    ignored: dict[str, str] = {}
    for name, (target, convert) in _READERS.items():
        value = _at(feed, places[name])
        if value is _ABSENT:
            continue
        noted = len(found.notes)
        context = _Context(places[name], shop_url, str(found.values.get("currency") or currency), found.notes)
        try:
            found.values[target] = convert(value, context)
            if zero := [note.rule for note in found.notes[noted:] if note.code == "PRICE_ZERO"]:
                ignored[target] = zero[0]
        except ValueError as error:
            if name == "sku":
                found.sku_fault = str(error)
                return found
            context.ignore("", str(error))
            ignored[target] = str(error)
    if ignored:
        found.values["ignored"] = ignored
    return found


def _at(feed: Any, path: str) -> Any:
    """The value at a dotted path; a key that holds dots itself is found too."""
    if isinstance(feed, dict) and path in feed:
        return feed[path]
    head, dot, rest = path.partition(".")
    if not dot or not isinstance(feed, dict) or head not in feed:
        return _ABSENT
    return _at(feed[head], rest)


def key(value: Any) -> str:
    """A text that becomes a key, such as a SKU, with its blanks (R7); "" where none or nothing but blanks is given.

    Raises `ValueError` for what is no text and no exact whole number, and for a text that cannot be a key.
    """
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("must be text or a whole number")
    if isinstance(value, float) and not (value.is_integer() and abs(value) < EXACT):
        raise ValueError("must be text or a whole number that can be read exactly")
    found = value if isinstance(value, str) else text(value)
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


_NAMES: Final = ("url", "src", "path", "name", "title")
"""Where an object of a list keeps the text it stands for."""


def _listed(value: Any) -> list[tuple[str, Any]]:
    """A text, a list of texts, or a list of objects that hold one under a usual name, each with its place."""
    values = value if isinstance(value, list) else [value]
    found = []
    for at, item in enumerate(values):
        below = f"[{at}]" if isinstance(value, list) else ""
        if isinstance(item, dict):
            name = next((name for name in _NAMES if name in item), "")
            below, item = (f"{below}.{name}", item[name]) if name else (below, item)
        found.append((below, item))
    return found


def _each(value: Any, context: _Context, read: Callable[[Any], str | None]) -> tuple[str, ...]:
    """Every entry that can be read.  Raises `ValueError` when there are entries and none can be."""
    found: dict[str, None] = {}
    faults: list[tuple[str, str]] = []
    for below, item in _listed(value):
        try:
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
    return _each(value, context, lambda item: _address(item, context))


def _categories(value: Any, context: _Context) -> tuple[str, ...]:
    def read(item: Any) -> str | None:
        path = _prose(item)
        if path and (fault := texts.key_fault(path)):
            raise ValueError(fault)
        return path

    return _each(value, context, read)


def _options(value: Any, context: _Context) -> tuple[tuple[str, str], ...]:
    """An object of names and values, or a list of objects with `name` and `value`."""
    if value is not None and not isinstance(value, dict | list):
        raise ValueError("must be an object, or a list of objects with name and value")
    pairs: Sequence[tuple[str, Any, Any]]
    if isinstance(value, list):
        pairs = [(f"[{at}]", mapping(item).get("name"), mapping(item).get("value")) for at, item in enumerate(value)]
    else:
        pairs = [(f".{name}", name, held) for name, held in mapping(value).items()]
    found = []
    for below, name, held in pairs:
        try:
            option, chosen = _prose(name), _prose(held)
        except ValueError as error:
            context.ignore(below, str(error))
            continue
        if option and chosen:
            found.append((option, chosen))
        elif isinstance(value, list) and not option:
            context.ignore(below, "must be an object with name and value")
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
    "enabled": ("is_enabled", _flag),
    "weight": ("weight", _weight),
}
