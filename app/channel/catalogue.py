"""Reads what a feed template puts out: records by name, each with an identity and fields at configured paths.

RetailOps lets every account shape its feed, so only the frame is known (SDK contract 3.4): records stand in
lists under names such as `Product`, each has `feed_data` (the account's own shape) and `object_data` (`id`,
`source_type`), and variants are such pairs inside `feed_data`.  Where a field is, `[channel.catalog]` says (R26).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.channel.catalogue_fields import ABSENT, Paths, at_path, read_fields, split_paths
from app.channel.catalogue_values import key
from app.contract.reading import identifier, mapping, number, text
from app.domain import texts
from app.domain.catalogue import with_options
from app.domain.catalogue_resolution import PushNames
from app.domain.events import Event, EventType, about
from app.domain.spellings import NOT_SOLD
from app.records.catalogue_statements import Statement

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


def read(
    body: Mapping[str, Any], paths: Mapping[str, str], shop_url: str = "", not_sold: Collection[str] = NOT_SOLD
) -> Iterator[Records]:
    """Each product of a push with its variants, read by itself: what cannot be read costs only its own record.

    Records that name another of the push by its SKU come with that one, after it.  `body` is the callback's; relative
    addresses are joined to `shop_url`; `not_sold` are words at `enabled` that mean no.
    """
    account = _Account(split_paths(paths), shop_url, frozenset(not_sold))
    for family in _families(body, account):
        found = Records()
        for place, record in family:
            _read_record(found, record, place, account)
        yield found


def names(body: Mapping[str, Any], paths: Mapping[str, str]) -> PushNames:
    """What the objects of the push state of SKUs and of each other, without anything else of them."""
    account = _Account(split_paths(paths))
    found = PushNames()

    def add(record: Any, depth: int, host: str | None) -> None:
        feed = record.get("feed_data", record) if isinstance(record, dict) else None
        if not isinstance(feed, dict):
            return
        identity = _identity(Records(), record, "").name
        sku, parent_path = _sku(feed, account.path("sku")), account.path("parent_sku")
        is_mentioned = at_path(feed, parent_path) is not ABSENT
        found.add(identity, sku, host, _sku(feed, parent_path) if is_mentioned else None)
        for _, nested in _nested(feed) if depth < DEEPEST else ():
            add(nested, depth + 1, identity if identity or sku else host)

    for _, record in _records(body):
        add(record, 0, None)
    return found


MOST_OF_A_FAMILY = 2000
"""Records that are kept together at most because one names the other by its SKU."""


def _families(body: Mapping[str, Any], account: _Account) -> Iterator[list[tuple[str, Any]]]:
    """Records that belong together by ParentSKU, products first; where none names another, each by itself."""
    parents: dict[str, str] = {}
    for _, record in _records(body):
        if (parent := _top_sku(record, account.path("parent_sku"))) and (sku := _own_sku(record, account)):
            parents[sku] = parent
    if not parents:
        yield from ([one] for one in _records(body))
        return
    most = min(len(parents), DEEPEST * DEEPEST + 1)
    families: dict[str, list[tuple[int, str, Any]]] = {}
    for at, (place, record) in enumerate(_records(body)):
        sku = _own_sku(record, account)
        root, depth = sku, 0
        while root in parents and depth < most:
            root, depth = parents[root], depth + 1
        families.setdefault(root or f"\x00{at}", []).append((depth, place, record))
    for family in families.values():
        family.sort(key=lambda one: one[0])
        for at in range(0, len(family), MOST_OF_A_FAMILY):
            yield [(place, record) for _, place, record in family[at : at + MOST_OF_A_FAMILY]]


def _own_sku(record: Any, account: _Account) -> str:
    return _top_sku(record, account.path("sku"))


def _top_sku(record: Any, path: str) -> str:
    """The SKU at this path of a record, "" where it is none or cannot be read."""
    feed = record.get("feed_data", record) if isinstance(record, dict) else None
    return _sku(feed, path) if isinstance(feed, dict) else ""


def _sku(feed: Mapping[str, Any], path: str) -> str:
    try:
        return key(None if (value := at_path(feed, path)) is ABSENT else value)
    except ValueError:
        return ""


def frame_faults(body: Mapping[str, Any]) -> Iterator[Event]:
    """What of the frame cannot be read, whatever the account's paths are: for whoever keeps no catalogue."""
    if not any(name in body for name in NAMES):
        message = f"the push has neither {' nor '.join(NAMES)}; nothing of it was kept"
        yield Event("error", "TEMPLATE_OUTPUT_MISSING", message)
    for place, record in _records(body):
        found = Records()
        _judge_frame(found, record, place, 0)
        yield from found.events


@dataclass(frozen=True)
class _Account:
    """How the account of a channel shapes its feed."""

    places: Paths
    shop_url: str = ""
    not_sold: Collection[str] = NOT_SOLD

    def path(self, name: str) -> str:
        """Where a field stands."""
        return self.places[name][0]


@dataclass(frozen=True)
class _Above:
    """What a record has from the one it stands in: the place of that one's statement, its currency, and what a group
    without any name states for those inside of it."""

    parent: int | None = None
    currency: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)


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
    found: Records, record: Any, place: str, account: _Account, depth: int = 0, above: _Above = _Above()
) -> None:
    feed = _frame(found, record, place)
    if feed is None:
        return
    known = _identity(found, record, place)
    product_id, identity = known.product_id, known.name
    fields = read_fields(
        feed, account.places, shop_url=account.shop_url, currency=above.currency, not_sold=account.not_sold
    )
    values = _with_group(above.fields, fields.values) if above.fields else fields.values
    sku = str(values.get("sku", ""))
    variants = _nested(feed)
    if fields.sku_fault:
        rest = "its variants are kept" if variants else "nothing of it was kept"
        message = f"{place}: {account.path('sku')} {fields.sku_fault}; {rest}"
        found.report("error", "INVALID_SKU", message, product_id)
    for note in fields.notes:
        if note.code == "PRICE_ZERO" and variants:
            continue  # of a product whose variants have the prices it says nothing
        event_type: EventType = "error" if note.is_error else "warning"
        found.report(event_type, note.code, f"{place}: {note.place} {note.rule}", product_id, sku)
    currency = str(values.get("currency") or above.currency)
    if (fields.sku_fault and not (identity and variants)) or not (sku or identity):
        if not variants:
            if not fields.sku_fault:
                found.report("error", "SKU_MISSING", sku_missing(place, account.path("sku")))
            return
        # A group that nobody can name again has no record; what it states holds for each of its variants.
        if above.parent is None and not fields.sku_fault:
            message = f"{place} has no SKU at {account.path('sku')} and no id; its variants are kept by themselves"
            found.report("warning", "GROUP_NAMELESS", message)
        inside = _Above(above.parent, currency, values)
    else:
        own = {"product_id": product_id, "source_type": known.source_type} if product_id else {}
        unnamed = "" if sku else place
        found.statements.append(Statement(identity, values | own, above.parent, unnamed, known.spelled))
        inside = _Above(len(found.statements) - 1, currency)
    for name, nested in variants:
        here = f"{place}.feed_data.{name}"
        if depth == DEEPEST:
            message = f"{here} stands inside more than {DEEPEST} other records; nothing of it was kept"
            found.report("error", "RECORD_TOO_DEEP", message, product_id, sku)
            continue
        _read_record(found, nested, here, account, depth + 1, inside)


def sku_missing(place: str, path: str) -> str:
    """The event about a record that cannot be kept, for nobody could name it again."""
    return f"{place} has no SKU at {path}; nothing of it was kept"


def _with_group(group: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """What a record states, with what a group without a name states for it."""
    inherited = {name: value for name, value in group.items() if name not in ("sku", "parent_sku", "ignored")}
    values = {**inherited, **own}
    if inherited.get("is_enabled") is False:
        values["is_enabled"] = False
    if inherited.get("options") and own.get("options"):
        values["options"] = with_options(inherited["options"], own["options"])
    return values


@dataclass(frozen=True)
class _Identity:
    """RetailOps' object: its number and its kind, all "" where they cannot be read."""

    product_id: str = ""
    source_type: str = ""
    spelling: str = ""
    """The number as it came."""

    @property
    def name(self) -> str:
        """Both in one."""
        return self._with(self.product_id)

    @property
    def spelled(self) -> str:
        """The name with the number as it came, "" where that is its one form."""
        return self._with(self.spelling) if self.spelling != self.product_id else ""

    def _with(self, number: str) -> str:
        return f"{self.source_type or 'object'}:{number}" if self.product_id else ""


def _identity(found: Records, record: Mapping[str, Any], place: str) -> _Identity:
    """Whose record it is."""
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
            return _Identity()
    product_id, source_type = number(parts[0]), text(parts[1])
    return _Identity(product_id, source_type, identifier(parts[0]))


def _nested(feed: Any) -> list[tuple[str, Any]]:
    """Records inside a record: objects that have `feed_data` themselves, each with its place."""
    found: list[tuple[str, Any]] = []
    _collect_nested(feed, "", 0, found)
    return found


def _collect_nested(feed: Any, path: str, depth: int, found: list[tuple[str, Any]]) -> None:
    for name, value in feed.items() if isinstance(feed, dict) else enumerate(feed):
        if isinstance(value, str) or not isinstance(value, dict | list):
            continue  # nearly all
        here = f"{path}[{name}]" if isinstance(name, int) else f"{path}.{name}".lstrip(".")
        if "feed_data" in value and isinstance(value, dict):
            found.append((here, value))
        elif depth < DEEPEST:
            _collect_nested(value, here, depth + 1, found)
