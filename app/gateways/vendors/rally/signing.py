"""Rally's signature: the same header, keys and algorithm on its hooks, on our answers and on our own requests.

`X-HMAC-SHA256` is the Base64 of the raw HMAC-SHA256 of the exact body.  Without a body the message is the query
as PHP's `json_encode` writes it, without a query nothing (contract 1.3, [code:M2]).  Method, path and time are
not signed, so a request can be replayed; what repeats is recognised by its business ids.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from urllib.parse import parse_qsl

import msgspec

HEADER = "X-HMAC-SHA256"


def sign(secret: str, message: bytes) -> str:
    """The header's value for a message."""
    return base64.b64encode(hmac.new(secret.encode(), message, hashlib.sha256).digest()).decode("ascii")


def own_header(secrets: Sequence[str], body: bytes, query: str = "") -> dict[str, str]:
    """The header of a request of ours; a body is always signed alone."""
    return {HEADER: sign(secrets[0], message_of(body, query))}


def signer(secrets: Sequence[str], body: bytes, query: str, signature: str) -> str | None:
    """The key that made this signature, or None; every key is tried, in constant time."""
    given = signature.strip().encode("utf-8", "surrogateescape")
    message = message_of(body, query)
    found = None
    for secret in secrets:
        if hmac.compare_digest(sign(secret, message).encode("ascii"), given):
            found = secret
    return found


def message_of(body: bytes, query: str) -> bytes:
    """What is signed: the body, or else the query as compact JSON, or nothing.

    `query` is what stands behind the question mark, as it was sent.
    """
    if body or not query:
        return body
    # Values as texts in order of appearance; of a name given twice the last value counts, as in PHP.
    parameters = {name: value for name, value in parse_qsl(query, keep_blank_values=True) if name}
    return _php_json(parameters) if parameters else b""


def _php_json(parameters: dict[str, str]) -> bytes:
    """PHP's defaults escape slashes and write all that is not ASCII as UTF-16 units."""
    text = msgspec.json.encode(parameters).decode().replace("/", "\\/")
    return re.sub(r"[^\x00-\x7f]", _units, text).encode("ascii")


def _units(match: re.Match[str]) -> str:
    units = match.group().encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
