"""The setting fields of our connector: what an administrator pastes in (`connector.json`) is what is read back.

Pipe17 has no names of its own for them; a custom connector's author declares them (contract 3.12, 4.1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from importlib.resources import files
from typing import Any, Final

import msgspec

from app.gateways.vendors.pipe17.options import Pipe17Options

Reader = Callable[[object], object]
"""Reads a value as the option has it.  Raises `ValueError` with the rule, never with the value."""


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    raise ValueError("must be true or false")


def _ids(value: object) -> tuple[str, ...]:
    """Ids typed with commas between lose the blanks around them; those of a list stay as they are."""
    if isinstance(value, str):
        return tuple(filter(None, (item.strip() for item in value.split(","))))
    if not isinstance(value, list) or not all(isinstance(item, str) and item.strip() for item in value):
        raise ValueError("must be location ids with commas between")
    return tuple(value)


def read_pairs(value: object) -> dict[str, str]:
    """`first:second` pairs with commas between, or a JSON object (contract 4.1); the first pair of a name counts.

    Typed pairs lose the blanks around their names; those of a JSON object stay as they are.
    """
    if isinstance(value, str) and not value.lstrip().startswith("{"):
        pairs = [tuple(part.strip() for part in item.split(":", 1)) for item in value.split(",") if item.strip()]
        found: list[tuple[Any, ...]] = pairs
    else:
        try:
            decoded = msgspec.json.decode(value) if isinstance(value, str) else value
        except msgspec.DecodeError:
            raise ValueError("must be pairs first:second with commas between, or a JSON object") from None
        found = list(decoded.items()) if isinstance(decoded, dict) else [()]
    if not all(len(pair) == 2 and all(isinstance(part, str) and part.strip() for part in pair) for pair in found):
        raise ValueError("must be pairs first:second with commas between, or a JSON object of texts")
    return {first: second for first, second in reversed(found)}


def _sku_mapping(value: object) -> dict[str, str]:
    return dict(reversed(read_pairs(value).items()))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text")
    return value.strip()


def _minutes(value: object) -> float:
    try:
        minutes = Decimal(str(value))
    except ArithmeticError:
        minutes = Decimal(-1)
    if isinstance(value, bool) or not 0 <= minutes <= 1440:
        raise ValueError("must be minutes from 0 to 1440")
    return float(minutes)


def _one_of(*words: str) -> Reader:
    def read(value: object) -> object:
        if value not in words:
            raise ValueError("must be one of " + ", ".join(words))
        return value

    return read


FIELDS: Final[Mapping[str, tuple[str, Reader]]] = {
    "enabled_flows.orders": ("orders", _flag),
    "enabled_flows.inventory": ("inventory", _flag),
    "enabled_flows.catalog": ("catalog", _flag),
    "enabled_flows.returns": ("returns", _flag),
    "location_filter": ("location_filter", _ids),
    "sku_mapping": ("sku_mapping", _sku_mapping),
    "inventory.mode": ("inventory_mode", _one_of("snapshot", "delta")),
    "shipping_method_map": ("shipping_methods", read_pairs),
    "shipping_method_default": ("default_ship_code", _text),
    "cancel_status": ("cancel_status", _one_of("canceledRestock", "canceled")),
    "catalog.create_products": ("create_products", _flag),
    "returns.create": ("create_returns", _flag),
    "poll_overlap_minutes": ("poll_overlap_minutes", _minutes),
}
"""By the path of a setting field at Pipe17 the option it sets, and how it is read."""


def definition() -> dict[str, Any]:
    """What an administrator pastes into the connector: its setting fields, and the entities it needs.

    Directions of entities are seen from our side (in: from Pipe17 to us).
    """
    found: dict[str, Any] = msgspec.json.decode(files(__package__).joinpath("connector.json").read_bytes())
    return found


def merged(local: Pipe17Options, values: Mapping[str, object]) -> tuple[Pipe17Options, list[str]]:
    """The options with Pipe17's values (path -> value) in place of ours, and a sentence per unusable value.

    A field that is absent, null or blank at Pipe17 is not set there, so channels.toml counts; likewise
    one that cannot be read.  A field that is switched on there and unknown here is named, for it has no effect.
    """
    changes: dict[str, Any] = {}
    problems: list[str] = []
    for path, (option, read) in FIELDS.items():
        value = values.get(path)
        if value is None or (isinstance(value, str) and value.strip() in ("", "{}")):
            continue
        try:
            changes[option] = read(value)
        except ValueError as rule:
            problems.append(f"{path} {rule}")
    is_set = {path for path, value in values.items() if value not in (None, "", False, 0)}
    problems += [f"{path} is no setting of this server and has no effect" for path in sorted(is_set - FIELDS.keys())]
    return replace(local, **changes), problems
