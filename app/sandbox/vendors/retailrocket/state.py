"""What the Retail Rocket sandbox remembers beside what every sandbox does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from app.sandbox import state as host_state
from app.sandbox.bodies import Json
from app.sandbox.state import Clock, real_clock

# Public values: they open nothing but a sandbox on loopback.
PARTNER_ID = "5a4db0c25a4db0c25a4db0c2"
API_KEY = "4e7a114e7a114e7a114e7a11"
SECOND_PARTNER_ID = "5a4db0c35a4db0c35a4db0c3"
SECOND_API_KEY = "4e7a124e7a124e7a124e7a12"


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

    def __init__(self, *, clock: Clock = real_clock, state_file: Path | None = None) -> None:
        self.keys = {PARTNER_ID: API_KEY, SECOND_PARTNER_ID: SECOND_API_KEY}
        self.in_flight: Counter[str] = Counter()
        super().__init__(clock=clock, state_file=state_file)

    def clear(self) -> None:
        super().clear()
        self.events: list[Json] = []
        self.products: dict[str, Json] = {}
        self.categories: dict[str, Json] = {}
        self.skipped: list[Json] = []
        self.polls: list[Json] = []
        self.feed_marks: Json = {}
        self.csv_orders: list[Json] = []
        self.subscribers: dict[str, Json] = {}
        self.warnings: list[str] = []

    _KEPT = (
        "events", "products", "categories", "skipped", "polls", "feed_marks", "csv_orders", "subscribers", "warnings",
    )  # fmt: skip

    def kept(self) -> Json:
        return {name: getattr(self, name) for name in self._KEPT}

    def restore(self, whole: Json) -> None:
        for name in self._KEPT:
            setattr(self, name, whole[name])

    def view(self) -> Json:
        return {**super().view(), **self.kept(), "calls": list(self.calls), "purchases": self.purchases()}

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

    def purchases(self) -> list[Json]:
        """Order events together by transaction and product, as often as they were counted."""
        found: dict[tuple[str, int], Json] = {}
        for event in self.events:
            if event["kind"] != "order":
                continue
            body = event["body"]
            row = found.setdefault(
                (body["transaction"], body["productId"]),
                {
                    "transaction": body["transaction"],
                    "productId": body["productId"],
                    "name": self.products.get(str(body["productId"]), {}).get("name"),
                    "session": body["sessionExternalId"],
                    "price": body["price"],
                    "quantity": 0,
                    "times": 0,
                    "timestamp": body["timestamp"],
                },
            )
            row["quantity"] += body["quantity"]
            row["times"] += 1
        return list(found.values())
