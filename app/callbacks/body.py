"""A request's body as one JSON object, never larger than allowed, whatever its encoding claims."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

from app.domain.json_bodies import JsonReader, NotJson
from app.errors import Rejected
from app.gateways.policy import Deadline

LARGE = 1024 * 1024
"""Bodies above this are read one at a time per process, or the small ones beside them would wait (R14)."""

_CHUNK = 64 * 1024

_MEMBERS = 1000
"""Members of a gzip body at most: writers that split do so every 64 KiB or more, and each one costs a copy."""

_one_large_body = threading.Lock()

_read_json = JsonReader().read


def read_object(environ: Mapping[str, Any], limit: int) -> bytes:
    """The inflated bytes of a WSGI request's body, with or without a declared length.

    Raises `Rejected` 413 above `limit`, counted while inflating, 400 for bad gzip and for a body that breaks off.
    """
    stream: IO[bytes] = environ["wsgi.input"]
    declared = environ.get("CONTENT_LENGTH") or ""
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)
    encoding = environ.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    if encoding in ("", "identity"):
        # Without a length the server ends the stream where a chunked body ends, and at once where there is none.
        raw = _read(stream, int(declared) if declared.isdecimal() else limit + 1)
        if len(raw) > limit:
            raise _too_large(limit)
        if declared.isdecimal() and len(raw) < int(declared):
            raise _broken()
        return raw
    if encoding not in ("gzip", "x-gzip"):
        raise Rejected(400, "UNKNOWN_ENCODING", "Content-Encoding must be gzip or absent")
    return b"".join(_inflated(stream, limit))


def _inflated(stream: IO[bytes], limit: int) -> Iterator[bytes]:
    """The content of every member of a gzip body (RFC 1952, 2.2)."""
    inflater = _new_member()
    received = given = 0
    members = 1
    rest = b""
    try:
        while raw := rest or _read(stream, _CHUNK):
            received += 0 if rest else len(raw)
            if inflater.eof:
                inflater = _new_member()
                members += 1
            piece = inflater.decompress(raw, _CHUNK)
            rest = inflater.unconsumed_tail or inflater.unused_data
            given += len(piece)
            if max(received, given) > limit or members > _MEMBERS:  # members may be empty: what comes in counts too
                raise _too_large(limit)
            yield piece
    except zlib.error:
        raise Rejected(400, "BROKEN_GZIP", "the body is not valid gzip") from None
    if not inflater.eof:
        raise Rejected(400, "BROKEN_GZIP", "the gzip body ends before its end mark")


def _new_member() -> zlib._Decompress:
    return zlib.decompressobj(zlib.MAX_WBITS | 16)


def _read(stream: IO[bytes], size: int) -> bytes:
    try:
        return stream.read(size)
    except Exception:  # each HTTP server has its own kinds for chunks that are none and a client that hangs up
        raise _broken() from None


def _broken() -> Rejected:
    return Rejected(400, "BROKEN_BODY", "the body breaks off, comes too slowly, or its chunks are not valid")


def _too_large(limit: int) -> Rejected:
    return Rejected(413, "TOO_LARGE", f"the body is larger than {limit} bytes")


def parse(raw: bytes) -> dict[str, Any]:
    """The JSON object.  Raises `Rejected` 400 for anything else, in bounded time whatever the nesting.

    A text or number that cannot be represented costs its own field, but only in a body that names its account and
    channel: anything else that is no JSON is no callback.
    """
    try:
        parsed, is_mended = _read_json(raw)
    except NotJson:
        raise _not_json() from None
    if not isinstance(parsed, dict):
        raise Rejected(400, "NOT_AN_OBJECT", "the body must be one JSON object")
    if is_mended and not ("client_id" in parsed and "channel_info" in parsed):
        raise _not_json()
    return parsed


def _not_json() -> Rejected:
    return Rejected(400, "NOT_JSON", "the body is not valid JSON in UTF-8")


@contextmanager
def turn_for(size: int, deadline: Deadline) -> Iterator[None]:
    """Wait for this process's turn to parse a large body; small ones never wait.  Raises `Rejected` 503.

    Nothing inside may wait for a vendor or the database: other channels' large bodies stand behind (P15).
    """
    if size <= LARGE:
        yield
        return
    if not _one_large_body.acquire(timeout=max(deadline.left_s(), 0.0)):
        raise Rejected(503, "OVERLOADED", "too many large requests at once; send again", retry_after_s=10)
    try:
        yield
    finally:
        _one_large_body.release()
