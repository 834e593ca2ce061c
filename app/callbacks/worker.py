"""gunicorn's worker that gives a thread to whole requests only: all connections are served by one event loop.

Requests that are known to be short are answered by the thread of the loop itself (`leading`).

HTTP is read and written by gunicorn's own parser and response; what the server says by itself is JSON (`refusals`).
Long bodies leave by a thread of their own (`downloads`).
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from gunicorn.workers.base import Worker as BaseWorker  # type: ignore[import-untyped]

from app import caller
from app.callbacks.application import ARRIVED_S, SENDER
from app.callbacks.connection import Answer, Connection
from app.callbacks.downloads import Downloads
from app.callbacks.exchange import Environments, Response
from app.callbacks.heads import PlainSettings
from app.callbacks.large_bodies import PLACE
from app.callbacks.leading import Leading
from app.callbacks.loop import MOST_WAITING_BYTES, Loop
from app.callbacks.refusals import refusal
from app.callbacks.senders import EVERYBODY, Senders
from app.callbacks.short_requests import Kind, ShortRequests, kind_of
from app.callbacks.threads import Threads
from app.caller import ANSWER_AFTER_S
from app.channel.services import BUDGET_S
from app.errors import overloaded
from app.gateways.vendor import LONG_BODY

BEAT_S: Final = 1.0
"""How often this process reports to the master, and checks whether the master lives."""

RECORD_S: Final = 3.0
"""What is left of the time to stop for recording what runs in the background."""

MOST_WAIT_S: Final = BUDGET_S - 3.0
"""How long a whole request may wait for a thread and a place; what its answer costs has to fit into the rest (P7)."""

STOP_S: Final = 5.0
"""How long downloads may go on when the process is to end and every request is answered."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Job:
    """A whole request that is to be answered."""

    connection: Connection
    request: Any
    since_s: float
    """When it was whole (monotonic seconds)."""
    sender: str
    kind: Kind | None
    """None for what may not be expected to be short."""

    def is_late(self) -> bool:
        """True when too little is left of the time for its answer."""
        return time.monotonic() - self.since_s > MOST_WAIT_S


class _Place:
    """A request's place among the large bodies of the process."""

    def __init__(self, threads: Threads, held: str) -> None:
        self._threads = threads
        self._held = held
        self.waits_for = ""

    def take(self, holder: str) -> bool:
        if not self._held and not self._threads.take_place(holder):
            self.waits_for = holder
            return False
        self._held = self._held or holder
        return True

    def leave(self) -> None:
        held, self._held = self._held, ""
        if held:
            self._threads.leave_place(held)


class Worker(BaseWorker):  # type: ignore[misc]
    """Serves requests."""

    wsgi: Any
    alive: bool

    senders: Senders | None = None
    """Knows for which channel a request is; without it all are one another's equals."""

    most_body_bytes = 32 * 1024 * 1024
    """No body above this is received."""

    on_stopping: Callable[[], object] = staticmethod(lambda: None)
    """Called when no more is begun, while the last requests are answered; returns at once."""

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Raises `SystemExit` for what this worker does not speak; the platform's proxy does."""
        if cfg.is_ssl or cfg.proxy_protocol != "off" or cfg.protocol != "http" or "h2" in cfg.http_protocols:
            raise SystemExit("this server speaks plain HTTP/1.1: leave TLS, HTTP/2 and PROXY to the platform's proxy")

    def run(self) -> None:
        """Serve until the signal to stop; then see begun requests answered, and let downloads have a moment to end."""
        self._settings = PlainSettings(self.cfg)
        self._environments = Environments(self._settings)
        self._short = ShortRequests()
        self._threads = Threads(self.cfg.threads, self._serve, lambda job: self._short.is_short(job.kind))
        self._downloads = Downloads()
        self._loop = Loop(self._settings, self.sockets, self._give, self.most_body_bytes)
        self._beat_at_s = 0.0
        leading = Leading(self._loop, self._threads, self._short, self._beat, self.PIPE)
        leading.start()
        while self.alive:
            leading.watch()
        leading.end()
        end_s = time.monotonic() + max(self.cfg.graceful_timeout - RECORD_S, 1.0)
        self.on_stopping()
        self._loop.stop(end_s - time.monotonic(), self._beat)
        self._downloads.stop(min(STOP_S, max(end_s - time.monotonic(), 0.0)))

    def _beat(self) -> None:
        now_s = time.monotonic()
        if now_s < self._beat_at_s:
            return
        self._beat_at_s = now_s + BEAT_S
        self.notify()
        for late in self._threads.withdraw(_Job.is_late):
            self._loop.refuse(late.connection, overloaded())
        if self.alive and self.ppid != os.getppid():
            self.log.info("Parent changed, shutting down: %s", self)
            self.alive = False

    def _give(self, connection: Connection, request: Any) -> None:
        sender = self.senders.of(request.path, request.headers, request.body) if self.senders else EVERYBODY
        job = _Job(connection, request, time.monotonic(), sender, kind_of(request, sender))
        self._threads.give(job, sender)

    def _serve(self, job: _Job, held: str) -> str:
        """Answer a whole request; runs in one of the threads and raises nothing.

        `held` and what it gives are as `Threads` says.
        """
        begun_s, begun_cpu_s = time.monotonic(), time.thread_time()
        caller.commit_s.set(0.0)
        connection = job.connection
        answer = Answer(connection.line, MOST_WAITING_BYTES)
        place = _Place(self._threads, held)
        is_last = True
        try:
            if job.is_late():
                raise overloaded()
            if held:
                job.request.body.seek(0)  # it was read before, up to where it turned out to be large
            is_last = self._respond(job, answer, place)
        except OSError as error:  # the client has gone, or reads too slowly
            log.debug("an answer was not taken: %s", type(error).__name__)
            answer.rest.clear()
        except (Exception, SystemExit) as error:
            if answer.is_begun:
                log.error("an answer was broken off", exc_info=error)
                answer.rest.clear()
            else:
                answer.rest = deque([memoryview(refusal(error))])
        finally:
            place.leave()
        if not place.waits_for:
            self._loop.give_back(connection, answer.rest, is_last=is_last, wait_s=answer.wait_s)
        if job.kind is not None:
            elapsed_s, cpu_s = time.monotonic() - begun_s, time.thread_time() - begun_cpu_s
            self._short.add(job.kind, elapsed_s, cpu_s, caller.commit_s.get())
        return place.waits_for

    def _respond(self, job: _Job, answer: Answer, place: _Place) -> bool:
        """True when the connection ends after this answer.  Nothing is answered where the request waits for a place."""
        connection, request = job.connection, job.request
        environ: dict[str, Any] = {}
        response = None
        begun_s = time.monotonic()
        try:
            self._settings.pre_request(self, request)
            response = Response(request, answer, self._settings)
            environ = self._environments.of(request, connection.client, connection.server)
            environ.update({ARRIVED_S: job.since_s, SENDER: job.sender, PLACE: place})
            self.nr += 1
            if self.nr >= self.max_requests and self.alive:
                self.log.info("Autorestarting worker after current request.")
                self.alive = False
            if not self.alive or not self._settings.keepalive or self._loop.is_full:
                response.force_close()
            pieces = self.wsgi(environ, response.start_response)
            if place.waits_for:
                getattr(pieces, "close", lambda: None)()
                return False
            if environ.get(LONG_BODY):
                self._hand_over(connection, response, answer, pieces)
                return True
            answer.wait_s = environ.get(ANSWER_AFTER_S, 0.0)
            try:
                for piece in pieces:
                    response.write(piece)
                response.close()
                answer.flush()
            finally:
                self.log.access(response, request, environ, timedelta(seconds=time.monotonic() - begun_s))
                if hasattr(pieces, "close"):
                    pieces.close()
            return bool(response.should_close())
        finally:
            try:
                self._settings.post_request(self, request, environ, response)
            except Exception:
                self.log.exception("Exception in post_request hook")

    def _hand_over(self, connection: Connection, response: Any, answer: Answer, pieces: Any) -> None:
        """The body goes out from the thread for downloads, which closes the connection."""
        try:
            response.force_close()
            response.send_headers()
            answer.flush()
            if answer.rest:
                raise BrokenPipeError("the client reads nothing")
            line = connection.line
            other = socket.socket(line.family, line.type, line.proto, fileno=os.dup(line.fileno()))
        except BaseException:
            getattr(pieces, "close", lambda: None)()
            raise
        connection.is_handed_over = True
        self._downloads.take(other, pieces)
