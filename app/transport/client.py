"""The one client for outgoing HTTP: a deadline, limits, no redirects, so that each risk is handled in one place.

A call ends at its deadline whatever the vendor does, is never repeated or redirected behind the
caller's back, reads no more than it was allowed to, and fails as one of the four gateway errors
that say truly whether the work may have been done.

What bounds a call: `requests` times out per read only, so `connections` shuts the socket at the deadline.  The one
thing nobody can interrupt is the system's name resolution (`getaddrinfo`).
"""

from __future__ import annotations

import functools
import importlib.metadata
import logging
import re
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Final, Protocol
from urllib.parse import quote, urlencode

import requests
import requests.adapters

from app import caller
from app.addresses import broken_rule, is_loopback
from app.deadline import Deadline
from app.domain.traffic import VendorCall
from app.errors import PAUSED, GatewayError, Misconfigured, Unavailable
from app.transport.connections import KEEP_IDLE_S, READS, HttpClient
from app.transport.limits import Admission, Permit
from app.transport.rates import CallKind
from app.transport.replies import MAX_REPLY_BYTES, Reply, noted_of, outcome_of, retry_after_of

CONNECT_S: Final = 2.0

ANSWER_S: Final = 2.0
"""How much of a call's time is kept for the answer while it waits for its turn; at most half of what is left."""

_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
_BAD_IN_HEADER: Final = re.compile(r"[^\t\x20-\x7e\x80-\xff]")

log = logging.getLogger(__name__)


class Circumstances(Protocol):
    """How long a use of a vendor may take, how urgent it is, and which request it serves."""

    @property
    def deadline(self) -> Deadline: ...

    @property
    def kind(self) -> CallKind: ...

    @property
    def request_id(self) -> str: ...


class VendorClient:
    """One vendor's address, as seen by one key.

    `headers` go with every call.  `patience_s` bounds a whole call, waiting at the gate included;
    `connect_s` the part that connects.  Each value in `secrets` is blotted out wherever a message could
    show it; queries, headers and bodies are never shown.  `setting` is what an operator would have to
    correct.  Connections idle for longer than `keep_idle_s` are not used again, for the vendor may
    have closed them.

    Raises `Misconfigured` when the address is not https (or loopback) or a header cannot be sent.
    """

    def __init__(
        self,
        vendor: str,
        base_url: str,
        *,
        headers: Mapping[str, str],
        patience_s: float,
        connect_s: float = CONNECT_S,
        max_reply_bytes: int = MAX_REPLY_BYTES,
        secrets: Collection[str] = (),
        limiter: Admission | None = None,
        observe: Callable[[VendorCall], None] | None = None,
        setting: str = "base_url",
        keep_idle_s: float = KEEP_IDLE_S,
    ) -> None:
        self.vendor = vendor
        if rule := broken_rule(base_url):
            raise Misconfigured("BAD_ADDRESS", f"{vendor}: the setting {setting} {rule}")
        self._base_url = base_url.rstrip("/")
        self._headers = _checked_headers(vendor, {**_OWN_HEADERS, **headers})
        self._patience_s = patience_s
        self._secrets = sorted((secret for secret in secrets if secret), key=len, reverse=True)
        self._limiter = limiter
        self._observe = observe
        with requests.Session() as session:
            # Reads the proxy and certificate variables of the environment, which takes long; so once.
            found = session.merge_environment_settings(self._base_url, {}, None, None, None)
        self._http = HttpClient(
            vendor,
            connect_s=connect_s,
            max_reply_bytes=max_reply_bytes,
            keep_idle_s=keep_idle_s,
            verify=True if found["verify"] is None else found["verify"],
            proxies={} if is_loopback(base_url) else found["proxies"],
        )

    def __repr__(self) -> str:
        return f"VendorClient({self.vendor!r})"

    def call(
        self,
        method: str,
        path: str,
        *,
        deadline: Deadline,
        kind: CallKind,
        ids: Mapping[str, str] | None = None,
        params: Mapping[str, str | int] | None = None,
        json_body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        request_id: str = "",
        patience_s: float | None = None,
    ) -> Reply:
        """One request, one complete answer of whatever status (see `judge`).

        `path` is relative to the base URL; `{name}` in it is filled from `ids`, percent-encoded, while
        errors and the journal show the placeholder.  A body that is not JSON names its Content-Type
        in `headers`.  `patience_s` replaces the client's own for this call.

        Raises `Unavailable` (surely not done when no byte of the request can have left; otherwise
        outcome unknown), `BrokenReply` for an answer cut short, too large or not HTTP, `Misconfigured`
        for a header that cannot be sent, and `ValueError` for an id that would change the path.
        """
        url = self._base_url + "/" + _fill(path, ids or {}).lstrip("/")
        if params:
            url += "?" + urlencode(params)
        extra = {} if json_body is None else {"Content-Type": "application/json"}
        if request_id:
            extra["X-Request-Id"] = request_id
        to_send = {**self._headers, **_checked_headers(self.vendor, {**extra, **(headers or {})})}
        prepared = requests.PreparedRequest()
        prepared.method, prepared.url, prepared.body = method, url, json_body
        prepared.headers = requests.structures.CaseInsensitiveDict(to_send)
        if json_body is not None:
            prepared.headers["Content-Length"] = str(len(json_body))

        shown = path
        for secret in self._secrets:
            shown = shown.replace(secret, "***")
        allowed_s = self._patience_s if patience_s is None else patience_s
        started = time.monotonic()
        left_s = deadline.left_s()
        noted: tuple[int | None, str, float | None] = (None, "not_sent", None)
        try:
            if left_s <= 0.0:
                raise Unavailable("OUT_OF_TIME", f"{self.vendor} was not called: the time was over")
            if self._limiter is None:
                reply = self._exchange(prepared, shown, deadline.within_s(allowed_s))
            else:
                # A call begun with no time left for its answer would only make its outcome unknown.
                kept_s = min(allowed_s, ANSWER_S, left_s / 2)
                with self._limiter.enter(kind, deadline.less_s(kept_s)) as permit:
                    reply = self._limited(permit, prepared, shown, deadline.within_s(allowed_s), allowed_s)
            noted = noted_of(reply)
            return reply
        except GatewayError as error:
            if error.code not in _NOT_SENT:
                noted = (None, outcome_of(error), None)
            raise
        finally:
            if self._observe is not None:
                status, outcome, ahead_s = noted
                took_s = time.monotonic() - started
                self._report(VendorCall(self.vendor, method, shown, status, outcome, took_s, request_id, ahead_s))

    def send(
        self,
        method: str,
        path: str,
        call: Circumstances,
        *,
        ids: Mapping[str, str] | None = None,
        params: Mapping[str, str | int] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        patience_s: float | None = None,
    ) -> Reply:
        """As `call`, in the circumstances of a gateway's use."""
        return self.call(
            method, path, ids=ids, params=params, json_body=body, headers=headers, patience_s=patience_s,
            deadline=call.deadline, kind=call.kind, request_id=call.request_id,
        )  # fmt: skip

    def close(self) -> None:
        """Closes every idle connection.  The client stays usable."""
        self._http.close()

    def _limited(
        self, permit: Permit, prepared: requests.PreparedRequest, shown: str, end: Deadline, allowed_s: float
    ) -> Reply:
        had_s = end.left_s()
        try:
            reply = self._exchange(prepared, shown, end)
        except GatewayError as error:
            # A vendor that was given a fraction of the usual time has not shown that it is ill.
            is_ours = error.code in ("TIMED_OUT", "CONNECT_FAILED") and had_s < allowed_s / 2
            if not is_ours and error.code != "LEASE_ENDED":
                permit.failed()
            raise
        if reply.status >= 500:
            permit.failed()
        else:
            permit.succeeded()
        retry_after_s = retry_after_of(reply) if reply.status in (429, 503) else None
        if reply.status == 429 or retry_after_s is not None:
            permit.throttled(retry_after_s or 0.0)
        return reply

    def _exchange(self, prepared: requests.PreparedRequest, shown: str, end: Deadline) -> Reply:
        if prepared.method not in READS:
            caller.vendor_writes.set(caller.vendor_writes.get() + 1)
        return self._http.exchange(prepared, shown, end)

    def _report(self, vendor_call: VendorCall) -> None:
        if self._observe is None:
            return
        try:
            self._observe(vendor_call)
        except Exception:
            log.exception("the observer of vendor calls failed")


_NOT_SENT: Final = {"OUT_OF_TIME", "BREAKER_OPEN", "VENDOR_BUSY", "RATE_LIMITED", "LEASE_ENDED", PAUSED}


def _checked_headers(vendor: str, headers: Mapping[str, str]) -> dict[str, str]:
    """Raises `Misconfigured` naming the header that cannot be sent; http.client would show its value."""
    for name, value in headers.items():
        if _BAD_IN_HEADER.search(value) or value != value.strip():
            raise Misconfigured("BAD_HEADER", f"{vendor}: the value for header {name} has illegal characters")
    return dict(headers)


def _fill(path: str, ids: Mapping[str, str]) -> str:
    """The path with its ids.  Raises `ValueError` for one that is empty, dots only, or missing."""

    def one(match: re.Match[str]) -> str:
        value = ids.get(match[1], "")
        if value in ("", ".", ".."):
            raise ValueError(f"the id {match[1]} of path {path} is missing or would change the path")
        return quote(value, safe=":")

    return _PLACEHOLDER.sub(one, path)


@functools.cache
def _version() -> str:
    with suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version("retailops-channel")
    return "0"  # Run from a checkout that was never installed.


_OWN_HEADERS: Final = {
    "User-Agent": f"retailops-channel/{_version()}",
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
}
