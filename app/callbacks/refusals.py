"""Answers to what never reaches the application, in the form of every refusal: JSON, no echo, a request id."""

from __future__ import annotations

import logging
from typing import Final

import msgspec
from gunicorn.http import errors  # type: ignore[import-untyped]
from werkzeug.http import HTTP_STATUS_CODES

from app import logs
from app.callbacks.application import new_request_id
from app.callbacks.replies import error_body
from app.errors import HttpError

_SAID: Final[dict[type[Exception], tuple[int, str, str]]] = {
    errors.LimitRequestLine: (414, "URI Too Long", "the address is too long"),
    errors.ExpectationFailed: (417, "Expectation Failed", "Expect must be 100-continue or absent"),
    errors.LimitRequestHeaders: (431, "Request Header Fields Too Large", "the headers are too large"),
}
"""What is not simply a 400.  Nothing is 501: P5 promises that no input makes us answer 5xx."""

log = logging.getLogger(__name__)


def refusal(error: BaseException) -> bytes:
    """The whole answer, after which the connection is to be closed; also writes the line in the log.

    gunicorn's own would repeat the request's bytes in HTML and in the log (P5, P20).
    """
    request_id = new_request_id()
    token = logs.request_id.set(request_id)
    retry = ""
    try:
        if isinstance(error, errors.ParseException):
            status, reason, message = _SAID.get(type(error), (400, "Bad Request", "this is no valid HTTP request"))
            code = reason.upper().replace(" ", "_")
            log.warning("no valid request: %s", type(error).__name__)
        elif isinstance(error, HttpError):
            status, reason, code, message = error.status, HTTP_STATUS_CODES[error.status], error.code, error.message
            retry = f"Retry-After: {error.retry_after_s}\r\n" if error.retry_after_s is not None else ""
            log.warning("a request was refused by the server itself: %s", code)
        else:
            status, reason, code = 500, "Internal Server Error", "INTERNAL_SERVER_ERROR"
            message = f"a fault of this server; request id {request_id}"
            log.error("a request failed outside the application", exc_info=error)
    finally:
        logs.request_id.reset(token)
    body = msgspec.json.encode(error_body(code, message))
    head = (
        f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n{retry}"
        f"Content-Length: {len(body)}\r\nX-Request-Id: {request_id}\r\n\r\n"
    )
    return head.encode() + body
