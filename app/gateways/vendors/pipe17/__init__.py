"""Pipe17: order operations; RetailOps is one of its fulfilment sides.  `VENDOR` is all the core sees.

To a Pipe17 organisation RetailOps is a warehouse: shipping requests come in, fulfilments and stock go out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from app.domain.order_limits import BLANK_SHIP_CODE, why_not_carried
from app.domain.stock_levels import contradict, facility_key
from app.gateways.capabilities import Gateway
from app.gateways.vendor import Tools, Vendor
from app.gateways.vendors.pipe17.connection import health
from app.gateways.vendors.pipe17.connection.api import TOKEN, Api
from app.gateways.vendors.pipe17.connection.facilities import Facilities
from app.gateways.vendors.pipe17.connection.hints import Hints
from app.gateways.vendors.pipe17.connection.integration import Integration
from app.gateways.vendors.pipe17.connection.locations import Locations
from app.gateways.vendors.pipe17.fulfilments import Fulfilments
from app.gateways.vendors.pipe17.holdings import Pipe17Holdings
from app.gateways.vendors.pipe17.options import Pipe17Options
from app.gateways.vendors.pipe17.order_commands import Pipe17Commands
from app.gateways.vendors.pipe17.orders.order_mapping import OrderSkus
from app.gateways.vendors.pipe17.orders.order_source import Pipe17Orders
from app.gateways.vendors.pipe17.orders.shipping_requests import ShippingRequests
from app.gateways.vendors.pipe17.products.catalogue import Products
from app.gateways.vendors.pipe17.products.known_products import KnownProducts
from app.gateways.vendors.pipe17.products.product_cache import ProductCache
from app.gateways.vendors.pipe17.products.publish_requests import PublishRequests
from app.gateways.vendors.pipe17.returns import Returns
from app.gateways.vendors.pipe17.stock.held_stock import UntrackedStock
from app.gateways.vendors.pipe17.stock.ingest import Stock
from app.transport import learned_rate


@dataclass(frozen=True, eq=False)
class Account:
    """A key, and one location it serves or all of them ("").  Two are equal when they overlap (R5)."""

    key_digest: str
    location_id: str = ""

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Account)
            and self.key_digest == other.key_digest
            and (not self.location_id or not other.location_id or self.location_id == other.location_id)
        )

    def __hash__(self) -> int:
        return hash(self.key_digest)


@dataclass(frozen=True, eq=False, kw_only=True)
class Pipe17Gateway(Gateway):
    """One Pipe17 key of one channel, with what its commands and its webhooks need besides."""

    api: Api
    integration: Integration
    locations: Locations
    facilities: Facilities
    hints: Hints


class Pipe17Vendor(Vendor):
    """See `vendor.Vendor`."""

    token = TOKEN
    options: type[Any] = Pipe17Options

    def faults(self, options: Pipe17Options) -> list[str]:
        found = learned_rate.faults(options)
        if len({facility_key(name) for name in options.locations}) < len(options.locations):
            found.append("locations: two facilities have the same name but for case and blanks")
        if contradict(options.facilities):
            found.append("facilities: one facility, but for case and blanks, has two locations")
        if options.integration_refresh_s == 0 and options.entity_directions != "ours":
            found.append("entity_directions counts only where integration_refresh_s is not 0")
        return found

    def brings_orders(self, options: Pipe17Options) -> bool:
        return options.orders

    def not_carried(self, options: Pipe17Options) -> list[str]:
        found = []
        if rule := why_not_carried(options.default_currency):
            found.append(f"default_currency: {rule}")
        if any(not code.strip() for code in options.shipping_methods.values()):
            found.append(f"shipping_methods: {BLANK_SHIP_CODE}")
        if options.default_ship_code and not options.default_ship_code.strip():
            found.append(f"default_ship_code: {BLANK_SHIP_CODE}")
        return found

    def account_marks(self, options: Pipe17Options) -> list[Any]:
        digest = _digest(options.api_key)
        places = sorted(set(options.locations.values())) or [""]
        return [Account(digest, location_id) for location_id in places]

    def account(self, options: Pipe17Options) -> str:
        """The integration; of a bare key, which belongs to none, a part of its digest."""
        return options.integration_id or _of_key(options.api_key)

    def former_accounts(self, options: Pipe17Options) -> list[str]:
        """A bare key before it was replaced, or before it was known which integration it belongs to."""
        keys = [options.previous_api_key, options.api_key if options.integration_id else ""]
        return [_of_key(key) for key in keys if key]

    def address_parts(self, options: Pipe17Options, names: Sequence[str]) -> list[str]:
        return [options.webhook_path_key] if options.webhook_path_key else []

    def create(self, options: Pipe17Options, tools: Tools) -> Pipe17Gateway:
        """The parts of a gateway, each of which is given the parts it uses.

        Raises `Misconfigured` when no key may be sent to the address.
        """
        api = Api(tools.keyed_client(TOKEN, options, "X-Pipe17-Key"), options, tools.channel)
        hints = Hints(options, tools, api.outdate)
        integration = Integration(api, hints.heed if options.webhook_path_key else None)
        locations = Locations(api, integration)
        product_cache = ProductCache(api)
        requests = ShippingRequests(api)
        orders = Pipe17Orders(api, integration, locations, requests, OrderSkus(api, product_cache))
        known, untracked = KnownProducts(api, product_cache), UntrackedStock(api)
        stock = Stock(api, integration, locations, known, untracked)
        # A bare key has no row of its own in a product, so there is nothing it could write (contract 2.3).
        takes_catalogue = bool(options.integration_id) and (options.catalog or options.integration_refresh_s > 0)
        products = Products(api, integration, known, tools.database)
        return Pipe17Gateway(
            token=TOKEN,
            check=partial(health.health, api, integration, locations),
            commands=Pipe17Commands(integration, requests, Fulfilments(api, integration), Returns(api, integration)),
            orders=orders if options.orders else None,
            stock=stock,
            catalogue=products if takes_catalogue else None,
            poll=PublishRequests(api, integration, known, locations, untracked, takes_catalogue),
            holdings=Pipe17Holdings(api, integration, locations, requests, known, stock),
            permissions=integration.permissions,
            settle_s=options.settle_seconds,
            api=api,
            integration=integration,
            locations=locations,
            facilities=Facilities(api, locations, integration),
            hints=hints,
        )


def _of_key(api_key: str) -> str:
    return f"key:{_digest(api_key)[:16]}"


def _digest(api_key: str) -> str:
    return hashlib.sha256(api_key.encode()).hexdigest()


VENDOR = Pipe17Vendor()
