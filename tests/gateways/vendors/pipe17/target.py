"""How Pipe17 is set up against its sandbox for the conformance suite: with a bare key and two shipping requests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from app.domain.commands import (
    Acknowledgement,
    Cancellation,
    Completion,
    Package,
    PackageLine,
    ReturnedGoods,
    ReturnedLine,
)
from app.domain.stock import StockChange, StockDetail, StockLevel
from app.domain.traffic import VendorCall
from app.gateways import VENDORS
from app.gateways.capabilities import Gateway
from app.gateways.vendor import Tools
from app.sandbox.server import RunningServer
from app.sandbox.vendors.pipe17 import BASE_PATH, LEGACY_KEY, serve_pipe17
from app.sandbox.vendors.pipe17.samples import DALLAS
from tests.gateways.conformance_targets import Target


@contextmanager
def target() -> Iterator[Target]:
    with serve_pipe17(shipments=0) as server:
        made, shipped = _ask(server, "shipments", {"count": 2})["shipments"]
        lines = tuple(PackageLine(line["uniqueId"], line["sku"], line["quantity"]) for line in made["lineItems"])
        refnum = made["shipmentId"]
        first, key = shipped["lineItems"][0], {"X-Pipe17-Key": LEGACY_KEY}
        parcel = {
            "shipmentId": shipped["shipmentId"],
            "extFulfillmentId": f"{shipped['shipmentId']}-400-1",
            "lineItems": [{"uniqueId": first["uniqueId"], "sku": first["sku"], "quantity": 1}],
        }
        assert requests.post(f"{server.url}{BASE_PATH}/fulfillments", json=parcel, headers=key, timeout=10).ok
        calls: list[VendorCall] = []

        def make(base_url: str, patience_s: float) -> Gateway:
            pipe17 = VENDORS["pipe17"]
            options = pipe17.options(
                api_key=LEGACY_KEY,
                base_url=base_url,
                patience_s=patience_s,
                requests_per_s=0.0,
                create_returns=True,
            )
            return pipe17.create(options, Tools("conformance", 8, calls.append))

        yield Target(
            server=server,
            make=make,
            base_url=server.url + BASE_PATH,
            api_prefix=BASE_PATH,
            order_refnum=refnum,
            commands={
                "acknowledge_order": Acknowledgement(refnum, "9001"),
                "submit_shipment": Package(refnum, "501-1", lines, "501", "UPS", "Ground", tracking_number="1Z1"),
                "correct_shipment": Package(
                    shipped["shipmentId"], "400-1", (), "400", "UPS", "Ground", tracking_number="1Z2"
                ),
                "cancel_order": Cancellation(refnum),
                "complete_order": Completion(refnum, lines),
                "record_return": ReturnedGoods(refnum, "600", (ReturnedLine("1", lines[0].sku, 1),)),
            },
            write="submit_shipment",
            stock=[StockChange("MUG-RED", StockLevel(5, (StockDetail("internal", DALLAS, 5, 5),)))],
            secrets=(LEGACY_KEY,),
            calls=calls,
        )


def _ask(server: RunningServer, path: str, body: Any) -> Any:
    with requests.Session() as session:
        return session.post(f"{server.url}/sandbox/{path}", json=body, timeout=10).json()
