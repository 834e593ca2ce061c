"""The feeds that vendors fetch here: one build that holds, who may build the next, and its text in compressed pieces.

A feed is in the database because several processes, on machines of their own, serve the same text, and because
a platform's disk vanishes at every restart.
"""

from __future__ import annotations

import secrets
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Row, case, delete, insert, select, update

from app.records import leases
from app.records.database import Database
from app.records.statements import upsert
from app.records.tables.gateways import feed_pieces, feeds

PIECE_BYTES = 256 * 1024
"""Compressed bytes of one row, about; a row is what a process holds of the text at a time."""

LEASE_S = 120.0
"""How long a builder that has died keeps the others from building."""

LOOK_AGAIN = timedelta(hours=24)
"""A feed is looked at this often though nothing has changed: goods that are gone leave it by their age."""

NO_FEED = "product_api"
"""Begins the form of a store that is sent products and has no feed."""


class LeftOut(msgspec.Struct, frozen=True):
    """A unit that the vendor would silently skip."""

    sku: str
    product_id: str
    reason: str


class BuildReport(msgspec.Struct, frozen=True):
    """What a build came to.  `left_out` names the first of the units left out, `left_out_count` counts all.

    `gone` is since when (seconds since 1970) each number is listed only as unavailable.
    """

    offers: int = 0
    left_out_count: int = 0
    left_out: tuple[LeftOut, ...] = ()
    shortened_count: int = 0
    """Names that are longer than the vendor takes."""
    gone: dict[int, int] = {}


@dataclass(frozen=True)
class Current:
    """The build that holds."""

    build: int
    etag: str
    modified_at: datetime
    size: int
    packed_size: int


@dataclass(frozen=True)
class Turn:
    """The right to build, until the lease ends; what the last build listed, and what it reported."""

    token: str
    build: int
    changes: int
    etag: str
    form: str
    listed: bytes
    report: BuildReport


class BuildLost(Exception):
    """Another process builds now, for this one took too long."""


class FeedStore:
    """The feed of one channel."""

    def __init__(self, database: Database, channel: str, gateway: str) -> None:
        self.database = database
        self._stream = (channel, gateway)
        self._keys = {"channel": channel, "gateway": gateway}
        self._is_this = (feeds.c.channel == channel) & (feeds.c.gateway == gateway)
        self._is_piece = (feed_pieces.c.channel == channel) & (feed_pieces.c.gateway == gateway)

    def mark(self, now: datetime) -> None:
        """Something the feed shows may have changed."""
        is_clean = feeds.c.changes == feeds.c.built_changes
        with self.database.write() as connection:
            upsert(connection, feeds, {**self._keys, "changes": 1, "changed_at": now}, lambda added: {
                "changes": feeds.c.changes + 1,
                "changed_at": case((is_clean, added.changed_at), else_=feeds.c.changed_at),
            })  # fmt: skip

    def current(self) -> Current | None:
        """What is to be served; None before the first build."""
        row = self._row("build", "etag", "modified_at", "size", "packed_size")
        return Current(**row._mapping) if row is not None and row.build else None

    def report(self) -> tuple[BuildReport, datetime | None, bool]:
        """What the last build came to, when it was, and whether changes wait for the next."""
        row = self._row("report", "built_at", "changes", "built_changes")
        if row is None:
            return BuildReport(), None, False
        return _report(row), row.built_at, row.changes > row.built_changes

    def due_at(self, now: datetime, delay_s: float, form: str) -> datetime | None:
        """When somebody should build: the first time, for changes, for another form, and after a day.

        None while another process builds, and where nothing was ever marked.
        """
        row = self._row("lease_until", "changed_at", "changes", "built_changes", "built_at", "form")
        if row is None or leases.is_held(row.lease_until, now):
            return None
        if row.built_at is None:
            # Until there is a feed its address answers 503: the first does not wait for more changes.
            return now if row.changes else None
        delay = timedelta(seconds=delay_s)
        # Another form waits too: while a release replaces another, processes of both would build by turns.
        moments: list[datetime] = [row.built_at + (LOOK_AGAIN if row.form == form else delay)]
        if row.changes > row.built_changes and row.changed_at is not None:
            moments.append(row.changed_at + delay)
        return min(moments)

    def _row(self, *columns: str) -> Row[Any] | None:
        """These columns of the feed; None before anything was kept of it."""
        with self.database.read() as connection:
            return connection.execute(select(*(feeds.c[name] for name in columns)).where(self._is_this)).first()

    def take(self, now: datetime) -> Turn | None:
        """Become the one who builds; None when another process is."""
        token = secrets.token_hex(8)
        with self.database.write() as connection:
            begun = {"begun_builds": feeds.c.begun_builds + 1}
            row = leases.take(connection, feeds, self._stream, token, now, LEASE_S, returning=[feeds], values=begun)
        if row is None:
            return None
        return Turn(token, row.begun_builds, row.changes, row.etag, row.form, row.listed or b"", _report(row))

    def keep(self, turn: Turn, now: datetime) -> None:
        """Go on building.  Raises `BuildLost`."""
        self._write_held(turn, lease_until=now + timedelta(seconds=LEASE_S))

    def give_up(self, turn: Turn) -> None:
        """Build nothing this time; another may at once."""
        with self.database.write() as connection:
            leases.write_held(connection, feeds, self._stream, turn.token, leases.ENDED)

    def form(self) -> str | None:
        """What decided last, besides the goods, what the vendor is given; None before anything was."""
        row = self._row("form")
        return None if row is None else str(row.form)

    def begin_feed(self) -> None:
        """The vendor fetches a feed from now on: nobody can say what is left of what its Product API was sent."""
        if not (self.form() or "").startswith(NO_FEED):
            return
        with self.database.write() as connection:
            connection.execute(update(feeds).where(self._is_this, feeds.c.form.startswith(NO_FEED)).values(form="feed"))

    def keep_form(self, turn: Turn, form: str) -> None:
        """The vendor is given goods in this form from now on, though no feed.  Raises `BuildLost`."""
        self._write_held(turn, form=form, **leases.ENDED)

    def leave(self, turn: Turn, now: datetime, form: str, listed: bytes, report: BuildReport) -> None:
        """The content is what it was: the build that holds stays.  Raises `BuildLost`."""
        self._write_held(turn, **_after(turn, now, form, listed, report))

    def publish(
        self,
        turn: Turn,
        now: datetime,
        form: str,
        etag: str,
        content: Iterable[bytes],
        listed: bytes,
        report: BuildReport,
    ) -> None:
        """Keep the text and then, in one step, make it the one that is served.  Raises `BuildLost`.

        The build before it stays whole, for somebody may be reading it.
        """
        size, packed_size = self._write(turn, content)
        self._write_held(
            turn,
            **_after(turn, now, form, listed, report),
            build=turn.build,
            etag=etag,
            modified_at=now,
            size=size,
            packed_size=packed_size,
        )

    def _write(self, turn: Turn, content: Iterable[bytes]) -> tuple[int, int]:
        packer = zlib.compressobj(6, zlib.DEFLATED, 31)
        size = packed_size = position = 0
        waiting: list[bytes] = []
        held = 0
        for text in content:
            size += len(text)
            packed = packer.compress(text)
            waiting.append(packed)
            held += len(packed)
            if held >= PIECE_BYTES:
                self._keep_piece(turn, position, b"".join(waiting))
                packed_size, position, held = packed_size + held, position + 1, 0
                waiting.clear()
        last = b"".join([*waiting, packer.flush()])
        self._keep_piece(turn, position, last)
        return size, packed_size + len(last)

    def _keep_piece(self, turn: Turn, position: int, data: bytes) -> None:
        with self.database.write() as connection:
            connection.execute(
                insert(feed_pieces), {**self._keys, "build": turn.build, "position": position, "data": data}
            )

    def _write_held(self, turn: Turn, **values: object) -> None:
        with self.database.write() as connection:
            before = connection.execute(select(feeds.c.build).where(self._is_this)).scalar()
            if not leases.write_held(connection, feeds, self._stream, turn.token, values):
                raise BuildLost
            if "build" in values:
                kept = [before or 0, turn.build]
                connection.execute(delete(feed_pieces).where(self._is_piece, feed_pieces.c.build.not_in(kept)))

    def pieces(self, current: Current) -> Iterator[bytes]:
        """The compressed text (gzip) of a build.  Raises `LookupError` when it was replaced twice meanwhile."""
        given = position = 0
        while given < current.packed_size:
            with self.database.read() as connection:
                data = connection.execute(
                    select(feed_pieces.c.data).where(
                        self._is_piece, feed_pieces.c.build == current.build, feed_pieces.c.position == position
                    )
                ).scalar()
            if data is None:
                raise LookupError("this build of the feed is gone")
            yield bytes(data)
            given, position = given + len(data), position + 1

    def text(self, current: Current) -> Iterator[bytes]:
        """The same text as it reads.  Raises `LookupError`."""
        opener = zlib.decompressobj(31)
        for piece in self.pieces(current):
            while piece:
                yield opener.decompress(piece, PIECE_BYTES)
                piece = opener.unconsumed_tail


def _after(turn: Turn, now: datetime, form: str, listed: bytes, report: BuildReport) -> dict[str, object]:
    return {
        "built_changes": turn.changes,
        # What changed during the build waits its time from now on.
        "changed_at": now,
        "built_at": now,
        "form": form,
        "listed": listed,
        "report": msgspec.json.encode(report),
        **leases.ENDED,
    }


def _report(row: Row[Any]) -> BuildReport:
    return msgspec.json.decode(row.report, type=BuildReport) if row.report else BuildReport()
