"""What holds for every address of the server: tidy paths, a request id in and out, JSON in every answer."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final

import msgspec
from flask import Flask, Request, Response
from flask.sessions import NullSession, SessionInterface
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter
from werkzeug.wsgi import get_host

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

_KEPT_HOSTS: Final = 256
"""Hosts of which an application remembers what they are called."""

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


class _NoSessions(SessionInterface):
    """The console keeps its own, and nothing else has any."""

    _nobody = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:
        return self._nobody

    def is_null_session(self, obj: object) -> bool:
        return True


class Application(Flask):
    """Flask without what no request of this server needs: it opens a session for each, and asks which host it is for.

    All hosts are served alike: neither `SERVER_NAME` nor `TRUSTED_HOSTS` is set.
    """

    session_interface = _NoSessions()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._named = lru_cache(_KEPT_HOSTS)(self._names)

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """As Flask does it, but what a host is called is worked out once for all its requests."""
        if request is None or "HTTP_UPGRADE" in request.environ:
            return super().create_url_adapter(request)
        environ = request.environ
        scheme = environ["wsgi.url_scheme"]
        host = environ.get("HTTP_HOST"), environ.get("SERVER_NAME"), environ.get("SERVER_PORT")
        request.host, server_name = self._named(scheme, *host)
        return MapAdapter(
            self.url_map,
            server_name,
            _decoded(environ.get("SCRIPT_NAME", "")),
            self.url_map.default_subdomain,
            scheme,
            _decoded(environ.get("PATH_INFO", "")),
            environ["REQUEST_METHOD"],
            _decoded(environ.get("QUERY_STRING", "")),
        )

    def _names(self, scheme: str, host: str | None, name: str | None, port: str | None) -> tuple[str, str]:
        """The host as the client named it, and as addresses name it.  Raises `BadHost`."""
        environ = {"wsgi.url_scheme": scheme, "HTTP_HOST": host, "SERVER_NAME": name, "SERVER_PORT": port}
        found = get_host({key: value for key, value in environ.items() if value is not None})
        return found, self.url_map.bind(found).server_name


def _decoded(text: str) -> str:
    """WSGI hands over bytes as Latin-1."""
    return text if text.isascii() else text.encode("latin-1").decode(errors="replace")


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


class JsonReply(Response):
    """A JSON answer that is encoded already: its headers are complete, and Werkzeug need not look through them."""

    def __init__(self, content: bytes, status: int) -> None:
        super().__init__(content, status, content_type="application/json")

    def __call__(self, environ: dict[str, Any], start_response: _StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "HEAD":
            return super().__call__(environ, start_response)
        start_response(self.status, self.headers.to_wsgi_list())
        return [self.get_data()]


def json_reply(status: int, content: Any) -> Response:
    """A JSON answer."""
    return JsonReply(_encode(content), status)


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
