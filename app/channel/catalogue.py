"""Reads what a feed template puts out: records by name, each with an identity and fields at configured paths.

RetailOps lets every account shape its feed, so only the frame is known (SDK contract 3.4): records stand in
lists under names such as `Product`, each has `feed_data` (the account's own shape) and `object_data` (`id`,
`source_type`), and variants are such pairs inside `feed_data`.  Where a field is, `[channel.catalog]` says (R26).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from app.contract.problems import KEPT
from app.contract.reading import identifier, mapping, optional_amount, text
from app.gateways.words import Event, about
from app.records.cataloguing import Statement

DEFAULT_PATHS: Mapping[str, str] = {
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

DEEPEST = 4
"""How deep variants are looked for."""

_ABSENT = object()
_YES = frozenset({"true", "1", "yes", "y", "on", "active", "enabled"})
_NO = frozenset({"false", "0", "no", "n", "off", "inactive", "disabled"})


@dataclass
class Records:
    """What a push states, and what of it could not be read; `products` counts records that are no variants."""

    statements: list[Statement] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    hidden: int = 0

    def refuse(self, code: str, message: str, product_id: str = "", sku: str = "") -> None:
        """One event about one record; beyond the limit they are counted (R6)."""
        if len(self.events) >= KEPT:
            self.hidden += 1
            return
        self.events.append(Event("error", code, message, about("product_id", product_id) + about("sku_number", sku)))


def read(output: Mapping[str, Any], paths: Mapping[str, str]) -> Iterator[Records]:
    """Each product with its variants, read by itself: what cannot be read costs only its own record."""
    places = {**DEFAULT_PATHS, **paths}
    data = output.get("data", output)
    for name, record in _named(data):
        found = Records()
        _read_record(found, record, f"template_output.data.{name}", places, parent=None, depth=0)
        yield found


def _named(data: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(data, list):
        data = {"": data}
    for name, records in mapping(data).items():
        for index, record in enumerate(records if isinstance(records, list) else [records]):
            yield f"{name}[{index}]", record


def _read_record(
    found: Records, record: Any, place: str, places: Mapping[str, str], parent: int | None, depth: int
) -> None:
    if not isinstance(record, dict):
        found.refuse("RECORD_UNREADABLE", f"{place} must be an object")
        return
    feed = record.get("feed_data", record)
    if not isinstance(feed, dict):
        found.refuse("RECORD_UNREADABLE", f"{place}.feed_data must be an object")
        return
    known = mapping(record.get("object_data"))
    product_id, source_type = identifier(known.get("id")), text(known.get("source_type"))
    fields, faults = _fields(feed, places)
    sku = str(fields.get("sku", ""))
    variants = list(_nested(feed)) if depth < DEEPEST else []
    if not sku and not (product_id and variants):
        found.refuse("SKU_MISSING", f"{place} has no SKU at {places['sku']}; nothing of it was kept", product_id)
        return
    if faults:
        for name, rule in faults:
            found.refuse(f"INVALID_{name.upper()}", f"{place}: {places[name]} {rule}; nothing of it was kept",
                         product_id, sku)  # fmt: skip
        return
    own = {"product_id": product_id, "source_type": source_type} if product_id else {}
    identity = f"{source_type or 'object'}:{product_id}" if product_id else ""
    found.statements.append(Statement(identity, fields | own, parent))
    at = len(found.statements) - 1
    for key, nested in variants:
        _read_record(found, nested, f"{place}.feed_data.{key}", places, parent=at, depth=depth + 1)


def _nested(feed: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Records inside a record: objects that have `feed_data` themselves."""
    children = feed.items() if isinstance(feed, dict) else enumerate(feed)
    for name, value in children:
        here = f"{path}[{name}]" if isinstance(name, int) else f"{path}.{name}".lstrip(".")
        if isinstance(value, dict) and "feed_data" in value:
            yield here, value
        elif isinstance(value, dict | list) and depth < DEEPEST:
            yield from _nested(value, here, depth + 1)


def _fields(feed: Mapping[str, Any], places: Mapping[str, str]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The fields a record mentions, by the names of `words.Item`, and what cannot be read of them."""
    fields: dict[str, Any] = {}
    faults = []
    for name, (target, convert) in _READERS.items():
        value = _at(feed, places[name])
        if value is _ABSENT:
            continue
        try:
            fields[target] = convert(value)
        except ValueError as error:
            faults.append((name, str(error)))
    return fields, faults


def _at(feed: Any, path: str) -> Any:
    """The value at a dotted path; a key that holds dots itself is found too."""
    if isinstance(feed, dict) and path in feed:
        return feed[path]
    head, dot, rest = path.partition(".")
    if not dot or not isinstance(feed, dict) or head not in feed:
        return _ABSENT
    return _at(feed[head], rest)


def _text(value: Any) -> str:
    return text(value)


def _optional_text(value: Any) -> str | None:
    return text(value) or None


def _price(value: Any) -> Decimal | None:
    try:
        found = optional_amount(value)
    except ValueError:
        raise ValueError("must be an amount") from None
    if found is not None and found < 0:
        raise ValueError("must not be below 0")
    if found is not None and (found.adjusted() > 11 or found != found.quantize(Decimal("0.0001"))):
        raise ValueError("must have at most four decimals and twelve digits before them")
    return found


def _weight(value: Any) -> Decimal | None:
    try:
        found = optional_amount(value)
    except ValueError:
        raise ValueError("must be a number") from None
    return found if found is None or found >= 0 else None


def _flag(value: Any) -> bool | None:
    word = text(value).casefold()
    if word in _YES:
        return True
    if word in _NO:
        return False
    if word:
        raise ValueError("must be a word for yes or no, such as true or false")
    return None


def _texts(value: Any) -> tuple[str, ...]:
    """A text, a list of texts, or a list of objects that hold one under a usual name."""
    values = value if isinstance(value, list) else [value]
    names = ("url", "src", "path", "name", "title")
    found = [text(next((item[n] for n in names if n in item), "")) if isinstance(item, dict) else text(item)
             for item in values]  # fmt: skip
    return tuple(dict.fromkeys(item for item in found if item))


def _options(value: Any) -> tuple[tuple[str, str], ...]:
    """An object of names and values, or a list of objects with `name` and `value`."""
    if isinstance(value, list):
        pairs = [(item.get("name"), item.get("value")) for item in value if isinstance(item, dict)]
    else:
        pairs = list(mapping(value).items())
    return tuple((text(name), text(held)) for name, held in pairs if text(name) and text(held))


_READERS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "sku": ("sku", _text),
    "parent_sku": ("parent_sku", _text),
    "title": ("title", _optional_text),
    "description": ("description", _optional_text),
    "vendor": ("vendor", _optional_text),
    "price": ("price", _price),
    "sale_price": ("sale_price", _price),
    "currency": ("currency", _optional_text),
    "images": ("images", _texts),
    "url": ("url", _optional_text),
    "categories": ("categories", _texts),
    "options": ("options", _options),
    "requires_shipping": ("requires_shipping", _flag),
    "taxable": ("taxable", _flag),
    "enabled": ("is_enabled", _flag),
    "weight": ("weight", _weight),
}
