"""What the settings of a channel are: each key of a [[channel]] table, and what a vendor declares of its own table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import marshmallow.fields as mf
import marshmallow.validate as mv

from app.domain.spellings import NOT_SOLD
from app.domain.stock_levels import StockFrom
from app.options import OneOrMore, option, switch

TEST_KEY = "RETAILOPS_SDK"
"""The SDK verifier's public test key (R2)."""

SHORTEST_KEY, LONGEST_KEY = 8, 256
"""Characters.  Shorter keys could be guessed, and could not be kept out of the log without hiding ordinary words."""

FIXTURE_PAIRS = frozenset({(497, 21), (0, 0)})
"""(client_id, channel id) of the SDK's fixtures, which certification sends with the production key (R4)."""

CATALOG_PATHS = (
    "sku", "parent_sku", "title", "description", "vendor", "price", "sale_price", "currency", "images", "url",
    "categories", "options", "requires_shipping", "taxable", "enabled", "weight",
)  # fmt: skip


NAME_RULE = "must be 1 to 63 lower-case letters, digits and hyphens, the first no hyphen"


def _number() -> mf.Integer:
    """A number of RetailOps'."""
    return mf.Integer(strict=True, validate=mv.Range(0, 2**63 - 1))


class VendorSettings(Protocol):
    """How the settings of one vendor are declared and judged; `gateways.vendor.Vendor` says what each part means."""

    @property
    def options(self) -> type[Any]: ...

    def faults(self, options: Any) -> list[str]: ...

    def brings_orders(self, options: Any) -> bool: ...

    def not_carried(self, options: Any) -> list[str]: ...

    def account_marks(self, options: Any) -> list[Any]: ...


Vendors = Mapping[str, VendorSettings]
"""By token.  A vendor is imported when it is taken out, which may raise `ImportError`."""


@dataclass(frozen=True)
class Channel:
    """One RetailOps channel: who it is, which keys may call it, where its orders and facts go."""

    name: str = option(
        mf.String(validate=mv.Regexp(r"^[a-z0-9][a-z0-9-]{0,62}\Z", error=NAME_RULE)),
        "Name of the channel in commands, addresses and logs: lower-case letters, digits, hyphens.",
    )
    client_id: int = option(_number(), "RetailOps' client_id, the account number.")
    channel_id: int = option(_number(), "RetailOps' channel_info.id.")
    auth_keys: tuple[str, ...] = option(
        mf.List(mf.String(), validate=mv.Length(min=1, max=2)),
        "One or two live keys of RetailOps for this channel; two while a key is being replaced.",
        secret=True,
    )
    gateways: tuple[str, ...] = option(
        mf.List(mf.String(), validate=mv.Length(min=1)), "Vendors this channel talks to, in order."
    )
    sku_fanout: str = option(
        mf.String(validate=mv.OneOf(["no_fanout", "related_skus"])),
        "Answer of catalog_get_config: whether RetailOps pushes related SKUs along with a changed one.",
        default="no_fanout",
    )
    restate: str = option(
        mf.String(validate=mv.OneOf(["all", "changed"])),
        "Which stock is sent when RetailOps states it again: all of it, for a vendor's stock moves by itself, or only "
        "what changed, was refused or was never sent.",
        default="all",
    )
    refunds_paid_by: str = option(
        mf.String(validate=mv.OneOf(["order_returned", "payment_credit"])),
        "Which callback pays for a return where RetailOps may send both; the other one only records it.",
        default="order_returned",
    )
    credit_repeat_hours: float = option(
        mf.Float(validate=mv.Range(min=1, max=24 * 366)),
        "How long payment_credit with the same amount and parents counts as the same request, in hours.",
        default=24.0,
    )
    allow_fixture_pair: bool = option(
        switch(),
        "Allow the SDK fixtures' pairs 497/21 and 0/0, which certification sends with the real key.",
        default=False,
    )
    shop_url: str = option(
        mf.String(validate=mv.Regexp(r"^(https?://[^\s\\/?#]+\S*)?\Z", error="must begin with https:// or http://")),
        "Address of the shop; relative addresses of pages and pictures in the catalogue are joined to it.",
        default="",
    )
    stock_from: StockFrom = option(
        mf.String(validate=mv.OneOf(["", "top", "details"])),
        "Which stock counts for vendors that are sent one figure a SKU (Rally, Retail Rocket) where RetailOps' "
        "quantity_available (top) and the sum of its quantity_detail rows (details) disagree. Empty: the lower of the "
        "two. A vendor that is sent stock by location always gets the details.",
        default="",
    )
    count_external_stock: bool = option(
        switch(),
        "Whether units of other vendors (quantity_type external) count when the details are added up, as they do in "
        "quantity_available.",
        default=True,
    )
    former_name: tuple[str, ...] = option(
        OneOrMore(mf.String(validate=mv.Regexp(r"^[a-z0-9][a-z0-9-]{0,62}(~[0-9]+)?\Z", error=NAME_RULE))),
        "Name or names this channel had before: its records go on under the new name.  May stay for good.",
        default=(),
    )
    former_account: tuple[str, ...] = option(
        OneOrMore(mf.String(validate=mv.Length(min=1, max=255))),
        "Account or accounts that stood under this name before and are another one now: Rally's organization_id, "
        "Pipe17's integration_id (of a bare key what `channel check` shows), Retail Rocket's partner_id, or "
        '"client_id/channel_id" of RetailOps.  What was kept of them is kept apart, and the new one is sent '
        "everything.  May stay for good.",
        default=(),
    )
    not_sold_words: tuple[str, ...] = option(
        mf.List(mf.String(validate=mv.Length(min=1))),
        "Words at `enabled` of a catalogue record that mean: not sold, in any case, beside false, no, 0, off, inactive "
        "and disabled.  A word that means neither is an error and changes nothing.",
        default=NOT_SOLD,
    )
    catalog: Mapping[str, str] = option(
        mf.Dict(keys=mf.String(validate=mv.OneOf(CATALOG_PATHS)), values=mf.String()),
        "Where catalog_push's template_output keeps each product field, as dotted paths.",
        default=dict,
    )
    console_read_token: str = option(
        mf.String(),
        "Token that shows this channel alone in the console, without any act; at least 24 characters. Empty: none.",
        default="",
        secret=True,
    )
    vendors: Mapping[str, Any] = field(default_factory=dict)
    """Options of each gateway by vendor token, as that vendor declares them."""
    order_source: str = ""
    """The gateway that brings its orders, "" for none (R17)."""
    set_aside: tuple[str, ...] = ()
    """Faults that stop this channel alone: place and rule (R35).  Its callbacks are answered 503, its hooks are
    refused and its deliveries wait; the other channels run."""
    record_key: str = ""
    """The key of its records where that is not its name (`channel.registration` finds it)."""

    @property
    def key(self) -> str:
        """What its records hang on: it stays when the name changes, and changes with the account (R35).

        People see `name`; everything that is kept, locked or owed has this.
        """
        return self.record_key or self.name

    @property
    def pair(self) -> tuple[int, int]:
        """(client_id, channel_info.id), which RetailOps sends with every callback."""
        return self.client_id, self.channel_id


def key_rules(key: str) -> list[str]:
    """The rules a key breaks, none if RetailOps can carry it: it takes back what follows the last underscore
    (SDK contract 1.3)."""
    rules = []
    if key == TEST_KEY:
        rules.append("the SDK's public test key can never be a channel's key")
    elif "_" in key:
        rules.append("a key must not contain an underscore; RetailOps would cut it there")
    if len(key) < SHORTEST_KEY:
        rules.append(f"a key must have at least {SHORTEST_KEY} characters; the SDK's generator makes 32")
    if len(key) > LONGEST_KEY:
        rules.append(f"a key must have at most {LONGEST_KEY} characters")
    if not re.fullmatch(r"[\x21-\x7e]+", key):
        rules.append("a key must be printable ASCII without blanks")
    return rules
