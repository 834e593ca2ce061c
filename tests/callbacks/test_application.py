"""What the server's own Flask leaves out changes nothing that a client, a route or an address sees."""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from flask import Blueprint, Flask, Request, Response, request, request_started
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.test import create_environ, run_wsgi_app

from app.callbacks.application import Application, JsonReply, PlainView

HOSTS = ("localhost", "LocalHost:80", "example.org:8443", "bücher.example", "[::1]:5000", "a b", "", "..", "x" * 70)
PATHS = ("/", "/api/channel/inventory_push_v1", "/docs/%C3%BC", "/feeds/a%20b", "/%ff")


def _adapter(application: Flask, environ: dict[str, Any]) -> tuple[Any, ...]:
    request = Request(environ)
    try:
        found = application.create_url_adapter(request)
    except HTTPException as error:
        return (type(error), error.code)
    assert found is not None
    return (request.host, {name: value for name, value in vars(found).items() if name not in ("map", "websocket")})


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_address_is_bound_as_flask_binds_it(scheme: str) -> None:
    ours, theirs = Application("ours"), Flask("theirs")
    for host, path, upgrade in product(HOSTS, PATHS, ({}, {"HTTP_CONNECTION": "upgrade", "HTTP_UPGRADE": "websocket"})):
        for mount in ("", "/below"):
            given = create_environ(path, f"{scheme}://localhost{mount}", query_string="a=1&b=%FC", method="POST")
            environ = {**given, "HTTP_HOST": host.encode().decode("latin-1"), **upgrade}
            for _ in range(2):  # the second is answered from what was kept
                assert _adapter(ours, dict(environ)) == _adapter(theirs, dict(environ)), (host, path)
    without = create_environ("/", f"{scheme}://localhost")
    del without["HTTP_HOST"]
    assert _adapter(ours, dict(without)) == _adapter(theirs, dict(without))


def test_a_json_reply_leaves_as_any_response_does() -> None:
    content = b'{"events":[]}'
    for method in ("POST", "GET", "HEAD"):
        replies = JsonReply(content), Response(content, 200, content_type="application/json")
        found = [run_wsgi_app(reply, create_environ("/", method=method)) for reply in replies]
        ours, theirs = (("".join(map(bytes.decode, body)), line, sorted(headers)) for body, line, headers in found)
        assert ours == theirs and ours[1] == f"{replies[0].status_code} OK"


def test_no_request_has_a_session() -> None:
    application = Application("ours")
    with application.test_request_context("/"):
        from flask import session

        assert not session
        with pytest.raises(RuntimeError):
            session["who"] = "somebody"


class _Refused(Exception):
    pass


def _answer(environ: dict[str, Any]) -> JsonReply:
    match environ["wsgi.input"].read():
        case b"refused":
            raise _Refused
        case b"gone":
            raise NotFound("not here")
        case b"broken":
            raise RuntimeError("a fault of ours")
        case body:
            return JsonReply(b'{"body": %d}' % len(body))


@pytest.fixture(autouse=True)
def _silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's own application has the same logger, for all other tests of this process."""
    monkeypatch.setattr(logging.getLogger("app"), "disabled", True)


def _application(kind: type[Flask], prepare: Callable[[Flask, Blueprint], None]) -> Flask:
    application = kind("app")
    routes = Blueprint("inner", __name__, url_prefix="/api")
    view = PlainView(_answer)
    flask_view = view if kind is Application else lambda: _answer(request.environ)
    routes.add_url_rule("/it", endpoint="it", view_func=flask_view, methods=["POST"], provide_automatic_options=False)
    routes.add_url_rule("/both", endpoint="both", view_func=flask_view, methods=["GET", "POST"])
    routes.add_url_rule("/of/<name>", endpoint="of", view_func=lambda name: name)
    application.errorhandler(_Refused)(lambda error: ("refused", 418))
    application.errorhandler(404)(lambda error: (f"no {error.description}", 404))
    prepare(application, routes)
    application.register_blueprint(routes)
    return application


def _hooks_of_the_application(application: Flask, routes: Blueprint) -> None:
    application.before_request(lambda: ("stopped", 299) if request.path == "/api/both" else None)


def _hooks_of_the_blueprint(application: Flask, routes: Blueprint) -> None:
    @routes.after_request
    def mark(response: Response) -> Response:
        response.headers["X-Marked"] = request.path
        return response


@pytest.mark.parametrize("prepare", [lambda *_: None, _hooks_of_the_application, _hooks_of_the_blueprint])
def test_a_plain_view_is_answered_as_flask_answers_it(prepare: Callable[[Flask, Blueprint], None]) -> None:
    ours, theirs = _application(Application, prepare), _application(Flask, prepare)
    addresses = ("/api/it", "/api/both", "/api/of/it", "/api/%C3%BC")
    environments: tuple[dict[str, Any], ...] = (
        {},
        {"HTTP_HOST": "a b"},
        {"SCRIPT_NAME": "/below"},
        {"HTTP_CONNECTION": "upgrade", "HTTP_UPGRADE": "websocket"},
    )
    methods = ("POST", "GET", "HEAD", "OPTIONS", "PUT")
    for path, method, more in product(addresses, methods, environments):
        for body in (b"", b"any", b"refused", b"gone", b"broken"):
            found = []
            for application in (ours, theirs):
                environ = {**create_environ(path, method=method, data=body, query_string="a=1"), **more}
                content, status, headers = run_wsgi_app(application, environ)
                assert (headers.pop("X-Request-Id", None) is None) == (application is theirs)
                headers["Allow"] = ", ".join(sorted(headers.get("Allow", "").split(", ")))
                found.append((b"".join(content), status, sorted(headers)))
            assert found[0] == found[1], (path, method, more, body)


def test_a_plain_view_has_flasks_context_while_somebody_listens_to_its_signals() -> None:
    application = _application(Application, lambda *_: None)
    paths: list[str] = []

    def hear(sender: Flask, **_: Any) -> None:
        paths.append(request.path)

    for _ in range(2):
        assert run_wsgi_app(application, create_environ("/api/it", method="POST"))[1] == "200 OK"
        request_started.connect(hear, application)
    request_started.disconnect(hear, application)
    assert paths == ["/api/it"]


def test_no_address_is_added_once_a_plain_view_has_answered() -> None:
    application = _application(Application, lambda *_: None)
    run_wsgi_app(application, create_environ("/api/it", method="POST"))
    with pytest.raises(AssertionError, match="first request"):
        application.before_request(lambda: None)
