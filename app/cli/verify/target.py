"""A server that nobody vouches for: one request to it, and the whole answer within a fixed time."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urljoin, urlsplit, urlunsplit

import requests
import urllib3

from app.deadline import Deadline
from app.errors import ChannelError, GatewayError
from app.transport.connections import HttpClient
from app.transport.failures import BadCertificate
from app.transport.replies import Reply

MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of an answer, counted while inflating."""

NO_HEADERS: Mapping[str, str] = MappingProxyType({})

ADDRESS_RULE = "must be http(s)://host[:port], with or without a path"

_HEADERS = {"Accept": "*/*", "Accept-Encoding": "gzip", "User-Agent": "retailops-channel-verify"}

_BECOMES_GET = (301, 302, 303)
_REDIRECTS = (*_BECOMES_GET, 307, 308)

_MOST_REQUESTS = 10
"""That the SDK's tool sends for one test, the first among them."""

_REASONS = {
    "DNS_FAILED": "the host of {flag} has no address",
    "CONNECT_FAILED": "nobody listens at {flag}",
    "TLS_FAILED": "no secure connection: does {flag} mean http?",
    "CONNECTION_LOST": "the server closed the connection without an answer; its log says why",
    "NOT_HTTP": "what came is no answer of HTTP",
    "REPLY_CUT": "the answer broke off or cannot be decoded",
}


class NoAnswer(ChannelError):
    """No whole answer came; `rule` is timeout, connection or size."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


class BadAddress(ChannelError):
    """An address cannot be used; the message names the flag."""


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
        self._clients: dict[str, HttpClient] = {}

    def path(self, href: str, *, is_doubled: bool = False) -> str:
        """Path of the base URL and href joined as plain text (SDK contract 1.1); `is_doubled`: with two slashes."""
        return self._parts.path.rstrip("/") + "/" + href if is_doubled else self._parts.path + href

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        query: str = "",
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> Reply:
        """`path` as `path()` makes it; without a `query` the base URL's own is kept.  Raises `NoAnswer`."""
        end = Deadline.in_s(self._timeout_s)
        scheme, host, _, own_query, _ = self._parts
        url = urlunsplit((scheme, host, path, query or own_query, ""))
        for _ in range(_MOST_REQUESTS):
            kind = {} if body is None else {"Content-Type": "application/json"}
            request = requests.Request(method, url, {**_HEADERS, **headers, **kind}, data=body).prepare()
            reply = self._exchange(request, end)
            if not (self._follows_redirects and reply.status in _REDIRECTS and "Location" in reply.headers):
                return reply
            url = _joined(url, reply.headers["Location"])
            if reply.status in _BECOMES_GET:
                method, body = "GET", None
        raise NoAnswer("connection", "too many redirects")

    def close(self) -> None:
        """Closes every idle connection."""
        for client in list(self._clients.values()):
            client.close()

    def _exchange(self, request: requests.PreparedRequest, end: Deadline) -> Reply:
        parts = urlsplit(request.url or "")
        server = f"{parts.scheme}://{parts.netloc}"
        if server not in self._clients:
            new = HttpClient(self._flag, connect_s=self._timeout_s, max_reply_bytes=MAX_ANSWER)
            self._clients.setdefault(server, new)
        try:
            return self._clients[server].exchange(request, parts.path, end)
        except GatewayError as error:
            is_late = error.code == "TIMED_OUT" or (error.code != "DNS_FAILED" and not end.left_s())
            raise self._no_answer(error, is_late=is_late) from None

    def _no_answer(self, error: GatewayError, *, is_late: bool) -> NoAnswer:
        if is_late:
            return NoAnswer("timeout", f"no whole answer came within {self._timeout_s:g} s")
        if error.code == "REPLY_TOO_LARGE":
            return NoAnswer("size", f"the answer is larger than {MAX_ANSWER} bytes")
        if isinstance(error, BadCertificate):
            return NoAnswer("connection", "no secure connection: the certificate is not accepted")
        return NoAnswer("connection", _REASONS.get(error.code, "the connection failed").format(flag=self._flag))


def _joined(url: str, place: str) -> str:
    """Where a redirect leads.  Raises `NoAnswer`."""
    try:
        if is_address(joined := urljoin(url, place)):
            return joined
    except ValueError:
        pass
    raise NoAnswer("connection", "the server redirects to an address that cannot be used")
