"""Everything the Rally sandbox remembers, in one place that can be locked, shown, saved and reset."""

from __future__ import annotations

import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal
from uuid import NAMESPACE_URL, uuid5

import msgspec

from app.sandbox.vendors.rally.fields import Failure, Json

encode = msgspec.json.Encoder(decimal_format="number").encode
decode = msgspec.json.Decoder(float_hook=Decimal).decode

# Public values: they open nothing but a sandbox on loopback.
API_KEY = "rk_sandbox_demo_1"
SECOND_API_KEY = "rk_sandbox_demo_2"
ORGANIZATION_ID = "org-demo-1"
SECOND_ORGANIZATION_ID = "org-demo-2"

JOURNAL_LENGTH = 5000
"""Calls kept whole; counts are exact whatever their number."""


class Merchant(msgspec.Struct, forbid_unknown_fields=True):
    """An organisation at Rally and the keys of its connector."""

    organization_id: str
    name: str
    client_id: str
    api_keys: Annotated[list[str], msgspec.Meta(min_length=1)]
    """All are accepted, so that a key can be changed without a gap; the first signs Rally's own calls."""
    hmac_secret: str | None = None
    """Signs instead of the key when set (contract 1.3)."""

    def secret(self, key: str) -> str:
        """What signs with this key."""
        return self.hmac_secret or key

    def secrets(self) -> list[str]:
        """Everything a signature may be made with."""
        return [self.hmac_secret] if self.hmac_secret else self.api_keys


def _seeded(number: int, key: str, organization_id: str) -> Merchant:
    client_id = str(uuid5(NAMESPACE_URL, f"https://rally.sandbox.example/{number}"))
    return Merchant(organization_id, f"Demo merchant {number}", client_id, [key])


def default_merchants() -> tuple[Merchant, ...]:
    """The two merchants every sandbox starts with."""
    return _seeded(1, API_KEY, ORGANIZATION_ID), _seeded(2, SECOND_API_KEY, SECOND_ORGANIZATION_ID)


class Settings(msgspec.Struct, forbid_unknown_fields=True):
    """Switches of the sandbox; the defaults are a Rally in good health."""

    rate_per_s: float = 0.0
    """Requests per second and merchant before 429; 0 is no limit."""
    hook_patience_s: float = 5.0
    """How long Rally waits for a hook's answer."""
    delete_status: Literal[200, 204] = 200


class Copies(msgspec.Struct):
    """What Rally holds of one merchant."""

    hooks: list[Json] = []
    products: dict[str, Json] = {}
    stock: dict[str, Json] = {}
    categories: dict[str, Json] = {}
    carts: dict[str, Json] = {}
    orders: dict[str, Json] = {}
    orders_announced: list[Json] = []
    sessions: dict[str, Json] = {}
    shop: Json = {}
    warnings: list[str] = []


class State:
    """All merchants.  Hold `lock` while reading or changing anything, never while calling a connector."""

    def __init__(
        self,
        merchants: Sequence[Merchant] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        state_file: Path | None = None,
    ) -> None:
        self.lock = threading.RLock()
        self.clock = clock
        self.state_file = state_file
        self._first_merchants = tuple(default_merchants() if merchants is None else merchants)
        self.settings = Settings()
        self.clear()

    def clear(self) -> None:
        """Back to the first merchants, with nothing of theirs."""
        first = msgspec.convert(msgspec.to_builtins(self._first_merchants), list[Merchant])
        self.merchants = {merchant.organization_id: merchant for merchant in first}
        self.copies = {organization_id: Copies() for organization_id in self.merchants}
        self.numbers: Counter[str] = Counter()
        self.settings = Settings()
        self._allowances: dict[str, tuple[float, float]] = {}
        self.clear_journal()

    def clear_journal(self) -> None:
        """Calls, counts and warnings begin anew."""
        self.calls: deque[Json] = deque(maxlen=JOURNAL_LENGTH)
        self.counts: dict[str, dict[str, Counter[str]]] = {}
        for copies in self.copies.values():
            copies.warnings.clear()

    def merchant(self, organization_id: str) -> Merchant:
        """Raises `Failure` 404."""
        found = self.merchants.get(organization_id)
        if found is None:
            raise Failure(404, "no such merchant")
        return found

    def merchant_of_key(self, key: str) -> Merchant | None:
        return next((merchant for merchant in self.merchants.values() if key in merchant.api_keys), None)

    def stamp(self) -> str:
        return self.clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def next_number(self, kind: str) -> int:
        self.numbers[kind] += 1
        return self.numbers[kind]

    def wait_s(self, organization_id: str) -> int:
        """0 when this merchant may call now (and takes one call off its allowance), else whole seconds to wait."""
        rate = self.settings.rate_per_s
        if rate <= 0:
            return 0
        now = self.clock().timestamp()
        capacity = max(1.0, rate)
        left, since = self._allowances.get(organization_id, (capacity, now))
        left = min(capacity, left + (now - since) * rate)
        is_free = left >= 1
        self._allowances[organization_id] = (left - 1 if is_free else left, now)
        return 0 if is_free else max(1, round((1 - left) / rate + 0.5))

    def record_call(self, call: Json) -> None:
        """Adds a call to the journal; `call` says merchant, direction, method, path and status."""
        whole = {"number": self.next_number("call"), "at": self.stamp(), **call}
        self.calls.append(whole)
        merchant = call["merchant"] or ""
        by_path = self.counts.setdefault(merchant, {})
        by_path.setdefault(f"{call['method']} {call['path']}", Counter())[str(call["status"])] += 1
        copies = self.copies.get(merchant)
        if copies is not None:
            copies.warnings += [f"{call['path']}: {warning}" for warning in call["warnings"]]
            del copies.warnings[:-JOURNAL_LENGTH]

    def view(self, organization_id: str) -> Json:
        """All a merchant could see at Rally, and what Rally wondered at."""
        merchant, copies = self.merchant(organization_id), self.copies[organization_id]
        return {
            "merchant": merchant,
            "hooks": copies.hooks,
            "products": copies.products,
            "stock": list(copies.stock.values()),
            "categories": copies.categories,
            "carts": copies.carts,
            "orders": copies.orders,
            "refunds": [refund for order in copies.orders.values() for refund in order["refunds"]],
            "shop": copies.shop,
            "sessions": copies.sessions,
            "orders_announced": copies.orders_announced,
            "warnings": copies.warnings,
        }

    def save(self) -> None:
        """Writes the whole state beside the old one and swaps them: a kill leaves the one or the other."""
        if self.state_file is None:
            return
        whole = {
            "merchants": list(self.merchants.values()),
            "copies": self.copies,
            "settings": self.settings,
            "numbers": dict(self.numbers),
        }
        beside = self.state_file.with_name(self.state_file.name + ".new")
        beside.write_bytes(encode(whole))
        os.replace(beside, self.state_file)

    def load(self) -> bool:
        """True when a saved state was found and taken.  Raises `ValueError` or `LookupError` for another's file."""
        if self.state_file is None or not self.state_file.exists():
            return False
        whole = decode(self.state_file.read_bytes())
        merchants = msgspec.convert(whole["merchants"], list[Merchant])
        self.merchants = {merchant.organization_id: merchant for merchant in merchants}
        self.copies = msgspec.convert(whole["copies"], dict[str, Copies])
        self.settings = msgspec.convert(whole["settings"], Settings, strict=False)
        self.numbers = Counter(whole["numbers"])
        return True
