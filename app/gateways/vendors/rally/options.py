"""What an operator can set for one Rally merchant; everything Rally's public sources leave open is here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import marshmallow.fields as mf
import marshmallow.validate as mv

from app.domain.order_limits import BLANK_SHIP_CODE, why_not_carried
from app.gateways import learned_rate
from app.gateways.vendors.rally import tables
from app.gateways.vendors.rally.tables import Coupon, Shipping, Tax
from app.options import CurrencyCode, option, secure_address, switch

BASE_URL = "https://api.onrally.com/connector-api/v1/"
"""Production (contract 1.1); Rally's own sandbox is https://api.sandbox.onrally.com/connector-api/v1/."""

STATUSES = ("pending", "paid", "completed", "refunded")
"""Every order status Rally is known to understand (contract 4.2)."""


def _status() -> mf.String:
    return mf.String(validate=mv.OneOf(STATUSES))


def _path() -> mf.String:
    return mf.String(validate=mv.Regexp(r"^(?:[a-z0-9/_-]*[a-z0-9])?\Z", error="must be a path such as webhooks/name"))


def _days() -> mf.Integer:
    return mf.Integer(strict=True, validate=mv.Range(1, 3650))


@dataclass(frozen=True)
class RallyOptions:
    """The table `[channel.rally]`."""

    api_key: str = option(
        mf.String(validate=mv.Regexp(r"^[\x21-\x7e]{8,}\Z", error="must be 8 or more printable ASCII characters")),
        "The key sent as X-API-KEY.",
        secret=True,
    )
    organization_id: str = option(
        mf.String(validate=mv.Regexp(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z", error="must be an id as Rally shows it")),
        "Rally's id of the merchant; part of the addresses Rally calls.",
    )
    base_url: str = option(mf.String(validate=secure_address), "Address of Rally's Connector API.", default=BASE_URL)
    hmac_secret: str = option(
        mf.String(), "Key of the signatures, where it is not the API key itself.", default="", secret=True
    )
    previous_hmac_secret: str = option(
        mf.String(),
        "The key Rally may still sign with while keys are being replaced; its requests are answered under it.",
        default="",
        secret=True,
    )
    storefront_key: str = option(
        mf.String(
            validate=mv.Regexp(r"^(?:[\x21-\x7e]{16,})?\Z", error="must be 16 or more printable ASCII characters")
        ),
        "Bearer key with which the shop's own server has carts made (POST .../storefront/carts), for shops that keep "
        "carts; never for a page. Empty: no such address.",
        default="",
        secret=True,
    )
    storefront_client_id: str = option(mf.String(), "Public id for the cart button on the storefront.", default="")
    button_base_url: str = option(
        mf.String(validate=secure_address),
        "Where the storefront loads Rally's cart button from (contract 5).",
        default="https://js.onrally.com/checkout-button/",
    )
    currency: str = option(
        CurrencyCode(),
        "Currency of carts; what the catalogue prices in another one cannot be bought.",
        default="USD",
    )
    store_id: str = option(mf.String(), "Our id of the store; empty: the organisation's.", default="")
    store_name: str = option(mf.String(), "Name of the store.", default="")
    store_url: str = option(mf.String(validate=tables.page), "Address of the store.", default="")
    logo_url: str = option(mf.String(validate=tables.page), "Address of its logo.", default="")
    cart_url: str = option(mf.String(validate=tables.page), "Address of its cart.", default="")
    native_checkout_url: str = option(
        mf.String(validate=tables.page), "Where shoppers go when Rally cannot be reached.", default=""
    )
    store_country: str = option(tables.CountryCode(), "Country of the store.", default="US")
    store_locale: str = option(mf.String(), "Language and country, such as en_US.", default="en_US")
    store_timezone: str = option(mf.String(), "IANA name of its time zone.", default="UTC")
    store_phone: str = option(mf.String(), "Its telephone number.", default="")
    store_address: str = option(mf.String(), "Its address in one line.", default="")
    weight_unit: str = option(mf.String(validate=mv.OneOf(["kg", "lbs"])), "Unit of weights.", default="lbs")
    shipping: Sequence[Shipping] = option(
        mf.List(mf.Nested(tables.schema_of(Shipping))),
        "What a cart may choose: tables with id, title, price, countries, provinces, free_over, retailops_code.",
        default=tuple,
    )
    tax: Sequence[Tax] = option(
        mf.List(mf.Nested(tables.schema_of(Tax))),
        "Taxes: tables with country, province, rate, shipping, title; all that fit an address add up.",
        default=tuple,
    )
    coupon: Sequence[Coupon] = option(
        mf.List(mf.Nested(tables.schema_of(Coupon))),
        "Discount codes: tables with code and percent, amount or free_shipping, and minimum.",
        default=tuple,
    )
    default_ship_code: str = option(
        mf.String(), "ship_service_code of an order that has no shipping.", default="STANDARD"
    )
    offers_only: bool = option(
        switch(),
        "Take carts without anything to ship even when X-Rally-Offers-Only is not sent.",
        default=False,
    )
    trust_added_price: bool = option(
        switch(),
        "Take the price Rally names in cart/add (its own offers) instead of the catalogue's.",
        default=True,
    )
    trust_created_price: bool = option(
        switch(),
        "Take the price named in cart/create, too; it comes from the page, where a shopper can edit it.",
        default=False,
    )
    paid_clears_review: bool = option(
        switch(),
        "A `paid` that does not mention fraud review ends one; false: only an empty mention does.",
        default=True,
    )
    release_unpaid_after_minutes: float = option(
        mf.Float(validate=mv.Range(0, 60 * 24 * 30)),
        "Hand out an order Rally never called paid this long after its last change, if its transactions cover "
        "it and no fraud review is open; 0 never does.",
        default=0.0,
    )
    cart_days: int = option(_days(), "Days a cart is kept after its last change.", default=30)
    order_days: int = option(
        _days(), "Days an order is kept after it was completed, cancelled or wholly refunded.", default=180
    )
    open_order_days: int = option(_days(), "Days any other order is kept after its last change.", default=180)
    reserve_grace_s: float = option(
        mf.Float(validate=mv.Range(0, 86400)),
        "How much later than an order's acknowledgement an inventory_push must come to count its units, in seconds.",
        default=300.0,
    )
    restate_every: float = option(
        mf.Float(validate=mv.Range(0, 24 * 366)),
        "How often an equal stock figure is sent again at most, in hours, for Rally takes one SKU a call; after an "
        "order, a refusal or an unknown outcome on the SKU it is sent at once.",
        default=24.0,
    )
    settle_seconds: float = option(
        mf.Float(validate=mv.Range(0, 3600)),
        "How long a call that was given up without an answer may still arrive at Rally, in seconds: later calls for "
        "the same order wait for that, and stock and products are sent once more after it.",
        default=60.0,
    )
    refund_repeat: str = option(
        mf.String(validate=mv.OneOf(["never", "same_id"])),
        "A refund of unknown outcome is parked for a person, or sent again under the same id once Rally has "
        "confirmed that this is harmless.",
        default="never",
    )
    refund_unshipped_on_complete: bool = option(
        switch(), "Refund what order_complete names as unshipped.", default=True
    )
    refund_shipping_when_nothing_ships: bool = option(
        switch(),
        "Refund shipping, too, when an order is completed and no unit of it has shipped.",
        default=True,
    )
    cancel_status: str = option(_status(), "Status told when an order is cancelled.", default="refunded")
    refunded_status: str = option(_status(), "Status told when nothing is left of an order.", default="refunded")
    completed_status: str = option(_status(), "Status told when everything has shipped.", default="completed")
    paid_status: str = option(_status(), "Status told of an order that is on its way.", default="paid")
    tell_acknowledged: bool = option(switch(), "Tell Rally `paid_status` when RetailOps has an order.", default=False)
    fulfillment_path: str = option(
        _path(),
        "Path for shipments, should Rally name one; empty: they are told in meta.fulfillments of order-update.",
        default="",
    )
    products_per_search: int = option(
        mf.Integer(strict=True, validate=mv.Range(1, 500)), "Products in one answer to a search.", default=50
    )
    max_hook_body: int = option(
        mf.Integer(strict=True, validate=mv.Range(1024, 64 * 1024 * 1024)),
        "Largest body Rally may send, in bytes.",
        default=1024 * 1024,
    )
    requests_per_s: float = option(
        mf.Float(validate=mv.Range(0, 1000)),
        "Calls per second; 0 is no cap. Rally publishes no number, so it is where learning starts.",
        default=5.0,
    )
    rate_max: float = learned_rate.rate_max()
    rate_growth: float = learned_rate.rate_growth()
    rate_cut: float = learned_rate.rate_cut()
    parallel_calls: int = option(
        mf.Integer(strict=True, validate=mv.Range(0, 64)), "Calls under way at a time; 0 is no cap.", default=0
    )
    patience_s: float = option(
        mf.Float(validate=mv.Range(0.1, 60)), "Longest wait for one answer, in seconds.", default=5.0
    )

    @property
    def hmac_secrets(self) -> tuple[str, ...]:
        """Keys a signature may be made with; the first signs what we begin."""
        return tuple(filter(None, (self.hmac_secret or self.api_key, self.previous_hmac_secret)))

    def not_carried(self) -> list[str]:
        """Settings that make orders RetailOps can never take: setting and rule (R33)."""
        found = []
        if rule := why_not_carried(self.currency):
            found.append(f"currency: {rule}")
        if not self.default_ship_code.strip():
            found.append(f"default_ship_code: {BLANK_SHIP_CODE}")
        if any(entry.retailops_code and not entry.retailops_code.strip() for entry in self.shipping):
            found.append(f"shipping.retailops_code: {BLANK_SHIP_CODE}")
        return found

    def faults(self) -> list[str]:
        """Rules between settings that a single field cannot see."""
        found = learned_rate.faults(self)
        for name, values in (
            ("shipping: two entries have the same id", [entry.id for entry in self.shipping]),
            ("coupon: two entries have the same code", [entry.code.casefold() for entry in self.coupon]),
        ):
            if len(set(values)) < len(values):
                found.append(name)
        if self.storefront_key and self.storefront_key in (self.api_key, *self.hmac_secrets):
            found.append("storefront_key: must be another key than those Rally has")
        if sum(1 for entry in self.coupon if entry.kinds != 1):
            found.append("coupon: each needs exactly one of percent, amount and free_shipping")
        return found
