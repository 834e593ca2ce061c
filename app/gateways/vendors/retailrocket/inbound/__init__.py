"""What Retail Rocket fetches here: the feeds of the channels in feed mode."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint

from app.gateways.interface import Gateway
from app.gateways.vendors.retailrocket.gateway import feed_of
from app.gateways.vendors.retailrocket.inbound.feed_server import create_feed_server


def create(gateways: Mapping[str, Gateway]) -> Blueprint | None:
    """See `app.gateways.inbound`; None where no channel is in feed mode."""
    feeds = {channel: feed for channel, gateway in gateways.items() if (feed := feed_of(gateway))}
    set_aside = frozenset(channel for channel, gateway in gateways.items() if gateway.is_set_aside)
    return create_feed_server(feeds, set_aside) if feeds else None
