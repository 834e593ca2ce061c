"""One merchant of Rally: the shop that its checkout sells for, and how the shop is described to Rally."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from app.gateways.vendors.rally.options import RallyOptions
from app.gateways.wire_objects import Json
from app.storefront.shop import Shop

GATEWAY = "rally"
"""The vendor's token, under which stock and catalogue are kept for it."""


@dataclass(frozen=True)
class Merchant(Shop):
    """A shop with Rally's settings."""

    source: ClassVar[str] = GATEWAY
    vendor: ClassVar[str] = "Rally"
    refnum_prefix: ClassVar[str] = "RLY-"

    options: RallyOptions = field(repr=False)


def store_json(options: RallyOptions) -> Json:
    """StoreInfo (contract 4.8)."""
    return {
        **_account_json(options),
        "store_phone": options.store_phone,
        "store_locale": options.store_locale,
        "store_name": options.store_name,
        "store_url": options.store_url,
        "native_checkout_url": options.native_checkout_url or None,
        "cart_url": options.cart_url or None,
        "logo_url": options.logo_url or None,
        "meta": None,
    }


def shop_info_json(options: RallyOptions) -> Json:
    """The body of `webhooks/shop-info-update` (contract 2.9)."""
    return {
        **_account_json(options),
        "phone": options.store_phone or None,
        "locale": options.store_locale,
        "weight_unit": options.weight_unit,
    }


def _account_json(options: RallyOptions) -> Json:
    """Who and where the merchant is, the same in both."""
    return {
        "organization_id": options.organization_id,
        "external_id": options.store_id or options.organization_id,
        "country_code": options.store_country,
        "address": options.store_address,
        "timezone": options.store_timezone,
        "currency": options.currency,
    }


def registered_json(options: RallyOptions) -> Json:
    """Answer of the register callback (contract 1.6)."""
    return {"store_name": options.store_name, "store_url": options.store_url, "store_logo": options.logo_url or None}


def zones_json(options: RallyOptions) -> Json:
    """Where something can be shipped to (contract 3.7); provinces as they are configured."""
    names: dict[str, list[str]] = {}
    for entry in options.shipping:
        for country in entry.countries:
            names.setdefault(country, []).extend(entry.provinces or ["*"])
    zones = {
        country: {"states": ["*"] if "*" in states else list(dict.fromkeys(states))}
        for country, states in names.items()
    }
    return {**zones, "REST_OF_WORLD": False}
