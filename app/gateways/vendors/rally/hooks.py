"""The addresses Rally calls: each request is verified before anything is read of it, each answer is signed.

`/rally/merchants/<organization_id>/...` with the paths of `hook_registry`.  An unknown organisation gets an unsigned
404 before any work, a bad signature one constant 406 (R30); everything else is the error contract 3.8.  Nothing
but local records is asked, so that a checkout never waits for RetailOps.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from app import caller
from app.domain.traffic import InboundRequest
from app.gateways.vendors.rally import carts, hook_errors, intake
from app.gateways.vendors.rally.hook_bodies import BadBody, Json, identifier, read_body, text
from app.gateways.vendors.rally.hook_errors import BAD_SIGNATURE, TOO_LARGE, UNKNOWN_ORGANIZATION, HookRefused
from app.gateways.vendors.rally.hook_registry import ROOT, TOPICS
from app.gateways.vendors.rally.products import search_categories, search_products
from app.gateways.vendors.rally.shop import Shop, registered_json, store_json, zones_json
from app.gateways.vendors.rally.signing import HEADER, sign, signer
from app.gateways.vendors.rally.storefront_address import add_storefront_carts
from app.records.database import DatabaseRefused, DatabaseUnavailable, repeated

REGISTER: Final = "register/callback"
"""Beside the hooks, never registered itself (contract 1.6)."""

OFFERS_ONLY: Final = "X-Rally-Offers-Only"

REPEAT_S: Final = 2.0
"""How long a hook is run again while its transaction meets another's."""

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Ids of carts and orders are ours; what looks otherwise is none."""

_encode: Final = msgspec.json.Encoder(decimal_format="number").encode

log = logging.getLogger(__name__)


class Asked:
    """One verified request."""

    def __init__(self, shop: Shop, raw: bytes, resource_id: str) -> None:
        self.shop = shop
        self.raw = raw
        self.resource_id = resource_id if _ID.fullmatch(resource_id) else ""
        self.is_offers_only = request.headers.get(OFFERS_ONLY, "").strip().casefold() in ("1", "true", "yes")

    def body(self) -> Json:
        """Raises `BadBody`."""
        return read_body(self.raw)


Answering = Callable[[Asked], Any]


def _search(asked: Asked, id_name: str, find: Callable[..., Any]) -> Any:
    """What no search is has no match (contract 3.8)."""
    try:
        body = asked.body()
    except BadBody:
        return []
    title = text(body["title"]) if isinstance(body.get("title"), str) else None
    with asked.shop.database.read() as connection:
        return find(connection, asked.shop.channel, identifier(body.get(id_name)), title, asked.shop.options)


def _page(asked: Asked) -> Any:
    per_page = request.args.get("per_page", 20, int)
    return intake.listing(asked.shop, per_page, request.args.get("current_page", 1, int))


def _cart(change: Callable[..., Any]) -> Answering:
    return lambda asked: change(asked.shop, asked.resource_id, asked.body(), is_offers_only=asked.is_offers_only)


ANSWERS: Final[Mapping[str, Answering]] = {
    "cart/create": lambda asked: carts.create(asked.shop, asked.body(), is_offers_only=asked.is_offers_only),
    "cart/fetch": lambda asked: carts.fetch(asked.shop, asked.resource_id, is_offers_only=asked.is_offers_only),
    "cart/update": _cart(carts.update),
    "cart/add": _cart(carts.add),
    "cart/remove": _cart(carts.remove),
    "order/create": lambda asked: intake.create(
        asked.shop, asked.body(), asked.raw, is_offers_only=asked.is_offers_only
    ),
    "order/update": lambda asked: intake.update(asked.shop, asked.resource_id, asked.body(), asked.raw),
    "order/fetch": lambda asked: intake.fetch(asked.shop, asked.resource_id),
    "orders/list": _page,
    "products/fetch": lambda asked: _search(asked, "product_id", search_products),
    "categories/fetch": lambda asked: _search(asked, "category_id", search_categories),
    "shipping_zones/fetch": lambda asked: zones_json(asked.shop.options),
    "store_information/fetch": lambda asked: store_json(asked.shop.options),
    REGISTER: lambda asked: registered_json(asked.shop.options),
}
"""What answers each topic; verbs and paths stand in `hook_registry`."""

UNREADABLE: Final[Mapping[str, HookRefused]] = {
    "order/create": hook_errors.placement_failed("the request cannot be read"),
    "order/update": hook_errors.addition_failed(),
}
"""What a body that cannot be read gets; the contract has no code for it.  Cart hooks: cart_has_been_updated."""


class Strangers:
    """Organisations that hooks name and no channel has; anybody can name them, so a few of an hour are kept."""

    MOST = 100
    OTHERS = "others"

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._until_s = 0.0

    def named(self, organization_id: str) -> str:
        """What to keep of this one."""
        now_s = time.monotonic()
        if now_s >= self._until_s:
            self._names, self._until_s = set(), now_s + 3600.0
        name = "".join(char if char.isprintable() else "?" for char in organization_id[:60])
        if len(self._names) < self.MOST:
            self._names.add(name)
        return name if name in self._names else self.OTHERS


def create_hooks(shops: Mapping[str, Shop], set_aside: frozenset[str] = frozenset()) -> Blueprint:
    """The blueprint; `shops` are by organisation, `set_aside` the channels whose hooks are all refused (R35)."""
    blueprint = Blueprint("rally", __name__)
    strangers = Strangers()

    def note_unknown(organization_id: str) -> None:
        for shop in list(shops.values())[:1]:  # whichever: what it notes belongs to no channel
            named = strangers.named(organization_id)
            shop.observe_inbound(InboundRequest("", 404, unknown_account=named))

    for topic, answering in ANSWERS.items():
        method, path = TOPICS.get(topic, ("post", topic))

        def serve(
            organization_id: str, resource_id: str = "", topic: str = topic, answering: Answering = answering
        ) -> Response:
            shop = shops.get(organization_id)
            if shop is None:
                note_unknown(organization_id)
                return _reply(404, UNKNOWN_ORGANIZATION)
            begun = time.perf_counter()
            reply = _serve(shop, topic, resource_id, _refuse if shop.channel in set_aside else answering)
            duration_ms = round((time.perf_counter() - begun) * 1000)
            shop.observe_inbound(InboundRequest(topic, reply.status_code, _reason(reply)))
            facts = {"hook": topic, "status": reply.status_code, "duration_ms": duration_ms}
            log.info("channel %s: Rally asked %s", shop.channel, topic, extra=facts)
            return reply

        blueprint.add_url_rule(
            f"{ROOT}/{path}".replace(":orgId", "<organization_id>").replace(":resourceId", "<resource_id>"),
            endpoint=topic.replace("/", "-"),
            view_func=serve,
            methods=[method.upper()],
            provide_automatic_options=False,
        )
    add_storefront_carts(blueprint, shops, set_aside)
    return blueprint


def _serve(shop: Shop, topic: str, resource_id: str, answering: Answering) -> Response:
    secrets = shop.options.hmac_secrets
    request.max_content_length = shop.options.max_hook_body
    try:
        raw = request.get_data(cache=False)
    except RequestEntityTooLarge:
        return _reply(413, TOO_LARGE, secrets[0])
    except (HTTPException, OSError):  # the body broke off
        return _reply(406, BAD_SIGNATURE, secrets[0])
    query = request.environ.get("QUERY_STRING", "")
    secret = signer(secrets, raw, query, request.headers.get(HEADER, ""))
    if secret is None:
        log.warning("channel %s: a request to %s is not signed by Rally's key", shop.channel, topic)
        return _reply(406, BAD_SIGNATURE, secrets[0])
    caller.channel.set(shop.channel)
    asked = Asked(shop, raw, resource_id)
    try:
        # Each hook is one transaction at most, so that nothing is done twice where it is run again.
        answer = repeated(lambda: answering(asked), time.monotonic() + REPEAT_S)
        return _reply(200, _encode(answer), secret)
    except HookRefused as refused:
        return _refusal(refused, secret)
    except (BadBody, DatabaseRefused):
        unreadable = hook_errors.cart_has_been_updated("the request cannot be read")
        return _refusal(UNREADABLE.get(topic, unreadable), secret)
    except DatabaseUnavailable:
        return _refusal(hook_errors.unavailable(), secret)
    except Exception:
        log.exception("channel %s: %s failed", shop.channel, topic)
        return _refusal(hook_errors.unavailable(), secret)


def _reason(reply: Response) -> str:
    """Code and sentence of a refusal; both are ours."""
    if reply.status_code == 200:
        return ""
    said = msgspec.json.decode(reply.get_data())
    return f"{said.get('error_code', '')}: {said.get('error', '')}"


def _refuse(asked: Asked) -> Any:
    """Nothing may begin here that could never be handed out."""
    raise hook_errors.unavailable()


def _refusal(refused: HookRefused, secret: str) -> Response:
    return _reply(refused.status, refused.body(), secret)


def _reply(status: int, body: bytes, secret: str | None = None) -> Response:
    reply = Response(body, status, content_type="application/json")
    if secret is not None:
        reply.headers[HEADER] = sign(secret, body)
    return reply
