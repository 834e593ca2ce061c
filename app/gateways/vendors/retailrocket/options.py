"""What an operator can set for one Retail Rocket store; everything its public sources leave open is here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import marshmallow
import marshmallow.fields as mf
import marshmallow.validate as mv

from app.options import CurrencyCode, option, secure_address, switch
from app.transport import learned_rate

NAMED_PER_S: Final = 600.0
"""What Retail Rocket's general principles name for a site (contract 9): no rate grows beyond it by itself."""


def _shop_address(value: str) -> None:
    """Pages of the shop are shown to shoppers, so http will do; empty is allowed."""
    if value and not re.match(r"https?://[^\s\\/?#]+", value):
        raise marshmallow.ValidationError("must begin with https:// or http://")


def _seconds(low: float, high: float) -> mf.Float:
    return mf.Float(validate=mv.Range(low, high))


@dataclass(frozen=True)
class RetailRocketOptions(learned_rate.LearnedRate):
    """The table `[channel.retailrocket]`."""

    partner_id: str = option(
        mf.String(validate=mv.Regexp(r"^[0-9A-Za-z]{1,64}\Z", error="must be an id such as 52e0e8141e994426487779d9")),
        "The store's public number at Retail Rocket, 24 hex characters in every known example.",
    )
    api_key: str = option(
        mf.String(validate=mv.Regexp(r"^[\x21-\x7e]*\Z", error="must be printable ASCII without blanks")),
        "The secret key for purchases; not needed while order_source is site.",
        default="",
        secret=True,
    )
    mode: str = option(
        mf.String(validate=mv.OneOf(["feed", "product_api"])),
        "feed: Retail Rocket fetches /feeds/retailrocket/<channel>.xml. product_api: products are sent to it; only "
        "for a store it has set to that mode (contract 2.2).",
        default="feed",
    )
    order_source: str = option(
        mf.String(validate=mv.OneOf(["site", "server"])),
        "Who reports purchases. site: the shop's own pages or app do, by the numbers `channel retailrocket products` "
        "lists; this server sends none. server: this server.",
        default="site",
    )
    when: Literal["acknowledgement", "completion"] = option(
        mf.String(validate=mv.OneOf(["acknowledgement", "completion"])),
        "With order_source server: report when RetailOps has the order, or when it is done with it (then without "
        "the units that never ship).",
        default="acknowledgement",
    )
    purchase_route: str = option(
        mf.String(validate=mv.OneOf(["events", "csv"])),
        "events: the batch call. csv: the upload of sales history, for shops without sessions; needs consent.",
        default="events",
    )
    consent: bool = option(
        switch(),
        "The shop has its shoppers' consent to give Retail Rocket their e-mail addresses, which the CSV upload "
        "turns into mailing subscribers. Without it no address is kept or sent.",
        default=False,
    )
    purchase_repeat: str = option(
        mf.String(validate=mv.OneOf(["never", "once"])),
        "After a report whose outcome is unknown: never sends it again by itself and asks the operator; once tries "
        "one more time, for when Retail Rocket has confirmed that it counts a repeated line once.",
        default="never",
    )
    session_attribute: str = option(
        mf.String(),
        "Handle of the order attribute that carries the shopper's sessionExternalId; empty or absent on an order: "
        "a keyed hash of the shopper takes its place.",
        default="",
    )
    identity_key: str = option(
        mf.String(),
        "Secret the shoppers' hashes are made with; empty: api_key. Set it so that a new api_key keeps profiles.",
        default="",
        secret=True,
    )
    purchase_stock_id: str = option(mf.String(), "stockId sent with purchases; empty: none.", default="")
    currency: str = option(
        CurrencyCode(is_optional=True),
        "The store's one currency: goods and orders in another are left out. Required for order_source server; "
        "empty: in the feed that of the goods known longest.",
        default="",
    )
    stock_ids: Mapping[str, str] = option(
        mf.Dict(keys=mf.String(validate=mv.Length(min=1)), values=mf.String(validate=mv.Length(min=1))),
        "RetailOps facility to Retail Rocket stockId, for a store with regional stocks; empty: one availability.",
        default=dict,
    )
    available_when_unstated: bool = option(
        switch(), "Whether goods whose stock RetailOps has never stated count as available.", default=False
    )
    shop_name: str = option(mf.String(), "Name of the shop in the feed; empty leaves it out.", default="")
    shop_url: str = option(
        mf.String(validate=_shop_address),
        "Address of the shop; relative page and picture addresses of the catalogue are joined to it.",
        default="",
    )
    category_separator: str = option(
        mf.String(validate=mv.Length(min=1)), "What parts the levels of a category path in RetailOps.", default="/"
    )
    feed_delay_s: float = option(
        _seconds(0, 86400),
        "How long after a change the feed is built anew, so that many changes share a build; the first feed is built "
        "at once.",
        default=600.0,
    )
    feed_token: str = option(
        mf.String(
            validate=mv.Regexp(
                r"^([A-Za-z0-9_-]{16,128})?\Z", error="must be 16 to 128 letters, digits, hyphens or underscores"
            )
        ),
        "Secret part of the feed's address, /feeds/retailrocket/<feed_token>/<channel>.xml, for a catalogue that not "
        "everybody may read; the address without it is then 404. Empty: /feeds/retailrocket/<channel>.xml.",
        default="",
        secret=True,
    )
    keep_gone_days: float = option(
        _seconds(0, 3650), "How many days goods that are gone stay in the feed as unavailable.", default=30.0
    )
    tracking_url: str = option(
        mf.String(validate=secure_address),
        "Address of the events.",
        default="https://apptracking.retailrocket.net/1.0",
    )
    api_url: str = option(
        mf.String(validate=secure_address),
        "Address of uploads and reads.",
        default="https://api.retailrocket.net/api",
    )
    cdn_url: str = option(
        mf.String(validate=secure_address),
        "Address of the Product API.",
        default="https://cdn.retailrocket.net/api",
    )
    requests_per_s: float = option(
        _seconds(0, 1000),
        "Calls per second for this store; 0 is no cap. The vendor's older page says 100, its order form 600.",
        default=80.0,
    )
    products_per_s: float = option(
        _seconds(0, 1000), "Calls per second to the Product API; 0 is no cap (contract 4).", default=20.0
    )
    rate_max: float = learned_rate.rate_max()
    products_rate_max: float = learned_rate.rate_max("products_per_s")
    # Contract 1.3, R29.
    single_call_s: float = option(_seconds(0.05, 5), "Longest wait for a single call, in seconds.", default=0.5)
    batch_call_s: float = option(
        _seconds(0.05, 14), "Longest wait for a batch or a CSV upload, in seconds.", default=10.0
    )

    def feed_path(self, channel: str, *, is_masked: bool = True) -> str:
        """The feed's address below ours; for people its secret part only by the setting's name."""
        token = "<feed_token>" if is_masked else self.feed_token
        return f"/feeds/retailrocket/{f'{token}/' if self.feed_token else ''}{channel}.xml"

    @property
    def reports_purchases(self) -> bool:
        """True when this server is the store's one order source (contract 4)."""
        return self.order_source == "server"
