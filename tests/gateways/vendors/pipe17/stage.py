"""Pipe17 for tests of its gateway: the gateway in front of a sandbox, and what people and routers do at Pipe17."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from app.deadline import Deadline
from app.deliveries.attempts import Attempts
from app.domain import moments
from app.domain.commands import (
    CommandBody,
    Package,
    PackageLine,
)
from app.domain.events import Event
from app.domain.orders import Candidate
from app.domain.stock import StockChange, StockDetail, StockLevel, StockSent
from app.gateways.calls import Call, Kind
from app.gateways.vendor import Tools
from app.gateways.vendors.pipe17 import VENDOR, Pipe17Gateway
from app.options import read_table
from app.records.deliveries import Delivery, Settled
from app.sandbox.vendors.pipe17 import (
    BASE_PATH,
    DEFAULT_KEYS,
    INTEGRATION_ID,
    INTEGRATION_KEY,
)
from app.sandbox.vendors.pipe17.samples import DALLAS, FOREIGN, RENO, SAMPLES
from tests.sandboxes import Sandbox

NOW_MS = 2**45
"""Later than whatever a sandbox holds."""

GRANTS: Mapping[str, str] = DEFAULT_KEYS[0].methods

OWN = f'integration_id = "{INTEGRATION_ID}"\nintegration_refresh_s = 0.3\n'
"""Lines of a channel's table: it is a custom integration, whose settings are read again after 0.3 s."""

AUSTIN: dict[str, str] = SAMPLES["addresses"]["austin"]
BUNDLE_SKU = "SET-BREAKFAST"
BUNDLE: list[dict[str, Any]] = next(row["bundleItems"] for row in SAMPLES["products"] if row["sku"] == BUNDLE_SKU)

Start = Callable[..., Sandbox]


def call(kind: Kind = "command", budget_s: float = 5.0) -> Call:
    return Call(Deadline.in_s(budget_s), "request-1", kind)


def connect(sandbox: Sandbox, tools: Tools | None = None, **more: Any) -> Pipe17Gateway:
    faults: list[str] = []
    table = {
        "api_key": INTEGRATION_KEY,
        "base_url": sandbox.url + BASE_PATH,
        "integration_id": INTEGRATION_ID,
        "patience_s": 8.0,
        "requests_per_s": 0,
        **more,
    }
    options = read_table(VENDOR.options, table, "pipe17", faults)
    assert options is not None, faults
    gateway = VENDOR.create(options, tools or Tools("first", 16))
    assert isinstance(gateway, Pipe17Gateway)
    return gateway


def fetch(gateway: Pipe17Gateway, since_ms: int | None = None, until_ms: int = NOW_MS) -> list[Candidate]:
    return [item for chunk in gateway.orders.fetch_orders(since_ms, until_ms, call("question")) for item in chunk]


def request(sandbox: Sandbox, lines: Sequence[tuple[str, Any]] = (("MUG-RED", 2),), **more: Any) -> dict[str, Any]:
    """A shipping request made by Pipe17's router."""
    body = {
        "extOrderId": f"#{len(sandbox.state()['shipments']) + 1}",
        "locationId": places(sandbox)[DALLAS],
        "status": "readyForFulfillment",
        "shippingAddress": dict(AUSTIN),
        "lineItems": [
            {"uniqueId": str(number), "sku": sku, "quantity": quantity}
            for number, (sku, quantity) in enumerate(lines, 1)
        ],
        **more,
    }
    made: dict[str, Any] = sandbox.tell("shipments", {"shipment": body})["shipments"][0]
    return made


def package(made: Mapping[str, Any], key: str = "501-1", **more: Any) -> Package:
    lines = tuple(PackageLine(line["uniqueId"], line["sku"], int(line["quantity"])) for line in made["lineItems"])
    fields = {"lines": lines, "retailops_shipment_id": "501", "carrier_name": "UPS", "tracking_number": "1Z1", **more}
    return Package(made["shipmentId"], key, **fields)


def event_codes(events: Sequence[Event]) -> list[tuple[str, str]]:
    return [(event.event_type, event.code) for event in events]


@dataclass
class Clock:
    """Pipe17's clock, standing still until it is moved."""

    now: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, milliseconds: int) -> None:
        self.now += timedelta(milliseconds=milliseconds)

    @property
    def ms(self) -> int:
        return moments.to_ms(self.now)


class Mail:
    """One owed call, attempted under a clock that is moved by hand."""

    def __init__(
        self, gateway: Pipe17Gateway, verb: str, body: CommandBody, lane: str, clock: Clock | None = None
    ) -> None:
        self.clock = clock or Clock()
        self.attempts = Attempts({("first", "pipe17"): gateway}, clock=self.clock, roll=lambda: 0.5)
        self.delivery = Delivery(1, "first", "pipe17", verb, lane, 1, body, "owed", 0, False, None, "request-1")

    def attempt(self, later_s: float = 0.0) -> Settled:
        self.clock.move(int(later_s * 1000))
        settled = self.attempts.make(self.delivery, Deadline.in_s(5), is_inline=False)
        self.delivery = Delivery(
            1, "first", "pipe17", self.delivery.verb, self.delivery.lane, 1, self.delivery.command,
            settled.state, settled.attempts, settled.is_possibly_done, settled.last_attempt_at, "request-1",
        )  # fmt: skip
        return settled


def level(**units: tuple[int, int]) -> StockLevel:
    """Facilities by first word: (available, total)."""
    names = {"dallas": DALLAS, "reno": RENO, "foreign": FOREIGN, "moon": "Moon DC"}
    details = tuple(StockDetail("internal", names[name], *figures) for name, figures in units.items())
    return StockLevel(sum(available for available, _ in units.values()), details)


def push_stock(gateway: Pipe17Gateway, *changes: StockChange) -> dict[str, StockSent]:
    return {item.sku: item for item in gateway.stock.push(changes, call("fact"))}


def stock_of(sandbox: Sandbox, sku: str) -> dict[str, tuple[int, int]]:
    state = sandbox.state()
    names = {item["locationId"]: item["name"] for item in state["locations"]}
    rows = [row for row in state["inventory"] if row["sku"] == sku]
    return {names[row["locationId"]]: (row["onHand"], row["unavailable"]) for row in rows}


def administrate(sandbox: Sandbox, **changes: Any) -> None:
    """What an administrator does on Pipe17's page of the integration."""
    sandbox.tell(f"integrations/{INTEGRATION_ID}", changes, "PUT")


def grant(sandbox: Sandbox, **changes: str) -> None:
    key = {"key": INTEGRATION_KEY, "integration": INTEGRATION_ID, "methods": {**GRANTS, **changes}}
    sandbox.tell("keys", key, "PUT")


def held(sandbox: Sandbox, sku: str) -> dict[str, Any]:
    return next((item for item in sandbox.state()["products"] if item["sku"] == sku), {})


def own(sandbox: Sandbox, sku: str) -> dict[str, Any]:
    """Our row of a product, without its marks."""
    rows = [row for row in held(sandbox, sku).get("published", []) if row["integrationId"] == INTEGRATION_ID]
    marks = ("integrationId", "updatedAt", "updatedBy")
    return {name: value for row in rows for name, value in row.items() if name not in marks}


def tick(sandbox: Sandbox, sku: str, /, **row: Any) -> None:
    """What a user of Pipe17 clicks for our integration."""
    sandbox.tell(f"products/{sku}", {"published": {"integrationId": INTEGRATION_ID, **row}}, "PUT")


def set_field(sandbox: Sandbox, path: str, value: Any) -> None:
    administrate(sandbox, settings={path: value})


def places(sandbox: Sandbox) -> dict[str, str]:
    return {item["name"]: item["locationId"] for item in sandbox.state()["locations"]}
