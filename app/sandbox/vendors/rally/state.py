"""What the Rally sandbox remembers beside what every sandbox does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal
from uuid import NAMESPACE_URL, uuid5

import msgspec

from app.sandbox import state as host_state
from app.sandbox.bodies import Failure, Json
from app.sandbox.state import JOURNAL_LENGTH, Clock, real_clock

# Public values: they open nothing but a sandbox on loopback.
API_KEY = "rk_sandbox_demo_1"
SECOND_API_KEY = "rk_sandbox_demo_2"
ORGANIZATION_ID = "org-demo-1"
SECOND_ORGANIZATION_ID = "org-demo-2"
STOREFRONT_KEY = "storefront~of~the~sandbox~01"


class Merchant(msgspec.Struct, forbid_unknown_fields=True):
    """An organisation at Rally and the keys of its connector."""

    organization_id: str
    name: str
    client_id: str
    api_keys: Annotated[list[str], msgspec.Meta(min_length=1)]
    """All are accepted, so that a key can be changed without a gap; the first signs Rally's own calls."""
    hmac_secret: str | None = None
    """Signs instead of the key when set (contract 1.3)."""
    storefront_key: str = ""
    """With which the shop's own server has carts made by the connector; "": its page names bare line items."""
    cart_button: str = ""
    """The snippet that the shop pastes into its cart page, as `channel rally cart-button` prints it."""

    def secret(self, key: str) -> str:
        """What signs with this key."""
        return self.hmac_secret or key

    def secrets(self) -> list[str]:
        """Everything a signature may be made with."""
        return [self.hmac_secret] if self.hmac_secret else self.api_keys


def _seeded(number: int, key: str, organization_id: str) -> Merchant:
    client_id = str(uuid5(NAMESPACE_URL, f"https://rally.sandbox.example/{number}"))
    return Merchant(organization_id, f"Demo merchant {number}", client_id, [key], storefront_key=STOREFRONT_KEY)


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


class State(host_state.State):
    """All merchants."""

    SETTINGS = Settings
    settings: Settings

    def __init__(
        self,
        merchants: Sequence[Merchant] | None = None,
        clock: Clock = real_clock,
        state_file: Path | None = None,
    ) -> None:
        self._first_merchants = tuple(default_merchants() if merchants is None else merchants)
        super().__init__(clock=clock, state_file=state_file)

    def clear(self) -> None:
        """Back to the first merchants, with nothing of theirs."""
        first = msgspec.convert(msgspec.to_builtins(self._first_merchants), list[Merchant])
        self.merchants = {merchant.organization_id: merchant for merchant in first}
        self.copies = {organization_id: Copies() for organization_id in self.merchants}
        super().clear()

    def clear_journal(self) -> None:
        super().clear_journal()
        self.counts: dict[str, dict[str, Counter[str]]] = {}
        for copies in self.copies.values():
            copies.warnings.clear()

    def journal(self, filters: Mapping[str, str]) -> Json:
        return {**super().journal(filters), "counts": self.counts}

    def merchant(self, organization_id: str) -> Merchant:
        """Raises `Failure` 404."""
        found = self.merchants.get(organization_id)
        if found is None:
            raise Failure(404, "no such merchant")
        return found

    def merchant_of_key(self, key: str) -> Merchant | None:
        return next((merchant for merchant in self.merchants.values() if key in merchant.api_keys), None)

    def record_call(self, call: Json) -> None:
        """`call` says merchant and direction, too."""
        super().record_call(call)
        merchant = call["merchant"] or ""
        by_path = self.counts.setdefault(merchant, {})
        by_path.setdefault(f"{call['method']} {call['path']}", Counter())[str(call["status"])] += 1
        copies = self.copies.get(merchant)
        if copies is not None:
            copies.warnings += [f"{call['path']}: {warning}" for warning in call["warnings"]]
            del copies.warnings[:-JOURNAL_LENGTH]

    def merchant_view(self, organization_id: str) -> Json:
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

    def view(self) -> Json:
        merchants = {organization_id: self.merchant_view(organization_id) for organization_id in self.merchants}
        return {**super().view(), "merchants": merchants}

    def held(self) -> dict[str, Sequence[Json]]:
        found: dict[str, Sequence[Json]] = {}
        for organization_id, copies in self.copies.items():
            orders = list(copies.orders.values())
            found |= {
                f"{organization_id}: products": list(copies.products.values()),
                f"{organization_id}: stock": list(copies.stock.values()),
                f"{organization_id}: orders": orders,
                f"{organization_id}: refunds": [refund for order in orders for refund in order["refunds"]],
                f"{organization_id}: categories": list(copies.categories.values()),
                f"{organization_id}: carts": [_cart_row(cart) for cart in copies.carts.values()],
                f"{organization_id}: hooks": copies.hooks,
                f"{organization_id}: warnings": [{"warning": warning} for warning in copies.warnings],
            }
        return found

    def kept(self) -> Json:
        return {"merchants": list(self.merchants.values()), "copies": self.copies}

    def restore(self, whole: Json) -> None:
        merchants = msgspec.convert(whole["merchants"], list[Merchant])
        self.merchants = {merchant.organization_id: merchant for merchant in merchants}
        self.copies = msgspec.convert(whole["copies"], dict[str, Copies])


def _cart_row(cart: Json) -> Json:
    answer = cart["answer"] or {}
    shown = {name: answer.get(name, "") for name in ("currency", "subtotal", "total")}
    return {
        "external_id": cart["external_id"],
        **shown,
        "lines": len(answer.get("line_items", ())),
        "order_id": cart["order_id"],
    }
