"""Reads what a feed template puts out: records by name, each with an identity and fields at configured paths.

RetailOps lets every account shape its feed, so only the frame is known (SDK contract 3.4): records stand in
lists under names such as `Product`, each has `feed_data` (the account's own shape) and `object_data` (`id`,
`source_type`), and variants are such pairs inside `feed_data`.  Where a field is, `[channel.catalog]` says (R26).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.channel.catalogue_fields import DEFAULT_PATHS, key, read_fields
from app.contract.reading import identifier, mapping, text
from app.domain import texts
from app.gateways.words import Event, EventType, about
from app.records.cataloguing import Statement

DEEPEST = 4
"""How deep variants are looked for."""

NAMES = ("template_output", "TemplateOutput")
"""Names of the template's output; the first that holds anything counts (SDK contract 2.3)."""


@dataclass
class Records:
    """What a push states of one product and its variants, and what of it could not be read."""

    statements: list[Statement] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def report(self, event_type: EventType, code: str, message: str, product_id: str = "", sku: str = "") -> None:
        """One event about one record."""
        ids = about("product_id", product_id) + about("sku_number", sku)
        self.events.append(Event(event_type, code, message, ids))


def read(body: Mapping[str, Any], paths: Mapping[str, str], shop_url: str = "") -> Iterator[Records]:
    """Each product of a push with its variants, read by itself: what cannot be read costs only its own record.

    `body` is the callback's; relative addresses are joined to `shop_url`.
    """
    places = {**DEFAULT_PATHS, **paths}
    for place, record in _records(body):
        found = Records()
        _read_record(found, record, place, _Account(places, shop_url), parent=None, depth=0)
        yield found


def frame_faults(body: Mapping[str, Any]) -> Iterator[Event]:
    """What of the frame cannot be read, whatever the account's paths are: for whoever keeps no catalogue."""
    for place, record in _records(body):
        found = Records()
        _judge_frame(found, record, place, 0)
        yield from found.events


@dataclass(frozen=True)
class _Account:
    """How the account of a channel shapes its feed."""

    places: Mapping[str, str]
    shop_url: str


_NO_RECORDS = object()
"""Stands for a part that should hold records and cannot."""


def _records(body: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every record with its place; a null in the place of records is none."""
    name = next((name for name in NAMES if mapping(body.get(name))), NAMES[0])
    output = mapping(body.get(name))
    data, place = (output["data"], f"{name}.data") if "data" in output else (output, name)
    if data is None:
        return
    if isinstance(data, list):
        data = {"": data}
    elif not isinstance(data, dict):
        yield place, _NO_RECORDS
        return
    for kind, records in data.items():
        here = f"{place}.{texts.shortened(texts.mended(kind), 100)}" if kind else place
        if isinstance(records, list):
            yield from ((f"{here}[{index}]", record) for index, record in enumerate(records))
        elif records is not None:
            yield here, records


def _frame(found: Records, record: Any, place: str) -> dict[str, Any] | None:
    """The record's own data; None, and an event, where there is none."""
    if not isinstance(record, dict):
        what = "an object of records" if record is _NO_RECORDS else "an object"
        found.report("error", "RECORD_UNREADABLE", f"{place} must be {what}; nothing of it was kept")
        return None
    feed = record.get("feed_data", record)
    if not isinstance(feed, dict):
        message = f"{place}.feed_data must be an object; nothing of it was kept"
        found.report("error", "RECORD_UNREADABLE", message)
        return None
    return feed


def _judge_frame(found: Records, record: Any, place: str, depth: int) -> None:
    feed = _frame(found, record, place)
    if feed is None:
        return
    for name, nested in _nested(feed):
        if depth < DEEPEST:
            _judge_frame(found, nested, f"{place}.feed_data.{name}", depth + 1)


def _read_record(
    found: Records, record: Any, place: str, account: _Account, parent: int | None, depth: int, currency: str = ""
) -> None:
    feed = _frame(found, record, place)
    if feed is None:
        return
    product_id, source_type = _identity(found, record, place)
    fields = read_fields(feed, account.places, shop_url=account.shop_url, currency=currency)
    sku = str(fields.values.get("sku", ""))
    if fields.sku_fault:
        message = f"{place}: {account.places['sku']} {fields.sku_fault}; nothing of it was kept"
        found.report("error", "INVALID_SKU", message, product_id)
        return
    variants = list(_nested(feed))
    if not sku and not (product_id and variants):
        message = f"{place} has no SKU at {account.places['sku']}; nothing of it was kept"
        found.report("error", "SKU_MISSING", message, product_id)
        return
    for note in fields.notes:
        if note.code == "PRICE_ZERO" and variants:
            continue  # of a product whose variants have the prices it says nothing
        found.report("warning", note.code, f"{place}: {note.place} {note.rule}", product_id, sku)
    own = {"product_id": product_id, "source_type": source_type} if product_id else {}
    identity = f"{source_type or 'object'}:{product_id}" if product_id else ""
    found.statements.append(Statement(identity, fields.values | own, parent))
    at = len(found.statements) - 1
    currency = str(fields.values.get("currency") or currency)
    for name, nested in variants:
        here = f"{place}.feed_data.{name}"
        if depth == DEEPEST:
            message = f"{here} stands inside more than {DEEPEST} other records; nothing of it was kept"
            found.report("error", "RECORD_TOO_DEEP", message, product_id, sku)
            continue
        _read_record(found, nested, here, account, at, depth + 1, currency)


def _identity(found: Records, record: Mapping[str, Any], place: str) -> tuple[str, str]:
    """RetailOps' number of the object and its kind; a record is known by its SKU where they cannot be read."""
    known = record.get("object_data")
    if known is not None and not isinstance(known, dict):
        found.report("warning", "FIELD_IGNORED", f"{place}.object_data must be an object; the record goes by its SKU")
    parts = []
    for name in ("id", "source_type"):
        try:
            parts.append(key(mapping(known).get(name)))
        except ValueError as error:
            message = f"{place}.object_data.{name} {error}; the record goes by its SKU"
            found.report("warning", "FIELD_IGNORED", message)
            return "", ""
    return identifier(parts[0]), text(parts[1])


def _nested(feed: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Records inside a record: objects that have `feed_data` themselves."""
    children = feed.items() if isinstance(feed, dict) else enumerate(feed)
    for name, value in children:
        here = f"{path}[{name}]" if isinstance(name, int) else f"{path}.{name}".lstrip(".")
        if isinstance(value, dict) and "feed_data" in value:
            yield here, value
        elif isinstance(value, dict | list) and depth < DEEPEST:
            yield from _nested(value, here, depth + 1)
