"""Retail Rocket: on Rally's channel, beside it and never in its way."""

from __future__ import annotations

from typing import Any

from app.cli.demo.playing import Scenario, eventually, expect, step
from app.sandbox.vendors.retailops import RetailOps
from app.transport import straight

VENDOR = "retailrocket"

HANG_S = 5
"""How long a single call to a vendor that hangs takes."""

SETTINGS = f"""
order_source = "server"
currency = "USD"
feed_delay_s = 0
shop_url = "https://shop.example"
single_call_s = {HANG_S}
"""
"""Of its table: purchases are reported from here, and nobody waits long."""


class RetailRocket(Scenario):
    """The feed of a shop that has sold something already, and what was reported of that."""

    def __init__(self, retailops: RetailOps, sandbox_url: str, feed_url: str) -> None:
        super().__init__(retailops, sandbox_url)
        self._feed_url = feed_url

    @step("the feed is fetched, and not fetched again unchanged")
    def feed(self) -> str:
        self.at_vendor("settings", {"feed_url": self._feed_url}, "PUT")
        eventually(lambda: len(self._imported()) == 3, "three offers")
        first = straight.request("GET", self._feed_url, timeout=5)
        known = {"If-None-Match": first.headers["ETag"]}
        again = straight.request("GET", self._feed_url, headers=known, timeout=5)
        expect(again.status_code == 304, f"the unchanged feed answered {again.status_code}")
        return f"3 offers imported of {len(first.content)} bytes; fetched again: 304"

    @step("sold out: a flag flips in the feed")
    def sell_out(self) -> str:
        self.answered("inventory_push", inventory_updates=[{"sku": "CAP", "quantity_available": 0}])
        waited = eventually(lambda: False in self._imported().values(), "the sold out cap")
        return f"imported as unavailable {waited:.1f} s after the answer"

    @step("the purchase was reported, each line once")
    def purchases(self) -> str:
        eventually(lambda: bool(self._sold()), "the purchase")
        return f"{len(self._sold())} lines of one order, {sum(line['quantity'] for line in self._sold()):g} units"

    @step("Retail Rocket hangs: nobody notices")
    def hang(self) -> str:
        self.at_vendor("faults", {"kind": "hang"})
        reply = self.answered("inventory_push", inventory_updates=[{"sku": "CAP", "quantity_available": 2}])
        expect(not reply.codes() and reply.duration_s < HANG_S, f"{reply.codes()} after {reply.duration_s:.2f} s")
        return f"inventory_push answered in {reply.duration_s * 1000:.0f} ms, without an event"

    def _imported(self) -> dict[str, bool]:
        straight.request("POST", f"{self._sandbox}/poll", timeout=10)  # the vendor's own rhythm is minutes to hours
        return {str(item["id"]): item["isAvailable"] for item in self.seen("products")["products"]}

    def _sold(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.seen("purchases")["purchases"]
        return found
