"""Rally: headless checkout, for which we are the platform.  `VENDOR` is all the core sees.

Its orders are kept here, and Rally is informed of what becomes of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.errors import GatewayError
from app.gateways.calls import Call, Health
from app.gateways.capabilities import Gateway
from app.gateways.vendor import Tools, Vendor
from app.gateways.vendors.rally.api import Api
from app.gateways.vendors.rally.facts import Products, Stock
from app.gateways.vendors.rally.health import findings_of
from app.gateways.vendors.rally.hook_registry import HookRegistry
from app.gateways.vendors.rally.merchant import GATEWAY, Merchant
from app.gateways.vendors.rally.options import RallyOptions
from app.gateways.vendors.rally.order_commands import RallyCommands
from app.gateways.vendors.rally.orders import RallyOrders

FACTS_AT_ONCE: Final = 8
"""How many products or SKUs are sent at a time where `parallel_calls` sets no cap."""


@dataclass(frozen=True, eq=False, kw_only=True)
class RallyGateway(Gateway):
    """One merchant of Rally, with what its hooks need besides."""

    orders: RallyOrders
    shop: Merchant
    api: Api


class RallyVendor(Vendor):
    """See `vendor.Vendor`."""

    token = GATEWAY
    options: type[Any] = RallyOptions

    def faults(self, options: RallyOptions) -> list[str]:
        found = [*super().faults(options), *options.faults()]
        if options.storefront_key and options.storefront_key in (options.api_key, *options.hmac_secrets):
            found.append("storefront_key: must be another key than those Rally has")
        return found

    def brings_orders(self, options: RallyOptions) -> bool:
        return True

    def not_carried(self, options: RallyOptions) -> list[str]:
        return options.not_carried()

    def account(self, options: RallyOptions) -> str:
        """Rally's calls name the organisation, so it says which channel is meant (R5)."""
        return options.organization_id

    def address_parts(self, options: RallyOptions, names: Sequence[str]) -> list[str]:
        return [options.organization_id]

    def create(self, options: RallyOptions, tools: Tools) -> RallyGateway:
        """Raises `Misconfigured` when no key may be sent to the address."""
        merchant = Merchant(tools.channel, options, tools.records, tools.clock, tools.wake, tools.observe_inbound)
        api = Api(options, tools)
        # Of Rally's own limits nothing is known (contract 6.3).  A cap leaves one call to whoever waits for an answer.
        cap = max(1, options.parallel_calls - 1) if options.parallel_calls else FACTS_AT_ONCE
        at_once = min(cap, max(1, tools.threads // 2))
        orders, commands = RallyOrders(merchant), RallyCommands(merchant, api)
        registry = HookRegistry(api, options, tools.public_url)

        def check(call: Call) -> Health:
            known = tuple(findings_of(merchant))
            try:
                found = registry.finding_of(api.hooks(call))
            except GatewayError as error:
                return Health.after(error, known)
            return Health("connected", "", (found, *known))

        return RallyGateway(
            token=GATEWAY,
            check=check,
            commands=commands,
            orders=orders,
            kept_orders=orders,
            money=commands,
            stock=Stock(merchant, api, at_once),
            catalogue=Products(merchant, api, at_once),
            settle_s=options.settle_seconds,
            shop=merchant,
            api=api,
        )


VENDOR = RallyVendor()
