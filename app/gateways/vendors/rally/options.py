"""What an operator can set for one Rally merchant; everything Rally's public sources leave open is here."""

from __future__ import annotations

from dataclasses import dataclass

import marshmallow.fields as mf
import marshmallow.validate as mv

from app.options import option, secure_address, switch
from app.storefront.options import ShopOptions, page
from app.transport.learned_rate import KeyCalls, parallel_calls

BASE_URL = "https://api.onrally.com/connector-api/v1/"
"""Production (contract 1.1); Rally's own sandbox is https://api.sandbox.onrally.com/connector-api/v1/."""

STATUSES = ("pending", "paid", "completed", "refunded")
"""Every order status Rally is known to understand (contract 4.2)."""


def _status() -> mf.String:
    return mf.String(validate=mv.OneOf(STATUSES))


def _path() -> mf.String:
    return mf.String(validate=mv.Regexp(r"^(?:[a-z0-9/_-]*[a-z0-9])?\Z", error="must be a path such as webhooks/name"))


@dataclass(frozen=True, kw_only=True)
class RallyOptions(ShopOptions, KeyCalls):
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
    storefront_client_id: str = option(mf.String(), "Public id for the cart button on the storefront.", default="")
    button_base_url: str = option(
        mf.String(validate=secure_address),
        "Where the storefront loads Rally's cart button from (contract 5).",
        default="https://js.onrally.com/checkout-button/",
    )
    native_checkout_url: str = option(
        mf.String(validate=page), "Where shoppers go when Rally cannot be reached.", default=""
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
    cancel_status: str = option(_status(), "Status sent when an order is cancelled.", default="refunded")
    refunded_status: str = option(_status(), "Status sent when nothing is left of an order.", default="refunded")
    completed_status: str = option(_status(), "Status sent when everything has shipped.", default="completed")
    paid_status: str = option(_status(), "Status sent of an order that is on its way.", default="paid")
    tell_acknowledged: bool = option(switch(), "Send Rally `paid_status` when RetailOps has an order.", default=False)
    fulfillment_path: str = option(
        _path(),
        "Path for shipments, should Rally name one; empty: they are sent in meta.fulfillments of order-update.",
        default="",
    )
    max_hook_body: int = option(
        mf.Integer(strict=True, validate=mv.Range(1024, 64 * 1024 * 1024)),
        "Largest body Rally may send, in bytes.",
        default=1024 * 1024,
    )
    parallel_calls: int = parallel_calls(0)

    @property
    def hmac_secrets(self) -> tuple[str, ...]:
        """Keys a signature may be made with; the first signs what we begin."""
        return tuple(filter(None, (self.hmac_secret or self.api_key, self.previous_hmac_secret)))
