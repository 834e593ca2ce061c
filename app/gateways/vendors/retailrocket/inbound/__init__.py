"""What Retail Rocket fetches here: the feeds of the channels in feed mode."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from flask import Blueprint

from app.gateways.capabilities import Gateway
from app.gateways.vendors.retailrocket.gateway import RetailRocketGateway
from app.gateways.vendors.retailrocket.inbound.feed_server import create_feed_server


def create(gateways: Mapping[str, Gateway], set_aside: Collection[str]) -> Blueprint | None:
    """See `app.gateways.inbound`; None where no channel is in feed mode."""
    feeds = {
        channel: (gateway.feed, gateway.feed_token)
        for channel, gateway in gateways.items()
        if isinstance(gateway, RetailRocketGateway) and gateway.feed is not None
    }
    return create_feed_server(feeds, frozenset(set_aside)) if feeds else None
