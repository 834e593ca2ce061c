"""What a check sees of a Pipe17 account: harmless reads, and what our own integration says.  Nothing is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from app.domain.findings import Finding
from app.domain.stock_levels import facility_key
from app.errors import GatewayError, Misconfigured, Refused
from app.gateways.calls import Call, Health
from app.gateways.vendors.pipe17.connection.api import NOT_PIPE17, Api, NoGrant
from app.gateways.vendors.pipe17.connection.integration import SPARE_S, Integration
from app.gateways.vendors.pipe17.connection.locations import Location, Locations
from app.gateways.vendors.pipe17.options import Pipe17Options
from app.gateways.vendors.pipe17.orders.order_mapping import ANY_METHOD

INVENTORY_ENGINE: Final = Finding(
    "inventory engine",
    "note",
    "Pipe17's Inventory Engine is off by default and no read shows whether it is on: while it is off, orders and "
    "fulfilments do not change stock at Pipe17, and what it counts as committed stays until people there clear it",
)
"""Contract, Corrections."""


def health(api: Api, integration: Integration, locations: Locations, call: Call) -> Health:
    """The first read says whether the account answers; the others are findings, made where there is time."""
    found: list[Finding] = []
    try:
        api.read("/locations", call, params={"count": 1})
        if call.deadline.left_s() >= SPARE_S:
            found += _settings(api.options, integration, call)
            found += (*_ship_codes(api.options, integration.last.settings), *_grants(api, call))
        if call.deadline.left_s() >= SPARE_S:
            found += (*_locations(api.options, integration, locations, call), INVENTORY_ENGINE)
    except GatewayError as error:
        return Health.after(error)
    return Health("connected", "", tuple(found))


def _settings(options: Pipe17Options, integration: Integration, call: Call) -> Iterator[Finding]:
    """Whether the integration is read, and what of it this server does not honour."""
    if not options.integration_id:
        yield Finding("settings", "off", "a bare API key has none at Pipe17; channels.toml alone counts")
        return
    if not options.integration_refresh_s:
        yield Finding("settings", "off", "integration_refresh_s is 0; channels.toml alone counts")
        return
    said = integration.look(call)
    if said.record is None:
        sentence = "Pipe17 does not show the integration of integration_id; channels.toml alone counts"
        yield Finding("settings", "attention", sentence)
        return
    yield Finding("settings", "ok", f"read from the integration, which is {said.record.status} in Pipe17")
    for problem in said.problems:
        yield Finding("settings", "attention", f"a setting of the integration in Pipe17 is not used: {problem}")
    for entity, count in integration.field_mappings(said.record, call):
        if count:
            sentence = f"Pipe17 has {count} field mapping rules for {entity}; this server does not apply them"
            yield Finding("field mapping", "off", sentence)


def _ship_codes(options: Pipe17Options, settings: Pipe17Options) -> Iterator[Finding]:
    """Requests that no ship_service_code is found for are held back."""
    if options.orders and not (settings.default_ship_code or settings.shipping_methods.get(ANY_METHOD)):
        sentence = "default_ship_code is empty: requests that name no shipping method are held back, not handed out"
        yield Finding("default_ship_code", "note", sentence)


def _locations(options: Pipe17Options, integration: Integration, locations: Locations, call: Call) -> Iterator[Finding]:
    """Whether the locations this channel is to serve exist and route to it; a wrong one makes every pull empty."""
    shown = {location.location_id: location for location in locations.every(call)}
    served = locations.served_among(list(shown.values()))
    settings = integration.last.settings
    named = {f"the location of facility '{name}' in locations": place for name, place in options.locations.items()}
    named |= {f"location '{place}' of location_filter": place for place in sorted(settings.location_filter)}
    if options.inflight_location:
        named["inflight_location"] = options.inflight_location
    wrong = [f"{what} {why}" for what, place in named.items() if (why := _why_not(shown.get(place), options))]
    names = Counter(facility_key(location.name) for location in shown.values() if location.is_active)
    wrong += [
        f"facility '{facility}' of facilities names a location that does not exist"
        for facility, name in options.facilities.items()
        if not names[facility_key(name)]
    ]
    ids = [place for place in served.only(settings.location_filter).ids if place in shown]
    for sentence in wrong:
        yield Finding("locations", "attention", f"{sentence}; `channel pipe17 locations list` shows what there is")
    if not ids:
        mend = (
            "`channel pipe17 locations sync` makes them, and order_pull stays empty until then"
            if options.integration_id
            else "name yours in [channel.pipe17.locations]; order_pull stays empty until then"
        )
        yield Finding("locations", "attention", f"Pipe17 has no active location that this channel serves: {mend}")
    elif not wrong:
        yield Finding("locations", "ok", f"{len(ids)} served" + (f", such as '{shown[ids[0]].name}'"))


def _why_not(location: Location | None, options: Pipe17Options) -> str:
    """Why a location that a setting names cannot be served, or ""."""
    if location is None:
        return "does not exist at Pipe17, or this key is not shown it"
    if not location.is_active:
        return "is not active at Pipe17, so nothing is routed to it"
    if options.integration_id and location.fulfillment_integration_id != options.integration_id:
        return "routes its orders to another integration than integration_id"
    return ""


def _grants(api: Api, call: Call) -> Iterator[Finding]:
    """Reads that a key may lack the grant for; whether it may write, only a write would show.

    A bare key may do everything, so of it only a path is tried that was set: a wrong one refuses every pull.
    """
    options = api.options
    reads = {"orders": options.shipments_path, "fulfillments": "/fulfillments"} if options.integration_id else {}
    if options.orders and options.shipments_path != Pipe17Options.shipments_path:
        reads["orders"] = options.shipments_path
    for name, path in reads.items():
        try:
            api.read(path, call, params={"count": 1})
        except NoGrant as error:
            yield Finding(f"read {name}", "attention", f"the key has no grant: {error.message}")
        except Misconfigured as error:
            if error.code != NOT_PIPE17:
                raise
            yield Finding(f"read {name}", "attention", f"there is no {path}: {error.message}")
        except Refused as error:
            setting = ", which is shipments_path" if name == "orders" else ""
            yield Finding(f"read {name}", "attention", f"{path}{setting}, is refused: {error.message}")
        else:
            yield Finding(f"read {name}", "ok", "the key may")
