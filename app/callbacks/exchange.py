"""gunicorn's WSGI environment and response, without what it would work out again for every request.

gunicorn opens the errors' stream, checks each header's name and writes the date anew each time.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from gunicorn import util  # type: ignore[import-untyped]
from gunicorn.http import wsgi  # type: ignore[import-untyped]

from app.callbacks.heads import PlainSettings
from app.settings import is_mounted

_PROTOCOLS: Final = {(1, 0): "HTTP/1.0", (1, 1): "HTTP/1.1"}


class Environments:
    """Makes the environments of one process."""

    def __init__(self, settings: PlainSettings) -> None:
        self._settings = settings
        self._same = {**wsgi.base_environ(settings), "wsgi.multithread": True}
        self._is_mounted = is_mounted()

    def of(self, request: Any, client: Any, server: Any) -> dict[str, Any]:
        """The environment of a request from `client`, an address and a port, to `server`.

        Whoever waits for leave to send the body has got it already.
        """
        protocol = _PROTOCOLS.get(request.version)
        is_ordinary = isinstance(client, tuple) and isinstance(server, tuple) and "%" not in request.path
        if protocol is None or not is_ordinary or self._is_mounted:
            return self._by_gunicorn(request, client, server)
        environ = {
            **self._same,
            "wsgi.input": request.body,
            "wsgi.url_scheme": request.scheme,
            "REQUEST_METHOD": request.method,
            "QUERY_STRING": request.query,
            "RAW_URI": request.uri,
            "SERVER_PROTOCOL": protocol,
            "REMOTE_ADDR": client[0],
            "REMOTE_PORT": str(client[1]),
            "SERVER_NAME": server[0],
            "SERVER_PORT": str(server[1]),
            "PATH_INFO": request.path,
            "SCRIPT_NAME": "",
        }
        for name, value in request.headers:
            key = _key(name)
            if key in environ or "_" in name:
                return self._by_gunicorn(request, client, server)
            environ[key] = value
        return environ

    def _by_gunicorn(self, request: Any, client: Any, server: Any) -> dict[str, Any]:
        _, environ = wsgi.create(request, None, client, server, self._settings)
        return {**environ, "wsgi.multithread": True}


@lru_cache(1024)
def _key(name: str) -> str:
    key = name.replace("-", "_")
    return key if name in ("CONTENT-TYPE", "CONTENT-LENGTH") else f"HTTP_{key}"


class Response(wsgi.Response):  # type: ignore[misc]
    """gunicorn's response."""

    def process_headers(self, headers: Sequence[tuple[str, str]]) -> None:
        for header in headers:
            name, value = header
            if name == "Content-Length" and type(value) is str and value.isdecimal() and value.isascii():
                self.response_length = int(value)
                self.headers.append(header)
            elif type(value) is str and _is_kept(name) and wsgi.HEADER_VALUE_RE.fullmatch(value):
                self.headers.append((name, value.strip(" \t")))
            else:
                super().process_headers([header])

    def default_headers(self) -> list[str]:
        connection = "upgrade" if self.upgrade else "close" if self.should_close() else "keep-alive"
        major, minor = self.req.version
        return [
            f"HTTP/{major}.{minor} {self.status}\r\nServer: {self.version}\r\nDate: {_date(int(time.monotonic()))}\r\n"
            f"Connection: {connection}\r\n",
            *(["Transfer-Encoding: chunked\r\n"] if self.chunked else []),
        ]


@lru_cache(256)
def _is_kept(name: Any) -> bool:
    """True for the name of a header that says nothing of the connection or the body's length."""
    is_name = isinstance(name, str) and wsgi.TOKEN_RE.fullmatch(name) is not None
    return is_name and name.lower() != "content-length" and not util.is_hoppish(name)


@lru_cache(4)
def _date(second: int) -> str:
    """The date while this second of the monotonic clock lasts."""
    return str(util.http_date())
