"""Reads the fields of one catalogue record, once for every vendor: one spelling of prices, codes, flags and addresses.

A field that cannot be read decides nothing: it keeps the value it had, and a warning names it (R6, R32).  Only a SKU
that cannot be read refuses its record, for nobody could say whose record it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from app.channel.catalogue_values import READERS, Context, Note

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

ABSENT: Final = object()
"""Stands for a value that a record does not mention."""


@dataclass
class Fields:
    """What a record mentions, by the names of `words.Item`."""

    values: dict[str, Any] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    sku_fault: str = ""
    """Why the SKU cannot be read; then nothing of the record can be kept."""


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
    context = Context("", shop_url, currency, not_sold, found.notes)
    for name, (target, convert) in READERS.items():
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
            read = convert(value, context)
            if name == "enabled" and read is None:
                continue  # a blank switches nothing on that was switched off
            found.values[target] = read
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
