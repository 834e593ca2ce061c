"""Retail Rocket for tests of its gateway: channels with a feed or observed orders, and what RetailOps pushes."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from flask import Flask

from app.contract.schemas import Contract
from app.deadline import Deadline
from app.deliveries.background_work import WorkerProcess
from app.deliveries.sync import Syncer
from app.domain.purchases import Purchase
from app.gateways.calls import Call
from app.gateways.vendor import Tools
from app.gateways.vendors.retailrocket import VENDOR
from app.records import catalogue, cataloguing
from app.records.cataloguing import Statement
from app.records.database import Database
from app.sandbox.vendors.retailrocket import API_KEY, API_PATH, CDN_PATH, PARTNER_ID, TRACKING_PATH
from tests.channels import KEY, PAIR
from tests.retailops import Caller, codes
from tests.sandboxes import Sandbox
from tests.waiting import eventually

CHANNEL = """
[[channel]]
name = "shop"
client_id = {pair[0]}
channel_id = {pair[1]}
auth_keys = ["{key}"]
gateways = ["retailrocket"]

[channel.retailrocket]
partner_id = "5a5b5c5d5e5f5a5b5c5d5e5f"
shop_url = "https://shop.example"
feed_delay_s = 0
api_url = "http://127.0.0.1:9/api"
{more}
"""


FEED = "/feeds/retailrocket/shop.xml"


def channel(more: str = "") -> str:
    return CHANNEL.format(pair=PAIR, key=KEY, more=more)


def record(sku: str, **fields: Any) -> dict[str, Any]:
    """A record of a catalogue push that lacks nothing."""
    feed = {
        "SKU": sku,
        "Title": f"Title of {sku}",
        "Price": "12.50",
        "Currency": "USD",
        "URL": f"/p/{sku}",
        "Images": [f"https://shop.example/i/{sku}.jpg", "https://shop.example/i/second.jpg"],
        "Categories": ["Garden/Hoses"],
    }
    return {"feed_data": {"General": {key: value for key, value in (feed | fields).items() if value is not None}}}


PATHS = """
[channel.catalog]
sku = "General.SKU"
title = "General.Title"
price = "General.Price"
currency = "General.Currency"
url = "General.URL"
images = "General.Images"
categories = "General.Categories"
parent_sku = "General.Parent"
sale_price = "General.Sale"
enabled = "General.Enabled"
options = "General.Options"
vendor = "General.Vendor"
"""


class Shop:
    """RetailOps in front of a channel with a feed, and who fetches it."""

    def __init__(self, app: Flask, contract: Contract) -> None:
        self.caller = Caller(app, contract)
        self._client = app.test_client()

    def push(self, *records: dict[str, Any]) -> list[str]:
        answer = self.caller.ask("catalog_push", template_output={"data": {"products": list(records)}})
        return codes(answer)

    def stock(self, **levels: int) -> None:
        rows = [{"sku": sku, "quantity_available": units, "quantity_detail": []} for sku, units in levels.items()]
        assert self.caller.ask("inventory_push", inventory_updates=rows)["events"] == []

    def get(self, **headers: str) -> Any:
        with self._client.get(
            FEED, headers={name.replace("_", "-"): value for name, value in headers.items()}
        ) as reply:
            reply.get_data()
        return reply

    def offers(self) -> dict[str, ET.Element]:
        reply = self.get()
        if reply.status_code != 200:
            return {}
        return {offer.findtext("name") or "": offer for offer in ET.fromstring(reply.data).iter("offer")}

    def await_offers(self, look: Callable[[dict[str, ET.Element]], bool]) -> dict[str, ET.Element]:
        found: dict[str, ET.Element] = {}

        def seen() -> bool:
            found.clear()
            found.update(self.offers())
            return look(found)

        eventually(seen)
        return found


def item(sku: str, **fields: Any) -> dict[str, Any]:
    return {
        "sku": sku,
        "title": sku,
        "price": Decimal("5"),
        "url": f"https://shop.example/{sku}",
        "images": ("https://shop.example/i.jpg",),
        "categories": ("A/B",),
        **fields,
    }


class Desk:
    """A gateway over a database, and its sandbox."""

    def __init__(self, database: Database, rocket: Sandbox, **options: Any) -> None:
        self.database = database
        self.rocket = rocket
        chosen: dict[str, Any] = {
            "order_source": "server",
            "currency": "USD",
            "requests_per_s": 0.0,
            "products_per_s": 0.0,
        }
        urls = {"tracking_url": TRACKING_PATH, "api_url": API_PATH, "cdn_url": CDN_PATH}
        chosen |= {name: rocket.url + path for name, path in urls.items()}
        own = VENDOR.options(partner_id=PARTNER_ID, api_key=API_KEY, **{**chosen, **options})
        self.gateway = VENDOR.create(own, Tools("shop", 8, database=database))

    def keep(self, *skus: str) -> None:
        self.state(*(Statement("", item(sku)) for sku in skus))

    def state(self, *statements: Statement, hearing: Sequence[str] = ("retailrocket",)) -> None:
        with self.database.write() as connection:
            cataloguing.accept(connection, "shop", hearing, statements, datetime.now(UTC))

    def tell(self) -> set[int]:
        """Do what a process does that delivers until nothing is left; which goods and groups the calls named."""
        before = len(self.rocket.state()["calls"])
        stream = ("shop", "retailrocket")
        self.gateway.background(lambda: False)
        process = WorkerProcess(self.database, {stream: self.gateway}, lambda: datetime.now(UTC), lambda: False)
        Syncer(process).send(*stream)
        return {int(call["path"].rpartition("/")[2]) for call in self.rocket.state()["calls"][before:]}

    def there(self) -> dict[int, bool]:
        """The goods Retail Rocket knows, and whether they can be had."""
        return {int(number): held["isAvailable"] for number, held in self.rocket.state()["products"].items()}

    def number(self, sku: str) -> int:
        with self.database.read() as connection:
            return catalogue.of_skus(connection, "shop", [sku])[sku][1].number

    def report(self, purchase: Purchase) -> None:
        self.gateway.commands.report_purchase(purchase, Call(Deadline.in_s(5), "r-1", "command"))
