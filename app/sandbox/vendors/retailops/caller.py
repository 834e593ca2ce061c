"""RetailOps as the caller of a channel: calls it the way the real one does, and judges the answers its way.

The real caller names its own actions, sends null for empty lists and mixes numbers with numeric text
(SDK contract 1.6); an answer it would throw away counts as a failure here too.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from app.contract.problems import Problem
from app.contract.schemas import Contract
from app.sandbox.bodies import Json
from app.transport import straight

_MESSAGES: Json = msgspec.json.decode(Path(__file__).with_name("messages.json").read_bytes())

ACTIONS: dict[str, str] = _MESSAGES["actions"]
"""RetailOps' internal names, by which a channel must never route."""


@dataclass(frozen=True)
class CallbackReply:
    """What came back for one callback; `problems` are what RetailOps' production caller would refuse."""

    callback: str
    status: int
    answer: Json
    problems: tuple[Problem, ...]
    duration_s: float
    request_id: str

    @property
    def is_accepted(self) -> bool:
        """True when RetailOps would read the answer."""
        return self.status == 200 and not self.problems

    def codes(self, event_type: str | None = None) -> list[str]:
        """The codes of the answer's events."""
        return [event["code"] for event in self.answer.get("events") or () if event_type in (None, event["event_type"])]


class RetailOps:
    """One channel of one RetailOps account, as its servers call it."""

    def __init__(self, base_url: str, key: str, client_id: int, channel_id: int, contract: Contract) -> None:
        self._base_url = base_url.rstrip("/")
        self._key = key
        self._client_id = client_id
        self._channel_id = channel_id
        self._contract = contract
        self._session = straight.session_to(base_url)

    def call(self, callback: str, **fields: Any) -> CallbackReply:
        """POST the callback with these fields.  Raises what `send` does."""
        envelope = {
            "integration_auth_token": self._key,
            "action": ACTIONS[callback],
            "version": 1,
            "client_id": self._client_id,
            "channel_info": {"id": self._channel_id},
        }
        return self.send(callback, {**envelope, **fields})

    def send(self, callback: str, body: Json) -> CallbackReply:
        """POST a whole body.  Raises `requests.RequestException` when the channel cannot be reached."""
        begun = time.perf_counter()
        reply = self._session.post(
            f"{self._base_url}/{callback}_v1",
            data=msgspec.json.encode(body),
            headers={"Content-Type": "application/json", "User-Agent": "Go-http-client/1.1"},
            timeout=20,
            allow_redirects=False,
        )
        duration_s = time.perf_counter() - begun
        try:
            answer = msgspec.json.decode(reply.content)
        except msgspec.DecodeError:
            answer = None
        problems = self._contract.callbacks[callback].judge(answer) if reply.status_code == 200 else ()
        given = answer if isinstance(answer, dict) else {}
        return CallbackReply(
            callback, reply.status_code, given, problems, duration_s, reply.headers.get("X-Request-Id", "")
        )

    def pull_all(self) -> list[Json]:
        """Every page of one walk of order_pull."""
        orders: list[Json] = []
        token = ""
        while True:
            page = self.call("order_pull", page_token=token, specific_orders=None)
            if not page.is_accepted:
                raise RuntimeError(f"order_pull answered {page.status}")
            orders.extend(page.answer["orders"])
            token = page.answer["next_page_token"]
            if not token:
                return orders

    def close(self) -> None:
        """Give back the connections."""
        self._session.close()


def shipment(order: Json, shipment_id: int, *parcels: list[tuple[int, int]]) -> Json:
    """A shipment of an order pulled before: one package per argument, each of (line index, units)."""
    packages = [
        {
            **_MESSAGES["package"],
            "retailops_package_id": shipment_id * 10 + number,
            "tracking_number": f"1Z999AA1{shipment_id:06d}{number}",
            "package_items": [
                {**_MESSAGES["package_item"], **_line(order, index), "quantity": str(units)} for index, units in parcel
            ],
        }
        for number, parcel in enumerate(parcels, 1)
    ]
    return {"retailops_shipment_id": shipment_id, "packages": packages}


def unshipped(order: Json, *units: tuple[int, int]) -> list[Json]:
    """`unshipped_items` for units of (line index, units), as the caller of 2016 fills it: it states no price."""
    return [
        {**_MESSAGES["unshipped_item"], **_line(order, index), "unshipped_quantity": count} for index, count in units
    ]


def _line(order: Json, index: int) -> Json:
    line = order["order_items"][index]
    return {"sku": line["sku"], "channel_item_refnum": line["channel_item_refnum"]}
