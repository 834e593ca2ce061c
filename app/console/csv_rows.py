"""Rows as CSV for spreadsheets, sent as they are read, and never as a formula."""

from __future__ import annotations

import csv
import io
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import chain
from typing import Final

from flask import Response
from werkzeug.exceptions import TooManyRequests

from app import caller
from app.console.guard import READ_LIMIT_S
from app.records.database import DatabaseUnavailable

MOST_ROWS: Final = 50_000

MOST_S: Final = 20.0
"""How long one file is read for."""

RETRY_AFTER_S: Final = 5

_BEGIN_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")

Rows = Sequence[Sequence[str]]

_EXPORTING: Final = threading.Lock()
"""Held while this process sends a file: one at a time, for each holds a thread and a connection of callbacks."""


def csv_reply(name: str, heads: Sequence[str], pages: Iterable[Rows], things: str) -> Response:
    """The reply that sends a table as a file of this name.  The first page of rows is read before anything is sent.

    Raises `TooManyRequests` while this process sends another file, and whatever reading the first page raises.
    """
    if not _EXPORTING.acquire(blocking=False):
        said = "Another file is being made just now, one at a time: try again in a few seconds."
        raise TooManyRequests(said, retry_after=RETRY_AFTER_S)
    with ExitStack() as turn:
        turn.callback(_EXPORTING.release)
        following = iter(pages)
        first = next(following, ())
        turn = turn.pop_all()
    lines = csv_of(heads, chain([first], _limited(following, caller.channel.get())), things)
    reply = Response(_ending(lines, turn), content_type="text/csv; charset=utf-8")
    reply.call_on_close(turn.close)  # also where nothing of it is sent
    reply.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return reply


def csv_of(heads: Sequence[str], pages: Iterable[Rows], things: str) -> Iterator[bytes]:
    """The lines of a table with these heads.

    A last one says why there are no more after `MOST_ROWS`, after `MOST_S`, or where the database has failed.
    """
    until_s = time.monotonic() + MOST_S
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(heads)
    count, why = 0, ""
    try:
        for page in pages:
            if time.monotonic() > until_s:
                why = f"reading took longer than {MOST_S:.0f} s"
                break
            rows = page[: MOST_ROWS - count]
            writer.writerows(map(harmless, row) for row in rows)
            count += len(rows)
            if len(rows) < len(page):
                why = "a file has no more"
                break
            yield out.getvalue().encode()
            out.seek(0)
            out.truncate()
    except DatabaseUnavailable:
        why = "the database could not be read on"
    if why:
        writer.writerow([f"Only the first {count} {things} are listed, for {why}: choose a shorter time."])
    yield out.getvalue().encode()


def harmless(cell: str) -> str:
    """A text that no spreadsheet takes for a formula, whichever width its signs have."""
    return f"'{cell}" if cell.startswith(_BEGIN_FORMULAS) else cell


def _ending(lines: Iterator[bytes], turn: ExitStack) -> Iterator[bytes]:
    with turn:
        yield from lines


def _limited(pages: Iterator[Rows], sender: str) -> Iterator[Rows]:
    """What is read while the reply is sent has the limit of pages as well, and takes its turns as the request's
    sender: the request is over by then."""
    while True:
        caller.read_limit_s.set(READ_LIMIT_S)
        before = caller.channel.set(sender)
        try:
            page = next(pages, None)
        finally:
            caller.channel.reset(before)
            caller.read_limit_s.set(None)
        if page is None:
            return
        yield page
