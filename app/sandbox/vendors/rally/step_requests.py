"""What a test or a person can request of Rally: a step, which is one hook call, or a whole checkout."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from app.sandbox.bodies import Json, readable

_Count = Annotated[int, msgspec.Meta(ge=1)]


class Shopping(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What single steps and whole checkouts have in common; `README.md` says what each field is for."""

    cart: str = ""
    line_items: list[Json] = []
    skus: dict[str, _Count] = {}
    customer: Json = {}
    address: Json = {}
    billing_address: Json | None = None
    coupon: str | None = None
    notes: str | None = None
    shipping: str = ""
    offers: list[Json] = []
    offer_skus: dict[str, _Count] = {}
    offer_shipping: Json | None = None
    transactions: list[Json] | None = None
    repeat_transactions: bool = False
    is_held: bool = False
    mentions_review: bool = True
    names_payment: bool = True
    shows_earlier_lines: bool = False
    key: str = ""
    offers_only: bool = False
    patience_s: float | None = None


class StepRequest(Shopping, forbid_unknown_fields=True, kw_only=True):
    """One step; what is missing is made up from Rally's copies."""

    order: str = ""
    is_address_known: bool = True
    status: str = ""
    external_product_id: str = ""
    category_id: str = ""
    title: str | None = None
    per_page: int | None = None
    current_page: int | None = None
    more: Json = {}
    body: Json | None = None
    raw: str | None = None
    sign: Literal["right", "wrong", "none"] = "right"
    url: str = ""


class Checkout(Shopping, forbid_unknown_fields=True, kw_only=True):
    """A whole checkout; `README.md` says what each field is for."""

    session: str = ""
    add: list[Json] = []
    add_skus: dict[str, int] = {}
    remove: list[Json] = []
    remove_skus: dict[str, int] = {}
    is_paid: bool = True
    create_times: _Count = 1
    repeat_paid: _Count = 1
    stop_after: str = ""
    wrong_signature_at: str = ""
    faults: list[Json] = []


class Call(msgspec.Struct):
    """One hook to call, as requested."""

    topic: str
    requested: StepRequest
    resource_id: str = ""
    body: bytes = b""
    query: dict[str, int] = {}

    def sent(self) -> Json:
        """The body as the connector reads it, {} where it is no object."""
        parsed = readable(self.body)
        return parsed if isinstance(parsed, dict) else {}

    @property
    def places_nothing(self) -> bool:
        """True of an `order/create` that does not say how the shopper paid."""
        return self.topic == "order/create" and not self.sent().get("payment_method")
