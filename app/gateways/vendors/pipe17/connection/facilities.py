"""Makes a Pipe17 location for each RetailOps facility that routes to us: the first step of setting up.

Listed first, created when absent, then given our integration id, without which nothing is ever routed here
(contract 2.2).  Used by `channel pipe17 locations`, never by a callback.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from app.domain.stock_levels import facility_key
from app.errors import GatewayError, Misconfigured, Refused
from app.gateways.calls import Call
from app.gateways.vendors.pipe17.connection.api import Api
from app.gateways.vendors.pipe17.connection.integration import Integration
from app.gateways.vendors.pipe17.connection.locations import PATH, Location, Locations
from app.gateways.wire_objects import Json, read

Owner = Literal["us", "another integration", "nobody"]
Done = Literal["ready", "linked", "created", "would link", "would create", "failed"]


@dataclass(frozen=True)
class Place:
    """A location of Pipe17 and what it is to this channel."""

    location_id: str
    name: str
    status: str
    owner: Owner
    facility: str
    """RetailOps' name of it, "" when it is not ours."""
    is_served: bool


@dataclass(frozen=True)
class Step:
    """What was done for one facility; `note` says what a person has to do, "" for nothing."""

    facility: str
    location_id: str
    location: str
    done: Done
    note: str = ""


class Facilities:
    """Facilities and locations of one account, side by side."""

    def __init__(self, api: Api, locations: Locations, integration: Integration) -> None:
        self._api = api
        self._locations = locations
        self._integration = integration
        options, self._integration_id = api.options, api.integration_id
        # Lets routed requests reach our integration (contract 3.10).
        self._owned: Json = {"fulfillmentIntegrationId": self._integration_id} if self._integration_id else {}
        self._ids: Mapping[str, str] = {facility_key(name): item for name, item in options.locations.items()}
        self._names: Mapping[str, str] = {facility_key(name): other for name, other in options.facilities.items()}
        self.configured: Sequence[str] = tuple({**dict(options.locations), **dict(options.facilities)})
        """Facilities that channels.toml names."""

    def listing(self, call: Call) -> list[Place]:
        """Every location this key is shown.  Raises a `GatewayError`."""
        found = self._locations.every(call)
        own = self._locations.served_among(found)
        ours = {item.location_id for item in found if item.is_active} & set(own.ids)
        served = ours & set(own.only(self._integration.settings(call).location_filter).ids)
        return [
            Place(
                item.location_id,
                item.name,
                item.status,
                self._owner(item),
                own.facility_of[item.location_id] if item.location_id in ours else "",
                item.location_id in served,
            )
            for item in sorted(found, key=lambda item: (item.name, item.location_id))
        ]

    def _owner(self, location: Location) -> Owner:
        if not location.fulfillment_integration_id:
            return "nobody"
        return "us" if location.fulfillment_integration_id == self._integration_id else "another integration"

    def sync(
        self, facilities: Iterable[str], address: Mapping[str, str], call: Call, *, is_dry: bool, takes_over: bool
    ) -> list[Step]:
        """Bring every facility's location to where it can be routed to us.

        `address` is used for locations that have to be created; `takes_over` allows to take one that names
        another integration.  Raises a `GatewayError` when the locations cannot be read.
        """
        found = self._locations.every(call)
        steps = []
        for facility in dict.fromkeys(facilities):
            configured_id = self._ids.get(facility_key(facility), "")
            location, problem = self._find(facility, configured_id, found)
            if problem:
                steps.append(Step(facility, configured_id, "", "failed", problem))
            elif location is None:
                made = self._create(facility, address, call, is_dry)
                steps.append(made)
                if made.done == "created":  # another facility, or this one spelled otherwise, may have its name
                    found.append(Location(made.location_id, made.location, "active", self._integration_id))
            else:
                done, note = self._link(location, call, is_dry, takes_over)
                steps.append(Step(facility, location.location_id, location.name, done, note))
        self._locations.forget()
        return steps

    def _find(self, facility: str, configured_id: str, found: Sequence[Location]) -> tuple[Location | None, str]:
        """The location meant: by the configured id, by the same name, by the configured name."""
        if configured_id:
            by_id = next((item for item in found if item.location_id == configured_id), None)
            return by_id, "" if by_id else "Pipe17 shows no location with the configured id"
        times = Counter(facility_key(item.name) for item in found)
        key = facility_key(facility)
        for name in (key, facility_key(self._names.get(key, ""))):
            if times[name] > 1:
                return None, "several locations have this name; name the right one in channels.toml by its id"
            if name and times[name]:
                return next(item for item in found if facility_key(item.name) == name), ""
        return None, ""

    def _create(self, facility: str, address: Mapping[str, str], call: Call, is_dry: bool) -> Step:
        name = self._names.get(facility_key(facility), facility)
        if not address.get("country"):
            note = "there is no such location and Pipe17 needs an address to make one; give at least --country"
            return Step(facility, "", name, "failed", note)
        if is_dry:
            return Step(facility, "", name, "would create")
        try:
            body: Json = {"name": name, "address": dict(address), "status": "active", **self._owned}
            made = read(Location, self._api.post(PATH, body, call).get("location"))
        except GatewayError as error:
            return Step(facility, "", name, "failed", _by_hand(error))
        if made is None:
            return Step(facility, "", name, "failed", "Pipe17's answer names no location; run it again to look")
        return Step(facility, made.location_id, made.name or name, "created")

    def _link(self, location: Location, call: Call, is_dry: bool, takes_over: bool) -> tuple[Done, str]:
        """What was done for a location that is there, and what a person has to do."""
        if not location.is_active:
            return "failed", f"the location is {location.status or 'not active'} in Pipe17; make it active there"
        if not self._integration_id:
            return "ready", "with a bare key there is no integration to route to; set integration_id"
        if location.fulfillment_integration_id == self._integration_id:
            return "ready", ""
        if location.fulfillment_integration_id and not takes_over:
            return "failed", "its 3PL integration is another one; use --take-over if it is to be ours"
        if is_dry:
            return "would link", ""
        try:
            self._api.change(PATH, location.location_id, self._owned, call)
        except GatewayError as error:
            return "failed", _by_hand(error)
        return "linked", ""


def _by_hand(error: GatewayError) -> str:
    """What the merchant does where the key may not (contract 2.2)."""
    if isinstance(error, Misconfigured | Refused):
        return f"Pipe17 refused it ({error.code}); make it in Pipe17 by hand and set its 3PL integration to ours"
    return f"Pipe17 gave no usable answer ({error.code}); run it again"
