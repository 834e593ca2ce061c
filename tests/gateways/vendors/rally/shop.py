"""A merchant from end to end: RetailOps in front of the whole server, Rally's sandbox behind it, its hooks between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import requests
from flask import Flask
from sqlalchemy import select, update

from app.contract.schemas import Contract
from app.deadline import Deadline
from app.gateways.calls import Call
from app.gateways.vendors.rally.hook_registry import HookRegistry
from app.records.database import DatabaseUnavailable
from app.records.tables.catalogue import catalogue_sync
from app.records.tables.deliveries import deliveries
from app.records.tables.stock import stock
from app.sandbox.server import RunningServer, serve
from app.sandbox.vendors.rally import API_KEY, BASE_PATH, ORGANIZATION_ID, serve_rally
from tests.channels import KEY, PAIR
from tests.order_life import OrderLife
from tests.retailops import Caller
from tests.waiting import eventually

CHANNEL = """
[[channel]]
name = "{name}"
client_id = {pair[0]}
channel_id = {pair[1]}
auth_keys = ["{key}"]
gateways = ["rally"]
{channel}

[channel.rally]
base_url = "{url}"
api_key = "{api_key}"
organization_id = "{organization_id}"
storefront_client_id = "0b6f1c2e-0000-4000-8000-00000000c0de"
requests_per_s = 0
reserve_grace_s = 0
settle_seconds = 1
{rally}

[[channel.rally.shipping]]
id = "standard"
title = "Standard"
price = "5.00"
countries = ["US"]
retailops_code = "GROUND"

[[channel.rally.tax]]
country = "US"
province = "TX"
rate = "0.10"
{tables}
"""

TEE, MUG = "TEE", "MUG"


def channel_text(
    url: str,
    *,
    name: str = "shop",
    pair: tuple[int, int] = PAIR,
    key: str = KEY,
    api_key: str = API_KEY,
    organization_id: str = ORGANIZATION_ID,
    channel: str = "",
    rally: str = "",
    tables: str = "",
) -> str:
    """One merchant's tables of channels.toml; `channel` and `rally` are further lines of them, `tables` more tables."""
    return CHANNEL.format(
        url=url + BASE_PATH, name=name, pair=pair, key=key, api_key=api_key, organization_id=organization_id,
        channel=channel, rally=rally, tables=tables,
    )  # fmt: skip


def record(number: int, sku: str, price: str | None, variants: Iterable[dict[str, Any]] = (), **general: Any) -> Any:
    """A product as a feed template puts it out."""
    feed: dict[str, Any] = {"General": {"SKU": sku, "Title": sku.title(), **general}}
    if price is not None:
        feed["General"]["Price"] = price
    if variants:
        feed["Variants"] = list(variants)
    return {"feed_data": feed, "object_data": {"id": number, "source_type": "product"}}


@dataclass
class Shop(OrderLife):
    """One merchant's shop."""

    retailops: Caller
    rally: RunningServer
    server: RunningServer
    name: str = "shop"
    organization_id: str = ORGANIZATION_ID

    @property
    def gateway(self) -> Any:
        return self.retailops.app.extensions["works"].gateways[(self.name, "rally")]

    # What RetailOps says

    def offer(self, **units: int) -> None:
        """RetailOps has these goods (at 20.00 each), and so many units of them."""
        self.push([record(at, sku, "20.00") for at, sku in enumerate(units, 100)])
        self.set_stock(**units)
        self.settle()

    def push(self, records: list[Any]) -> dict[str, Any]:
        return self.retailops.ask("catalog_push", template_output={"data": {"Product": records}})

    def ship(self, order: dict[str, Any], shipment: int, **units: int) -> dict[str, Any]:
        """A package with so many units by SKU."""
        lines = {line["sku"]: line["channel_item_refnum"] for line in order["order_items"]}
        items = [{"sku": sku, "channel_item_refnum": lines[sku], "quantity": count} for sku, count in units.items()]
        package = {
            "retailops_package_id": 1, "carrier_name": "UPS", "carrier_class_name": "Ground",
            "tracking_number": f"1Z{shipment}", "date_shipped": "2026-02-03T15:00:00Z", "package_items": items,
        }  # fmt: skip
        body = {"retailops_shipment_id": shipment, "packages": [package]}
        return self.retailops.ask(
            "order_shipment_submit", channel_order_refnum=order["channel_order_refnum"], shipment=body
        )

    def update(self, refnum: str, *items: dict[str, Any], **more: Any) -> dict[str, Any]:
        return self.retailops.ask(
            "order_update", order={"channel_order_refnum": refnum, "order_items": list(items)}, **more
        )

    # What happens at Rally

    def buy(self, **wish: Any) -> str:
        """A whole checkout; the order's number."""
        bought = self.checkout(**wish)
        assert bought["outcome"] == "good", bought["steps"][-1]
        return str(bought["order_id"])

    def buy_and_pull(self, **wish: Any) -> dict[str, Any]:
        """The order as RetailOps gets it, and acknowledges."""
        refnum = self.buy(**wish)
        [order] = [order for order in self.retailops.pull() if order["channel_order_refnum"] == refnum]
        self.retailops.acknowledge(refnum)
        return order

    def checkout(self, **wish: Any) -> dict[str, Any]:
        made: dict[str, Any] = self._control("POST", f"merchants/{self.organization_id}/checkouts", wish)
        return made

    def step(self, topic: str, **wish: Any) -> dict[str, Any]:
        made: dict[str, Any] = self._control("POST", f"merchants/{self.organization_id}/steps/{topic}", wish)
        return made

    def view(self, part: str) -> Any:
        return self._control("GET", f"merchants/{self.organization_id}/{part}")[part]

    def at_rally(self, refnum: str) -> dict[str, Any]:
        found: dict[str, Any] = self._control("GET", f"merchants/{self.organization_id}/orders/{refnum}")["order"]
        return found

    def told(self, path: str = "") -> list[dict[str, Any]]:
        """Calls Rally got since `forget`, oldest first."""
        calls: list[dict[str, Any]] = self._control("GET", "journal?direction=received")["calls"]
        return [call for call in calls if call["path"].endswith(path) and call["merchant"] == self.organization_id]

    def forget(self) -> None:
        self._control("DELETE", "journal")

    def fault(self, kind: str, *, times: int | None = 1, path: str = "webhooks", **more: Any) -> None:
        rule = {"kind": kind, "times": times, "match": {"method": "POST", "path_prefix": f"{BASE_PATH}/{path}"}, **more}
        self.rally.faults.add(rule)

    def _control(self, method: str, path: str, body: Any = None) -> Any:
        with requests.Session() as session:
            reply = session.request(method, f"{self.rally.url}/sandbox/{path}", json=body, timeout=30)
        assert reply.status_code < 300, reply.text
        return reply.json() if reply.content else None

    # What is kept here

    def register_hooks(self) -> None:
        registry = HookRegistry(self.gateway.api, self.gateway.shop.options, self.server.url)
        report = registry.register(Call(Deadline.in_s(30), "hooks", "command"))
        assert report.is_whole, report

    def settle(self, patience_s: float = 30.0, *, operator: Callable[[], object] = lambda: None) -> None:
        """Let the background finish what it can, without its pauses; the operator looks in now and then.

        What stands behind a parked call stays where it is.
        """

        def is_quiet() -> bool:
            operator()
            with self.database.write() as connection:
                waiting = deliveries.c.state.in_(("owed", "checking"))
                connection.execute(update(deliveries).where(waiting).values(next_try_at=deliveries.c.created_at))
                connection.exec_driver_sql("update sync_states set next_try_at = null, catalogue_next_try_at = null")
                parked = select(deliveries.c.lane).where(deliveries.c.state == "parked")
                left = connection.execute(
                    select(deliveries.c.id).where(waiting, deliveries.c.lane.not_in(parked)).limit(1)
                ).first()
                stock_left = connection.execute(select(stock.c.sku).where(stock.c.seq > stock.c.sent_seq)).first()
                heard = catalogue_sync.c
                goods_left = connection.execute(select(heard.root_key).where(heard.seq > heard.sent_seq)).first()
            self.retailops.app.extensions["works"].dispatcher.wake()
            return left is None and stock_left is None and goods_left is None

        def looks_quiet() -> bool:
            try:
                return is_quiet()
            except DatabaseUnavailable:  # this wholesale change and the dispatcher's waited for each other
                return False

        eventually(looks_quiet, patience_s)

    def deliveries(self, *states: str) -> list[str]:
        """The verbs of the calls in these states."""
        with self.database.read() as connection:
            rows = connection.execute(
                select(deliveries.c.verb).where(deliveries.c.state.in_(states)).order_by(deliveries.c.id)
            )
            return list(rows.scalars())


def money(value: Any) -> Decimal:
    """An amount of the sandbox's JSON, exactly."""
    return Decimal(str(value))


@contextmanager
def opened(
    build_app: Callable[..., Flask], contract: Contract, *, has_hooks: bool = True, **how: Any
) -> Iterator[Shop]:
    """The whole shop, its hooks registered."""
    holder: list[Flask] = []
    with serve(lambda environ, start: holder[0](environ, start)) as server, serve_rally() as rally:
        holder.append(build_app(channel_text(rally.url, **how), PUBLIC_URL=server.url))
        shop = Shop(Caller(holder[0], contract), rally, server)
        if has_hooks:
            shop.register_hooks()
        yield shop
        assert_rows_add_up(shop)


def assert_rows_add_up(shop: Shop) -> None:
    """Every refund Rally was sent by us is the sum of its rows, each of some money and some unit."""
    for refund in shop.view("refunds"):
        if refund["by"] == "connector":
            rows = [(row["type"], row["quantity"], money(row["amount"])) for row in refund["refunds"]]
            assert sum(amount for _, _, amount in rows) == money(refund["amount"]), rows
            assert all(units > 0 and amount > 0 for _, units, amount in rows), rows
