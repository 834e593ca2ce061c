"""What is answered beside a callback's own answer: refusals, as JSON in the form every callback's answer has."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from app.channel.dispatch import event_json
from app.channel.receiving import Malformed
from app.domain.events import Event
from app.errors import HttpError

_encode = msgspec.json.Encoder().encode


def say_errors_in_json(app: Flask) -> None:
    """Have what Flask itself refuses, such as an unknown address, answered in the form of every refusal."""

    @app.errorhandler(HTTPException)
    def say_in_json(error: HTTPException) -> Response:
        status = error.code or 500
        sentences = {404: "no such address", 405: "this address takes another method"}
        reply = error_reply(status, error.name.upper().replace(" ", "_"), sentences.get(status, error.name))
        if status == 405:
            reply.headers["Allow"] = ", ".join(sorted(getattr(error, "valid_methods", None) or ()))
        return reply


def json_reply(status: int, content: Any) -> Response:
    """A JSON answer."""
    return Response(_encode(content), status, content_type="application/json")


def error_reply(status: int, code: str, message: str) -> Response:
    """A refusal in the form every callback's answer has: a list of events."""
    return json_reply(status, error_body(code, message))


def error_body(code: str, message: str) -> dict[str, Any]:
    """What stands in a refusal."""
    return {"events": [event_json(Event("error", code, message))]}


def rejection(error: HttpError) -> Response:
    """The reply a `HttpError` stands for."""
    if isinstance(error, Malformed):
        return json_reply(error.status, {"events": list(map(event_json, error.events))})
    reply = error_reply(error.status, error.code, error.message)
    if error.retry_after_s is not None:
        reply.headers["Retry-After"] = str(error.retry_after_s)
    return reply
