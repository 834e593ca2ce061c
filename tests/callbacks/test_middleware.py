"""What the server's own Flask leaves out changes nothing that a client, a route or an address sees."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from flask import Flask, Request, Response
from werkzeug.exceptions import HTTPException
from werkzeug.test import create_environ, run_wsgi_app

from app.callbacks.middleware import Application, JsonReply

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
    for method, status in product(("POST", "GET", "HEAD"), (200, 400, 503)):
        replies = JsonReply(content, status), Response(content, status, content_type="application/json")
        found = [run_wsgi_app(reply, create_environ("/", method=method)) for reply in replies]
        ours, theirs = (("".join(map(bytes.decode, body)), line, sorted(headers)) for body, line, headers in found)
        assert ours == theirs and ours[1].startswith(str(status))


def test_no_request_has_a_session() -> None:
    application = Application("ours")
    with application.test_request_context("/"):
        from flask import session

        assert not session
        with pytest.raises(RuntimeError):
            session["who"] = "somebody"
