"""The server's Flask: tidy paths, a request id in and out, and nothing done for a request that none needs."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable
from functools import cached_property, lru_cache
from typing import Any, Final

from flask import Flask, Request, Response, request, signals
from flask.sessions import NullSession, SessionInterface
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter
from werkzeug.wsgi import get_host

from app import caller, logs
from app.channel.services import BUDGET_S
from app.deadline import Deadline

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

_SIGNALS: Final = (
    signals.request_started,
    signals.request_finished,
    signals.request_tearing_down,
    signals.got_request_exception,
    signals.appcontext_pushed,
    signals.appcontext_popped,
)
"""What Flask sends for each request."""

_Environ = dict[str, Any]
_StartResponse = Callable[..., Any]


def new_request_id() -> str:
    """An id for a request that brings none."""
    return f"{random.getrandbits(128):032x}"


class JsonReply:
    """A callback's answer of HTTP 200, encoded already: the least of a WSGI application, as a Flask view may give."""

    status_code: Final = 200

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __call__(self, environ: _Environ, start_response: _StartResponse) -> Iterable[bytes]:
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(self._content)))]
        start_response("200 OK", headers)
        return [self._content] if environ["REQUEST_METHOD"] != "HEAD" else []


Reply = Response | JsonReply


class PlainView:
    """A view that reads the WSGI environment and nothing of Flask: no context, no session, no part of its address.

    `Application` answers a request for it without Flask's context where neither a hook nor a signal needs one.
    """

    def __init__(self, answer: Callable[[_Environ], Reply]) -> None:
        self.answer = answer

    def __call__(self) -> Reply:
        return self.answer(request.environ)


class _NoSessions(SessionInterface):
    """The console keeps its own, and nothing else has any."""

    _nobody = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:
        return self._nobody

    def is_null_session(self, obj: object) -> bool:
        return True


class Application(Flask):
    """Flask, with what holds for every address, and without what no request of this server needs.

    Repeated slashes count as one and a trailing one as none: RetailOps' verifier joins base URL and path as
    text, so a base that ends in a slash gives `//`, and a redirect would turn its POST into a GET (SDK
    contract 1.1).  A request id is taken over if it is harmless, else made, and given back.

    No request has a session.  All hosts are served alike: neither `SERVER_NAME` nor `TRUSTED_HOSTS` is set.
    """

    session_interface = _NoSessions()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.url_map.merge_slashes = False
        self._named = lru_cache(_KEPT_HOSTS)(self._names)

    def wsgi_app(self, environ: _Environ, start_response: _StartResponse) -> Iterable[bytes]:
        """As Flask does it; Flask's hooks would cost a request ten times as much."""
        path = environ.get("PATH_INFO", "")
        if "//" in path or path.endswith("/"):
            path = environ["PATH_INFO"] = _SLASHES.sub("/", path).rstrip("/") or "/"
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
            view = self._plain_views.get((environ["REQUEST_METHOD"], path))
            if view is None or not self._is_plain(environ):
                return super().wsgi_app(environ, start)
            return self._plainly(view, environ)(environ, start)
        finally:
            caller.end_request()

    def _plainly(self, view: PlainView, environ: _Environ) -> Reply:
        try:
            return view.answer(environ)
        except Exception as error:
            with self.request_context(environ):
                try:
                    return self.finalize_request(self.handle_user_exception(error))
                except Exception as unhandled:
                    return self.handle_exception(unhandled)

    @cached_property
    def _plain_views(self) -> dict[tuple[str, str], PlainView]:
        """By method and address; found at the first request, after which Flask takes neither addresses nor hooks."""
        self._got_first_request = True
        found = {}
        for rule in self.url_map.iter_rules():
            view = self.view_functions[rule.endpoint]
            if isinstance(view, PlainView) and not rule.arguments and not self._has_hooks(rule.endpoint):
                found.update({(method, rule.rule): view for method in rule.methods or () if method != "OPTIONS"})
        return found

    def _has_hooks(self, endpoint: str) -> bool:
        parts = endpoint.split(".")[:-1]
        names = [None, *(".".join(parts[:count]) for count in range(1, len(parts) + 1))]
        hooks: tuple[dict[Any, Any], ...] = (
            self.url_value_preprocessors,
            self.before_request_funcs,
            self.after_request_funcs,
            self.teardown_request_funcs,
        )
        return bool(self.teardown_appcontext_funcs) or any(each.get(name) for each in hooks for name in names)

    def _is_plain(self, environ: _Environ) -> bool:
        """False for what Flask has to judge: a host that is none, another protocol, a request somebody listens to."""
        if "HTTP_UPGRADE" in environ or any(signal.receivers for signal in _SIGNALS):
            return False
        try:
            self._named(environ["wsgi.url_scheme"], *_host(environ))
        except HTTPException:
            return False
        return True

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """As Flask does it, but what a host is called is worked out once for all its requests."""
        if request is None or "HTTP_UPGRADE" in request.environ:
            return super().create_url_adapter(request)
        environ = request.environ
        scheme = environ["wsgi.url_scheme"]
        request.host, server_name = self._named(scheme, *_host(environ))
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


def _host(environ: _Environ) -> tuple[str | None, str | None, str | None]:
    return environ.get("HTTP_HOST"), environ.get("SERVER_NAME"), environ.get("SERVER_PORT")


def _decoded(text: str) -> str:
    """WSGI hands over bytes as Latin-1."""
    return text if text.isascii() else text.encode("latin-1").decode(errors="replace")
