"""How Example Shop is set up against its stand-in for the conformance suite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from app.domain.commands import Acknowledgement, Package, PackageLine
from app.domain.stock import StockChange, StockLevel
from app.domain.traffic import VendorCall
from app.gateways.capabilities import Gateway
from app.gateways.vendor import Tools
from app.gateways.vendors.example_shop import VENDOR
from app.sandbox.vendors.example_shop import ACCOUNT_ID, API_KEY, BASE_PATH, serve_example_shop
from tests.gateways.conformance_targets import Target


@contextmanager
def target() -> Iterator[Target]:
    """What `conformance_targets.py` finds by this file's place."""
    server, state = serve_example_shop()
    refnum, order = next(iter(state.orders.items()))
    calls: list[VendorCall] = []

    def make(base_url: str, patience_s: float) -> Gateway:
        options = VENDOR.options(
            account_id=ACCOUNT_ID,
            api_key=API_KEY,
            base_url=base_url,
            patience_s=patience_s,
            requests_per_s=0.0,
        )
        return VENDOR.create(options, Tools("conformance", 8, calls.append))

    line = order["lines"][0]
    with server:
        yield Target(
            server=server,
            make=make,
            base_url=server.url + BASE_PATH,
            api_prefix=BASE_PATH,
            order_refnum=refnum,
            commands={
                "acknowledge_order": Acknowledgement(refnum, "9001"),
                "submit_shipment": Package(refnum, "501-1", (PackageLine(line["id"], line["sku"], 1),)),
            },
            write="acknowledge_order",
            stock=[StockChange(line["sku"], StockLevel(5))],
            secrets=(API_KEY,),
            calls=calls,
        )
