"""Which flows of data may run, by toggle, ticks and grants of our integration (contract 1.2, 4.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from app.gateways.vendors.pipe17.connection.integration_record import IntegrationRecord
from app.gateways.vendors.pipe17.options import Pipe17Options

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

    def why_off(self, flow: Flow, directions: str) -> str:
        """Why the flow may not run, or ""; `directions` says whose side the ticks are seen from."""
        if why := self.why_all_off:
            return why
        if not getattr(self.settings, flow, True):  # Not every flow has a switch.
            return f"it is switched off in the settings (enabled_flows.{flow})"
        if self.record and not _is_ticked(flow, self.record.entities, directions):
            return f"the entity {TICKS[flow][0]} is not ticked for it in Pipe17"
        return ""


def _is_ticked(flow: Flow, entities: Mapping[str, str], directions: str) -> bool:
    """Whether the In/Out ticks allow the flow; an integration that lists no entity restricts nothing."""
    entity, wanted = TICKS[flow]
    if not entities or directions == "ignore":
        return True
    direction = entities.get(entity, "")
    if wanted == "any":
        return bool(direction)
    if directions == "pipe17":
        wanted = "out" if wanted == "in" else "in"
    return direction in (wanted, "both")
