"""Retail Rocket: personalisation; an observer of goods, stock flags and purchases.  `VENDOR` is all the core sees.

None of what it gets can fail an order (R17, R29).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from app.domain.stock_levels import contradict
from app.gateways.capabilities import Gateway
from app.gateways.vendor import Tools, Vendor
from app.gateways.vendors.retailrocket.api import TOKEN, Api
from app.gateways.vendors.retailrocket.facts import Goods, StockFlags
from app.gateways.vendors.retailrocket.feed.builder import FeedBuilder
from app.gateways.vendors.retailrocket.health import StoreHealth
from app.gateways.vendors.retailrocket.options import RetailRocketOptions
from app.gateways.vendors.retailrocket.product_api import ProductApi, forms_of
from app.gateways.vendors.retailrocket.purchases import Purchases
from app.gateways.vendors.retailrocket.store import Store
from app.records.feeds import FeedStore
from app.records.full_resync import FullResync
from app.transport import learned_rate


@dataclass(frozen=True, eq=False, kw_only=True)
class RetailRocketGateway(Gateway):
    """One store of one channel, with what its feed's address needs besides."""

    observer: Purchases
    api: Api
    feed: FeedStore | None
    """What is served; None in Product API mode."""
    feed_token: str = field(repr=False)
    """The secret part of the feed's address; "" where it has none."""


class RetailRocketVendor(Vendor):
    """See `vendor.Vendor`."""

    token = TOKEN
    options: type[Any] = RetailRocketOptions

    def faults(self, options: RetailRocketOptions) -> list[str]:
        found = super().faults(options)
        found += learned_rate.faults(options, "products_per_s", "products_rate_max")
        if options.reports_purchases and not options.api_key:
            found.append('api_key is needed for order_source = "server"')
        if options.reports_purchases and not options.currency:
            found.append('currency is needed for order_source = "server": two currencies must not be mixed')
        if contradict(options.stock_ids):
            found.append("stock_ids: one facility, but for case and blanks, has two stock ids")
        if options.purchase_route == "csv" and not options.consent:
            found.append('purchase_route = "csv" needs consent = true: the upload subscribes shoppers to mailings')
        return found

    def account(self, options: RetailRocketOptions) -> str:
        """Two channels of one store would overwrite each other's goods, whose numbers they share (R5)."""
        return options.partner_id

    def address_parts(self, options: RetailRocketOptions, names: Sequence[str]) -> list[str]:
        return [f"{name}.xml" for name in names]

    def create(self, options: RetailRocketOptions, tools: Tools) -> RetailRocketGateway:
        """Raises `Misconfigured` when no key may be sent to one of the addresses."""
        store, api = Store(options, tools.records, tools.channel, tools.clock), Api(options, tools)
        builder = FeedBuilder(store) if options.mode == "feed" else None
        feed = builder.feed if builder else None
        products, purchases = ProductApi(store, api), Purchases(store, api)
        # In Product API mode the whole catalogue is sent again after a change of form.
        resync = FullResync(store.database, tools.channel, TOKEN, tools.clock, *forms_of(options))
        return RetailRocketGateway(
            token=TOKEN,
            check=StoreHealth(store, api, feed, tools, purchases.reports_at).check,
            commands=purchases,
            stock=StockFlags(store, products, feed),
            catalogue=Goods(store, products, feed),
            observer=purchases,
            background=builder.work if builder else resync.schedule_if_due,
            api=api,
            feed=feed,
            feed_token=options.feed_token,
        )


VENDOR = RetailRocketVendor()
