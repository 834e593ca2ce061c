"""One client's connection: what has come of a request, what is still to leave, and how long the client has."""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections import deque
from typing import Any, Final

from app.callbacks.progress import MOST_SENT_S, Outgoing, Progress
from app.callbacks.receiver import Receiver

LINGER_S: Final = 2.0
"""How long a client may take to close after the last answer.  Closing at once would take the answer back from a
client that is still sending (RFC 9112, 9.6)."""

MOST_BODY_S: Final = 900.0
"""How long one body may take, however steadily it comes: 5.6 MB over a line of 64 kbit/s take 700 s."""


class Connection:
    """Belongs to the event loop, except while a thread answers its request (`is_in_hand`).

    That thread sets what comes next (`rest`, `is_last`) and then gives the connection back; the loop reads it only
    after that, so neither needs a lock.
    """

    def __init__(self, line: socket.socket, client: Any, server: Any, arrive_by_s: float) -> None:
        self.line = line
        self.client = client
        self.server = server
        self.receiver: Receiver  # set by whoever makes the connection, for it calls back
        self.watched = 0
        """The events that wake the loop."""
        self.since_s = time.monotonic()
        """When the present state began; who is in the way longest goes first."""
        self.expires_s = arrive_by_s
        """When the client has to be done with what it is doing; its body and its reading are judged by their pace."""
        self.is_in_hand = False
        self.is_idle = False
        """True while nothing of the next request is here, on a connection that has had one."""
        self.is_last = False
        """True when the connection ends after what is in `rest`."""
        self.is_lingering = False
        self.is_handed_over = False
        """True when somebody else sends the answer through a socket of its own."""
        self.rest: deque[memoryview] = deque()
        """What of the answer the system has not taken."""
        self.progress: Progress | None = None
        self._outgoing: Outgoing | None = None
        self._looked_s = 0.0

    def watch(self, selector: selectors.BaseSelector, events: int) -> None:
        """Have the loop woken by these events and no others; 0 for none."""
        if self.watched == events:
            return
        if not events:
            selector.unregister(self.line)
        elif not self.watched:
            selector.register(self.line, events, self)
        else:
            selector.modify(self.line, events, self)
        self.watched = events

    @property
    def is_quiet(self) -> bool:
        """True when nothing of a request is here."""
        return self.receiver.body is None and not self.receiver.has_pending

    def say_continue(self) -> None:
        """Send "100 Continue" to a client that waits for it before it sends its body."""
        with contextlib.suppress(OSError):
            self.line.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def receive_by(self, arrive_by_s: float, *, is_idle: bool = False) -> None:
        """The next head is to come."""
        self.since_s = time.monotonic()
        self.expires_s = arrive_by_s
        self.is_idle = is_idle
        self.progress = self._outgoing = None

    def begin_body(self) -> None:
        """From here on the client is sending a body: it may take long, but not be slow."""
        self._looked_s = self.since_s = time.monotonic()
        self.is_idle = False
        self.expires_s = self._looked_s + MOST_BODY_S
        self.progress = Progress()

    def begin_sending(self) -> None:
        """From here on the client is reading an answer."""
        self._looked_s = self.since_s = time.monotonic()
        self.progress = Progress(MOST_SENT_S)
        self._outgoing = Outgoing(self.line)

    def begin_lingering(self) -> None:
        """Nothing more is sent."""
        self.is_lingering = True
        self.since_s = time.monotonic()
        self.expires_s = self.since_s + LINGER_S
        self.progress = self._outgoing = None
        with contextlib.suppress(OSError):
            self.line.shutdown(socket.SHUT_WR)

    def send_rest(self) -> bool:
        """Send what the client takes now.  True when nothing is left; raises `OSError` when the client is gone."""
        while self.rest:
            sent = send_now(self.line, self.rest[0])
            if self._outgoing is not None:
                self._outgoing.given(sent)
            if sent < len(self.rest[0]):
                self.rest[0] = self.rest[0][sent:]
                return False
            self.rest.popleft()
        return True

    def waiting_bytes(self) -> int:
        return sum(map(len, self.rest))

    def is_late(self, now_s: float) -> bool:
        """True when the client's time is over; checked every second or so."""
        if self.progress is not None:
            self.progress.waited(now_s - self._looked_s)
            self._looked_s = now_s
            if self._outgoing is not None:
                self.progress.moved(self._outgoing.moved())
                return self.progress.is_too_slow
            if self.progress.is_too_slow:
                return True
        return now_s >= self.expires_s


class Answer:
    """The socket that gunicorn's response writes to: sends what the client takes at once and keeps the rest.

    The head waits for the first bytes of the body, so that a small answer is one packet.
    """

    def __init__(self, line: socket.socket, most_bytes: int) -> None:
        self._line = line
        self._head: bytes | None = None
        self._most_bytes = most_bytes
        self._kept_bytes = 0
        self.wait_s = 0.0
        """How long all of it is to be kept; set before anything is written."""
        self.rest: deque[memoryview] = deque()

    @property
    def is_begun(self) -> bool:
        """True when part of it has left."""
        return self._head == b""

    def sendall(self, data: bytes) -> None:
        """Raises `OSError` when the client is gone, or reads so slowly that too much of the answer waits."""
        if self._head is None:
            self._head = data
            return
        if self._head:
            data, self._head = self._head + data, b""
        if not data:
            return
        sent = 0 if self.rest or self.wait_s else send_now(self._line, data)
        if sent < len(data):
            self._kept_bytes += len(data) - sent
            if self._kept_bytes > self._most_bytes:
                raise BrokenPipeError("the client reads too slowly")
            self.rest.append(memoryview(data)[sent:])

    def flush(self) -> None:
        """Send a head that no body follows."""
        if self._head:
            self.sendall(b"")


def send_now(line: socket.socket, data: bytes | memoryview) -> int:
    """How much of it the system takes now.  Raises `OSError` when the client is gone."""
    try:
        return line.send(data)
    except (BlockingIOError, InterruptedError):
        return 0
