"""Everything the Retail Rocket sandbox remembers, in one place that can be locked, shown, saved and reset."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

# Public values: they open nothing but a sandbox on loopback.
PARTNER_ID = "5a4db0c25a4db0c25a4db0c2"
API_KEY = "4e7a114e7a114e7a114e7a11"
SECOND_PARTNER_ID = "5a4db0c35a4db0c35a4db0c3"
SECOND_API_KEY = "4e7a124e7a124e7a124e7a12"

Json = dict[str, Any]

MOST_CALLS = 2000


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


class State:
    """One vendor with its stores."""

    def __init__(self, clock: Callable[[], datetime], state_file: Path | None) -> None:
        self.lock = threading.RLock()
        self.clock = clock
        self._file = state_file
        self.keys = {PARTNER_ID: API_KEY, SECOND_PARTNER_ID: SECOND_API_KEY}
        self.settings = Settings()
        self.in_flight: Counter[str] = Counter()
        self._taken: dict[str, tuple[float, float]] = {}
        self.forget()

    def forget(self) -> None:
        """As new."""
        self.settings = Settings()
        self.events: list[Json] = []
        self.products: dict[str, Json] = {}
        self.categories: dict[str, Json] = {}
        self.skipped: list[Json] = []
        self.polls: list[Json] = []
        self.feed_marks: Json = {}
        self.csv_orders: list[Json] = []
        self.subscribers: dict[str, Json] = {}
        self.warnings: list[str] = []
        self.calls: deque[Json] = deque(maxlen=MOST_CALLS)

    _KEPT = (
        "events", "products", "categories", "skipped", "polls", "feed_marks", "csv_orders", "subscribers", "warnings",
    )  # fmt: skip

    def as_json(self) -> Json:
        kept: Json = {name: getattr(self, name) for name in self._KEPT}
        return {**kept, "settings": msgspec.to_builtins(self.settings), "calls": list(self.calls)}

    def save(self) -> None:
        """Keep everything in the state file, whole or not at all."""
        if self._file is None:
            return
        fresh = self._file.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(self.as_json()))
        os.replace(fresh, self._file)

    def load(self) -> None:
        """Take over the state file where there is one.  Raises `ValueError` for a file of another kind."""
        if self._file is None or not self._file.exists():
            return
        kept = msgspec.json.decode(self._file.read_bytes())
        self.settings = msgspec.convert(kept["settings"], Settings)
        for name in self._KEPT:
            setattr(self, name, kept[name])

    def stamp(self) -> str:
        return self.clock().isoformat(timespec="milliseconds")

    def is_above_rate(self, partner: str) -> bool:
        """Take one call from the store's bucket of one second; True when it is empty."""
        rate = self.settings.rate_limit_rps
        if not rate:
            return False
        now = time.monotonic()
        tokens, at = self._taken.get(partner, (rate, now))
        tokens = min(rate, tokens + (now - at) * rate)
        is_above = tokens < 1.0
        self._taken[partner] = (tokens if is_above else tokens - 1.0, now)
        return is_above

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
