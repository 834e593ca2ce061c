"""What Retail Rocket fetches here: the feeds of the channels in feed mode, with 304 for who has it (contract 2.1).

A download holds no thread while it lasts (`LONG_BODY`), so a fetcher that stalls takes only its own place.
"""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from typing import Final

import msgspec
from flask import Blueprint, Response, request
from werkzeug.wsgi import ClosingIterator

from app.gateways.capabilities import Gateway
from app.gateways.vendor import LONG_BODY
from app.gateways.vendors.retailrocket import RetailRocketGateway
from app.records.database import DatabaseUnavailable
from app.records.feeds import Current, FeedStore

PATH: Final = "/feeds/retailrocket/<channel>.xml"
SECRET_PATH: Final = "/feeds/retailrocket/<token>/<channel>.xml"

AT_A_TIME: Final = 100
"""Downloads of the whole feed at a time in one process; each holds a piece of it in memory."""

RETRY_S: Final = 60

REMEMBERED_S: Final = 1.0
"""How long a process goes by what it saw last: the feed changes every few minutes at most."""

_PACKED: Final = "-gzip"
"""Ends the ETag of the compressed form, which is another text to a cache."""


def create(gateways: Mapping[str, Gateway], set_aside: Collection[str]) -> Blueprint | None:
    """See `app.gateways.inbound`; None where no channel is in feed mode.

    The vendor takes only an address, so there is no other way to keep a feed from others than a secret part in it
    (contract 2.1).
    """
    blueprint = Blueprint("retailrocket_feed", __name__)
    downloads = threading.BoundedSemaphore(AT_A_TIME)
    shelves = {
        channel: _Shelf(gateway.feed, gateway.feed_token)
        for channel, gateway in gateways.items()
        if isinstance(gateway, RetailRocketGateway) and gateway.feed is not None
    }
    if not shelves:
        return None

    @blueprint.get(PATH, defaults={"token": ""})
    @blueprint.get(SECRET_PATH)
    def feed(channel: str, token: str) -> Response:
        shelf = shelves.get(channel)
        if shelf is None or not hmac.compare_digest(shelf.token, token.encode(errors="replace")):
            return _said(404, "NO_FEED", "there is no feed at this address")
        if channel in set_aside:
            return _said(503, "CHANNEL_SET_ASIDE", "this channel is set aside because of its configuration")
        try:
            current = shelf.current()
        except DatabaseUnavailable:
            return _said(503, "DATABASE_UNAVAILABLE", "the feed cannot be read now")
        if current is None:
            return _said(503, "NOT_BUILT_YET", "the feed is not built yet")
        is_packed = request.accept_encodings["gzip"] > 0
        if _is_known(current):
            return _with_marks(Response(status=304), current, is_packed)
        if request.method == "HEAD":
            return _with_marks(Response(mimetype="application/xml"), current, is_packed)
        if not downloads.acquire(blocking=False):
            return _said(503, "BUSY", "the feed is being fetched already")
        pieces = shelf.store.pieces(current) if is_packed else shelf.store.text(current)
        place = ExitStack()
        place.callback(downloads.release)
        body = ClosingIterator(_holding(place, pieces), place.close)
        request.environ[LONG_BODY] = True
        response = Response(body, mimetype="application/xml", direct_passthrough=True)
        return _with_marks(response, current, is_packed)

    return blueprint


class _Shelf:
    """What one process knows of a feed."""

    def __init__(self, store: FeedStore, token: str) -> None:
        self.store = store
        self.token = token.encode()
        self._seen: Current | None = None
        self._until_s = 0.0

    def current(self) -> Current | None:
        """The build to serve.  Raises `DatabaseUnavailable`."""
        if self._seen is None or time.monotonic() >= self._until_s:
            self._seen = self.store.current()
            self._until_s = time.monotonic() + REMEMBERED_S
        return self._seen


def _holding(place: ExitStack, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The text; after its last piece the place is free, however long the peer takes."""
    with place:
        yield from pieces


def _is_known(current: Current) -> bool:
    """Whether the caller has this build; If-None-Match wins over If-Modified-Since (RFC 9110 13.2.2)."""
    if request.headers.get("If-None-Match"):
        etags = request.if_none_match
        return etags.contains_weak(current.etag) or etags.contains_weak(current.etag + _PACKED)
    since = request.if_modified_since
    return since is not None and current.modified_at.replace(microsecond=0) <= since


def _with_marks(response: Response, current: Current, is_packed: bool) -> Response:
    response.set_etag(current.etag + (_PACKED if is_packed else ""))
    response.last_modified = current.modified_at
    response.headers["Cache-Control"] = "no-cache"
    response.headers["Vary"] = "Accept-Encoding"
    if response.status_code == 200:
        response.headers["Content-Length"] = str(current.packed_size if is_packed else current.size)
        if is_packed:
            response.headers["Content-Encoding"] = "gzip"
    return response


def _said(status: int, code: str, message: str) -> Response:
    body = msgspec.json.encode({"events": [{"event_type": "error", "code": code, "message": message}]})
    response = Response(body, status=status, mimetype="application/json")
    if status == 503:
        response.headers["Retry-After"] = str(RETRY_S)
    return response
