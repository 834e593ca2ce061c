"""A request's body as one JSON object, never larger than allowed, whatever its encoding claims."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

import msgspec

from app.errors import Rejected
from app.gateways.policy import Deadline

LARGE = 1024 * 1024
"""Bodies above this are read one at a time per process, or the small ones beside them would wait (R14)."""

_CHUNK = 64 * 1024

_one_large_body = threading.Lock()


def read_object(environ: Mapping[str, Any], limit: int) -> bytes:
    """The inflated bytes of a WSGI request's body, with or without a declared length.

    Raises `Rejected` 413 above `limit`, counted while inflating, 400 for bad gzip.
    """
    stream: IO[bytes] = environ["wsgi.input"]
    declared = environ.get("CONTENT_LENGTH") or ""
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)
    encoding = environ.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    if encoding in ("", "identity"):
        # Without a length the server ends the stream where a chunked body ends, and at once where there is none.
        raw = stream.read(int(declared) if declared.isdecimal() else limit + 1)
        if len(raw) > limit:
            raise _too_large(limit)
        return raw
    if encoding not in ("gzip", "x-gzip"):
        raise Rejected(400, "UNKNOWN_ENCODING", "Content-Encoding must be gzip or absent")
    return b"".join(_inflated(stream, limit))


def _inflated(stream: IO[bytes], limit: int) -> Iterator[bytes]:
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
    total = 0
    try:
        while not inflater.eof:
            raw = inflater.unconsumed_tail or stream.read(_CHUNK)
            if not raw:
                raise Rejected(400, "BROKEN_GZIP", "the gzip body ends before its end mark")
            piece = inflater.decompress(raw, _CHUNK)
            total += len(piece)
            if total > limit:
                raise _too_large(limit)
            yield piece
    except zlib.error:
        raise Rejected(400, "BROKEN_GZIP", "the body is not valid gzip") from None


def _too_large(limit: int) -> Rejected:
    return Rejected(413, "TOO_LARGE", f"the body is larger than {limit} bytes")


def parse(raw: bytes) -> dict[str, Any]:
    """The JSON object.  Raises `Rejected` 400 for anything else, in bounded time whatever the nesting."""
    try:
        parsed = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
        raise Rejected(400, "NOT_JSON", "the body is not valid JSON in UTF-8") from None
    if not isinstance(parsed, dict):
        raise Rejected(400, "NOT_AN_OBJECT", "the body must be one JSON object")
    return parsed


@contextmanager
def turn_for(size: int, deadline: Deadline) -> Iterator[None]:
    """Wait for this process's turn to read a large body; small ones never wait.  Raises `Rejected` 503."""
    if size <= LARGE:
        yield
        return
    if not _one_large_body.acquire(timeout=max(deadline.left_s(), 0.0)):
        raise Rejected(503, "OVERLOADED", "too many large requests at once; send again", retry_after_s=10)
    try:
        yield
    finally:
        _one_large_body.release()
