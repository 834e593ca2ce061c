"""A vendor's sandbox as the tests use it: its state read, and faults planted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import requests

from app.sandbox.server import RunningServer


@dataclass
class Sandbox:
    """A running vendor stand-in, asked what it holds."""

    server: RunningServer

    @property
    def url(self) -> str:
        return self.server.url

    def state(self) -> dict[str, Any]:
        held: dict[str, Any] = requests.get(f"{self.url}/sandbox/state", timeout=10).json()
        return held

    def tell(self, path: str, body: Any, method: str = "POST") -> Any:
        reply = requests.request(method, f"{self.url}/sandbox/{path}", json=body, timeout=10)
        assert reply.status_code < 300, (reply.status_code, reply.text)
        return reply.json()

    def fault(self, **rule: Any) -> None:
        self.tell("faults", rule)

    def heal(self) -> None:
        assert requests.delete(f"{self.url}/sandbox/faults", timeout=10).status_code < 300

    def shipment(self, refnum: str) -> dict[str, Any]:
        return next(item for item in self.state()["shipments"] if item["shipmentId"] == refnum)

    def fulfilments(self, refnum: str) -> list[dict[str, Any]]:
        return [item for item in self.state()["fulfillments"] if item["shipmentId"] == refnum]

    def calls(self, template: str) -> int:
        return int(self.state()["calls"].get(template, 0))
