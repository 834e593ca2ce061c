"""How Retail Rocket is set up against its sandbox for the conformance suite: in the mode that makes calls."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal

from app.domain.purchases import Purchase, PurchaseLine
from app.domain.stock import StockChange, StockLevel
from app.domain.traffic import VendorCall
from app.gateways import VENDORS
from app.gateways.capabilities import Gateway
from app.gateways.vendor import Tools
from app.records import cataloguing
from app.records.cataloguing import Statement
from app.sandbox.vendors.retailrocket import API_KEY, API_PATH, CDN_PATH, PARTNER_ID, TRACKING_PATH, serve_retailrocket
from tests.databases import migrated_in, open_database
from tests.gateways.conformance_targets import Target

GOODS = {
    "sku": "HOSE",
    "title": "Hose",
    "price": Decimal("12.5"),
    "url": "https://shop.example/hose",
    "images": ("https://shop.example/hose.jpg",),
    "categories": ("Garden/Hoses",),
}


@contextmanager
def target() -> Iterator[Target]:
    with serve_retailrocket() as server, tempfile.TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{migrated_in(folder)}")
        now = datetime.now(UTC)
        with database.write() as connection:
            cataloguing.accept(connection, "conformance", ["retailrocket"], [Statement("", GOODS)], now)
        calls: list[VendorCall] = []

        def make(base_url: str, patience_s: float) -> Gateway:
            retailrocket = VENDORS["retailrocket"]
            options = retailrocket.options(
                partner_id=PARTNER_ID,
                api_key=API_KEY,
                mode="product_api",
                order_source="server",
                currency="USD",
                tracking_url=base_url + TRACKING_PATH,
                api_url=base_url + API_PATH,
                cdn_url=base_url + CDN_PATH,
                requests_per_s=0.0,
                products_per_s=0.0,
                single_call_s=patience_s,
                batch_call_s=patience_s,
            )
            return retailrocket.create(options, Tools("conformance", 8, calls.append, database=database))

        line = PurchaseLine("1", "HOSE", 2, Decimal("12.5"))
        yield Target(
            server=server,
            make=make,
            base_url=server.url,
            api_prefix="",
            order_refnum="WEB-1",
            commands={"report_purchase": Purchase("WEB-1", "ab" * 16, now, "USD", (line,))},
            write="report_purchase",
            stock=[StockChange("HOSE", StockLevel(5))],
            secrets=(API_KEY,),
            calls=calls,
            ignores_bodies=True,
        )
        database.close()
