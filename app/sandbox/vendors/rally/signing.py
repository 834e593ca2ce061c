"""Rally's signature, made here a second time so that a slip in the product's own signing cannot hide."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from urllib.parse import parse_qsl

import msgspec

HEADER = "X-HMAC-SHA256"


def signed_message(body: bytes, query: str) -> bytes:
    """What is signed: the body's bytes, or the query as PHP would write it in JSON, or nothing."""
    if body:
        return body
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    return _php_json(parameters) if parameters else b""


def sign(secret: str, message: bytes) -> str:
    """The header's value: Base64 of the 32 raw bytes."""
    return base64.b64encode(hmac.new(secret.encode(), message, hashlib.sha256).digest()).decode("ascii")


def is_signed(secret: str, message: bytes, signature: str) -> bool:
    """Compared in constant time; anything but the exact text is wrong."""
    return hmac.compare_digest(sign(secret, message).encode(), signature.encode("utf-8", "surrogatepass"))


def _php_json(parameters: dict[str, str]) -> bytes:
    """PHP's `json_encode` escapes slashes and writes whatever is not ASCII as UTF-16 units."""
    text = msgspec.json.encode(parameters).decode().replace("/", "\\/")
    return "".join(char if char.isascii() else json.dumps(char)[1:-1] for char in text).encode("ascii")
