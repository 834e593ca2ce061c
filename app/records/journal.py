"""The journal: one line per callback, per vendor call and per request of a vendor: did it get through, and when?

Lines are buffered and written by one thread at least every second, so that no callback waits for them; a
kill may lose the last ones.  The truth is in the ledger and the deliveries (R16).  What `/metrics` counts is
written in the same transactions.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from operator import itemgetter
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection

from app import logs, metrics
from app.clock import utc_now
from app.domain.body_problems import NO_PROBLEMS, BodyProblems
from app.domain.events import Event
from app.domain.moments import to_ms
from app.domain.texts import stand_in
from app.domain.traffic import InboundRequest, VendorCall
from app.records import call_figures, inbound, unverified
from app.records.breakers import OwnBreakers, Place
from app.records.counters import Deltas
from app.records.database import Database, DatabaseUnavailable
from app.records.inbound import Answered, Counted, period_of
from app.records.row_lists import insert_many
from app.records.statements import Prepared, chunked
from app.records.tables.operations import journal
from app.records.unverified import Seen, Unverified

FLUSH_S = 0.5
KEPT_LINES = 50_000
"""Lines kept while the database is away; older ones are lost first."""

AT_ONCE = 500
"""Lines of one statement."""

MOST_LINES = 10 * AT_ONCE
"""Lines of one transaction."""

WRITE_S = 1.0
"""How long one transaction goes on with lines: a database that was away, or is slow, has far more than fit into one,
and a transaction that lasts too long is cut off (`engines.TRANSACTION_S`), again at each try."""

BETWEEN_PAUSES = 100
PAUSE_S = 0.001
"""After how many lines the thread that writes them leaves the others the interpreter, and for how long."""

MOST_EVENTS = 50
"""Events of one callback that are kept; a push may have one for each of its rows."""

T = TypeVar("T")

log = logging.getLogger(__name__)

_NAMES = tuple(column.name for column in journal.columns if not column.primary_key)
_ADD = Prepared(insert_many(journal, _NAMES))


class Journal:
    """Buffers lines from any thread."""

    def __init__(self, database: Database, open_breakers: Callable[[], Mapping[Place, float]] = lambda: {}) -> None:
        """`open_breakers`: of this process, with the moment until which each refuses calls (monotonic seconds)."""
        self._database = database
        self._lines: deque[tuple[dict[str, Any], float]] = deque(maxlen=KEPT_LINES)
        self._counted = Deltas()
        self._breakers = OwnBreakers(open_breakers)
        self._logged: deque[dict[str, Any]] = deque(maxlen=KEPT_LINES)
        self._inbound: deque[Counted] = deque(maxlen=KEPT_LINES)
        self._counts: Counter[Counted] = Counter()
        self._unverified: deque[tuple[Unverified, datetime]] = deque(maxlen=KEPT_LINES)
        self._strangers: dict[Unverified, Seen] = {}
        self._waits = logs.Repeats()
        self._first = 0
        """Of the waiting lines the first of those that the last statement was to write."""
        self._flushing = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to write; returns at once."""
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what is left and end."""
        self._stopping.set()
        if self._thread:
            self._thread.join(2)

    def callback(
        self,
        *,
        name: str,
        channel: str,
        order_refnum: str,
        status: int,
        outcome: str,
        duration_s: float,
        request_id: str,
        events: Sequence[Event] = (),
        problems: BodyProblems = NO_PROBLEMS,
    ) -> None:
        """A callback was answered, with these events; the first `MOST_EVENTS` are kept.

        `problems`: what was wrong with its body or with our answer.
        """
        kept = tuple(events[:MOST_EVENTS])
        self._add("callback", channel, name, order_refnum, status, outcome, duration_s, request_id, kept, problems)

    def vendor_call(self, channel: str, call: VendorCall) -> None:
        """A vendor was called; the path has no query."""
        name = f"{call.vendor} {call.method} {call.path}"[:64]
        self._add("vendor", channel, name, "", call.status, call.outcome, call.duration_s, call.request_id)

    def inbound(self, channel: str, vendor: str, request: InboundRequest) -> None:
        """A vendor's own request was answered, or something of it was not taken: kept where it was surely the
        vendor's, and counted; the others are counted alone."""
        if request.path:
            self.unverified(request.path, request.status)
        if request.event or request.is_verified:
            name = f"{vendor} {request.topic}"[:64]
            code = request.event or request.reason.partition(":")[0] or "success"
            duration_s, request_id = request.duration_ms / 1000, logs.request_id.get("")
            self._add("hook", channel, name, request.subject, request.status, code, duration_s, request_id)
        if request.event or not (request.topic or request.unknown_account):
            return
        if request.unknown_account:
            # No matter what for: the names of accounts are all there is to learn, and anybody can send them.
            answered = Answered("", request.status, request.unknown_account[:120])
            self._inbound.append(Counted(inbound.NOBODY, vendor, period_of(utc_now()), answered))
            return
        answered = Answered(request.topic[:40], request.status, request.reason[:120])
        self._inbound.append(Counted(channel, vendor, period_of(utc_now()), answered))

    def unverified(self, path: str, status: int) -> None:
        """A request without a valid key or signature was refused."""
        self._unverified.append((unverified.kind_of(path, status), utc_now()))

    def _add(
        self,
        kind: str,
        channel: str,
        name: str,
        order_refnum: str,
        status: int | None,
        outcome: str,
        duration_s: float,
        request_id: str,
        events: Sequence[Event] = (),
        problems: BodyProblems = NO_PROBLEMS,
    ) -> None:
        line = {
            "at": utc_now(),
            "kind": kind,
            "channel": channel,
            "name": name,
            "order_refnum": stand_in(order_refnum),
            "status": status,
            "outcome": outcome[:64],
            "duration_ms": int(duration_s * 1000),
            "request_id": request_id,
            "events": events,
            "problems": problems,
        }
        self._lines.append((line, duration_s))

    def _run(self) -> None:
        while not self._stopping.wait(FLUSH_S):
            self.flush()
        self.flush()

    def flush(self) -> None:
        """Write what is buffered; keep it when the database does not take it."""
        with self._flushing:
            fresh = list(self._paced(self._take()))
            logs.write(log, self._paced(_log_fields(line) for line in fresh if line["kind"] == "callback"))
            self._logged.extend(fresh)
            while self._inbound:
                counted = self._inbound.popleft()
                self._counts[counted] += 1
                self._counted.count(metrics.VENDOR_REQUESTS, counted.gateway, str(counted.answered.status))
            while self._unverified:
                self._count_unverified(*self._unverified.popleft())
            try:
                while self._write():
                    pass
            except DatabaseUnavailable as error:
                if self._waits.is_news(str(error)):
                    log.warning("the journal waits for the database: %s", error)
            except Exception:
                log.exception("journal lines were lost")
                self._drop(self._first, AT_ONCE)
                self._counts.clear()  # what else was counted goes with the next lines: no text from outside is in it
                self._strangers.clear()

    def _take(self) -> Iterator[dict[str, Any]]:
        """The lines that have come, counted, with what is kept of them as it is kept."""
        while self._lines:
            line, duration_s = self._lines.popleft()
            self._count(line, duration_s)
            yield {**line, "events": _encoded(line["events"]), "problems": _encoded(line["problems"])}

    def _paced(self, lines: Iterable[T]) -> Iterator[T]:
        """These, with pauses, for threads that answer requests wait for the interpreter while this one has it."""
        for number, line in enumerate(lines, 1):
            yield line
            if number % BETWEEN_PAUSES == 0 and not self._stopping.is_set():
                time.sleep(PAUSE_S)

    def _write(self) -> bool:
        """Write what is counted and some of the lines, in one transaction; True when there are more."""
        opened = self._breakers.changed()
        if not self._logged and not self._counted and not self._strangers and opened is None:
            return False
        lines = list(islice(self._logged, MOST_LINES))
        rows = list(self._paced(map(_row, lines)))
        figures = call_figures.counted(self._paced(lines))
        with self._database.write() as connection:
            written = self._write_rows(connection, rows)
            if written < len(lines):
                figures = call_figures.counted(lines[:written])
            # Once, for all of them: figures, then last calls, in one order in every process, so that no two deadlock.
            call_figures.add(connection, figures)
            inbound.add(connection, self._counts)
            if self._strangers:
                unverified.add(connection, self._strangers)
            self._counted.write(connection)
            if opened is not None:
                self._breakers.write(connection, opened, self._database.clock())
        self._drop(0, written)
        self._counts.clear()
        self._strangers.clear()
        self._counted.clear()
        if opened is not None:
            self._breakers.written(opened)
        return bool(self._logged)

    def _write_rows(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> int:
        """How many lines were written, from the oldest on; each is counted in the transaction that writes it."""
        stop_at_s = time.monotonic() + WRITE_S
        written = 0
        for some in chunked(rows, AT_ONCE):
            self._first = written
            _ADD.execute(connection, {"rows": some})
            written += len(some)
            if time.monotonic() >= stop_at_s:
                break
        self._first = 0
        return written

    def _drop(self, first: int, count: int) -> None:
        """These lines wait no more."""
        self._logged.rotate(-first)
        for _ in range(min(count, len(self._logged) - first)):
            self._logged.popleft()
        self._logged.rotate(first)

    def _count_unverified(self, kind: Unverified, at: datetime) -> None:
        """Of more kinds than are kept anyway the latest stay (P46)."""
        seen = self._strangers.pop(kind, Seen(0, at, at))
        self._strangers[kind] = Seen(seen.count + 1, seen.first_at, at)
        if len(self._strangers) > unverified.MOST:
            del self._strangers[next(iter(self._strangers))]

    def _count(self, line: Mapping[str, Any], duration_s: float) -> None:
        match line["kind"]:
            case "callback":
                self._counted.count(metrics.CALLBACKS, line["name"], str(line["status"]))
                self._counted.observe(metrics.CALLBACK_SECONDS, duration_s, line["name"])
            case "vendor":
                vendor = line["name"].partition(" ")[0]
                self._counted.count(metrics.VENDOR_CALLS, vendor, line["outcome"])
                if line["outcome"] != "not_sent":
                    self._counted.observe(metrics.VENDOR_SECONDS, duration_s, vendor)


def _log_fields(line: dict[str, Any]) -> dict[str, Any]:
    """A journal line for whoever reads the log instead."""
    said = {name: value for name, value in line.items() if name not in ("events", "problems")}
    return {**said, "at": line["at"].isoformat(timespec="milliseconds"), "message": f"{line['name']} {line['outcome']}"}


def _encoded(said: Sequence[Event] | BodyProblems) -> str | None:
    return msgspec.json.encode(said).decode() if said else None


_of_line = itemgetter(*_NAMES[1:])


def _row(line: Mapping[str, Any]) -> tuple[Any, ...]:
    return to_ms(line["at"]), *_of_line(line)
