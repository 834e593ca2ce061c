"""The addresses Rally calls: each request is verified before anything is read of it, each answer is signed.

`/rally/merchants/<organization_id>/...` with the paths of `hook_registry`.  An unknown organisation gets an unsigned
404 before any work, a bad signature one constant 406 (R30); everything else is the error contract 3.8.  Only
local records are read, so that a checkout never waits for RetailOps.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from app import caller
from app.domain.lenient_values import BadBody, identifier, text
from app.domain.traffic import InboundRequest
from app.gateways.strangers import Strangers
from app.gateways.vendors.rally.hook_registry import ROOT, TOPICS
from app.gateways.vendors.rally.inbound import cart_hooks, hook_errors, order_hooks
from app.gateways.vendors.rally.inbound.hook_errors import BAD_SIGNATURE, TOO_LARGE, UNKNOWN_ORGANIZATION
from app.gateways.vendors.rally.inbound.hook_requests import HookRequest
from app.gateways.vendors.rally.inbound.storefront_address import add_storefront_carts
from app.gateways.vendors.rally.merchant import Merchant, registered_json, store_json, zones_json
from app.gateways.vendors.rally.products import search_categories, search_products
from app.gateways.vendors.rally.signing import HEADER, sign, signer
from app.gateways.wire_objects import encode
from app.records.database import DatabaseRefused, DatabaseUnavailable
from app.records.transactions import repeated
from app.storefront.refusals import ShopRefused

REGISTER: Final = "register/callback"
"""Beside the hooks, never registered itself (contract 1.6)."""

MAKING: Final = ("cart/create", "order/create")
"""Topics whose answer names what was made."""

REPEAT_S: Final = 2.0
"""How long a hook is run again while its transaction meets another's."""

log = logging.getLogger(__name__)


Answering = Callable[[HookRequest], Any]


def _search(hook: HookRequest, id_name: str, find: Callable[..., Any]) -> Any:
    """What no search is has no match (contract 3.8)."""
    try:
        body = hook.body()
    except BadBody:
        return []
    title = text(body["title"]) if isinstance(body.get("title"), str) else None
    with hook.merchant.database.read() as connection:
        return find(connection, hook.merchant.channel, identifier(body.get(id_name)), title, hook.merchant.options)


ANSWERS: Final[Mapping[str, Answering]] = {
    "cart/create": cart_hooks.create,
    "cart/fetch": cart_hooks.fetch,
    "cart/update": cart_hooks.update,
    "cart/add": cart_hooks.add,
    "cart/remove": cart_hooks.remove,
    "order/create": order_hooks.create,
    "order/update": order_hooks.update,
    "order/fetch": order_hooks.fetch,
    "orders/list": order_hooks.listing,
    "products/fetch": lambda hook: _search(hook, "product_id", search_products),
    "categories/fetch": lambda hook: _search(hook, "category_id", search_categories),
    "shipping_zones/fetch": lambda hook: zones_json(hook.merchant.options),
    "store_information/fetch": lambda hook: store_json(hook.merchant.options),
    REGISTER: lambda hook: registered_json(hook.merchant.options),
}
"""What answers each topic; verbs and paths stand in `hook_registry`."""


def create_hooks(merchants: Mapping[str, Merchant], set_aside: frozenset[str] = frozenset()) -> Blueprint:
    """The blueprint; `merchants` are by organisation, `set_aside` the channels whose hooks are all refused (R35)."""
    blueprint = Blueprint("rally", __name__)
    strangers = Strangers()

    def serve(organization_id: str, topic: str, resource_id: str = "") -> Response:
        merchant = merchants.get(organization_id)
        if merchant is None:
            named = strangers.named(organization_id)
            for known in list(merchants.values())[:1]:  # whichever: what it notes belongs to no channel
                known.observe_inbound(InboundRequest("", 404, unknown_account=named, path=request.path))
            return _reply(404, UNKNOWN_ORGANIZATION)
        begun = time.perf_counter()
        reply, subject = _serve(merchant, topic, resource_id, is_set_aside=merchant.channel in set_aside)
        duration_ms = round((time.perf_counter() - begun) * 1000)
        merchant.observe_inbound(
            InboundRequest(
                topic,
                reply.status_code,
                _reason(reply),
                subject=subject or "",
                is_verified=subject is not None,
                duration_ms=duration_ms,
                path=request.path if subject is None else "",
            )
        )
        facts = {"hook": topic, "status": reply.status_code, "duration_ms": duration_ms}
        log.info("channel %s: Rally called %s", merchant.channel, topic, extra=facts)
        return reply

    for topic in ANSWERS:
        method, path = TOPICS.get(topic, ("post", topic))
        blueprint.add_url_rule(
            f"{ROOT}/{path}".replace(":orgId", "<organization_id>").replace(":resourceId", "<resource_id>"),
            endpoint=topic.replace("/", "-"),
            view_func=serve,
            defaults={"topic": topic},
            methods=[method.upper()],
            provide_automatic_options=False,
        )
    add_storefront_carts(blueprint, merchants, set_aside)
    return blueprint


def _serve(merchant: Merchant, topic: str, resource_id: str, *, is_set_aside: bool) -> tuple[Response, str | None]:
    """The answer, and which cart or order it was about, "" for none; None where the request is not surely Rally's."""
    secrets = merchant.options.hmac_secrets
    request.max_content_length = merchant.options.max_hook_body
    try:
        raw = request.get_data(cache=False)
    except RequestEntityTooLarge:
        return _reply(413, TOO_LARGE, secrets[0]), None
    except (HTTPException, OSError):  # the body broke off
        return _reply(406, BAD_SIGNATURE, secrets[0]), None
    query = request.environ.get("QUERY_STRING", "")
    secret = signer(secrets, raw, query, request.headers.get(HEADER, ""))
    if secret is None:
        log.warning("channel %s: a request to %s is not signed by Rally's key", merchant.channel, topic)
        return _reply(406, BAD_SIGNATURE, secrets[0]), None
    caller.channel.set(merchant.channel)
    hook = HookRequest(merchant, topic, raw, resource_id)
    answered, subject = hook_errors.UNAVAILABLE, hook.resource_id
    try:
        if not is_set_aside:  # Else nothing may begin here, for it could never be handed out.
            # Each hook is one transaction at most, so that nothing is done twice where it is run again.
            answer = repeated(lambda: ANSWERS[topic](hook), time.monotonic() + REPEAT_S)
            answered = 200, encode(answer)
            if topic in MAKING:
                subject = str(answer.get("external_id") or "")
    except ShopRefused as refused:
        answered = hook_errors.of_shop(refused, is_placing=topic == "order/create")
    except (BadBody, DatabaseRefused):
        answered = hook_errors.unreadable(topic)
    except DatabaseUnavailable:
        answered = hook_errors.UNAVAILABLE
    except Exception:
        log.exception("channel %s: %s failed", merchant.channel, topic)
    return _reply(*answered, secret), subject


def _reason(reply: Response) -> str:
    """Code and sentence of a refusal; both are ours."""
    if reply.status_code == 200:
        return ""
    said = msgspec.json.decode(reply.get_data())
    return f"{said.get('error_code', '')}: {said.get('error', '')}"


def _reply(status: int, body: bytes, secret: str | None = None) -> Response:
    reply = Response(body, status, content_type="application/json")
    if secret is not None:
        reply.headers[HEADER] = sign(secret, body)
    return reply
