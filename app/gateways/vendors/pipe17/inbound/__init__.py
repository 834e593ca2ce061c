"""What Pipe17 calls here: the secret address of its optional webhook, which makes every process read again.

Nothing in the notice is trusted or even read (contract 2.9, 5.2 row 12): no signature is known.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from flask import Blueprint, Response, request

from app.gateways.capabilities import Gateway
from app.gateways.vendors.pipe17 import Pipe17Gateway
from app.gateways.vendors.pipe17.connection.hints import ADDRESS, Hints
from app.records.database import DatabaseUnavailable

PATH = f"{ADDRESS}<key>"
MAX_NOTICE_BYTES = 64 * 1024
RETRY_AFTER_S = 5


def create(gateways: Mapping[str, Gateway], set_aside: Collection[str]) -> Blueprint:
    """See `app.gateways.inbound`.  A gateway whose channel had another name before is among them twice.

    The address serves every gateway with a key for it; for any other key it does not exist.
    """
    blueprint = Blueprint("pipe17_webhooks", __name__)
    named = {name: gateway.hints for name, gateway in gateways.items() if isinstance(gateway, Pipe17Gateway)}
    stopped = {hints for name, hints in named.items() if name in set_aside}

    @blueprint.post(PATH)
    def hint(key: str) -> Response:
        """204 for a known key, whatever the body says; an unknown one is an address that does not exist.

        503 when it could not be noted, for then no other process would see it, and for a channel that is
        set aside (R35).
        """
        # Every key is compared, so that the time taken reveals nothing.
        known = [hints for hints in set(named.values()) if hints.answers_to(key)]
        reply = _answer(known, stopped)
        for hints in known or list(named.values())[:1]:  # whichever: what it notes of a stranger is no channel's
            hints.note(reply.status_code, is_known=bool(known))
        return reply

    return blueprint


def _answer(known: Collection[Hints], stopped: Collection[Hints]) -> Response:
    if (request.content_length or 0) > MAX_NOTICE_BYTES:
        return Response(status=413)
    if any(hints in stopped for hints in known):
        return Response(status=503, headers={"Retry-After": str(RETRY_AFTER_S)})
    try:
        for hints in known:
            hints.give()
    except DatabaseUnavailable:
        return Response(status=503, headers={"Retry-After": str(RETRY_AFTER_S)})
    return Response(status=204 if known else 404)
