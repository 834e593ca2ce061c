"""Our integration as Pipe17 keeps it, read tolerantly: nothing of it may stop the traffic for its form alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.gateways.wire_objects import Anything, Id, Parts, PartsWithin, Text, wire


@dataclass(frozen=True)
class SettingValue:
    """What a setting field is set to."""

    path: str = wire(Id("path", is_required=True))
    value: Any = wire(Anything("value"))


@dataclass(frozen=True)
class EntityTick:
    """An entity that is ticked for us."""

    name: str = wire(Text("name"))
    direction: str = wire(Text("direction"))
    mapping_uuid: str = wire(Id("mappingUuid"))


@dataclass(frozen=True)
class IntegrationRecord:
    """Our own integration as Pipe17 keeps it (contract 3.12)."""

    status: str = wire(Text("status"))
    error_text: str = wire(Text("errorText"))
    settings: tuple[SettingValue, ...] = wire(PartsWithin("settings", "fields", SettingValue))
    ticks: tuple[EntityTick, ...] = wire(Parts("entities", EntityTick))

    @property
    def values(self) -> dict[str, Any]:
        """What each setting field is set to, by its path."""
        return {item.path: item.value for item in self.settings}

    @property
    def entities(self) -> dict[str, str]:
        """Direction by entity."""
        return {item.name: item.direction.lower() for item in self.ticks if item.name}

    @property
    def mappings(self) -> dict[str, str]:
        """Uuid of the field mapping by entity, where there is one."""
        return {item.name: item.mapping_uuid for item in self.ticks if item.name and item.mapping_uuid}


def count_rules(mapping: Any) -> int:
    """How many rules of a field mapping are enabled."""
    rules = mapping.get("mappings") if isinstance(mapping, dict) else None
    return sum(isinstance(rule, dict) and rule.get("enabled") is not False for rule in rules or ())
