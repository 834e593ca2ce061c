"""Replies of vendors: their bodies, read no further than allowed, and what their statuses mean to whoever called."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, Final

import msgspec
import urllib3

from app.clock import utc_now
from app.domain.gzip_content import BrokenGzip, TooLarge, inflated
from app.domain.json_values import has_more_values
from app.errors import BrokenReply, GatewayError, Misconfigured, Refused, Unavailable
from app.transport.retries import read_retry_after

MAX_REPLY_BYTES: Final = 8 * 1024 * 1024
MOST_VALUES: Final = MAX_REPLY_BYTES // 11
"""JSON values of one answer, which take up to 250 bytes each when they have been read."""

_READ_BYTES: Final = 64 * 1024
_SURELY_NOT_DONE: Final = {408, 425, 429}
_MOVED: Final = {301, 307, 308}


def _number(text: str) -> Decimal:
    """A JSON number with a fraction, exactly as written; sizes no vendor means are refused."""
    number = Decimal(text)
    if number and not -30 <= number.adjusted() <= 30:
        raise ValueError("a number is out of range")
    return number


_decoder: Final = msgspec.json.Decoder(float_hook=_number)


@dataclass(frozen=True, slots=True)
class Reply:
    """One complete HTTP answer, whatever its status.  Its `repr` shows neither headers nor body."""

    vendor: str
    method: str
    path: str
    """The path as the gateway wrote it: placeholders for ids, no query."""
    status: int
    headers: Mapping[str, str] = field(repr=False)
    """Looked up without regard to case."""
    body: bytes = field(repr=False)
    duration_s: float

    @property
    def ms(self) -> int:
        """`duration_s` in whole milliseconds."""
        return round(self.duration_s * 1000)

    def json(self) -> Any:
        """The body read as JSON; numbers with a fraction are `Decimal`.

        Raises `BrokenReply`: EMPTY_REPLY, HTML_REPLY, REPLY_TOO_LARGE or NOT_JSON.
        """
        if not self.body.strip():
            raise self.broken("EMPTY_REPLY", "an empty body where JSON was expected")
        self.refuse_page()
        if has_more_values(self.body, MOST_VALUES):
            raise self.broken("REPLY_TOO_LARGE", f"JSON of more than {MOST_VALUES} values")
        with suppress(msgspec.DecodeError, ValueError, RecursionError):
            return _decoder.decode(self.body)
        raise self.broken("NOT_JSON", "a body that is not JSON")

    def refuse_page(self) -> None:
        """Raises `BrokenReply` HTML_REPLY for a page, which is no answer of an API."""
        if "html" in self.headers.get("Content-Type", "").lower() or self.body.lstrip()[:1] == b"<":
            raise self.broken("HTML_REPLY", "a page where JSON was expected")

    def json_object(self) -> dict[str, Any]:
        """As `json`; raises `BrokenReply` WRONG_TYPE too, when it is no object."""
        value = self.json()
        if not isinstance(value, dict):
            raise self.broken("WRONG_TYPE", "JSON that is not an object")
        return value

    def broken(self, code: str, what: str) -> BrokenReply:
        """The error to raise when this reply is not its vendor's contract; `what` holds no value of it."""
        return BrokenReply(code, f"{self.vendor} answered {self.method} {self.path} with {what}")


def judge(reply: Reply) -> GatewayError | None:
    """What a status means when the gateway knows nothing better; None for 2xx.

    * 301, 307, 308: the base URL is wrong and nothing was done: `Misconfigured`.  302 and 303 are also
      what a server says after it has done a POST: `BrokenReply`, as for every status without a meaning.
    * 401, 403, 407: `Misconfigured`.
    * 408, 425, 429: `Unavailable`, surely not done.  Other 4xx: `Refused`.
    * 5xx: `Unavailable`, outcome unknown, with Retry-After too (R11).
    """
    status = reply.status
    said = f"{reply.vendor} answered {status} to {reply.method} {reply.path}"
    if 200 <= status <= 299:
        return None
    if status in _MOVED:
        return Misconfigured("REDIRECTED", f"{said}; redirects are not followed: correct its address")
    if status in (401, 403, 407):
        return Misconfigured(f"HTTP_{status}", f"{said}: it does not accept the key or its grants")
    if status in _SURELY_NOT_DONE:
        code = "THROTTLED" if status == 429 else f"HTTP_{status}"
        return Unavailable(code, said, outcome_unknown=False, retry_after_s=retry_after_of(reply))
    if 400 <= status <= 499:
        return Refused(f"HTTP_{status}", said)
    if 500 <= status <= 599:
        return Unavailable(f"HTTP_{status}", said, outcome_unknown=True, retry_after_s=retry_after_of(reply))
    return BrokenReply("REDIRECTED" if status in (302, 303) else f"HTTP_{status}", said)


def unreadable(vendor: str, path: str) -> BrokenReply:
    """The error for a read whose answer is not of the documented form; surely nothing was done."""
    error = BrokenReply("UNEXPECTED_FORM", f"{vendor} answered GET {path} without what it should hold")
    error.outcome_unknown = False
    return error


def raise_for(reply: Reply) -> None:
    """Raises what `judge` finds."""
    error = judge(reply)
    if error is not None:
        raise error


def retry_after_of(reply: Reply) -> float | None:
    """A date counts from the vendor's own, for its clock and ours need not agree."""
    return read_retry_after(reply.headers.get("Retry-After"), _said_at(reply) or utc_now())


def _said_at(reply: Reply) -> datetime | None:
    """When the vendor answered by its own clock; None where its Date header cannot be read."""
    try:
        theirs = parsedate_to_datetime(reply.headers["Date"])
    except (KeyError, ValueError, OverflowError, TypeError, IndexError):
        return None
    return theirs.replace(tzinfo=theirs.tzinfo or UTC)


def _ahead_s(reply: Reply) -> float | None:
    """How far the vendor's clock is before this machine's, by its Date header; None where that cannot be read."""
    theirs = _said_at(reply)
    return None if theirs is None else (theirs - utc_now()).total_seconds()


def noted_of(reply: Reply) -> tuple[int, str, float | None]:
    """What traffic is noted with: the status, the outcome, and how far the vendor's clock is ahead."""
    return reply.status, outcome_of(judge(reply)), _ahead_s(reply)


def outcome_of(error: GatewayError | None) -> str:
    """The journal's word: ok, refused, misconfigured, broken, unknown or not_done (and not_sent)."""
    match error:
        case None:
            return "ok"
        case Refused():
            return "refused"
        case Misconfigured():
            return "misconfigured"
        case BrokenReply():
            return "broken"
        case _:
            return "unknown" if error.outcome_unknown else "not_done"


def read_body(answer: urllib3.BaseHTTPResponse, most_bytes: int) -> bytes | None:
    """The decoded body; None as soon as it is above the cap, so that a small bomb stays small.

    Raises `BrokenGzip` for any other encoding too, for gzip is all that is accepted.
    """
    encoding = answer.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise BrokenGzip

    def read(size: int) -> bytes:
        return answer.read(size, decode_content=False)

    first = read(_READ_BYTES)
    if not first or encoding in ("", "identity"):
        pieces: Iterator[bytes] = itertools.chain([first], iter(lambda: read(_READ_BYTES), b""))
    else:
        rest = iter([first])
        pieces = inflated(lambda size: next(rest, b"") or read(size), most_bytes, ignores_rest=True)
    body = bytearray()
    try:
        for piece in pieces:
            body += piece
            if len(body) > most_bytes:
                return None
    except TooLarge:
        return None
    if read(1):  # behind the last member; the connection cannot be used again
        raise BrokenGzip
    return bytes(body)
