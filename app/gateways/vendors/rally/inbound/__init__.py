"""What Rally and the shop's own server call here: the hooks of every merchant, and the storefront's carts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from flask import Blueprint

from app.gateways.interface import Gateway
from app.gateways.vendors.rally.gateway import RallyGateway
from app.gateways.vendors.rally.inbound.hooks import create_hooks


def create(gateways: Mapping[str, Gateway]) -> Blueprint:
    """See `app.gateways.inbound`."""
    ours = [cast(RallyGateway, gateway) for gateway in gateways.values()]
    set_aside = frozenset(gateway.shop.channel for gateway in ours if gateway.is_set_aside)
    return create_hooks({gateway.shop.options.organization_id: gateway.shop for gateway in ours}, set_aside)
