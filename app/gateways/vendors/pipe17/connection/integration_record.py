"""Our integration as Pipe17 keeps it, and which flows may run by its toggle, ticks and settings (contract 1.2, 4.1).

It is read tolerantly: nothing of it may stop the traffic for its form alone.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

from app.gateways.vendors.pipe17.options import Pipe17Options
from app.gateways.wire_objects import Id, Parts, PartsWithin, Text, WireField, wire


@dataclass(frozen=True)
class SettingValue:
    """What a setting field is set to."""

    path: str = wire(Id("path", is_required=True))
    value: Any = wire(WireField("value"))


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


Flow = Literal["orders", "states", "fulfillments", "trackings", "inventory", "catalog", "returns", "receipts"]

OFF_STATUSES: Final = frozenset({"disabled", "deleted"})
"""Values of `status` that stop everything; how a toggled-off integration reads is [inferred*] (contract 3.12)."""

TICKS: Final[Mapping[Flow, tuple[str, Literal["in", "out", "any"]]]] = {
    "orders": ("shipments", "in"),
    "states": ("shipments", "in"),
    "fulfillments": ("fulfillments", "out"),
    "trackings": ("fulfillments", "out"),
    "inventory": ("inventory", "out"),
    "catalog": ("products", "any"),
    "returns": ("returns", "any"),
    "receipts": ("receipts", "out"),
}
"""Per flow the entity that has to be ticked, and its direction as seen from our side; `states` are those we give
to shipping requests: acknowledged, cancelled."""


@dataclass(frozen=True)
class IntegrationState:
    """What the last reading gave."""

    settings: Pipe17Options
    record: IntegrationRecord | None = None
    """None where it may not be read."""
    is_gone: bool = False
    problems: tuple[str, ...] = ()
    """Sentences on settings at Pipe17 that are not used."""

    @property
    def why_all_off(self) -> str:
        """Why nothing may run at all, or ""."""
        if self.is_gone:
            return "the integration is gone from Pipe17"
        status = self.record.status if self.record else ""
        return f"the integration is {status} in Pipe17" if status in OFF_STATUSES else ""

    @cached_property
    def why_off(self) -> Mapping[Flow, str]:
        """Of each flow why it may not run, or ""; found out once for each reading."""
        return {flow: self.why_all_off or self._why_off(flow) for flow in TICKS}

    def _why_off(self, flow: Flow) -> str:
        if not getattr(self.settings, flow, True):  # Not every flow has a switch.
            return f"it is switched off in the settings (enabled_flows.{flow})"
        if self.record and not _is_ticked(flow, self.record.entities, self.settings.entity_directions):
            return f"the entity {TICKS[flow][0]} is not ticked for it in Pipe17"
        return ""


def _is_ticked(flow: Flow, entities: Mapping[str, str], directions: str) -> bool:
    """Whether the In/Out ticks allow the flow; an integration that lists no entity restricts nothing."""
    entity, needed = TICKS[flow]
    if not entities or directions == "ignore":
        return True
    direction = entities.get(entity, "")
    if needed == "any":
        return bool(direction)
    if directions == "pipe17":
        needed = "out" if needed == "in" else "in"
    return direction in (needed, "both")


log = logging.getLogger(__name__)


class OnceLog:
    """Writes a sentence once; used by every thread, of which two may write one together."""

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._written: set[str] = set()
        self.why_off: dict[Flow, str] = {}
        """Why a flow is off as it was logged last, "" for one that is on again."""

    def is_news(self, sentence: str) -> bool:
        """True the first time."""
        is_news = sentence not in self._written
        self._written.add(sentence)
        return is_news

    def warn(self, sentence: str) -> None:
        if self.is_news(sentence):
            log.warning("channel %s: %s", self._channel, sentence)

    def flow(self, flow: Flow, why: str) -> None:
        """A flow that is off, once for each reason, and that it is on again."""
        if why == self.why_off.get(flow, ""):
            return
        self.why_off[flow] = why
        if why:
            log.warning("channel %s: pipe17: the flow '%s' is off: %s", self._channel, flow, why)
        else:
            log.info("channel %s: pipe17: the flow '%s' is on again", self._channel, flow)
