"""Turns the bytes of one connection into whole requests, as gunicorn understands HTTP, without waiting for any byte.

gunicorn's own parser reads each head once it is complete, or once it can only be refused, so that its limits and
refusals are the server's.  A body is whole before anybody else sees its request.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Callable
from typing import Any, Final

from gunicorn.http import errors  # type: ignore[import-untyped]
from gunicorn.http.body import ChunkedReader  # type: ignore[import-untyped]

from app.callbacks.framing import MOST_HEAD_BYTES, ByChunks, ByLength, Framing
from app.callbacks.heads import PlainSettings, read_head
from app.callbacks.spool import SMALL_BYTES, BrokenOff, Room, Spool
from app.errors import HttpError

_END: Final = b"\r\n\r\n"

log = logging.getLogger(__name__)


class Receiver:
    """The incoming half of one connection, which holds one request at most."""

    def __init__(
        self, cfg: PlainSettings, client: Any, room: Room, most_bytes: int, say_continue: Callable[[], None]
    ) -> None:
        """`most_bytes` bounds one body; `say_continue` sends "100 Continue" to a client that waits for it."""
        self._cfg = cfg
        self._client = client
        self._room = room
        self._most_bytes = most_bytes
        self._say_continue = say_continue
        self._pending = b""
        self._looked_at = 0
        """Bytes of it in which neither the end of a head nor a wrong line is."""
        self._is_line_read = False
        self._number = 0
        self._request: Any = None
        self._framing: Framing | None = None
        self._spool: Spool | None = None

    @property
    def has_pending(self) -> bool:
        """True when part of a head, or of what follows a request, is here."""
        return bool(self._pending)

    @property
    def body(self) -> Spool | None:
        """The body that is on its way in; None while there is none."""
        return self._framing.spool if self._framing is not None else None

    def receive(self, data: bytes) -> Any:
        """A whole gunicorn request, its `body` ready to be read, or None while there is none.

        A request whose body can never be whole, being too large or wrongly chunked, is given too: its body ends in
        an `OSError`, and the connection is to be closed after the answer.

        Raises gunicorn's `ParseException` for what is no HTTP, `HttpError` where there is no room for the body.
        """
        if self._framing is not None:
            return self._receive_body(data)
        if self._pending:
            data = self._pending + data
        end = data.find(_END, max(self._looked_at - len(_END) + 1, 0)) + len(_END)
        if end < len(_END):
            self._pending = data
            self._refuse_early(data, self._looked_at)
            self._looked_at = len(data)
            return None
        self._looked_at = 0
        if end > MOST_HEAD_BYTES:
            raise errors.LimitRequestHeaders("the head is too large")
        self._pending = b""
        return self._begin(self._parsed(data[:end]), data[end:])

    def break_off(self) -> Any:
        """The request whose body is on its way, as one that will never be whole."""
        request, spool = self._ended()
        try:
            request.body = BrokenOff(spool.opened())
        except OSError:  # a full disk does not even take what is here
            request.body = BrokenOff(io.BytesIO())
        request.force_close()
        return request

    def forget(self) -> None:
        """Free what the last request or an unfinished one holds."""
        if self._framing is not None:
            self._ended()
        if self._spool is not None:
            self._spool.close()
            self._spool = None

    def _parsed(self, head: bytes) -> Any:
        self._number += 1
        self._is_line_read = False
        return read_head(self._cfg, head, self._client, self._number)

    def _refuse_early(self, data: bytes, looked_at: int) -> None:
        """Raise for a head that is not complete and can only be refused.

        So many of its bytes were looked at before and are not looked at again, or a head of 64 KiB that comes byte by
        byte would cost the loop seconds.
        """
        is_line_here = not self._is_line_read and data.find(b"\r\n", 2) >= 0
        line_limit = self._cfg.limit_request_line or MOST_HEAD_BYTES
        is_half_end = looked_at > 0 and data[looked_at - 1 : looked_at] == b"\r"
        fresh = data[looked_at - is_half_end :] if looked_at else data
        is_wrong = fresh.count(b"\n") != fresh.count(b"\r\n")
        if is_line_here or is_wrong or (not self._is_line_read and len(data) > line_limit):
            self._is_line_read = self._is_line_read or is_line_here
            with contextlib.suppress(errors.NoMoreData):
                read_head(self._cfg, data, self._client, self._number + 1)
        if len(data) > MOST_HEAD_BYTES:
            raise errors.LimitRequestHeaders("the head is too large")

    def _begin(self, request: Any, data: bytes) -> Any:
        """What `receive` gives when a head is complete and `data` follows it."""
        reader = request.body.reader
        if isinstance(reader, ChunkedReader):
            self._framing = ByChunks(Spool(self._room), request)
        elif reader.length > self._most_bytes:
            request._expected_100_continue = False
            request.body = BrokenOff(io.BytesIO())
            request.force_close()
            return request
        elif reader.length <= min(len(data), SMALL_BYTES):
            request.body = io.BytesIO(data[: reader.length])
            self._pending = data[reader.length :]
        else:
            self._framing = ByLength(Spool(self._room), reader.length)
        if request._expected_100_continue:
            request._expected_100_continue = False  # or gunicorn would say it again
            self._say_continue()
        if self._framing is None:
            return request
        self._request = request
        return self._receive_body(data)

    def _receive_body(self, data: bytes) -> Any:
        assert self._framing is not None
        try:
            rest = self._framing.feed(data)
            if rest is not None:
                self._framing.spool.complete()
        except errors.ParseException:
            return self.break_off()
        except OSError as error:
            log.error("a body cannot be kept until it is whole: %s", type(error).__name__)
            raise HttpError(503, "OVERLOADED", "the body cannot be kept; send again", retry_after_s=10) from None
        if self._framing.spool.size > self._most_bytes:
            return self.break_off()
        if rest is None:
            return None
        request, spool = self._ended()
        request.body = spool.opened()
        self._pending = rest
        return request

    def _ended(self) -> tuple[Any, Spool]:
        """The request and the body on their way in, which are so no more; the body is kept until `forget`."""
        assert self._framing is not None
        request, self._spool = self._request, self._framing.spool
        self._request = self._framing = None
        return request, self._spool
