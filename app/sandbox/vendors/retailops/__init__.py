"""A stand-in of RetailOps' servers: calls a channel the way the real caller does, and judges the answers its way.

The real caller names its own actions, sends null for empty lists and mixes numbers with numeric text
(SDK contract 1.6); an answer it would throw away counts as a failure here too.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import msgspec
import requests

from app.contract.files import FIXTURES
from app.contract.problems import Problem
from app.contract.schemas import Contract, load_contract
from app.sandbox.faults import RunningServer, serve

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

CERTIFY_PATH = "/integration/channel/certify.json"

API_KEY = "sandbox+key+of+the+retailops+api"
"""The public key of the stand-in's API."""

ACTIONS = {
    "catalog_get_config": "SDK.catalog.get_config",
    "catalog_push": "SDK.catpush_transmit",
    "inventory_push": "SDK.inventory.invpush_transmit",
    "order_pull": "SDK.orderpull.order_fetch",
    "order_acknowledge": "SDK.order_acknowledge",
    "order_update": "SDK.writeback",
    "order_cancel": "SDK.order_cancel",
    "order_shipment_submit": "SDK.shipment_submit",
    "order_complete": "SDK.order_complete",
    "order_settle_payment": "SDK.capture_channel_payments",
    "order_returned": "SDK.items_returned",
    "payment_credit": "SDK.payment_credit",
}
"""RetailOps' internal names, by which a channel must never route."""


@dataclass(frozen=True)
class Heard:
    """What came back for one callback; `problems` are what RetailOps' production caller would refuse."""

    callback: str
    status: int
    answer: dict[str, Any]
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
        self._session = requests.Session()

    def call(self, callback: str, **fields: Any) -> Heard:
        """POST the callback.  Raises `requests.RequestException` when the channel cannot be reached."""
        body = {
            "integration_auth_token": self._key,
            "action": ACTIONS[callback],
            "version": 1,
            "client_id": self._client_id,
            "channel_info": {"id": self._channel_id},
            **fields,
        }
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
        problems: tuple[Problem, ...] = ()
        if reply.status_code == 200:
            problems = self._contract.callbacks[callback].judge(answer)
        given = answer if isinstance(answer, dict) else {}
        return Heard(callback, reply.status_code, given, problems, duration_s, reply.headers.get("X-Request-Id", ""))

    def pull_all(self) -> list[dict[str, Any]]:
        """Every page of one walk of order_pull."""
        orders: list[dict[str, Any]] = []
        token = ""
        while True:
            heard = self.call("order_pull", page_token=token, specific_orders=None)
            if not heard.is_accepted:
                raise RuntimeError(f"order_pull answered {heard.status}")
            orders.extend(heard.answer["orders"])
            token = heard.answer["next_page_token"]
            if not token:
                return orders

    def close(self) -> None:
        """Give back the connections."""
        self._session.close()


@dataclass(frozen=True)
class Registered:
    """A channel RetailOps has certified: its handle, and one endpoint for each action."""

    handle: str = field(repr=False)
    endpoints: dict[str, str]

    @property
    def key(self) -> str:
        """What RetailOps is going to send: whatever follows the handle's last underscore."""
        return self.handle.rpartition("_")[2]

    def as_json(self) -> dict[str, Any]:
        """For people, so without the key."""
        return {"handle": f"{self.handle.rpartition('_')[0]}_***", "endpoints": self.endpoints}


class Certifier:
    """RetailOps' certification endpoint as WSGI (contract 1.8).

    For each action it sends the first fixture with the real key, which must give 200 and a valid answer, and
    then with `!!!` in front of the key, where everything but that counts as refused.
    """

    def __init__(self, contract: Contract, api_key: str = API_KEY) -> None:
        self._contract = contract
        self._api_key = api_key
        self.registered: list[Registered] = []
        self.keys_in_query: list[bool] = []
        """Where the key of each of them stood."""
        self.asked: list[dict[str, Any]] = []
        """The bodies of all requests, for tests."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        status, answer = self._answer(environ)
        start_response(status, [("Content-Type", "application/json")])
        return [msgspec.json.encode(answer)]

    def _answer(self, environ: WSGIEnvironment) -> tuple[str, dict[str, Any]]:
        if environ["PATH_INFO"] == "/sandbox/state":
            return "200 OK", {"registered": [registered.as_json() for registered in self.registered]}
        if environ["PATH_INFO"] != CERTIFY_PATH or environ["REQUEST_METHOD"] != "POST":
            return "404 Not Found", {"ERROR": "no such method", "ERRORCODE": "NOT_FOUND"}
        # The SDK's tool writes the key into the query; RetailOps' own API has it in a header (contract 9).
        in_query = parse_qs(environ.get("QUERY_STRING", "")).get("apikey", [])
        if (in_query or [environ.get("HTTP_APIKEY")]) != [self._api_key]:
            return "401 Unauthorized", {"ERROR": "the API key is not valid", "ERRORCODE": "BAD_APIKEY"}
        try:
            asked = msgspec.json.decode(environ["wsgi.input"].read(), type=dict[str, Any])
            key, target, name = (asked[part] for part in ("integration_auth_key", "target_url", "integration_name"))
            actions: list[str] = asked["supported_actions"]
        except (msgspec.MsgspecError, KeyError):
            return "200 OK", {"status": "error", "message": "the request cannot be read"}
        self.asked.append(asked)
        self.keys_in_query.append(bool(in_query))
        results = [self._try(action, str(target), str(key)) for action in actions]
        if not all(result["status"] == "success" for result in results):
            return "200 OK", {"status": "error", "message": "not all actions passed", "action_results": results}
        handle = f"{str(name).upper().replace(' ', '_')}_{key}"
        self.registered.append(Registered(handle, {action: f"{target}/{action}" for action in actions}))
        return "200 OK", {"status": "success", "message": "channel registered", "action_results": results}

    def _try(self, action: str, target: str, key: str) -> dict[str, Any]:
        result = {"action": action, "version": 1, "target_url": f"{target}/{action}", "status": "error"}
        try:
            fixture = msgspec.json.decode((FIXTURES / f"{action}_v1_ex_1.json").read_bytes(), type=dict[str, Any])
        except OSError:
            return {**result, "message": "there is no such action"}
        try:
            problems = self._problems(action, target, {**fixture, "integration_auth_token": key})
            if problems:
                return {**result, "message": problems[0]}
            if not self._problems(action, target, {**fixture, "integration_auth_token": f"!!!{key}"}):
                return {**result, "message": "a wrong key was accepted"}
        except requests.RequestException as error:
            return {**result, "message": f"the server cannot be reached ({type(error).__name__})"}
        return {**result, "status": "success", "message": ""}

    def _problems(self, action: str, target: str, body: dict[str, Any]) -> Sequence[str]:
        reply = requests.post(f"{target}/{action}_v1", data=msgspec.json.encode(body), timeout=20)
        if reply.status_code != 200:
            return [f"status {reply.status_code}, expected 200"]
        try:
            answer = msgspec.json.decode(reply.content)
        except msgspec.DecodeError:
            return ["the answer is not JSON"]
        return [problem.message for problem in self._contract.callbacks[action].judge(answer)]


def serve_certifier(port: int = 0) -> tuple[RunningServer, Certifier]:
    """RetailOps' API on loopback, as far as certification needs it; port 0 takes a free one."""
    certifier = Certifier(load_contract())
    return serve(certifier, port=port), certifier


def shipment(order: dict[str, Any], shipment_id: int, *parcels: list[tuple[int, int]]) -> dict[str, Any]:
    """A shipment of an order pulled before: one package per argument, each of (line index, units)."""
    return {
        "retailops_shipment_id": shipment_id,
        "packages": [
            {
                "retailops_package_id": shipment_id * 10 + number,
                "carrier_name": "UPS",
                "carrier_class_name": "Ground",
                "channel_ship_code": "",
                "tracking_number": f"1Z999AA1{shipment_id:06d}{number}",
                "weight_kg": "1.25",
                "date_shipped": "2026-02-03T15:00:00Z",
                "package_items": [
                    {
                        "sku": order["order_items"][index]["sku"],
                        "retailops_order_item_id": 0,
                        "retailops_shipment_item_id": 0,
                        "channel_item_refnum": order["order_items"][index]["channel_item_refnum"],
                        "quantity": str(units),
                    }
                    for index, units in parcel
                ],
            }
            for number, parcel in enumerate(parcels, 1)
        ],
    }


def unshipped(order: dict[str, Any], *units: tuple[int, int]) -> list[dict[str, Any]]:
    """`unshipped_items` for units of (line index, units), as the caller of 2016 fills it: it states no price.

    Its other numbers are always 0 (SDK contract, 9).
    """
    return [
        {
            "channel_item_refnum": order["order_items"][index]["channel_item_refnum"],
            "sku": order["order_items"][index]["sku"],
            "ordered_quantity": 0,
            "unshipped_quantity": count,
            "effective_unit_price": 0,
            "effective_extended_price": 0,
        }
        for index, count in units
    ]
