"""Example Shop: a made-up shop, whose orders RetailOps fulfils.  `VENDOR` is all the core sees."""

from __future__ import annotations

from typing import Any

from app.gateways.capabilities import Gateway
from app.gateways.vendor import Tools, Vendor
from app.gateways.vendors.example_shop.api import TOKEN
from app.gateways.vendors.example_shop.gateway import create_gateway
from app.gateways.vendors.example_shop.options import ExampleShopOptions
from app.transport import learned_rate


class ExampleShopVendor(Vendor):
    """Settings, and the gateway of a channel that has them."""

    token = TOKEN
    options: type[Any] = ExampleShopOptions

    def faults(self, options: ExampleShopOptions) -> list[str]:
        return learned_rate.faults(options)

    def brings_orders(self, options: ExampleShopOptions) -> bool:
        return options.orders

    def account(self, options: ExampleShopOptions) -> str:
        return options.account_id

    def create(self, options: ExampleShopOptions, tools: Tools) -> Gateway:
        """Raises `Misconfigured` when no key may be sent to the address."""
        return create_gateway(options, tools)


VENDOR: Vendor = ExampleShopVendor()
