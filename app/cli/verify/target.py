"""One request and its whole answer within a fixed time, from a server that nobody vouches for."""

from __future__ import annotations

import http.client
import queue
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
import urllib3

from app.errors import ChannelError

MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of an answer, counted while inflating."""

NO_HEADERS: Mapping[str, str] = MappingProxyType({})

_GRACE_S = 0.25
_PIECE = 64 * 1024
# ValueError: what `requests` raises for an address in `Location` that it cannot take apart.
_TRANSPORT_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)


class NoAnswer(ChannelError):
    """No whole answer came; `rule` is timeout, connection or size."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


class BadAddress(ChannelError):
    """An address cannot be used; the message names the flag."""


@dataclass(frozen=True)
class Answer:
    """Status, inflated body, headers as they came, and how long all of it took."""

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ms: int = 0


ADDRESS_RULE = "must be http(s)://host[:port], with or without a path"


def is_address(url: str) -> bool:
    """True for what `ADDRESS_RULE` says."""
    try:
        parts = urlsplit(url)
        requests.Request("POST", url).prepare()
        (parts.hostname or "").encode("idna")
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except (ValueError, requests.RequestException, urllib3.exceptions.HTTPError):
        return False


class Target:
    """A server under test, for any number of threads.  Cookies are not kept, proxies not used.

    Redirects are followed only where `follows_redirects` says so.  `flag` is the option the address came
    from: errors name it and never the address, which may hold a key.
    """

    def __init__(
        self, base_url: str, timeout_s: float, *, flag: str = "--base-url", follows_redirects: bool = False
    ) -> None:
        if not is_address(base_url):
            raise BadAddress(f"{flag}: {ADDRESS_RULE}")
        self._parts = urlsplit(base_url)
        self._timeout_s = timeout_s
        self._flag = flag
        self._follows_redirects = follows_redirects
        self._of_thread = threading.local()
        self._lock = threading.Lock()
        self._sessions: list[requests.Session] = []

    def path(self, href: str, *, is_doubled: bool = False) -> str:
        """Path of the base URL and href joined as plain text (SDK contract 1.1); `is_doubled`: with two slashes."""
        return self._parts.path.rstrip("/") + "/" + href if is_doubled else self._parts.path + href

    def post(self, path: str, body: bytes, query: str = "", headers: Mapping[str, str] = NO_HEADERS) -> Answer:
        """Raises `NoAnswer`."""
        return self.send("POST", path, body, query, headers)

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        query: str = "",
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> Answer:
        """`path` as `path()` makes it; without a `query` the base URL's own is kept.  Raises `NoAnswer`."""
        scheme, host, _, own_query, _ = self._parts
        request = requests.Request(
            method,
            urlunsplit((scheme, host, path, query or own_query, "")),
            data=body,
            headers={**headers, **({"Content-Type": "application/json"} if body is not None else {})},
        )
        arrived: queue.SimpleQueue[Answer | BaseException] = queue.SimpleQueue()
        # `requests` counts its timeout anew for each read, so a server that drips would never be late.
        threading.Thread(target=self._exchange, args=(self._session(), request, arrived), daemon=True).start()
        try:
            outcome = arrived.get(timeout=self._timeout_s + _GRACE_S)
        except queue.Empty:
            del self._of_thread.session  # stays with the thread that is left behind
            raise self._late() from None
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def close(self) -> None:
        with self._lock:
            for session in self._sessions:
                session.close()

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._of_thread, "session", None)
        if session is None:
            session = self._of_thread.session = _new_session(self._follows_redirects)
            with self._lock:
                self._sessions.append(session)
        return session

    def _exchange(self, session: requests.Session, request: requests.Request, arrived: queue.SimpleQueue[Any]) -> None:
        begun_s = time.monotonic()
        end_s = begun_s + self._timeout_s
        try:
            with session.send(
                session.prepare_request(request),
                timeout=self._timeout_s,
                allow_redirects=self._follows_redirects,
                stream=True,
            ) as reply:
                body = self._whole(reply, end_s)
                ms = round((time.monotonic() - begun_s) * 1000)
                arrived.put(Answer(reply.status_code, body, reply.headers, ms))
        except NoAnswer as error:
            arrived.put(error)
        except _TRANSPORT_ERRORS as error:
            arrived.put(self._late() if time.monotonic() >= end_s else self._cut(error))
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

    def _cut(self, error: Exception) -> NoAnswer:
        root = _root(error)
        match error:
            case requests.exceptions.SSLError() if isinstance(root, ssl.SSLCertVerificationError):
                return NoAnswer("connection", "no secure connection: the certificate is not accepted")
            case requests.exceptions.SSLError():
                return NoAnswer("connection", f"no secure connection: does {self._flag} mean http?")
            case requests.exceptions.ChunkedEncodingError() | requests.exceptions.ContentDecodingError():
                return NoAnswer("connection", "the answer broke off or cannot be decoded")
            case requests.exceptions.TooManyRedirects():
                return NoAnswer("connection", "too many redirects")
            case requests.ConnectionError() if isinstance(root, ConnectionRefusedError):
                return NoAnswer("connection", f"nobody listens at {self._flag}")
            case requests.ConnectionError() if "resol" in type(root).__name__.lower() or "gai" in type(root).__name__:
                return NoAnswer("connection", f"the host of {self._flag} has no address")
            case requests.ConnectionError() if isinstance(root, http.client.RemoteDisconnected | ConnectionResetError):
                return NoAnswer("connection", "the server closed the connection without an answer; its log says why")
            case requests.ConnectionError() if isinstance(root, http.client.HTTPException | ValueError):
                return NoAnswer("connection", f"what came is no answer of HTTP ({type(root).__name__})")
            case requests.exceptions.InvalidURL() | requests.exceptions.InvalidSchema() | ValueError():
                return NoAnswer("connection", "the server redirects to an address that cannot be used")
            case _:
                return NoAnswer("connection", f"the connection failed ({type(root).__name__})")


class _Verbatim(requests.adapters.HTTPAdapter):
    """Sends the path as it is: `requests` would make one slash of the two the SDK's tool sends."""

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        parts = urlsplit(request.url or "")
        path = str(parts.path) or "/"
        return f"{path}?{parts.query!s}" if parts.query else path


class _Session(requests.Session):
    """Looks at an answer's `Location` only where it is to be followed; `requests` takes it apart in any case."""

    def __init__(self, *, follows_redirects: bool) -> None:
        super().__init__()
        self._follows_redirects = follows_redirects

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return super().get_redirect_target(resp) if self._follows_redirects else None


def _new_session(follows_redirects: bool) -> requests.Session:
    session = _Session(follows_redirects=follows_redirects)
    session.trust_env = False
    session.max_redirects = 9  # the SDK's tool sends ten requests, the first among them
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.update({"Accept": "*/*", "Accept-Encoding": "gzip", "User-Agent": "retailops-channel-verify"})
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Verbatim())
    return session


def _root(error: BaseException) -> BaseException:
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return error
