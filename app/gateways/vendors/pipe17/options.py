"""What an operator can set for one Pipe17 account; everything Pipe17's public sources leave open is here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import marshmallow.fields as mf
import marshmallow.validate as mv

from app.options import CurrencyCode, option, secure_address, switch
from app.transport.learned_rate import KeyCalls, parallel_calls

BASE_URL = "https://api-v3.pipe17.com/api/v3"
"""Production (contract 1.1); the vendor's own sandbox is https://api-v3.develop.pipe17.com/api/v3."""

_ID = re.compile(r"[^\x00-\x1f\x7f,]{1,255}")
"""Ids are opaque (R32), documented as 16 hex characters (contract 1.1); a comma would make two of one in a list."""

_ID_RULE = "must be an id such as dc120f1015760357"


def _id(*, is_optional: bool = False) -> mv.Regexp:
    pattern = f"(?:{_ID.pattern})?" if is_optional else _ID.pattern
    return mv.Regexp(f"^{pattern}\\Z", error=_ID_RULE)


def _table() -> mf.Dict:
    filled = mv.Length(min=1)
    return mf.Dict(keys=mf.String(validate=filled), values=mf.String(validate=filled))


class SkuMapping:
    """Pairs of a Pipe17 SKU and the partner's, which is RetailOps' (contract 4.1: the first is Pipe17's).

    Of pairs that contradict each other the first counts, in each direction by itself.
    """

    def __init__(self, pairs: Mapping[str, str] | None = None) -> None:
        self.to_partner: Mapping[str, str] = dict(pairs or {})
        """RetailOps' SKU by Pipe17's."""
        self.to_pipe17: Mapping[str, str] = {
            partner: pipe17 for pipe17, partner in reversed(list(self.to_partner.items()))
        }
        """Pipe17's SKU by RetailOps'."""

    def partner_sku(self, pipe17_sku: str) -> str:
        """RetailOps' SKU for one of Pipe17's; one without a pair is the same on both sides."""
        return self.to_partner.get(pipe17_sku, pipe17_sku)

    def pipe17_sku(self, partner_sku: str) -> str:
        """Pipe17's SKU for one of RetailOps'; one without a pair is the same on both sides."""
        return self.to_pipe17.get(partner_sku, partner_sku)


@dataclass(frozen=True)
class Pipe17Options(KeyCalls):
    """The table `[channel.pipe17]`; some of it an administrator can set at Pipe17 instead (`connector_settings`)."""

    api_key: str = option(
        mf.String(validate=mv.Regexp(r"^[\x21-\x7e]+\Z", error="must be printable ASCII without blanks")),
        "The key sent as X-Pipe17-Key.",
        secret=True,
    )
    previous_api_key: str = option(
        mf.String(),
        "The bare key that api_key replaces (no integration_id), so that it is known as the same account; nothing is "
        "sent with it.  May go once the server has started with both.",
        default="",
        secret=True,
    )
    base_url: str = option(mf.String(validate=secure_address), "Address of Pipe17's API.", default=BASE_URL)
    integration_id: str = option(
        mf.String(validate=_id(is_optional=True)),
        "Own integration id: only locations that name it as their 3PL integration are served. "
        "Empty: a bare API key, and every active location is served unless `locations` names some.",
        default="",
    )
    integration_refresh_s: float = option(
        mf.Float(validate=mv.Range(0, 86400)),
        "How long what Pipe17 says of the integration (toggle, settings, directions, grants) is believed, in "
        "seconds; while it is switched off it is read at least every minute. 0 never reads it.",
        default=600.0,
    )
    entity_directions: str = option(
        mf.String(validate=mv.OneOf(["ours", "pipe17", "ignore"])),
        "Whose side the In/Out ticks of the integration are seen from; ignore runs every flow (contract 3.12).",
        default="ours",
    )
    orders: bool = option(
        switch(), "Bring shipping requests as orders; false leaves stock and catalogue only.", default=True
    )
    inventory: bool = option(
        switch(), "Report stock. Used where Pipe17's own setting cannot be read, as the next ones are.", default=True
    )
    catalog: bool = option(switch(), "Send which products RetailOps has.", default=True)
    returns: bool = option(switch(), "Report what RetailOps has taken back.", default=True)
    location_filter: Sequence[str] = option(
        mf.List(mf.String(validate=_id())), "Location ids that alone are served; empty: all owned ones.", default=tuple
    )
    sku_mapping: Mapping[str, str] = option(_table(), "Pipe17 SKU -> RetailOps SKU, where they differ.", default=dict)
    inventory_mode: str = option(
        mf.String(validate=mv.OneOf(["snapshot", "delta"])),
        "snapshot sends every location of a changed SKU; delta only the figures that changed.",
        default="snapshot",
    )
    shipping_methods: Mapping[str, str] = option(
        _table(),
        'Shipping code, or carrier and class with a blank between -> ship_service_code; "*" is any other.',
        default=dict,
    )
    create_products: bool = option(switch(), "Create products Pipe17 does not know.", default=False)
    create_returns: bool = option(switch(), "Create a return where Pipe17 has none.", default=False)
    poll_overlap_minutes: float = option(
        mf.Float(validate=mv.Range(0, 1440)),
        "How far every poll for cancellations and for products looks back beyond the last one, in minutes.",
        default=10.0,
    )
    product_poll_minutes: float = option(
        mf.Float(validate=mv.Range(0, 1440)),
        "How often Pipe17 is polled for products that are to be published or unpublished, in minutes, and at once "
        "after a webhook; with 0 that is seen only when RetailOps next changes the product.",
        default=10.0,
    )
    webhook_path_key: str = option(
        mf.String(validate=mv.Regexp(r"^(?:[A-Za-z0-9_-]{24,128})?\Z", error="must be 24 to 128 of A-Za-z0-9-_")),
        "Secret last part of the address Pipe17's webhooks call (/pipe17/hooks/<key>); empty: no such address.",
        default="",
        secret=True,
    )
    locations: Mapping[str, str] = option(
        mf.Dict(keys=mf.String(validate=mv.Length(min=1)), values=mf.String(validate=_id())),
        "RetailOps facility name -> Pipe17 location id; only these are served. "
        "Empty: the locations are read from Pipe17 and a facility is the one of the same name.",
        default=dict,
    )
    facilities: Mapping[str, str] = option(
        _table(),
        "RetailOps facility name -> name of the Pipe17 location, where no location has the facility's name.",
        default=dict,
    )
    default_ship_code: str = option(
        mf.String(),
        "ship_service_code of a request that names no shipping method; empty holds such requests back.",
        default="STANDARD",
    )
    default_currency: str = option(CurrencyCode(), "Currency of a request that names none.", default="USD")
    cancel_status: str = option(
        mf.String(validate=mv.OneOf(["canceledRestock", "canceled"])),
        "What a cancelled request becomes: canceledRestock frees its stock, canceled writes it off.",
        default="canceledRestock",
    )
    reject_unshipped: bool = option(
        switch(),
        "Report units that will never ship to Pipe17, as a rejected fulfilment; false leaves them open.",
        default=True,
    )
    unavailable: str = option(
        mf.String(validate=mv.OneOf(["difference", "omit"])),
        "Stock: `difference` reports total less available as unavailable; `omit` reports the total alone, "
        "where that difference is only what orders hold, which Pipe17 subtracts by itself.",
        default="difference",
    )
    alias_stock: str = option(
        mf.String(validate=mv.OneOf(["one", "all"])),
        "Stock of a channel SKU that several products of Pipe17 carry: the product of that very SKU, else the oldest, "
        "has the figure and the others 0; or all of them have the figure, and it can be sold several times.",
        default="one",
    )
    external_stock: bool = option(
        switch(),
        "Stock: report units at RetailOps' vendors too, a vendor being the location of its name as a facility is.",
        default=False,
    )
    inflight_location: str = option(
        mf.String(validate=_id(is_optional=True)),
        "Stock: location id at which units on purchase orders are reported as `future`; empty reports none.",
        default="",
    )
    ingest_batch: int = option(
        mf.Integer(strict=True, validate=mv.Range(1, 500)),
        "Stock figures in one POST; contract 2.4 suggests about 100.",
        default=100,
    )
    bulk_post: str = option(
        mf.String(validate=mv.OneOf(["array", "single"])),
        "Form of POST /inventory and /products: an array of records, or one record per call.",
        default="array",
    )
    ptype: str = option(
        mf.String(), "`ptype` sent with stock figures; empty sends none (contract 5.2, row 4).", default=""
    )
    shipments_path: str = option(
        mf.String(validate=mv.Regexp(r"^/[A-Za-z0-9_-]+\Z", error="must be a path such as /shipments")),
        "Path of shipping requests (contract 5.2, row 13).",
        default="/shipments",
    )
    settle_seconds: float = option(
        mf.Float(validate=mv.Range(0, 3600)),
        "How long a created fulfilment may stay invisible, and a call that was given up without an answer may still "
        "arrive; no create is repeated before, and later calls for the same order wait for it.",
        default=60.0,
    )
    parallel_calls: int = parallel_calls(1)

    @cached_property
    def skus(self) -> SkuMapping:
        """`sku_mapping` in both directions."""
        return SkuMapping(self.sku_mapping)

    @property
    def poll_overlap_s(self) -> float:
        return self.poll_overlap_minutes * 60.0
