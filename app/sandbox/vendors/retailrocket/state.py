"""What the Retail Rocket sandbox remembers beside what every sandbox does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from app.sandbox import state as host_state
from app.sandbox.bodies import Json
from app.sandbox.host import Account


class Samples(msgspec.Struct, frozen=True):
    """The stores of the sandbox, and the fields of an item that is read back."""

    stores: tuple[Account, ...]
    item: dict[str, str]


SAMPLES = msgspec.json.decode(Path(__file__).with_name("samples.json").read_bytes(), type=Samples)
# Public values: they open nothing but a sandbox on loopback.
API_KEY, SECOND_API_KEY = (store.key for store in SAMPLES.stores)
PARTNER_ID, SECOND_PARTNER_ID = (str(store.integration_id) for store in SAMPLES.stores)
KEYS = {PARTNER_ID: API_KEY, SECOND_PARTNER_ID: SECOND_API_KEY}
"""The key of each store."""


class Settings(msgspec.Struct, forbid_unknown_fields=True):
    """How the vendor behaves where its pages say nothing, or say several things."""

    rate_limit_rps: float = 100.0
    """Calls a second for each store; 0 is no limit (contract 1.6)."""
    retry_after_s: int = 0
    """`Retry-After` of a 429; 0 sends none."""
    batch_delay_s: float = 0.0
    """How long a batch of events takes; the vendor says 1.5 s or more."""
    overlap_status: int = 0
    """Answer to a batch for a visitor whose earlier batch is still under way: 400 or 409; 0 accepts it."""
    is_signed: bool = False
    """Products need a `signature` of 64 hex characters: none is 403, a malformed one 400."""
    too_large_status: int = 413
    """Answer to an upload above 4 MB: 413 or 400."""
    blocked: list[str] = []
    """Stores that get 403."""
    feed_url: str = ""
    """What the poller fetches."""
    import_lag_s: float = 0.0
    """How long imported products stay unseen by reads."""


class State(host_state.State):
    """One vendor with its stores."""

    SETTINGS = Settings
    HAS_DECIMALS = False
    settings: Settings

    events: list[Json]
    products: dict[str, Json]
    categories: dict[str, Json]
    skipped: list[Json]
    polls: list[Json]
    feed_marks: dict[str, Json]
    csv_orders: list[Json]
    subscribers: dict[str, Json]
    warnings: list[str]

    def clear(self) -> None:
        super().clear()
        self.in_flight: Counter[str] = Counter()
        """Batches under way, by visitor."""

    def view(self) -> Json:
        return {**super().view(), "calls": list(self.calls), "purchases": self.purchases()}

    def held(self) -> dict[str, Sequence[Json]]:
        return {
            "products": list(self.products.values()),
            "purchases": self.purchases(),
            "polls of the feed": self.polls,
            "offers skipped": self.skipped,
            "uploaded order lines": self.csv_orders,
            "subscribers": [{"email": email, **row} for email, row in self.subscribers.items()],
            "warnings": [{"warning": warning} for warning in self.warnings],
        }

    def add_event(self, kind: str, body: Json, way: str) -> None:
        """Keeps an event that came in a `single` call, in a `batch` or from the `browser`."""
        self.events.append({"at": self.stamp(), "kind": kind, "way": way, "body": body})

    def purchases(self) -> list[Json]:
        """Order events together by transaction and product; `times` above 1 is a line counted twice."""
        found: dict[tuple[str, int], Json] = {}
        for body in (event["body"] for event in self.events if event["kind"] == "order"):
            first = {
                "transaction": body["transaction"],
                "productId": body["productId"],
                "name": self.products.get(str(body["productId"]), {}).get("name"),
                "session": body["sessionExternalId"],
                "price": body["price"],
                "quantity": 0,
                "times": 0,
                "timestamp": body["timestamp"],
            }
            row = found.setdefault((body["transaction"], body["productId"]), first)
            row["quantity"] += body["quantity"]
            row["times"] += 1
        return list(found.values())
