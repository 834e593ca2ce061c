"""One POST and its whole answer within a fixed time, from a server that nobody vouches for."""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
import urllib3

from app.errors import ChannelError

MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of an answer, counted while inflating."""

_GRACE_S = 0.25
_PIECE = 64 * 1024
_TRANSPORT_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, UnicodeError)


class NoAnswer(ChannelError):
    """No whole answer came; `rule` is timeout, connection or size."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


class BadAddress(ChannelError):
    """The base URL cannot be used."""


@dataclass(frozen=True)
class Answer:
    """Status and inflated body."""

    status: int
    body: bytes


class Target:
    """The server under test.  Redirects are not followed, cookies not kept, proxies not asked."""

    def __init__(self, base_url: str, timeout_s: float) -> None:
        try:
            parts = urlsplit(base_url)
            is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_address = False
        if not is_address:
            raise BadAddress("--base-url: must be http(s)://host[:port], with or without a path")
        self._parts = parts
        self._timeout_s = timeout_s
        self._session = _new_session()

    def address(self, href: str) -> str:
        """Base URL and href joined as plain text, the base's query kept at the end (contract 1.1)."""
        scheme, host, path, query, _ = self._parts
        return urlunsplit((scheme, host, path + href, query, ""))

    def post(self, href: str, body: bytes) -> Answer:
        """Raises `NoAnswer`."""
        arrived: queue.SimpleQueue[Answer | BaseException] = queue.SimpleQueue()
        # `requests` counts its timeout anew for each read, so a server that drips would never be late.
        threading.Thread(
            target=self._exchange, args=(self._session, self.address(href), body, arrived), daemon=True
        ).start()
        try:
            outcome = arrived.get(timeout=self._timeout_s + _GRACE_S)
        except queue.Empty:
            self._session = _new_session()  # the old one stays with the thread that is left behind
            raise self._late() from None
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def close(self) -> None:
        self._session.close()

    def _exchange(self, session: requests.Session, address: str, body: bytes, arrived: queue.SimpleQueue[Any]) -> None:
        end_s = time.monotonic() + self._timeout_s
        try:
            with session.post(
                address,
                data=body,
                headers={"Content-Type": "application/json"},
                timeout=self._timeout_s,
                allow_redirects=False,
                stream=True,
            ) as reply:
                arrived.put(Answer(reply.status_code, self._whole(reply, end_s)))
        except NoAnswer as error:
            arrived.put(error)
        except _TRANSPORT_ERRORS as error:
            arrived.put(self._late() if time.monotonic() >= end_s else _cut(error))
        except Exception as error:
            arrived.put(error)

    def _whole(self, reply: requests.Response, end_s: float) -> bytes:
        pieces = bytearray()
        for piece in reply.iter_content(_PIECE):
            pieces += piece
            if len(pieces) > MAX_ANSWER:
                raise NoAnswer("size", f"the answer is larger than {MAX_ANSWER} bytes")
            if time.monotonic() >= end_s:
                raise self._late()
        return bytes(pieces)

    def _late(self) -> NoAnswer:
        return NoAnswer("timeout", f"no whole answer came within {self._timeout_s:g} s")


class _Verbatim(requests.adapters.HTTPAdapter):
    """Sends the path as it is: `requests` would make one slash of the two the SDK's tool sends."""

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        parts = urlsplit(request.url or "")
        path = str(parts.path) or "/"
        return f"{path}?{parts.query!s}" if parts.query else path


def _new_session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.update({"Accept": "*/*", "Accept-Encoding": "gzip", "User-Agent": "retailops-channel-verify"})
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Verbatim())
    return session


def _cut(error: Exception) -> NoAnswer:
    match error:
        case requests.exceptions.SSLError():
            return NoAnswer("connection", "no secure connection: the certificate is not accepted")
        case requests.exceptions.ChunkedEncodingError() | requests.exceptions.ContentDecodingError():
            return NoAnswer("connection", "the answer broke off or cannot be decoded")
        case requests.ConnectionError() if isinstance(_root(error), ConnectionRefusedError):
            return NoAnswer("connection", "nobody listens at --base-url")
        case _:
            return NoAnswer("connection", f"the connection failed ({type(_root(error)).__name__})")


def _root(error: BaseException) -> BaseException:
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return error
