"""What Rally and the shop's own server call here: the hooks of every merchant, and the storefront's carts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import cast

from flask import Blueprint

from app.gateways.capabilities import Gateway
from app.gateways.vendors.rally import RallyGateway
from app.gateways.vendors.rally.inbound.hooks import create_hooks


def create(gateways: Mapping[str, Gateway], set_aside: Collection[str]) -> Blueprint:
    """See `app.gateways.inbound`."""
    merchants = {name: cast(RallyGateway, gateway).shop for name, gateway in gateways.items()}
    stopped = frozenset(merchant.channel for name, merchant in merchants.items() if name in set_aside)
    return create_hooks({merchant.options.organization_id: merchant for merchant in merchants.values()}, stopped)
