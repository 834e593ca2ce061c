"""The demo's Retail Rocket act: on the Rally channel, beside it and never in its way."""

from __future__ import annotations

from typing import Any

import requests

from app.cli.demo import rally
from app.cli.demo.playing import Steps, accepted, eventually, expect
from app.cli.demo.stage import Stage
from app.sandbox.vendors.retailops import RetailOps
from app.sandbox.vendors.retailrocket import API_KEY, API_PATH, CDN_PATH, PARTNER_ID, TRACKING_PATH

VENDOR = "retailrocket"
PAIR, KEY = rally.PAIR, rally.KEY

TABLE = f"""
[channel.retailrocket]
partner_id = "{PARTNER_ID}"
api_key = "{API_KEY}"
order_source = "server"
currency = "USD"
feed_delay_s = 0
shop_url = "https://shop.example"
tracking_url = "SANDBOX{TRACKING_PATH}"
api_url = "SANDBOX{API_PATH}"
cdn_url = "SANDBOX{CDN_PATH}"
"""


def channel(stage: Stage) -> str:
    """Its table; it stands behind that of the channel it observes."""
    return TABLE.replace("SANDBOX", stage.sandbox_url(VENDOR))


class OrderLife:
    """The demo's steps, in order; each returns the sentence for the table or raises `Failed`."""

    def __init__(self, stage: Stage, retailops: RetailOps) -> None:
        self.ro = retailops
        self.feed_url = f"{stage.server_url}/feeds/retailrocket/{rally.NAME}.xml"
        self.sandbox_url = f"{stage.sandbox_url(VENDOR)}/sandbox"

    def steps(self) -> Steps:
        return [
            ("the feed is fetched, and not fetched again unchanged", self.feed),
            ("sold out: a flag flips in the feed", self.sell_out),
            ("the purchase was reported, each line once", self.purchases),
            ("Retail Rocket hangs: nobody notices", self.hang),
        ]

    def feed(self) -> str:
        reply = requests.put(f"{self.sandbox_url}/settings", json={"feed_url": self.feed_url}, timeout=5)
        expect(reply.status_code == 200, reply.text)
        eventually(lambda: len(self._imported()) == 3, "three offers")
        first = requests.get(self.feed_url, timeout=5)
        again = requests.get(self.feed_url, headers={"If-None-Match": first.headers["ETag"]}, timeout=5)
        expect(again.status_code == 304, f"the unchanged feed answered {again.status_code}")
        return f"3 offers imported of {len(first.content)} bytes; fetched again: 304"

    def sell_out(self) -> str:
        accepted(self.ro.call("inventory_push", inventory_updates=[{"sku": "CAP", "quantity_available": 0}]))
        waited = eventually(lambda: False in self._imported().values(), "the sold out cap")
        return f"imported as unavailable {waited:.1f} s after the answer"

    def purchases(self) -> str:
        eventually(lambda: bool(self._purchases()), "the purchase")
        sold = self._purchases()
        return f"{len(sold)} lines of one order, {sum(line['quantity'] for line in sold):g} units"

    def hang(self) -> str:
        requests.post(f"{self.sandbox_url}/faults", json={"kind": "hang"}, timeout=5)
        reply = accepted(self.ro.call("inventory_push", inventory_updates=[{"sku": "CAP", "quantity_available": 2}]))
        expect(not reply.codes() and reply.duration_s < 0.5, f"{reply.codes()} after {reply.duration_s:.2f} s")
        return f"inventory_push answered in {reply.duration_s * 1000:.0f} ms, without an event"

    def _imported(self) -> dict[str, bool]:
        requests.post(f"{self.sandbox_url}/poll", timeout=10)  # the vendor's own rhythm is minutes to hours
        products = requests.get(f"{self.sandbox_url}/products", timeout=5).json()
        return {str(item["id"]): item["isAvailable"] for item in products["products"]}

    def _purchases(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = requests.get(f"{self.sandbox_url}/purchases", timeout=5).json()["purchases"]
        return found
