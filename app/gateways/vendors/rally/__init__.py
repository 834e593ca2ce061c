"""Rally: headless checkout, for which we are the platform.  `VENDOR` is all the core sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.gateways.capabilities import Gateway
from app.gateways.vendor import Tools, Vendor
from app.gateways.vendors.rally.gateway import create_gateway
from app.gateways.vendors.rally.merchant import GATEWAY
from app.gateways.vendors.rally.options import RallyOptions
from app.transport import learned_rate


class RallyVendor(Vendor):
    """See `vendor.Vendor`."""

    token = GATEWAY
    options: type[Any] = RallyOptions

    def faults(self, options: RallyOptions) -> list[str]:
        found = [*learned_rate.faults(options), *options.faults()]
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

    def create(self, options: RallyOptions, tools: Tools) -> Gateway:
        """Raises `Misconfigured` when no key may be sent to the address."""
        return create_gateway(options, tools)


VENDOR = RallyVendor()
