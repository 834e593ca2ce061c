"""The setting fields of our connector, declared once: what an administrator pastes in is what is read back.

Pipe17 has no names of its own for them; a custom connector's author declares them (contract 4.1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final, Literal

import msgspec

from app.gateways.vendors.pipe17.options import Pipe17Options

CANCEL_STATUSES: Final = ("canceledRestock", "canceled")
INVENTORY_MODES: Final = ("snapshot", "delta")

ENTITIES: Final[Mapping[str, str]] = {
    "shipments": "in",
    "fulfillments": "out",
    "inventory": "out",
    "products": "both",
    "locations": "both",
    "returns": "both",
    "receipts": "out",
    "trackings": "out",
}
"""What the connector asks for: entity -> direction, seen from our side (in: from Pipe17 to us)."""


# Reading a value; each raises ValueError with the rule, never with the value


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


def _one_of(*words: str) -> Callable[[object], object]:
    def read(value: object) -> object:
        if value not in words:
            raise ValueError("must be one of " + ", ".join(words))
        return value

    return read


@dataclass(frozen=True)
class SettingField:
    """One field of the connector: its path at Pipe17, the option it sets, and what the administrator reads."""

    path: str
    attribute: str
    kind: Literal["boolean", "string", "number"]
    read: Callable[[object], object]
    label: str
    description: str
    default: bool | int | str
    values: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As Pipe17's connector holds it (contract 3.12)."""
        options: dict[str, Any] = {
            "label": self.label,
            "description": self.description,
            "required": False,
            "defaultValue": self.default,
        }
        if self.values:
            options["values"] = list(self.values)
        return {"path": self.path, "type": self.kind, "secret": False, "options": options}


FIELDS: Final = (
    SettingField("enabled_flows.orders", "orders", "boolean", _flag, "Shipping requests",
        "Bring shipping requests to RetailOps. While off, what becomes of those it has is still reported.", True),
    SettingField("enabled_flows.inventory", "inventory", "boolean", _flag, "Inventory",
        "Report RetailOps' stock to Pipe17.", True),
    SettingField("enabled_flows.catalog", "catalog", "boolean", _flag, "Catalogue",
        "Tell Pipe17 which of its products RetailOps has.", True),
    SettingField("enabled_flows.returns", "returns", "boolean", _flag, "Returns",
        "Tell Pipe17 what RetailOps has taken back.", True),
    SettingField("location_filter", "location_filter", "string", _ids, "Only these locations",
        "Location ids with commas between; empty serves every active location whose 3PL integration is this one.", ""),
    SettingField("sku_mapping", "sku_mapping", "string", _sku_mapping, "SKU mapping",
        "Pairs Pipe17 SKU:RetailOps SKU with commas between, or a JSON object. A pair here goes before a product's "
        "own channel SKU.", ""),
    SettingField("inventory.mode", "inventory_mode", "string", _one_of(*INVENTORY_MODES), "Inventory mode",
        "snapshot tells every location of a changed SKU; delta tells only the figures that changed.", "snapshot",
        INVENTORY_MODES),
    SettingField("shipping_method_map", "shipping_methods", "string", read_pairs, "Shipping methods",
        "JSON object, or pairs with commas between: shipping code, or carrier and class with a blank between -> "
        "RetailOps ship code. * stands for any other; without it a code not listed stays as it is.", ""),
    SettingField("shipping_method_default", "default_ship_code", "string", _text, "Default shipping method",
        "RetailOps ship code of a request that names no method.", ""),
    SettingField("cancel_status", "cancel_status", "string", _one_of(*CANCEL_STATUSES), "Status of a cancelled request",
        "canceledRestock frees its stock, canceled writes it off.", "canceledRestock", CANCEL_STATUSES),
    SettingField("catalog.create_products", "create_products", "boolean", _flag, "Create products",
        "Create products that Pipe17 does not know.", False),
    SettingField("returns.create", "create_returns", "boolean", _flag, "Create returns",
        "Create a return where Pipe17 has none.", False),
    SettingField("poll_overlap_minutes", "poll_overlap_minutes", "number", _minutes, "Overlap of polling, minutes",
        "How far back every poll for cancellations and for products looks beyond the last one.", 10),
)  # fmt: skip
"""Every field, in the order the administrator sees them."""


def definition() -> dict[str, Any]:
    """What an administrator pastes into the connector: its setting fields and the entities it needs."""
    return {
        "settings": {"fields": [item.as_json() for item in FIELDS]},
        "entities": [{"name": name, "direction": direction} for name, direction in ENTITIES.items()],
    }


def merged(local: Pipe17Options, values: Mapping[str, object]) -> tuple[Pipe17Options, list[str]]:
    """The options with Pipe17's values (path -> value) in place of ours, and a sentence per unusable value.

    A field that is absent, null or blank at Pipe17 is not set there, so channels.toml counts; likewise
    one that cannot be read.  A field that is switched on there and unknown here is named, for it has no effect.
    """
    changes: dict[str, Any] = {}
    problems: list[str] = []
    for item in FIELDS:
        value = values.get(item.path)
        if value is None or (isinstance(value, str) and value.strip() in ("", "{}")):
            continue
        try:
            changes[item.attribute] = item.read(value)
        except ValueError as rule:
            problems.append(f"{item.path} {rule}")
    known = {item.path for item in FIELDS}
    is_set = {path for path, value in values.items() if value not in (None, "", False, 0)}
    problems += [f"{path} is no setting of this server and has no effect" for path in sorted(is_set - known)]
    return replace(local, **changes), problems
