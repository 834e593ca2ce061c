"""What a check sees of a Pipe17 account: harmless reads, and what our own integration says.  Nothing is written."""

from __future__ import annotations

from collections.abc import Iterator

from app.errors import GatewayError, Misconfigured, Refused
from app.gateways.interface import Call, Finding, Health
from app.gateways.pipe17.api import Api
from app.gateways.pipe17.integration import FORBIDDEN, SPARE_S, Integration
from app.gateways.pipe17.options import Pipe17Options


def health(options: Pipe17Options, api: Api, integration: Integration, call: Call) -> Health:
    """The first read says whether the account answers; the others are findings, made where there is time."""
    found: tuple[Finding, ...] = ()
    try:
        api.read("/locations", call, params={"count": 1})
        if call.deadline.left_s() >= SPARE_S:
            found = (_settings(options, integration, call), *_grants(options, api, call))
    except (Misconfigured, Refused) as error:
        return Health("refused", error.message)
    except GatewayError as error:
        return Health("unreachable", error.message)
    return Health("connected", "", found)


def _settings(options: Pipe17Options, integration: Integration, call: Call) -> Finding:
    if not options.integration_id:
        return Finding("settings", "off", "a bare API key has none at Pipe17; channels.toml alone counts")
    if not options.integration_refresh_s:
        return Finding("settings", "off", "integration_refresh_s is 0; channels.toml alone counts")
    status = integration.look(call)
    if status is None:
        said = "Pipe17 does not show the integration of integration_id; channels.toml alone counts"
        return Finding("settings", "attention", said)
    return Finding("settings", "ok", f"read from the integration, which is {status} in Pipe17")


def _grants(options: Pipe17Options, api: Api, call: Call) -> Iterator[Finding]:
    """Reads that an integration may lack the grant for; whether it may write, only a write would show."""
    if not options.integration_id:
        return
    for name, path in (("orders", options.shipments_path), ("fulfillments", "/fulfillments")):
        try:
            api.read(path, call, params={"count": 1})
        except Misconfigured as error:
            if error.code != FORBIDDEN:
                raise
            yield Finding(f"read {name}", "attention", f"the key has no grant: {error.message}")
        else:
            yield Finding(f"read {name}", "ok", "the key may")
