"""What is the same in every call to Rally's Connector API: its paths, its signature, what counts as success."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from app.errors import only_reading
from app.gateways.calls import Call
from app.gateways.vendor import Tools
from app.gateways.vendors.rally.options import RallyOptions
from app.gateways.vendors.rally.signing import own_header
from app.gateways.wire_objects import Json, encode
from app.transport.replies import Reply, raise_for

HOOKS: Final = "hooks"
HOOK: Final = "hooks/{id}"

Topic = Literal[
    "order-create", "order-status-update", "order-update", "order-refund-create", "product-update", "product-delete",
    "product-inventory-update", "category-update", "category-delete", "shop-info-update",
]  # fmt: skip
"""Webhooks, each at `webhooks/<topic>` (contract 2.1 [code:M2])."""

READING: Final = b'{"method":"get"}'
"""The body M2 sends, and signs, where a call has no content (contract 1.3)."""


class Api:
    """Rally's Connector API as one merchant's key sees it."""

    def __init__(self, options: RallyOptions, tools: Tools) -> None:
        """Raises `Misconfigured` when no key may be sent to the address."""
        self._client = tools.keyed_client("rally", options, "X-API-KEY", *options.hmac_secrets)
        self._options = options

    def send(self, topic: Topic, body: Json, call: Call) -> None:
        """One webhook.  Raises a `GatewayError`."""
        self.send_to(f"webhooks/{topic}", body, call)

    def send_to(self, path: str, body: Json, call: Call) -> None:
        """One call of the organization to a path, such as one the operator has set.  Raises a `GatewayError`."""
        reply = self._send("POST", path, encode({"organization_id": self._options.organization_id, **body}), call)
        raise_for(reply)
        # What Rally answers to a webhook is not documented (contract 2.1): any 2xx but a page is a success.
        if reply.body.strip():
            reply.refuse_page()

    def hooks(self, call: Call) -> list[Json]:
        """Every hook registered for this key.  Raises a `GatewayError`; nothing is changed."""
        with only_reading():
            reply = self._send("GET", HOOKS, READING, call)
            raise_for(reply)
            data = reply.json_object().get("data")
            if not isinstance(data, list) or not all(isinstance(hook, dict) and _id_of(hook) for hook in data):
                raise reply.broken("UNEXPECTED_FORM", "no list of hooks with ids")
            return data

    def add_hook(self, topic: str, url: str, method: str, call: Call) -> str:
        """Register one hook and give its id.  Raises a `GatewayError`."""
        reply = self._send("POST", HOOKS, encode({"type": topic, "url": url, "method": method}), call)
        raise_for(reply)
        data = reply.json_object().get("data")
        if not isinstance(data, dict) or not data:
            raise reply.broken("UNEXPECTED_FORM", "no hook")
        return _id_of(data)

    def remove_hook(self, hook_id: str, call: Call) -> None:
        """Remove one hook; one that is gone already is as good as removed.  Raises a `GatewayError`."""
        reply = self._send("DELETE", HOOK, READING, call, ids={"id": hook_id})
        if reply.status != 404:
            raise_for(reply)

    def _send(self, method: str, path: str, body: bytes, call: Call, ids: Mapping[str, str] | None = None) -> Reply:
        signature = own_header(self._options.hmac_secrets, body)
        return self._client.send(method, path, call, ids=ids, body=body, headers=signature)


def _id_of(hook: Json) -> str:
    value = hook.get("id")
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
