"""RetailOps as a warehouse of a Pipe17 organisation: shipping requests in, fulfilments and stock out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from app.gateways.capabilities import Gateway
from app.gateways.vendor import Tools
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


@dataclass(frozen=True, eq=False, kw_only=True)
class Pipe17Gateway(Gateway):
    """One Pipe17 key of one channel, with what its commands and its webhooks need besides."""

    api: Api
    integration: Integration
    locations: Locations
    facilities: Facilities
    hints: Hints


def create_gateway(options: Pipe17Options, tools: Tools) -> Pipe17Gateway:
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
