"""Retail Rocket as an observer: goods, stock flags and purchases, none of which can fail an order (R17, R29)."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.errors import Misconfigured
from app.gateways.capabilities import Gateway
from app.gateways.vendor import Tools
from app.gateways.vendors.retailrocket.api import TOKEN, Api
from app.gateways.vendors.retailrocket.facts import Goods, StockFlags
from app.gateways.vendors.retailrocket.feed.builder import FeedBuilder
from app.gateways.vendors.retailrocket.health import StoreHealth
from app.gateways.vendors.retailrocket.offers import Availability
from app.gateways.vendors.retailrocket.options import RetailRocketOptions
from app.gateways.vendors.retailrocket.product_api import ProductApi, forms_of
from app.gateways.vendors.retailrocket.purchases import Purchases
from app.records.feeds import FeedStore
from app.records.full_resync import FullResync
from app.records.report_ledger import ReportLedger


@dataclass(frozen=True, eq=False, kw_only=True)
class RetailRocketGateway(Gateway):
    """One store of one channel, with what its feed's address needs besides."""

    observer: Purchases
    api: Api
    feed: FeedStore | None
    """What is served; None in Product API mode."""
    feed_token: str = field(repr=False)
    """The secret part of the feed's address; "" where it has none."""


def create_gateway(options: RetailRocketOptions, tools: Tools) -> RetailRocketGateway:
    """Raises `Misconfigured` without records, or when no key may be sent to one of the addresses."""
    if tools.database is None:
        raise Misconfigured("NO_RECORDS", "retailrocket: a feed and a ledger need the records")
    own = (tools.database, tools.channel, TOKEN)
    api = Api(options, tools)
    builder = FeedBuilder(options, *own, tools.clock) if options.mode == "feed" else None
    feed = builder.store if builder else None
    products = ProductApi(options, api, *own)
    purchases = Purchases(options, api, tools.database, ReportLedger(*own), tools.channel, tools.clock)
    # In Product API mode the whole catalogue is sent again after a change of form.
    background = builder.work if builder else FullResync(*own, tools.clock, *forms_of(options)).schedule_if_due
    return RetailRocketGateway(
        token=TOKEN,
        check=StoreHealth(options, api, feed, tools.database, tools, purchases.reports_at).check,
        commands=purchases,
        stock=StockFlags(products, Availability(options), feed, tools.database, tools.channel, tools.clock),
        catalogue=Goods(products, feed, tools.clock),
        observer=purchases,
        background=background,
        api=api,
        feed=feed,
        feed_token=options.feed_token,
    )
