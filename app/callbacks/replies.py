"""Every reply of the server is JSON and carries the request id; these are the ones that are no 200."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Response

from app.channel.dispatch import Malformed, event_json
from app.domain.events import Event
from app.errors import HttpError

_encode = msgspec.json.Encoder().encode


def json_reply(status: int, content: Any) -> Response:
    """A JSON answer."""
    return json_bytes_reply(status, _encode(content))


def json_bytes_reply(status: int, content: bytes) -> Response:
    """A JSON answer that is encoded already."""
    return Response(content, status, content_type="application/json")


def error_reply(status: int, code: str, message: str) -> Response:
    """A refusal in the form every callback's answer has: a list of events."""
    return json_reply(status, error_body(code, message))


def error_body(code: str, message: str) -> dict[str, Any]:
    """What stands in a refusal."""
    return {"events": [event_json(Event("error", code, message))]}


def rejection(error: HttpError) -> Response:
    """The reply a `HttpError` stands for."""
    if isinstance(error, Malformed):
        return json_reply(error.status, {"events": error.events})
    reply = error_reply(error.status, error.code, error.message)
    if error.retry_after_s is not None:
        reply.headers["Retry-After"] = str(error.retry_after_s)
    return reply
