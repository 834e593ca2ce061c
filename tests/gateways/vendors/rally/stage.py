"""A merchant whose hooks are served for real, with a catalogue and stock, and the sandbox of Rally that calls them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import requests
from flask import Flask

from app.callbacks.application import Application
from app.callbacks.replies import say_errors_in_json
from app.domain.stock import StockLevel
from app.gateways.vendors.rally.hook_registry import ROOT, TOPICS
from app.gateways.vendors.rally.inbound.hooks import create_hooks
from app.gateways.vendors.rally.merchant import Merchant
from app.gateways.vendors.rally.options import RallyOptions
from app.options import read_table
from app.records import catalogue, cataloguing, stock
from app.records.catalogue_statements import Statement
from app.records.database import Database
from app.sandbox.server import RunningServer, serve
from app.sandbox.vendors.rally import serve_rally
from app.sandbox.vendors.rally.state import API_KEY, ORGANIZATION_ID
from app.storefront import order_store
from app.storefront.order_document import OrderDocument, read_document
from app.storefront.order_store import StoredOrder
from tests.storefront.stage import SHOP_TABLE

START = datetime(2026, 2, 3, 12, tzinfo=UTC)

TABLE: Mapping[str, Any] = {
    "api_key": API_KEY,
    "organization_id": ORGANIZATION_ID,
    **SHOP_TABLE,
}

GOODS = (
    ("TEE", {"title": "Plain tee", "price": Decimal("30"), "categories": ("Shirts",)}, 20),
    ("MUG", {"title": "Mug", "price": Decimal("9.99"), "sale_price": Decimal("7.49")}, 10),
    ("EBOOK", {"title": "A book", "price": Decimal("12"), "requires_shipping": False}, 100),
    ("GIFT", {"title": "Gift card", "price": Decimal("25"), "taxable": False}, 5),
    ("OFF", {"title": "Off", "price": Decimal("1"), "is_enabled": False}, 5),
    ("NOPRICE", {"title": "Without price"}, 5),
)
"""SKU, what the catalogue says, and units RetailOps has; HOOD-M and HOOD-L are variants of one product besides."""


@dataclass
class Clock:
    """Time that tests move."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Answer:
    """An answer of ours as it came."""

    status: int
    body: Any
    raw: bytes
    headers: Mapping[str, str]

    @property
    def is_signed(self) -> bool:
        return self.headers.get("X-HMAC-SHA256") == signature(API_KEY, self.raw)

    @property
    def code(self) -> str:
        return str(self.body.get("error_code", "")) if isinstance(self.body, dict) else ""


def signature(key: str, message: bytes) -> str:
    """Rally's, made here by hand."""
    return base64.b64encode(hmac.new(key.encode(), message, hashlib.sha256).digest()).decode()


@dataclass
class Stage:
    """The shop's hooks at `url`, Rally's sandbox at `rally.url`."""

    database: Database
    shop: Merchant
    clock: Clock
    server: RunningServer
    rally: RunningServer
    woken: list[int] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.server.url}/rally/merchants/{self.shop.options.organization_id}"

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = API_KEY,
        message: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One hook request of our own making; `message` is signed instead of the body."""
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **(headers or {})}
        if key is not None:
            sent["X-HMAC-SHA256"] = signature(key, raw if message is None else message)
        with requests.Session() as session:
            reply = session.request(method, self.url + path, data=raw or None, headers=sent, timeout=10)
        parsed = json.loads(reply.content) if reply.content else None
        return Answer(reply.status_code, parsed, reply.content, reply.headers)

    def cart(self, **units: int) -> dict[str, Any]:
        """A new cart of these SKUs."""
        lines = [{"external_product_id": self.key(sku), "external_variant_id": self.key(sku, is_variant=True),
                  "quantity": count} for sku, count in units.items()]  # fmt: skip
        answer = self.call("POST", "/carts", {"line_items": lines})
        assert answer.status == 200, answer.body
        made: dict[str, Any] = answer.body
        return made

    def order(self, bought: dict[str, Any], **more: Any) -> Answer:
        """Rally makes an order of a cart as it was answered last."""
        body = {
            "cart": {"external_id": bought["external_id"]},
            "line_items": bought["line_items"],
            "customer": {"email": "ana@example.test", "first_name": "Ana", "last_name": "Ruiz"},
            "billing_address": TEXAS,
            "shipping_address": TEXAS,
            "payment_method": METHOD,
            **more,
        }
        return self.call("POST", "/orders", body)

    def step(self, topic: str, **wish: Any) -> dict[str, Any]:
        """Rally's sandbox calls one hook and judges the answer."""
        return self._rally("POST", f"/sandbox/merchants/{ORGANIZATION_ID}/steps/{topic}", wish)

    def checkout(self, **wish: Any) -> dict[str, Any]:
        """A whole checkout by Rally's sandbox."""
        return self._rally("POST", f"/sandbox/merchants/{ORGANIZATION_ID}/checkouts", wish)

    def _rally(self, method: str, path: str, body: Any) -> dict[str, Any]:
        reply = requests.request(method, self.rally.url + path, json=body, timeout=30)
        assert reply.status_code < 300, reply.text
        answer: dict[str, Any] = reply.json()
        return answer

    def key(self, sku: str, *, is_variant: bool = False) -> str:
        with self.database.read() as connection:
            found = catalogue.of_skus(connection, self.shop.channel, [sku])
        product, unit = found[sku]
        return unit.key if is_variant else product.item.key

    def stored(self, refnum: str) -> StoredOrder:
        with self.database.read() as connection:
            found = order_store.get(connection, self.shop.channel, refnum)
        assert found is not None
        return found

    def document(self, refnum: str) -> OrderDocument:
        return read_document(self.stored(refnum).body)

    def set_stock(self, **units: int) -> None:
        levels = {sku: msgspec.json.encode(StockLevel(count)) for sku, count in units.items()}
        with self.database.write() as connection:
            stock.accept(connection, self.shop.channel, "rally", levels)

    def set_goods(self, *statements: Statement) -> None:
        with self.database.write() as connection:
            cataloguing.accept(connection, self.shop.channel, ["rally"], statements, self.clock())


TEXAS = {"first_name": "Ana", "last_name": "Ruiz", "address1": "1 Elm St", "city": "Austin", "province": "Texas",
         "country": "United States", "country_code": "US", "zip": "78701", "phone": "+15550100"}  # fmt: skip
METHOD = {"payment_method_name": "credit_card", "payment_processor_name": "stripe", "card_brand": "visa",
          "last4": "4242"}  # fmt: skip


def options_of(**more: Any) -> RallyOptions:
    """The table above with changes."""
    faults: list[str] = []
    found = read_table(RallyOptions, {**TABLE, **more}, "channel.rally", faults)
    assert found is not None, faults
    return found


def register(stage: Stage) -> None:
    """Every hook at the sandbox, as the command does it."""
    for topic, (method, path) in TOPICS.items():
        url = f"{stage.server.url}{ROOT}/{path}"
        body = json.dumps({"type": topic, "url": url, "method": method}).encode()
        headers = {"X-API-KEY": API_KEY, "X-HMAC-SHA256": signature(API_KEY, body), "Content-Type": "application/json"}
        reply = requests.post(f"{stage.rally.url}/connector-api/v1/hooks", data=body, headers=headers, timeout=10)
        assert reply.status_code == 200, reply.text


def stock_up(stage: Stage) -> None:
    """The goods above and their stock."""
    plain = [Statement("", {"sku": sku, **fields}) for sku, fields, _ in GOODS]
    hood = Statement("product:9", {"sku": "HOOD", "product_id": "9", "title": "Hood", "price": Decimal("49.50")})
    sizes = [
        Statement(f"product:9{at}", {"sku": f"HOOD-{size}", "product_id": f"9{at}", "options": (("Size", size),)}, 0)
        for at, size in enumerate("ML")
    ]
    stage.set_goods(hood, *sizes)
    stage.set_goods(*plain)
    stage.set_stock(**{sku: units for sku, _, units in GOODS}, **{"HOOD-M": 3, "HOOD-L": 3})


@contextmanager
def staged(database: Database, **more: Any) -> Iterator[Stage]:
    """The whole stage with every hook registered; `more` changes the settings."""
    clock, woken = Clock(), []
    shop = Merchant("first", options_of(**more), database, clock, lambda: woken.append(1))
    with serve(_application(shop)) as server, serve_rally(clock=clock) as rally:
        stage = Stage(database, shop, clock, server, rally, woken)
        stock_up(stage)
        register(stage)
        yield stage


def _application(shop: Merchant) -> Flask:
    app = Application("hooks", static_folder=None)
    say_errors_in_json(app)
    app.register_blueprint(create_hooks({shop.options.organization_id: shop}))
    return app


Staging = Callable[..., Stage]
