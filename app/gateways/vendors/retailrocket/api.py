"""What is the same in every call to Retail Rocket: its hosts, its key in the query, its answers without a body."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from app.errors import Misconfigured, Refused, only_reading
from app.gateways.calls import Call
from app.gateways.vendor import Tools
from app.gateways.vendors.retailrocket.options import NAMED_PER_S, RetailRocketOptions
from app.gateways.wire_objects import encode
from app.transport import learned_rate
from app.transport.client import VendorClient
from app.transport.limits import Admission
from app.transport.replies import Reply, raise_for

TOKEN: Final = "retailrocket"

CSV: Final = "text/plain; charset=utf-8"
"""What a public client of the sister upload sends; the vendor names no type (contract 2.8)."""

NOTHING_FOUND: Final = 204
"""To a read it is an empty answer; an event, an upload or a product it has not stored (contract 9)."""


class Api:
    """Retail Rocket's hosts as one store sees them."""

    def __init__(self, options: RetailRocketOptions, tools: Tools) -> None:
        """Raises `Misconfigured` when no key may be sent to one of the addresses."""
        self._options = options
        plan = learned_rate.plan_of(options, named_per_s=NAMED_PER_S)
        limiter = tools.limiter(TOKEN, _key(options, "events"), plan)
        # Goods must not use up what purchases need, and the vendor is to agree to more (contract 4).
        plan = learned_rate.plan_of(options, "products_per_s", "products_rate_max", named_per_s=NAMED_PER_S)
        slow_limiter = tools.limiter(TOKEN, _key(options, "products"), plan)

        def client(setting: str, limiter: Admission) -> VendorClient:
            return VendorClient(
                TOKEN,
                getattr(options, setting),
                headers={},
                patience_s=options.single_call_s,
                secrets=(options.api_key, options.identity_key),
                limiter=limiter,
                observe=tools.observe,
                setting=setting,
            )

        self._tracking = client("tracking_url", limiter)
        self._uploads = client("api_url", limiter)
        self._products = client("cdn_url", slow_limiter)

    def send_events(self, events: list[Mapping[str, Any]], call: Call) -> None:
        """One batch, in this order (contract 2.5).  Raises a `GatewayError`; a success means all of it."""
        params = {"apiKey": self._options.api_key, "partnerId": self._options.partner_id}
        patience_s = self._options.batch_call_s
        body = encode(events)
        _understood(
            self._tracking.send("POST", "/visitorEvents", call, params=params, body=body, patience_s=patience_s)
        )

    def upload_orders(self, rows: bytes, call: Call) -> None:
        """A file of sales history (contract 2.8).  Raises a `GatewayError`."""
        _understood(
            self._uploads.send(
                "POST",
                "/2.0/partner/{partner}/transaction",
                call,
                ids={"partner": self._options.partner_id},
                params={"apikey": self._options.api_key},
                body=rows,
                headers={"Content-Type": CSV},
                patience_s=self._options.batch_call_s,
            )
        )

    def send_product(self, kind: str, number: int, stock_id: str, body: bytes, call: Call) -> None:
        """A whole product or group (contract 2.2).  Raises a `GatewayError`; a wrong address is `Misconfigured`."""
        params: dict[str, str | int] = {"contentHash": content_hash(body.decode())}
        if stock_id:
            params["stockId"] = stock_id
        path, ids = f"/1.0/partner/{{partner}}/{kind}/{{id}}", {"partner": self._options.partner_id, "id": str(number)}
        try:
            _understood(self._products.send("POST", path, call, ids=ids, params=params, body=body))
        except Refused as error:
            if error.code == "HTTP_404":
                raise Misconfigured("WRONG_ADDRESS", f"{error.message}: correct cdn_url or partner_id") from error
            raise

    def read_nothing(self, call: Call) -> None:
        """A read without effect (contract 2.3).  Raises a `GatewayError`."""
        path, ids = "/1.0/partner/{partner}/items/", {"partner": self._options.partner_id}
        with only_reading():
            reply = self._uploads.send("GET", path, call, ids=ids, params={"itemsIds": 0, "format": "json"})
            raise_for(reply)
            if reply.status != NOTHING_FOUND:
                _refuse_other_success(reply)
                reply.json()


def content_hash(body: str) -> int:
    """The SDK's hash of a body: of its JSON string literal, 31 times plus each UTF-16 unit, wrapped to 32 bits."""
    literal = msgspec.json.encode(body).decode().encode("utf-16-le")
    found = 0
    for at in range(0, len(literal), 2):
        found = (found * 31 + int.from_bytes(literal[at : at + 2], "little")) & 0xFFFFFFFF
    return found - 0x100000000 if found >= 0x80000000 else found


def _understood(reply: Reply) -> None:
    """Only the code says what became of a call, for no body is documented; but a page is no answer of an API.

    200 alone means that something was stored.  204 says that nothing was found for the call (contract 9): it is
    surely not done.  What another code of success means is unknown.
    """
    raise_for(reply)
    if reply.status == NOTHING_FOUND:
        said = f"{TOKEN} answered 204 to {reply.method} {reply.path}"
        raise Refused("NOT_TAKEN", f"{said}: not taken, for it found nothing for the call and stored nothing")
    _refuse_other_success(reply)
    reply.refuse_page()


def _refuse_other_success(reply: Reply) -> None:
    if reply.status != 200:
        raise reply.broken(f"HTTP_{reply.status}", f"{reply.status}, of which only 200 is known to mean done")


def _key(options: RetailRocketOptions, part: str) -> str:
    """One store and part, however many channels have it, without showing anything of it."""
    said = f"{part}\n{options.tracking_url}\n{options.cdn_url}\n{options.partner_id}"
    return hashlib.sha256(said.encode()).hexdigest()
