"""Which Pipe17 locations this channel serves, and which of them a RetailOps facility is."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.errors import GatewayError, Misconfigured
from app.gateways.interface import Call
from app.gateways.pipe17 import payloads
from app.gateways.pipe17.api import Api
from app.gateways.pipe17.options import Pipe17Options

KEPT_S: Final = 600.0
"""How long Pipe17's list of locations is believed."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Served:
    """The locations of a channel; `by_facility` is keyed by the facility's name without regard to case."""

    ids: tuple[str, ...]
    by_facility: Mapping[str, str]

    def find(self, facility: str) -> str | None:
        """The location of a facility, or None when no single one has its name."""
        return self.by_facility.get(name_key(facility))


class Locations:
    """Asks Pipe17 at most every ten minutes, and not at all when the operator named the locations."""

    def __init__(self, options: Pipe17Options, api: Api, channel: str) -> None:
        self._api = api
        self._channel = channel
        self._integration_id = options.integration_id
        self._is_configured = bool(options.locations)
        self._lock = threading.Lock()
        self._served: Served | None = None
        self._asked_at = 0.0
        if self._is_configured:
            by_facility = {name_key(name): location_id for name, location_id in options.locations.items()}
            self._served = Served(tuple(sorted(set(by_facility.values()))), by_facility)

    def is_ours(self, shipment: payloads.Shipment) -> bool:
        """Whether a request, in whatever state, was routed to this channel; decided without a call."""
        if self._is_configured and self._served is not None:
            return shipment.location_id in self._served.ids
        return not self._integration_id or shipment.fulfillment_integration_id in ("", self._integration_id)

    def served(self, call: Call) -> Served:
        """Raises `Misconfigured` when there is none, for a list without a filter would be everybody's."""
        with self._lock:
            served, age_s = self._served, time.monotonic() - self._asked_at
        if served is None or (not self._is_configured and age_s > KEPT_S):
            served = self._ask(call, served)
        if not served.ids:
            message = "Pipe17 has no active location for this channel; see integration_id and locations"
            raise Misconfigured("NO_LOCATIONS", message)
        return served

    def _ask(self, call: Call, before: Served | None) -> Served:
        # No lock while Pipe17 is asked: two threads may ask at once, which does no harm.
        try:
            rows = [row for page in self._api.pages("/locations", "locations", {}, call) for row in page]
        except GatewayError:
            if before is None:
                raise
            return before
        found = [item for row in rows if (item := payloads.read(payloads.Location, row))]
        served = self._served_among(found)
        with self._lock:
            self._served, self._asked_at = served, time.monotonic()
        return served

    def _served_among(self, locations: Sequence[payloads.Location]) -> Served:
        active = [location for location in locations if location.status.lower() == "active"]
        if self._integration_id:
            active = [item for item in active if item.fulfillment_integration_id == self._integration_id]
        elif len({item.fulfillment_integration_id for item in active}) > 1:
            log.warning(
                "channel %s: the active locations of pipe17 belong to several integrations and all are "
                "served; set integration_id or locations",
                self._channel,
            )
        times = Counter(name_key(item.name) for item in active)
        unique = {name_key(item.name): item.location_id for item in active if times[name_key(item.name)] == 1}
        return Served(tuple(sorted(item.location_id for item in active)), unique)


def name_key(facility: str) -> str:
    """A facility's name as it is compared: case and doubled blanks do not count."""
    return " ".join(facility.split()).casefold()
