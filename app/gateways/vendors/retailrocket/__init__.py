"""Retail Rocket: personalisation; a side feed that gets goods, stock and purchases.  `VENDOR` is all the core sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.gateways.capabilities import Gateway
from app.gateways.vendor import Tools, Vendor
from app.gateways.vendors.retailrocket.api import TOKEN
from app.gateways.vendors.retailrocket.gateway import create_gateway
from app.gateways.vendors.retailrocket.options import RetailRocketOptions
from app.transport import learned_rate


class RetailRocketVendor(Vendor):
    """See `vendor.Vendor`."""

    token = TOKEN
    options: type[Any] = RetailRocketOptions

    def faults(self, options: RetailRocketOptions) -> list[str]:
        found = learned_rate.faults(options)
        found += learned_rate.faults(options, "products_per_s", "products_rate_max")
        if options.reports_purchases and not options.api_key:
            found.append('api_key is needed for order_source = "server"')
        if options.reports_purchases and not options.currency:
            found.append('currency is needed for order_source = "server": two currencies must not be mixed')
        if options.purchase_route == "csv" and not options.consent:
            found.append('purchase_route = "csv" needs consent = true: the upload subscribes shoppers to mailings')
        return found

    def account(self, options: RetailRocketOptions) -> str:
        """Two channels of one store would overwrite each other's goods, whose numbers they share (R5)."""
        return options.partner_id

    def address_parts(self, options: RetailRocketOptions, names: Sequence[str]) -> list[str]:
        return [f"{name}.xml" for name in names]

    def create(self, options: RetailRocketOptions, tools: Tools) -> Gateway:
        return create_gateway(options, tools)


VENDOR = RetailRocketVendor()
