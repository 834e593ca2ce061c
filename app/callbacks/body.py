"""A request's body as one JSON object, never larger than allowed, whatever its encoding claims.

A large body is looked through for a channel's key before anything is kept of it, and inflated as a whole only when it
is its turn: without a key nothing can be filled (P46).
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from typing import IO, Any, Final

import msgspec

from app.callbacks.key_search import KeySearch
from app.channel.receiving import wrong_key
from app.domain.gzip_content import PIECE, BrokenGzip, TooLarge, inflated
from app.domain.json_bodies import JsonReader, NotJson
from app.domain.json_values import has_more_different_names, has_more_values
from app.errors import HttpError

LARGE: Final = 1024 * 1024
"""Bodies above this have their turn (R14)."""

SEARCHED: Final = 64 * 1024
"""Bodies above this are not parsed unless they hold a key: parsed, a body may take 30 times its size."""

BYTES_A_VALUE: Final = 11
"""A large body may hold one JSON value for so many bytes of the largest body allowed.  The shortest rows a callback can
have take more, so that a body of the allowed size is refused for this only when it is none."""

MOST_DIFFERENT_NAMES: Final = 300_000
"""Names of a large body that are not like one another.  A catalogue has some hundred; while an object of so many names
is made, every thread waits, for a quarter of a second."""

_WSGI_INPUT: Final = "wsgi.input"

_reader: Final = JsonReader()


class _AnyObject(msgspec.Struct):
    """A JSON object of which nothing is read."""


_object_reader: Final = msgspec.json.Decoder(_AnyObject)


class Body:
    """A body that has arrived: a small one in memory, a large one as it was sent."""

    def __init__(self, raw: bytes | bytearray, large: LargeContent | None = None, holder: str = "") -> None:
        self._raw = raw
        self._large = large
        self.holder = holder
        """Whose key a large body names; "" for a small one."""

    @property
    def is_large(self) -> bool:
        return self._large is not None

    def read(self) -> bytes | bytearray:
        """The inflated bytes, once.  Raises `HttpError` 413 and 400."""
        if self._large is None:
            raw, self._raw = self._raw, b""
            return raw
        try:
            return self._large.read()
        finally:
            self.close()

    def close(self) -> None:
        """Let go what was sent; harmless twice."""
        self._raw = b""
        if self._large is not None:
            self._large.close()


class LargeContent:
    """What was sent, to be read more than once."""

    def __init__(self, environ: dict[str, Any], declared: int | None, limit: int, *, is_packed: bool) -> None:
        self._declared = declared
        self._limit = limit
        self._is_packed = is_packed
        self._environ = environ
        self._stream = _rewindable(environ[_WSGI_INPUT], declared, limit)
        self._start = self._stream.tell()

    def pieces(self) -> Iterator[bytes]:
        """The content from its beginning.  Raises `HttpError` 413 and 400."""
        self._stream.seek(self._start)
        if self._is_packed:
            try:
                yield from inflated(lambda size: _read(self._stream, size), self._limit)
            except TooLarge:
                raise _too_large(self._limit) from None
            except BrokenGzip:
                message = "the body is not valid gzip, or ends before its end mark"
                raise HttpError(400, "BROKEN_GZIP", message) from None
            return
        count = 0
        while piece := _read(self._stream, PIECE):
            count += len(piece)
            if count > self._limit:
                raise _too_large(self._limit)
            yield piece
        if self._declared is not None and count < self._declared:
            raise _broken()

    def read(self) -> bytes | bytearray:
        """All of it."""
        if self._is_packed or self._declared is None:
            raw = bytearray()
            for piece in self.pieces():
                raw += piece
            return raw
        self._stream.seek(self._start)
        return _whole(self._stream, self._declared)

    def close(self) -> None:
        """Let go what was sent, though the request still has a while to live."""
        if self._stream is not self._environ[_WSGI_INPUT]:
            self._stream.close()
        self._stream = self._environ[_WSGI_INPUT] = io.BytesIO()


def receive(environ: dict[str, Any], limit: int, holder_of: Callable[[str], str]) -> Body:
    """The body of a WSGI request, with or without a declared length.

    Raises `HttpError` 413 above `limit`, counted while inflating, 400 for bad gzip and for a body that breaks off, and
    401 for one above `SEARCHED` in which `holder_of`, which says whose key a text is, finds nobody's.
    """
    length = environ.get("CONTENT_LENGTH") or ""
    declared = int(length) if length.isdecimal() else None
    if declared is not None and declared > limit:
        raise _too_large(limit)
    encoding = environ.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise HttpError(400, "UNKNOWN_ENCODING", "Content-Encoding must be gzip or absent")
    is_packed = encoding in ("gzip", "x-gzip")
    if declared is not None and declared <= LARGE and not is_packed:
        return _small(_whole(environ[_WSGI_INPUT], declared), holder_of)
    # Without a length the server ends the stream where a chunked body ends, and at once where there is none.
    content = LargeContent(environ, declared, limit, is_packed=is_packed)
    found = None
    try:
        found = _streamed(content, holder_of)
        return found
    finally:
        if found is None or not found.is_large:
            content.close()


def _streamed(content: LargeContent, holder_of: Callable[[str], str]) -> Body:
    search = KeySearch(holder_of)
    kept = bytearray()
    is_large = is_object = False
    for piece in content.pieces():
        if not is_large:
            kept += piece
            is_large = len(kept) > LARGE
            if not is_large:
                continue
            is_object = kept.lstrip()[:1] == b"{"
            piece, kept = bytes(kept), bytearray()
        # To the end even where no key can be found any more: a body too large, or broken, gets that answer.
        if holder := search.feed(piece):
            return Body(b"", content, holder)
    if is_large:
        raise wrong_key() if is_object else _no_object()
    return _small(kept, holder_of)


def _small(raw: bytes | bytearray, holder_of: Callable[[str], str]) -> Body:
    if len(raw) > SEARCHED and not KeySearch(holder_of).feed(raw):
        _check_object(raw)
        raise wrong_key()
    return Body(raw)


def _check_object(raw: bytes | bytearray) -> None:
    """Raises `HttpError` 400 for what is no JSON object; makes nothing of what stands in it."""
    try:
        _object_reader.decode(raw)
    except msgspec.ValidationError:
        raise _no_object() from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _not_json() from None


def _rewindable(stream: IO[bytes], declared: int | None, limit: int) -> IO[bytes]:
    """The stream, or, where its server gives it only once, a copy of it."""
    if hasattr(stream, "seek"):
        return stream
    copy = tempfile.SpooledTemporaryFile(max_size=LARGE)  # noqa: SIM115  It is closed with the request.
    left = limit + 1 if declared is None else declared
    while left > 0 and (piece := _read(stream, min(PIECE, left))):
        copy.write(piece)
        left -= len(piece)
    copy.seek(0)
    return copy


def _whole(stream: IO[bytes], size: int) -> bytes:
    raw = _read(stream, size)
    if len(raw) < size:
        raise _broken()
    return raw


def _read(stream: IO[bytes], size: int) -> bytes:
    try:
        return stream.read(size)
    except Exception:  # each HTTP server has its own kinds for chunks that are none and a client that hangs up
        raise _broken() from None


def _broken() -> HttpError:
    return HttpError(400, "BROKEN_BODY", "the body breaks off, comes too slowly, or its chunks are not valid")


def _too_large(limit: int) -> HttpError:
    return HttpError(413, "TOO_LARGE", f"the body is larger than {limit} bytes")


def parse(
    raw: bytes | bytearray, read: Callable[[bytes | bytearray], tuple[Any, bool]] = _reader.read
) -> dict[str, Any]:
    """The JSON object.  Raises `HttpError` 400 for anything else, in bounded time whatever the nesting.

    A text or number that cannot be represented costs its own field, but only in a body that names its account and
    channel: anything else that is no JSON is no callback.
    """
    try:
        parsed, is_mended = read(raw)
    except NotJson:
        raise _not_json() from None
    if not isinstance(parsed, dict):
        raise _no_object()
    if is_mended and not ("client_id" in parsed and "channel_info" in parsed):
        raise _not_json()
    return parsed


def parse_large(body: Body, limit: int) -> dict[str, Any]:
    """As `parse`; raises 413 too, for more JSON values than a body of `limit` bytes may hold, and too many names."""
    raw = body.read()
    most = limit // BYTES_A_VALUE
    if has_more_values(raw, most):
        raise HttpError(413, "TOO_MANY_VALUES", f"the body holds more than {most} JSON values")
    if has_more_different_names(raw, MOST_DIFFERENT_NAMES):
        message = f"the objects of the body have more than {MOST_DIFFERENT_NAMES} different names"
        raise HttpError(413, "TOO_MANY_NAMES", message)
    return parse(raw, _reader.read_long)


def _not_json() -> HttpError:
    return HttpError(400, "NOT_JSON", "the body is not valid JSON in UTF-8")


def _no_object() -> HttpError:
    return HttpError(400, "NOT_AN_OBJECT", "the body must be one JSON object")
