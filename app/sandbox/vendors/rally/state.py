"""What the Rally sandbox remembers beside what every sandbox does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Annotated, Any, Literal

import msgspec

from app.sandbox import state as host_state
from app.sandbox.bodies import Json, existing
from app.sandbox.vendors.rally.findings import FOLDER


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


class Samples(msgspec.Struct, frozen=True):
    """The merchants to begin with, what Rally makes up of a shopper, and its records as they begin."""

    merchants: tuple[Merchant, ...]
    shopper: Json
    address: Json
    countries: dict[str, str]
    payment_method: Json
    transaction: Json
    fraud_review: Json
    order: Json
    cart_record: Json
    order_record: Json


SAMPLES = msgspec.json.decode((FOLDER / "samples.json").read_bytes(), type=Samples)
_FIRST, _SECOND = SAMPLES.merchants
# Public values: they open nothing but a sandbox on loopback.
API_KEY, SECOND_API_KEY = _FIRST.api_keys[0], _SECOND.api_keys[0]
ORGANIZATION_ID, SECOND_ORGANIZATION_ID = _FIRST.organization_id, _SECOND.organization_id
STOREFRONT_KEY = _FIRST.storefront_key


class Settings(msgspec.Struct, forbid_unknown_fields=True):
    """Switches of the sandbox; the defaults are a Rally in good health."""

    rate_per_s: float = 0.0
    """Requests per second and merchant before 429; 0 is no limit."""
    hook_patience_s: float = 5.0
    """How long Rally waits for a hook's answer."""
    delete_status: Literal[200, 204] = 200


class Variant(msgspec.Struct, frozen=True):
    """What a shopper can choose, as the connector has sent it, and how many units the shopper has chosen."""

    sku: str
    title: str
    product_id: str
    variant_id: str
    price: Any
    currency: str
    quantity: int = 0


class Copies(msgspec.Struct):
    """A merchant, and what Rally holds of it."""

    merchant: Merchant
    hooks: list[Json] = []
    products: dict[str, Json] = {}
    stock: dict[str, Json] = {}
    categories: dict[str, Json] = {}
    carts: dict[str, Json] = {}
    orders: dict[str, Json] = {}
    shop: Json = {}
    sessions: dict[str, Json] = {}
    orders_announced: list[Json] = []
    warnings: list[str] = []

    def variants(self) -> Iterator[Variant]:
        """Everything that is sold, in the order of the products."""
        for product in self.products.values():
            for variant in product["variants"]:
                ids, price = (product["external_id"], variant["external_id"]), variant["prices"][0]
                sku, title = variant["external_sku"], product["title"]
                yield Variant(sku, title, *ids, price["discounted_price"], price["currency"])

    def stock_by_sku(self) -> dict[str, int]:
        """Units left."""
        return {row["sku"]: row["value"] for row in self.stock.values()}

    def refunds(self) -> list[Json]:
        """Of all orders."""
        return [refund for order in self.orders.values() for refund in order["refunds"]]

    def view(self) -> Json:
        """All a merchant could see at Rally, and what Rally wondered at."""
        return {**msgspec.structs.asdict(self), "stock": list(self.stock.values()), "refunds": self.refunds()}


class State(host_state.State):
    """All merchants."""

    SETTINGS = Settings
    settings: Settings

    merchants: dict[str, Copies]

    def clear(self) -> None:
        """Back to the first merchants, with nothing of theirs."""
        super().clear()
        self.merchants = {one.organization_id: Copies(one) for one in deepcopy(SAMPLES.merchants)}

    def clear_journal(self) -> None:
        super().clear_journal()
        self.counts: dict[str, dict[str, Counter[str]]] = {}
        for copies in self.merchants.values():
            copies.warnings.clear()

    def journal(self, filters: Mapping[str, str]) -> Json:
        return {**super().journal(filters), "counts": self.counts}

    def of_merchant(self, organization_id: str) -> Copies:
        """Raises `Failure` 404."""
        return existing(self.merchants, organization_id, "no such merchant")

    def admit_merchant(self, parts: Json) -> None:
        """Gives a route the merchant's `copies` for the path's `organization_id`.  Raises `Failure` 404."""
        parts["copies"] = self.of_merchant(parts.pop("organization_id"))

    def record_call(self, call: Json) -> None:
        """`call` says merchant and direction, too."""
        super().record_call(call)
        merchant = call["merchant"] or ""
        by_path = self.counts.setdefault(merchant, {})
        by_path.setdefault(f"{call['method']} {call['path']}", Counter())[str(call["status"])] += 1
        copies = self.merchants.get(merchant)
        if copies is not None:
            copies.warnings += [f"{call['path']}: {warning}" for warning in call["warnings"]]
            del copies.warnings[: -host_state.JOURNAL_LENGTH]

    def view(self) -> Json:
        merchants = {organization_id: copies.view() for organization_id, copies in self.merchants.items()}
        return {**super().view(), "merchants": merchants}

    def held(self) -> dict[str, Sequence[Json]]:
        found: dict[str, Sequence[Json]] = {}
        for organization_id, copies in self.merchants.items():
            tables = {
                "products": copies.products.values(),
                "stock": copies.stock.values(),
                "orders": copies.orders.values(),
                "refunds": copies.refunds(),
                "categories": copies.categories.values(),
                "carts": map(_cart_row, copies.carts.values()),
                "hooks": copies.hooks,
                "warnings": ({"warning": warning} for warning in copies.warnings),
            }
            found |= {f"{organization_id}: {name}": list(rows) for name, rows in tables.items()}
        return found


def _cart_row(cart: Json) -> Json:
    answer = cart["answer"] or {}
    sums = {name: answer.get(name, "") for name in ("currency", "subtotal", "total")}
    lines = len(answer.get("line_items", ()))
    return {"external_id": cart["external_id"], **sums, "lines": lines, "order_id": cart["order_id"]}
