"""What holds for every address of the server: tidy paths, a request id in and out, JSON for every fault."""

from __future__ import annotations

import re
import random
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from app import logs
from app.callbacks.replies import error_reply

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SLASHES = re.compile("//+")


class TidyPath:
    """Repeated slashes count as one and a trailing one as none.

    RetailOps' verifier joins base URL and path as text, so a base that ends in a slash gives `//`; a
    redirect would turn its POST into a GET (SDK contract 1.1).
    """

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if "//" in path or path.endswith("/"):
            environ["PATH_INFO"] = _SLASHES.sub("/", path).rstrip("/") or "/"
        return self._application(environ, start_response)


def install(app: Flask) -> None:
    """Put the edge around an application."""
    app.wsgi_app = TidyPath(app.wsgi_app)  # type: ignore[method-assign]
    app.url_map.merge_slashes = False

    @app.before_request
    def take_request_id() -> None:
        given = request.headers.get("X-Request-Id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else f"{random.getrandbits(128):032x}"
        g.request_id = request_id
        logs.request_id.set(request_id)

    @app.after_request
    def give_request_id(reply: Response) -> Response:
        reply.headers["X-Request-Id"] = g.request_id
        return reply

    @app.errorhandler(HTTPException)
    def say_in_json(error: HTTPException) -> Response:
        status = error.code or 500
        sentences = {404: "no such address", 405: "this address takes another method"}
        reply = error_reply(status, error.name.upper().replace(" ", "_"), sentences.get(status, error.name))
        if status == 405:
            reply.headers["Allow"] = ", ".join(sorted(getattr(error, "valid_methods", None) or ()))
        return reply
