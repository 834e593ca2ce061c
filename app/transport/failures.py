"""What a call that brought no whole answer was, by how far it had come: one of the gateway errors."""

from __future__ import annotations

import ssl
from http.client import HTTPException
from typing import Final, Literal

import requests
import urllib3

from app.domain.gzip_content import BrokenGzip
from app.errors import BrokenReply, GatewayError, Unavailable

Phase = Literal["idle", "resolving", "connecting", "securing", "sent", "answering"]
"""How far a request has come."""

TRANSPORT_ERRORS: Final = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    HTTPException,
    OSError,
    BrokenGzip,
    UnicodeError,  # A host name that cannot be encoded.
)
"""What an attempt may end with besides its answer."""


class BadCertificate(Unavailable):
    """The server's certificate is not accepted; surely not done."""


def failure_of(
    phase: Phase, vendor: str, error: BaseException, request: str, *, is_cut: bool, is_lease_short: bool
) -> GatewayError:
    """What a failed attempt was, by how far it had come rather than by which library noticed."""
    root = error
    while (inner := root.__cause__ or root.__context__) is not None:
        root = inner
    is_late = is_cut or isinstance(root, TimeoutError)
    if is_lease_short:
        return Unavailable("LEASE_ENDED", f"{request} was not sent to {vendor}: others may do it by now")
    match phase:
        case "resolving":
            return Unavailable("DNS_FAILED", f"{vendor}'s host name could not be resolved")
        case "connecting":
            why = "in time" if is_late else "there"
            return Unavailable("CONNECT_FAILED", f"nobody answered {why} at {vendor}'s address")
        case "securing" if any(isinstance(each, ssl.SSLCertVerificationError) for each in (root, *root.args)):
            return BadCertificate("TLS_FAILED", f"no secure connection to {vendor} could be made (its certificate)")
        case "securing":
            why = "in time" if is_late else "(does it speak TLS, and a proxy on the way?)"
            return Unavailable("TLS_FAILED", f"no secure connection to {vendor} could be made {why}")
        case "idle":
            return Unavailable("NOT_SENT", f"{request} could not be sent to {vendor}")
    if is_late:
        what = f"{vendor} did not answer {request} in time"
        return Unavailable("TIMED_OUT", what, outcome_unknown=True)
    if phase == "answering":
        what = f"{vendor}'s answer to {request} broke off or cannot be decoded"
        return BrokenReply("REPLY_CUT", what)
    if isinstance(root, OSError):
        what = f"{vendor} closed the connection without an answer to {request}"
        return Unavailable("CONNECTION_LOST", what, outcome_unknown=True)
    return BrokenReply("NOT_HTTP", f"{vendor} answered {request} with something that is not HTTP")
