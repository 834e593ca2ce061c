"""Rows as CSV for spreadsheets, sent as they are read, and never as a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from flask import Response

from app import caller
from app.console.guard import READ_LIMIT_S

MOST_ROWS: Final = 50_000

_AT_ONCE: Final = 500


def csv_of(heads: Sequence[str], rows: Iterable[Sequence[str]], things: str) -> Iterator[bytes]:
    """The lines of a table with these heads.  After `MOST_ROWS` a last one says that there are more."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(heads)
    for number, row in enumerate(rows, 1):
        if number > MOST_ROWS:
            writer.writerow([f"Only the first {MOST_ROWS} {things} are listed: choose a shorter time."])
            break
        writer.writerow(map(harmless, row))
        if number % _AT_ONCE == 0:
            yield out.getvalue().encode()
            out.seek(0)
            out.truncate()
    yield out.getvalue().encode()


def harmless(cell: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def csv_reply(name: str, lines: Iterator[bytes]) -> Response:
    """The reply that sends the lines as a file of this name."""
    reply = Response(_limited(lines), content_type="text/csv; charset=utf-8")
    reply.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return reply


def _limited(lines: Iterator[bytes]) -> Iterator[bytes]:
    """What is read while the reply is sent has the limit of pages as well: the request is over by then."""
    while True:
        caller.read_limit_s.set(READ_LIMIT_S)
        try:
            line = next(lines, None)
        finally:
            caller.read_limit_s.set(None)
        if line is None:
            return
        yield line
