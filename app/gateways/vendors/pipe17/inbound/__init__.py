"""What Pipe17 calls here: the address of its webhooks, where a channel has a key for it."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint

from app.gateways.interface import Gateway
from app.gateways.vendors.pipe17.gateway import Pipe17Gateway
from app.gateways.vendors.pipe17.inbound.webhooks import create_webhooks


def create(gateways: Mapping[str, Gateway]) -> Blueprint:
    """See `app.gateways.inbound`.  A gateway whose channel had another name before is among them twice."""
    return create_webhooks({item for item in gateways.values() if isinstance(item, Pipe17Gateway)})
