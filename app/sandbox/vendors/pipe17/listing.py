"""Reading as Pipe17 does it: filters, time windows, order, pages and field selection (contract 1.5)."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from app.sandbox.bodies import Failure, Json
from app.sandbox.shapes import moment
from app.sandbox.vendors.pipe17.entities import MODEL, Entity, FilterKind
from app.sandbox.vendors.pipe17.state import ApiKey, State

Query = Mapping[str, list[str]]
_STAMPS = ("createdAt", "updatedAt", "orgKey")
_WINDOWS = {"since": "createdAt", "until": "createdAt", "updatedSince": "updatedAt", "updatedUntil": "updatedAt"}
_COMMON = frozenset({"count", "skip", "keys", "order", "pagination", "deleted", *_WINDOWS})
DEFAULT_COUNT = 100
MAX_COUNT = 500


def list_page(state: State, entity: Entity, caller: ApiKey, query: Query) -> Json:
    """The list's rows and pagination.  Raises `Failure` 400 for a parameter Pipe17 does not have."""
    known = _COMMON.union(*entity.filters.values(), {"totals", "ledger"} if entity.path == "inventory" else ())
    unknown = [name for name in query if name not in known]
    if unknown:
        raise Failure(400, "unknown parameter", [f"{name} is not a parameter of this list" for name in unknown])
    _refuse_exclusive(query)
    count = _integer(query, "count", DEFAULT_COUNT, 1, MAX_COUNT)
    skip = _integer(query, "skip", 0, 0, 2**31)

    wants_ledger, wants_totals = _boolean(query, "ledger"), _boolean(query, "totals")
    rows: Iterable[Json] = state.ledger
    if not wants_ledger:
        rows = filter(_sight(state, entity, caller), state.tables[entity.path].values())
    for test in _tests(entity, query):
        rows = filter(test, rows)
    found = _totals(rows) if wants_totals else list(rows)
    found = _ordered(found, _single(query, "order") or ("sku" if wants_totals else "createdAt"))

    start = max(0, skip - 1) if state.settings.pages_repeat_rows else skip
    page = found[start : start + count]
    if state.settings.pages_out_of_order:
        page.reverse()
    keys = "*" if wants_totals or wants_ledger else _keys(query) or ",".join((*entity.short, *_STAMPS))
    answer: Json = {entity.path: [shown(row, entity, keys) for row in page]}
    if _single(query, "pagination") != "disabled":
        is_last = start + count >= len(found)
        answer["pagination"] = {"last": is_last, "pageSize": count, "count": len(found), "skip": skip}
    return answer


def find_one(state: State, entity: Entity, caller: ApiKey, identifier: str) -> Json:
    """By id or by `ext:`, `api:`, `ref:`.  Raises `Failure` 404."""
    is_seen = _sight(state, entity, caller)
    found = state.tables[entity.path].get(identifier)
    if found is not None and is_seen(found):
        return found
    prefix, _, number = identifier.partition(":")
    if alternate := entity.alternate_ids.get(prefix):
        for row in state.tables[entity.path].values():
            if row.get(alternate) == number and is_seen(row):
                return row
    raise Failure(404, "No results")


def _sight(state: State, entity: Entity, caller: ApiKey) -> Callable[[Json], bool]:
    """Which objects this key sees: created long enough ago to have become visible, and not another's."""
    now, own = state.clock().timestamp(), caller.integration
    sees_all = own is None or (entity.is_org_wide and state.settings.org_wide_access)
    owners = () if sees_all else entity.owners
    return lambda row: row.get("_visibleAt", 0) <= now and (not owners or any(row.get(name) == own for name in owners))


def shown(row: Json, entity: Entity, keys: str) -> Json:
    """The fields requested, always with the id, never the sandbox's own."""
    chosen = row.keys() if keys == "*" else {entity.id_field, *(name.strip() for name in keys.split(","))}
    return {name: value for name, value in row.items() if name in chosen and not name.startswith("_")}


def requested_keys(query: Query) -> str:
    """For a single read, which is whole unless fields are named.  Raises `Failure` 400 otherwise."""
    if any(name != "keys" for name in query):
        raise Failure(400, "a single read takes no parameter but keys")
    return _keys(query) or "*"


def _refuse_exclusive(query: Query) -> None:
    for name in ("available", "onHand", "sku"):
        if name in query and (f"{name}_gt" in query or f"{name}_lt" in query):
            raise Failure(400, f"{name} excludes {name}_gt and {name}_lt")
    if _boolean(query, "totals") and _boolean(query, "ledger"):
        raise Failure(400, "totals and ledger exclude each other")


def _tests(entity: Entity, query: Query) -> Iterable[Callable[[Json], bool]]:
    if not _boolean(query, "deleted"):
        yield lambda row: "deletedAt" not in row
    for name, field in _WINDOWS.items():
        if name in query:
            yield _window(field, name, _single(query, name) or "")
    for kind, names in entity.filters.items():
        yield from (_filter(kind, name, query) for name in names if name in query)


def _filter(kind: FilterKind, name: str, query: Query) -> Callable[[Json], bool]:
    field = name.removesuffix("_gt").removesuffix("_lt")
    values = frozenset(part for value in query[name] for part in value.split(","))
    match kind:
        case "any":
            return lambda row: row.get(field) in values
        case "contains":
            return lambda row: not values.isdisjoint(row.get(field, ()))
        case "external_location":
            return lambda row: any(link["locationValue"] in values for link in row.get("externalSystem", ()))
        case "boolean":
            expected = _boolean(query, name)
            return lambda row: bool(row.get(field, False)) == expected
    bound: Any = query[name][0].split(",")[0] if field == "sku" else _integer(query, name, 0)
    compare = {"integer": operator.eq, "above": operator.gt, "below": operator.lt}[kind]
    return lambda row: bool(compare(row[field], bound))


def _window(field: str, name: str, value: str) -> Callable[[Json], bool]:
    """From the start on, up to but without the end; what Pipe17 does at the very instant is unknown."""
    try:
        bound = moment(value)
    except ValueError:
        raise Failure(400, f"{name} must be an ISO-8601 time with an offset") from None
    if name.lower().endswith("since"):
        return lambda row: moment(row[field]) >= bound
    return lambda row: moment(row[field]) < bound


def _totals(rows: Iterable[Json]) -> list[Json]:
    sums: dict[str, Json] = {}
    for row in rows:
        total = sums.setdefault(row["sku"], {"sku": row["sku"], **dict.fromkeys(MODEL.stock_columns, 0)})
        for name in MODEL.stock_columns:
            total[name] += row[name]
    return list(sums.values())


def _ordered(rows: list[Json], order: str) -> list[Json]:
    field = order.removeprefix("-")
    if any(isinstance(row.get(field), dict | list) for row in rows):
        raise Failure(400, "order must name a field with single values")

    def place(row: Json) -> tuple[bool, bool, Any]:
        value = row.get(field)
        return value is None, isinstance(value, str), 0 if value is None else value

    return sorted(rows, key=place, reverse=order.startswith("-"))


def _single(query: Query, name: str) -> str | None:
    values = query.get(name)
    if values is None:
        return None
    if len(values) > 1:
        raise Failure(400, f"{name} must be given once")
    return values[0]


def _integer(query: Query, name: str, default: int, low: int = -(2**31), high: int = 2**31) -> int:
    value = _single(query, name)
    if value is None:
        return default
    digits = value.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and low <= int(value) <= high):
        raise Failure(400, f"{name} must be an integer from {low} to {high}")
    return int(value)


def _boolean(query: Query, name: str) -> bool:
    value = _single(query, name)
    if value not in (None, "true", "false"):
        raise Failure(400, f"{name} must be true or false")
    return value == "true"


def _keys(query: Query) -> str:
    return ",".join(query.get("keys", []))
