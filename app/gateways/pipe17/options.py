"""What an operator can set for one Pipe17 account; everything Pipe17's public sources leave open is here."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import marshmallow
import marshmallow.fields as mf
import marshmallow.validate as mv

from app.options import option

BASE_URL = "https://api-v3.pipe17.com/api/v3"
"""Production (contract 1.1); the vendor's own sandbox is https://api-v3.develop.pipe17.com/api/v3."""

OBJECT_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}")
"""Ids are 16 hex characters (contract 1.1); wider here, but never a comma, colon, blank or slash."""

_ID_RULE = "must be an id such as dc120f1015760357"


def _id(*, is_optional: bool = False) -> mv.Regexp:
    pattern = f"(?:{OBJECT_ID.pattern})?" if is_optional else OBJECT_ID.pattern
    return mv.Regexp(f"^{pattern}\\Z", error=_ID_RULE)


def _switch() -> mf.Boolean:
    return mf.Boolean(truthy={True}, falsy={False})


def _address(value: str) -> None:
    """The setting must be a URL a key may be sent to: https, or loopback."""
    is_loopback = False
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise marshmallow.ValidationError("must be a URL") from None
    with suppress(ValueError):
        is_loopback = ipaddress.ip_address(host).is_loopback
    is_secure = parts.scheme == "https" or (parts.scheme == "http" and (is_loopback or host == "localhost"))
    if not host or re.search(r"[\s\\]", value) or not is_secure:
        raise marshmallow.ValidationError("must begin with https:// (http only for a loopback address)")
    if parts.username is not None or parts.query or parts.fragment:
        raise marshmallow.ValidationError("must hold neither user, password, query nor fragment")


@dataclass(frozen=True)
class Pipe17Options:
    """The table `[channel.pipe17]`."""

    api_key: str = option(
        mf.String(validate=mv.Regexp(r"^[\x21-\x7e]+\Z", error="must be printable ASCII without blanks")),
        "The key sent as X-Pipe17-Key.",
        secret=True,
    )
    base_url: str = option(mf.String(validate=_address), "Address of Pipe17's API.", default=BASE_URL)
    integration_id: str = option(
        mf.String(validate=_id(is_optional=True)),
        "Own integration id: only locations that name it as their 3PL integration are served. "
        "Empty: a bare API key, and every active location is served unless `locations` names some.",
        default="",
    )
    orders: bool = option(_switch(), "Bring shipping requests as orders; false leaves stock only.", default=True)
    locations: Mapping[str, str] = option(
        mf.Dict(keys=mf.String(validate=mv.Length(min=1)), values=mf.String(validate=_id())),
        "RetailOps facility name -> Pipe17 location id; only these are served. "
        "Empty: Pipe17 is asked for its locations and a facility is the one of the same name.",
        default=dict,
    )
    default_ship_code: str = option(
        mf.String(),
        "ship_service_code of a request that names no shipping method; empty holds such requests back.",
        default="STANDARD",
    )
    default_currency: str = option(
        mf.String(validate=mv.Regexp(r"^[A-Z]{3}\Z", error="must be three capital letters")),
        "Currency of a request that names none.",
        default="USD",
    )
    cancel_status: str = option(
        mf.String(validate=mv.OneOf(["canceledRestock", "canceled"])),
        "What a cancelled request becomes: canceledRestock frees its stock, canceled writes it off.",
        default="canceledRestock",
    )
    reject_unshipped: bool = option(
        _switch(),
        "Tell Pipe17 with a rejected fulfilment which units will never ship; false leaves them open.",
        default=True,
    )
    unavailable: str = option(
        mf.String(validate=mv.OneOf(["difference", "omit"])),
        "Stock: `difference` reports total less available as unavailable; `omit` reports the total alone, "
        "where that difference is only what orders hold, which Pipe17 subtracts by itself.",
        default="difference",
    )
    ingest_batch: int = option(
        mf.Integer(strict=True, validate=mv.Range(1, 500)),
        "Stock figures in one POST; contract 2.4 suggests about 100.",
        default=100,
    )
    bulk_post: str = option(
        mf.String(validate=mv.OneOf(["array", "single"])),
        "Form of POST /inventory: an array of figures, or one figure per call.",
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
        "How long a created fulfilment may stay invisible; nothing is repeated before.",
        default=60.0,
    )
    patience_s: float = option(
        mf.Float(validate=mv.Range(0.1, 60)), "Longest wait for one answer, in seconds.", default=5.0
    )
    requests_per_s: float = option(
        mf.Float(validate=mv.Range(0, 1000)),
        "Calls per second with this key; 0 is no cap. Pipe17 publishes no number.",
        default=5.0,
    )
    parallel_calls: int = option(
        mf.Integer(strict=True, validate=mv.Range(0, 64)),
        "Calls with this key under way at a time; 0 is no cap.",
        default=1,
    )
