"""Which Pipe17 locations this channel serves, and which of them a RetailOps facility is."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.domain.stock_levels import facility_key
from app.errors import GatewayError, Misconfigured
from app.gateways.calls import Call
from app.gateways.vendors.pipe17.connection.api import KEPT_S, Api
from app.gateways.vendors.pipe17.connection.integration import Integration
from app.gateways.vendors.pipe17.orders.shipments import Shipment
from app.gateways.wire_objects import Id, Text, wire

NEVER: Final = float("-inf")

PATH: Final = "/locations"

NO_LOCATIONS: Final = "Pipe17 has no active location for this channel; see integration_id and locations"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Location:
    """A place Pipe17 routes to (contract 2.2)."""

    location_id: str = wire(Id("locationId", is_required=True))
    name: str = wire(Text("name"))
    status: str = wire(Text("status"))
    fulfillment_integration_id: str = wire(Id("fulfillmentIntegrationId"))
    """Without it no request is ever routed to an integration."""

    @property
    def is_active(self) -> bool:
        """False for one nothing is routed to."""
        return self.status.lower() == "active"


@dataclass(frozen=True)
class Served:
    """The locations of a channel; `by_facility` is keyed by the facility's name without regard to case."""

    ids: tuple[str, ...]
    by_facility: Mapping[str, str]
    facility_of: Mapping[str, str]
    """RetailOps' facility by location id."""

    def find(self, facility: str) -> str | None:
        """The location of a facility, or None when no single one has its name."""
        return self.by_facility.get(facility_key(facility))

    def only(self, ids: Collection[str]) -> Served:
        """Those among these; an empty filter restricts nothing."""
        if not ids:
            return self
        return Served(
            tuple(item for item in self.ids if item in ids),
            {name: item for name, item in self.by_facility.items() if item in ids},
            self.facility_of,
        )


class Locations:
    """Reads the list at most every ten minutes, and never when the operator named the locations."""

    def __init__(self, api: Api, integration: Integration) -> None:
        self._api = api
        self._integration = integration
        self._lock = threading.Lock()
        self._listed: Served | None = None
        self._requested_at = NEVER
        self._configured: Served | None = None
        if places := api.options.locations:
            by_facility = {facility_key(name): location_id for name, location_id in places.items()}
            facility_of = {location_id: name for name, location_id in reversed(list(places.items()))}
            self._configured = Served(tuple(sorted(set(by_facility.values()))), by_facility, facility_of)

    @property
    def known(self) -> Served | None:
        """What was found last, without a call."""
        return self._configured or self._listed

    def is_ours(self, shipment: Shipment) -> bool:
        """Whether a request, in whatever state, was routed to this channel; decided without a call."""
        if self._configured is not None:
            return shipment.location_id in self._configured.ids
        own = self._api.integration_id
        return not own or shipment.fulfillment_integration_id in ("", own)

    @property
    def own_filter(self) -> Mapping[str, str]:
        """Parameters of a list that shall leave out none that `is_ours`."""
        return {"locationId": ",".join(self._configured.ids)} if self._configured is not None else {}

    def served(self, call: Call) -> Served:
        """Raises `Misconfigured` when there is none, for a list without a filter would be everybody's."""
        allowed = self._integration.settings(call).location_filter
        with self._lock:
            served, age_s = self.known, self._api.now() - self._requested_at
        if served is None or (self._configured is None and age_s > KEPT_S):
            served = self._ask(call, served)
        served = served.only(allowed)
        problem = "" if served.ids else NO_LOCATIONS
        self._integration.report(problem, call)
        if problem:
            raise Misconfigured("NO_LOCATIONS", problem)
        return served

    def is_filtered_out(self, facility: str) -> bool:
        """Whether a facility has a location that only the filter of the settings leaves out; no call is made."""
        return self.known is not None and self.known.find(facility) is not None

    def forget(self) -> None:
        """What is known may be stale: the next use reads it again."""
        with self._lock:
            self._requested_at = NEVER

    def every(self, call: Call) -> list[Location]:
        """Every location this key is shown, served or not.  Raises a `GatewayError`."""
        return list(self._api.objects(PATH, Location, {}, call))

    def served_among(self, locations: Sequence[Location]) -> Served:
        """Which of these locations this channel serves, by its own settings; no call is made."""
        if self._configured is not None:
            return self._configured
        active = [location for location in locations if location.is_active]
        if own := self._api.integration_id:
            active = [item for item in active if item.fulfillment_integration_id == own]
        elif len({item.fulfillment_integration_id for item in active}) > 1:
            log.warning(
                "channel %s: the active locations of pipe17 belong to several integrations and all are "
                "served; set integration_id or locations",
                self._api.channel,
            )
        return Served(tuple(sorted(item.location_id for item in active)), *self.paired(active))

    def _ask(self, call: Call, before: Served | None) -> Served:
        # No lock during the call: two threads may read at once, and the later request counts.
        requested_at = self._api.now()
        try:
            found = self.every(call)
        except GatewayError:
            if before is None:
                raise
            return before
        served = self.served_among(found)
        with self._lock:
            if requested_at >= self._requested_at:
                self._listed, self._requested_at = served, requested_at
        return served

    def paired(self, locations: Sequence[Location]) -> tuple[dict[str, str], dict[str, str]]:
        """Location id by facility, and facility by location id: by the same name, else by the configured one.

        A name that several locations have stands for none of them.
        """
        named = [(facility_key(item.name), item.location_id) for item in locations]
        times = Counter(name for name, _ in named)
        by_name = {name: location_id for name, location_id in named if times[name] == 1}
        facility_of = {item.location_id: item.name for item in locations}
        by_facility = dict(by_name)
        for facility, name in reversed(list(self._api.options.facilities.items())):
            location_id, key = by_name.get(facility_key(name)), facility_key(facility)
            if location_id and key not in by_name:
                by_facility[key] = location_id
                facility_of[location_id] = facility
        return by_facility, facility_of
