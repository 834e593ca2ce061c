"""Example Shop: a made-up shop, whose orders RetailOps fulfils.  `VENDOR` is all the core sees.

It brings orders, takes two commands, stock and catalogue.
"""

from __future__ import annotations

from typing import Any, Final

from app.errors import GatewayError
from app.gateways.calls import Call, Health
from app.gateways.capabilities import Gateway
from app.gateways.vendor import Tools, Vendor
from app.gateways.vendors.example_shop.api import TOKEN, Api
from app.gateways.vendors.example_shop.facts import Products, Stock
from app.gateways.vendors.example_shop.options import ExampleShopOptions
from app.gateways.vendors.example_shop.order_commands import OrderCommands
from app.gateways.vendors.example_shop.orders import Orders

ACCOUNT: Final = "/account"


class ExampleShopVendor(Vendor):
    """Settings, and the gateway of a channel that has them."""

    token = TOKEN
    options: type[Any] = ExampleShopOptions

    def brings_orders(self, options: ExampleShopOptions) -> bool:
        return options.orders

    def account(self, options: ExampleShopOptions) -> str:
        return options.account_id

    def create(self, options: ExampleShopOptions, tools: Tools) -> Gateway:
        """Raises `Misconfigured` when no key may be sent to the address."""
        api = Api(tools.keyed_client(TOKEN, options, "X-Api-Key"))
        return Gateway(
            token=TOKEN,
            check=lambda call: _health(api, options.account_id, call),
            commands=OrderCommands(api),
            orders=Orders(options, api) if options.orders else None,
            stock=Stock(api),
            catalogue=Products(api),
        )


def _health(api: Api, account_id: str, call: Call) -> Health:
    """Reads the account's own name."""
    try:
        account = api.read(ACCOUNT, call)
    except GatewayError as error:
        return Health.after(error)
    if account.get("id") != account_id:
        return Health("refused", "the key belongs to another account than account_id")
    return Health("connected")


VENDOR: Vendor = ExampleShopVendor()
