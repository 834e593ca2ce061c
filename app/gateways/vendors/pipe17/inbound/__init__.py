"""What Pipe17 calls here: the address of its webhooks, where a channel has a key for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from flask import Blueprint

from app.gateways.capabilities import Gateway
from app.gateways.vendors.pipe17.gateway import Pipe17Gateway
from app.gateways.vendors.pipe17.inbound.webhooks import create_webhooks


def create(gateways: Mapping[str, Gateway], set_aside: Collection[str]) -> Blueprint:
    """See `app.gateways.inbound`.  A gateway whose channel had another name before is among them twice."""
    ours = {name: gateway.hints for name, gateway in gateways.items() if isinstance(gateway, Pipe17Gateway)}
    return create_webhooks(set(ours.values()), {hints for name, hints in ours.items() if name in set_aside})
