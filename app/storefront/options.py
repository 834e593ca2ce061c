"""What an operator can set for one shop; a vendor's settings extend these."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import marshmallow
import marshmallow.fields as mf
import marshmallow.validate as mv

from app.domain.order_limits import BLANK_SHIP_CODE, why_not_carried
from app.options import CurrencyCode, option, switch
from app.storefront import price_tables
from app.storefront.price_tables import CountryCode, Coupon, Shipping, Tax


def page(value: str) -> None:
    """The setting must be the address of a page, or empty."""
    if value and not re.fullmatch(r"https?://[^\s\\\"'<>]+", value):
        raise marshmallow.ValidationError("must begin with http:// or https:// and hold no blanks or quotes")


def _days() -> mf.Integer:
    return mf.Integer(strict=True, validate=mv.Range(1, 3650))


@dataclass(frozen=True, kw_only=True)
class ShopOptions:
    """The shop's settings in a vendor's table."""

    storefront_key: str = option(
        mf.String(
            validate=mv.Regexp(r"^(?:[\x21-\x7e]{16,})?\Z", error="must be 16 or more printable ASCII characters")
        ),
        "Bearer key with which the shop's own server has carts made (POST .../storefront/carts), for shops that keep "
        "carts; never for a page. Empty: no such address.",
        default="",
        secret=True,
    )
    currency: str = option(
        CurrencyCode(),
        "Currency of carts; what the catalogue prices in another one cannot be bought.",
        default="USD",
    )
    store_id: str = option(mf.String(), "Our id of the store; empty: the merchant's at the vendor.", default="")
    store_name: str = option(mf.String(), "Name of the store.", default="")
    store_url: str = option(mf.String(validate=page), "Address of the store.", default="")
    logo_url: str = option(mf.String(validate=page), "Address of its logo.", default="")
    cart_url: str = option(mf.String(validate=page), "Address of its cart.", default="")
    store_country: str = option(CountryCode(), "Country of the store.", default="US")
    store_locale: str = option(mf.String(), "Language and country, such as en_US.", default="en_US")
    store_timezone: str = option(mf.String(), "IANA name of its time zone.", default="UTC")
    store_phone: str = option(mf.String(), "Its telephone number.", default="")
    store_address: str = option(mf.String(), "Its address in one line.", default="")
    weight_unit: str = option(mf.String(validate=mv.OneOf(["kg", "lbs"])), "Unit of weights.", default="lbs")
    shipping: Sequence[Shipping] = option(
        mf.List(mf.Nested(price_tables.schema_of(Shipping))),
        "What a cart may choose: tables with id, title, price, countries, provinces, free_over, retailops_code.",
        default=tuple,
    )
    tax: Sequence[Tax] = option(
        mf.List(mf.Nested(price_tables.schema_of(Tax))),
        "Taxes: tables with country, province, rate, shipping, title; all that fit an address add up.",
        default=tuple,
    )
    coupon: Sequence[Coupon] = option(
        mf.List(mf.Nested(price_tables.schema_of(Coupon))),
        "Discount codes: tables with code and percent, amount or free_shipping, and minimum.",
        default=tuple,
    )
    default_ship_code: str = option(
        mf.String(), "ship_service_code of an order that has no shipping.", default="STANDARD"
    )
    offers_only: bool = option(switch(), "Take carts without anything to ship.", default=False)
    paid_clears_review: bool = option(
        switch(),
        "A `paid` that does not mention fraud review ends one; false: only an empty mention does.",
        default=True,
    )
    release_unpaid_after_minutes: float = option(
        mf.Float(validate=mv.Range(0, 60 * 24 * 30)),
        "Hand out an order that was never called paid this long after its last change, if its transactions cover "
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

    refund_unshipped_on_complete: bool = option(
        switch(), "Refund what order_complete names as unshipped.", default=True
    )
    refund_shipping_when_nothing_ships: bool = option(
        switch(),
        "Refund shipping, too, when an order is completed and no unit of it has shipped.",
        default=True,
    )
    products_per_search: int = option(
        mf.Integer(strict=True, validate=mv.Range(1, 500)), "Products in one answer to a search.", default=50
    )

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
        found = []
        for name, values in (
            ("shipping: two entries have the same id", [entry.id for entry in self.shipping]),
            ("coupon: two entries have the same code", [entry.code.casefold() for entry in self.coupon]),
        ):
            if len(set(values)) < len(values):
                found.append(name)
        if sum(1 for entry in self.coupon if entry.kinds != 1):
            found.append("coupon: each needs exactly one of percent, amount and free_shipping")
        return found
