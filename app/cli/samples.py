"""Sample bodies for every callback: the fixtures', made to speak of one order and of goods that no shop has.

Order and SKU names begin with SAMPLE, and the product's id is none of the fixtures', so that a server which really
holds orders and products does not find one of its own meant.
"""

from __future__ import annotations

from typing import Any

import msgspec

from app.cli.verify.bodies import mapped
from app.contract.files import FIXTURES
from app.sandbox.vendors.retailops.caller import ACTIONS

_PLAIN = ("catalog_get_config", "order_pull")
"""Callbacks of which the first fixture is the usual call; of the others the second is, as full as RetailOps' own."""

_NAMES = {
    **dict.fromkeys(("496", "string", "BESTELLUNG #7/ö"), "SAMPLE-1001"),
    "MUG-BLÅ-350": "SAMPLE-MUG-RED",
    "TEA-玉露-50": "SAMPLE-TEA-50",
    "KANNE/GROß": "SAMPLE-POT",
    "FILTER-80": "SAMPLE-FILTER-80",
    "S12345": "SAMPLE-TAG",
    "ch_9Zk": "sample-payment-1",
    "gc-77": "sample-payment-2",
}
"""What the fixtures call something, and what its sample is called."""


def sample(callback: str) -> dict[str, Any]:
    """A body for the callback (named without its version), without key, client and channel.

    A callback that was added to `schemas/` and has no fixture gets the envelope alone.
    """
    file = FIXTURES / f"{callback}_v1_ex_{1 if callback in _PLAIN else 2}.json"
    fixture = msgspec.json.decode(file.read_bytes()) if file.exists() else {}
    body: dict[str, Any] = mapped(fixture, lambda value: _NAMES.get(value, value) if isinstance(value, str) else value)
    for name in ("integration_auth_token", "client_id", "channel_info"):
        body.pop(name, None)
    match callback:
        case "catalog_push":  # one product that every vendor can sell
            del body["template_output"]["data"]["Product"][1:]
            [product] = body["template_output"]["data"]["Product"]
            product["object_data"] = {"id": 4711001, "source_type": "sku"}
            feed = product["feed_data"]
            feed["General"] |= {"SKU": "SAMPLE-MUG-RED", "Title": "Sample mug, red", "Currency": "USD",
                                "URL": "https://shop.example/sample-mug"}  # fmt: skip
            del feed["Variants"]
        case "order_acknowledge":
            del body["orders"][1:]
        case "order_shipment_submit":  # one thing in one package, so that --set can name it
            del body["shipment"]["packages"][1:]
            del body["shipment"]["packages"][0]["package_items"][1:]
    return {**body, "action": ACTIONS.get(callback, callback), "version": 1}
