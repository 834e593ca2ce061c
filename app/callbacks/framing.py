"""Where a body ends on a connection: after its declared length, or after its last chunk (RFC 9112, 6 and 7.1)."""

from __future__ import annotations

from typing import Any, Final, Protocol

from gunicorn.http import errors  # type: ignore[import-untyped]
from gunicorn.http.body import CHUNK_EXT_RE  # type: ignore[import-untyped]

from app.callbacks.spool import Spool

FREE_CHUNKS: Final = 16 * 1024
LEAST_CHUNK_BYTES: Final = 64
"""Chunks beyond the free ones have to hold this much on average: each costs the thread that serves all."""

MOST_HEAD_BYTES: Final = 64 * 1024
"""A request's line and headers together, and a chunked body's trailers, at most; other servers allow 8 to 32 KiB."""

_HEX = frozenset(b"0123456789abcdefABCDEF")
_LONGEST_LINE = 8190


class Framing(Protocol):
    """Takes bytes of a connection for one body."""

    spool: Spool

    def feed(self, data: bytes) -> bytes | None:
        """None while the body is not whole, then what follows it.

        Raises gunicorn's `ParseException` for what is no body, and what `Spool.write` raises.
        """


class ByLength:
    """A body of declared length."""

    def __init__(self, spool: Spool, length: int) -> None:
        self.spool = spool
        self._missing = length

    def feed(self, data: bytes) -> bytes | None:
        count = min(self._missing, len(data))
        if count:
            self.spool.write(memoryview(data)[:count])
            self._missing -= count
        return data[count:] if self._missing == 0 else None


class ByChunks:
    """A chunked body; its trailers are checked and kept in the request, as gunicorn does it."""

    def __init__(self, spool: Spool, request: Any) -> None:
        self.spool = spool
        self._request = request
        self._rest = b""
        """Bytes that say nothing yet: the beginning of a size line, a chunk's end mark, or trailers."""
        self._missing = 0
        self._is_in_chunk = False
        self._is_in_trailers = False
        self._count = 0

    def feed(self, data: bytes) -> bytes | None:
        data = self._rest + data if self._rest else data
        at = 0
        while not self._is_in_trailers:
            if self._is_in_chunk:
                count = min(self._missing, len(data) - at)
                if count:
                    self.spool.write(memoryview(data)[at : at + count])
                    self._missing -= count
                    at += count
                mark = data[at : at + 2]
                if self._missing or len(mark) < 2:
                    if mark and mark != b"\r":
                        raise errors.ChunkMissingTerminator(mark)
                    return self._wait(mark)
                if mark != b"\r\n":
                    raise errors.ChunkMissingTerminator(mark)
                self._is_in_chunk = False
                at += 2
            end = data.find(b"\r\n", at)
            if end - at > _LONGEST_LINE or (end < 0 and len(data) - at > _LONGEST_LINE):
                raise errors.InvalidChunkSize("the line is too long")
            if end < 0:
                return self._wait(data[at:])
            self._missing = self._size(data[at:end])
            at = end + 2
            self._is_in_chunk = self._missing > 0
            self._is_in_trailers = not self._is_in_chunk
        return self._trailers(data[at:])

    def _wait(self, rest: bytes) -> bytes | None:
        self._rest = rest
        return None

    def _size(self, line: bytes) -> int:
        self._count += 1
        if self._count > FREE_CHUNKS and self.spool.size < LEAST_CHUNK_BYTES * (self._count - FREE_CHUNKS):
            raise errors.InvalidChunkSize("too many small chunks")
        size, *extension = line.split(b";", 1)
        if extension:
            size = size.rstrip(b" \t")
            if b"\r" in extension[0] or not CHUNK_EXT_RE.fullmatch(b";" + extension[0]):
                raise errors.InvalidChunkExtension("invalid chunk extension")
        if not size or not _HEX.issuperset(size):
            raise errors.InvalidChunkSize(size)
        return int(size, 16)

    def _trailers(self, data: bytes) -> bytes | None:
        if data[:2] == b"\r\n":
            return data[2:]
        end = data.find(b"\r\n\r\n")
        if end >= 0:
            self._request.trailers = self._request.parse_headers(data[:end], from_trailer=True)
            return data[end + 4 :]
        if len(data) > MOST_HEAD_BYTES:
            raise errors.LimitRequestHeaders("the trailers are too large")
        if data.count(b"\n") != data.count(b"\r\n"):
            raise errors.InvalidHeader("bare LF as line terminator")
        return self._wait(data)
