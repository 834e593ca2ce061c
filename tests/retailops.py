"""RetailOps as the tests play it: it calls a channel of an application, and judges every answer."""

from __future__ import annotations

import json
from typing import Any

from flask import Flask

from app.contract.schemas import Contract
from app.records.database import Database
from tests import sent_codes
from tests.channels import KEY, PAIR


class Caller:
    """RetailOps calling one channel of an application, every 200 judged as its production caller would (P4)."""

    def __init__(self, app: Flask, contract: Contract, key: str = KEY, pair: tuple[int, int] = PAIR) -> None:
        self.app = app
        self.contract = contract
        self.key = key
        self.pair = pair

    def post(self, callback: str, **fields: Any) -> Any:
        body = {
            "integration_auth_token": self.key,
            "action": "SDK.anything",
            "version": 1,
            "client_id": self.pair[0],
            "channel_info": {"id": self.pair[1]},
            **fields,
        }
        return self.send(callback, json.dumps(body).encode())

    def send(self, callback: str, raw: bytes, headers: dict[str, str] | None = None) -> Any:
        reply = self.app.test_client().post(
            f"/api/channel/{callback}_v1", data=raw, content_type="application/json", headers=headers
        )
        assert reply.content_type == "application/json"
        events = reply.get_json().get("events", [])
        assert [event["code"] for event in events if not sent_codes.is_registered(event["code"])] == []
        if reply.status_code == 200:
            self.judge(callback, reply.get_json())
        return reply

    def judge(self, callback: str, answer: dict[str, Any]) -> None:
        assert self.contract.callbacks[callback].check_answer(answer) == ()

    def ask(self, callback: str, **fields: Any) -> dict[str, Any]:
        reply = self.post(callback, **fields)
        assert reply.status_code == 200, reply.get_data(as_text=True)
        answer: dict[str, Any] = reply.get_json()
        return answer

    def pull(self, **fields: Any) -> list[dict[str, Any]]:
        orders: list[dict[str, Any]] = self.ask("order_pull", **fields)["orders"]
        return orders

    def pull_all(self) -> list[list[dict[str, Any]]]:
        pages, token = [], ""
        while True:
            answer = self.ask("order_pull", page_token=token)
            pages.append(answer["orders"])
            token = answer["next_page_token"]
            if not token:
                return pages

    def acknowledge(self, *refnums: str) -> dict[str, Any]:
        entries = [{"channel_order_refnum": refnum, "retailops_order_id": 70 + n} for n, refnum in enumerate(refnums)]
        return self.ask("order_acknowledge", orders=entries)

    def ship(self, order: dict[str, Any], shipment_id: Any = 501, packages: int = 1, **package: Any) -> dict[str, Any]:
        return self.ask(
            "order_shipment_submit",
            channel_order_refnum=order["channel_order_refnum"],
            shipment=shipment_of(order, shipment_id, packages, **package),
        )

    def cancel(self, refnum: str) -> dict[str, Any]:
        return self.ask("order_cancel", order={"channel_order_refnum": refnum})

    @property
    def database(self) -> Database:
        database: Database = self.app.extensions["works"].database
        return database


def shipment_of(order: dict[str, Any], shipment_id: Any, packages: int = 1, **package: Any) -> dict[str, Any]:
    """All units of an order in one package, or one unit of its first line in each of several."""
    lines = order["order_items"]
    contents = [
        {"sku": line["sku"], "channel_item_refnum": line["channel_item_refnum"], "quantity": line["quantity"]}
        for line in lines
    ]
    if packages > 1:
        contents = [{**contents[0], "quantity": 1}]
    return {
        "retailops_shipment_id": shipment_id,
        "packages": [
            {
                "retailops_package_id": number,
                "carrier_name": "UPS",
                "carrier_class_name": "Ground",
                "tracking_number": f"1Z{shipment_id}{number}",
                "weight_kg": 1.5,
                "date_shipped": "2026-02-03T15:00:00Z",
                "package_items": contents,
                **package,
            }
            for number in range(1, packages + 1)
        ],
    }


def codes(answer: dict[str, Any], event_type: str | None = None) -> list[str]:
    """The codes of an answer's events."""
    return [event["code"] for event in answer["events"] if event_type in (None, event["event_type"])]
