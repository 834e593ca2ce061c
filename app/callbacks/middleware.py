"""What holds for every address of the server: tidy paths, a request id in and out, JSON in every answer."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from app import caller, logs
from app.channel.dispatch import event_json
from app.channel.receiving import Malformed
from app.channel.services import BUDGET_S
from app.deadline import Deadline
from app.domain.events import Event
from app.errors import HttpError

REQUEST_ID = "channel.request_id"
"""Where the request id stands in the WSGI environment."""

ARRIVED_S = "channel.arrived_s"
"""Where it stands since when the request is whole (monotonic seconds), if whoever calls the application knows."""

SENDER = "channel.sender"
"""Where it stands which channel the request says it is for, if whoever calls the application knows."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SLASHES = re.compile("//+")

_StartResponse = Callable[..., Any]

_encode = msgspec.json.Encoder().encode


def new_request_id() -> str:
    """An id for a request that brings none."""
    return f"{random.getrandbits(128):032x}"


class Middleware:
    """Wraps the application as plain WSGI, which costs a request a tenth of what Flask's hooks would.

    Repeated slashes count as one and a trailing one as none: RetailOps' verifier joins base URL and path as
    text, so a base that ends in a slash gives `//`, and a redirect would turn its POST into a GET (SDK
    contract 1.1).  A request id is taken over if it is harmless, else made, and given back.
    """

    def __init__(self, application: Callable[[dict[str, Any], _StartResponse], Iterable[bytes]]) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: _StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if "//" in path or path.endswith("/"):
            environ["PATH_INFO"] = _SLASHES.sub("/", path).rstrip("/") or "/"
        given = environ.get("HTTP_X_REQUEST_ID", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else new_request_id()
        environ[REQUEST_ID] = request_id
        logs.request_id.set(request_id)

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            headers.append(("X-Request-Id", request_id))
            return start_response(status, headers, *rest)

        arrived_s = environ.get(ARRIVED_S)
        until = Deadline.in_s(BUDGET_S) if arrived_s is None else Deadline(arrived_s + BUDGET_S)
        caller.begin_request(until, environ.get(SENDER, ""))
        try:
            return self._application(environ, start)
        finally:
            caller.end_request()


def install(app: Flask) -> None:
    """Put the middleware around an application."""
    app.wsgi_app = Middleware(app.wsgi_app)  # type: ignore[method-assign]
    app.url_map.merge_slashes = False

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
        return json_reply(error.status, {"events": list(map(event_json, error.events))})
    reply = error_reply(error.status, error.code, error.message)
    if error.retry_after_s is not None:
        reply.headers["Retry-After"] = str(error.retry_after_s)
    return reply
