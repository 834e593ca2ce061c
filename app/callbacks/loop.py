"""The event loop of a process: reads requests from all clients, and gives a thread to whole ones only (P46).

All methods belong to the thread that runs the loop, but for `give_back` and `wake`.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from app.callbacks import giving_up
from app.callbacks.accepting import Accepting, most_connections
from app.callbacks.connection import Connection
from app.callbacks.heads import PlainSettings
from app.callbacks.later_acts import LaterActs
from app.callbacks.mailbox import Mailbox
from app.callbacks.receiver import Receiver
from app.callbacks.refusals import refusal
from app.callbacks.spool import MOST_SPOOLED_BYTES, Room
from app.channel.services import BUDGET_S
from app.errors import HttpError, overloaded

READ: Final = selectors.EVENT_READ
WRITE: Final = selectors.EVENT_WRITE

PIECE_BYTES: Final = 64 * 1024
BODY_PIECE_BYTES: Final = 1024 * 1024
"""What one client may bring before the others have their turn."""

LOOK_S: Final = 1.0
"""How often every client's pace is judged."""

MOST_WAITING_BYTES: Final = 64 * 1024 * 1024
"""What clients have not taken of their answers, in sum; beyond it whoever reads longest is cut off."""

QUIET_STOP_S: Final = 2.0
"""How long a stopping process waits for a client that has sent nothing: its request may be on the way."""

BEGUN_STOP_S: Final = 5.0
"""How long it waits for the rest of a request."""

_STOPPING: Final = HttpError(503, "STOPPING", "this server stops; send again", retry_after_s=5)

log = logging.getLogger(__name__)


class Loop:
    """The connections of one process."""

    def __init__(
        self,
        cfg: PlainSettings,
        listeners: Sequence[Any],
        give: Callable[[Connection, Any], None],
        most_body_bytes: int,
    ) -> None:
        """`give` has a request answered, which then calls `give_back`; it may raise `HttpError`."""
        self._cfg = cfg
        self._give = give
        self._most_body_bytes = most_body_bytes
        self._connections: set[Connection] = set()
        self._most = most_connections(cfg.worker_connections, cfg.threads)
        self._room = Room(max(MOST_SPOOLED_BYTES, most_body_bytes), self._give_up_a_body)
        self._receiving: Connection | None = None
        self._stop_s: float | None = None
        self._look_at_s = 0.0
        self._selector = selectors.DefaultSelector()
        self._returned: Mailbox[Connection] = Mailbox()
        self._kept = LaterActs()
        self._selector.register(self._returned.woken, READ, self._take_back)
        self._accepting = Accepting(
            listeners,
            self._selector,
            admit=self._admit,
            is_full=lambda: self.is_full,
            make_place=self._give_up_a_connection,
        )
        self._accepting.start()

    @property
    def is_full(self) -> bool:
        """True when connections that are kept would be given up for new ones."""
        return len(self._connections) >= self._most

    def wake(self) -> None:
        """Let the present turn end; called by any thread."""
        self._returned.ring()

    def turn(self, patience_s: float) -> bool:
        """Do what there is to do; wait for it so long.  False where nothing has come from outside."""
        come = self._selector.select(self._kept.patience_s(patience_s))
        for key, _ in come:
            if type(key.data) is not Connection:
                key.data()
            elif key.data.watched:  # else it was closed a moment ago
                self._guarded(self._ready, key.data)
        now_s = time.monotonic()
        for give_back in self._kept.due(now_s):
            give_back()
        if now_s >= self._look_at_s:
            self._look_at_s = now_s + LOOK_S
            self._look(now_s)
        return bool(come)

    def _guarded(self, act: Callable[[Connection], None], connection: Connection) -> None:
        """A fault of one connection ends it, and never the loop, which serves all."""
        try:
            act(connection)
        except Exception:
            log.exception("a connection failed")
            self._close(connection)

    def give_back(self, connection: Connection, rest: deque[memoryview], *, is_last: bool, wait_s: float = 0.0) -> None:
        """The request is answered but for what the client did not take; called by the thread that answered it.

        With `wait_s` all of the answer is in `rest` and leaves so many seconds later.
        """
        if wait_s:
            give_back = partial(self.give_back, rest=rest, is_last=is_last)
            self._kept.put(time.monotonic() + wait_s, partial(self._guarded, give_back, connection))
            self._returned.ring()
            return
        connection.receiver.forget()
        connection.rest = rest
        connection.is_last = is_last
        has_pending = connection.receiver.has_pending
        if rest:
            connection.begin_sending()
        elif not connection.is_handed_over:
            if is_last:
                connection.begin_lingering()
            else:
                self._await_next(connection)
        connection.is_in_hand = False
        # Nearly always the loop need not even wake up: an event comes when the client sends more, or has gone.
        if not connection.watched or rest or has_pending or connection.is_handed_over or self._stop_s is not None:
            self._returned.put(connection)

    def refuse(self, connection: Connection, error: Exception) -> None:
        """Answer a request whose thread has not come, and never will."""
        connection.is_in_hand = False
        self._guarded(lambda late: self._refuse(late, error), connection)

    def stop(self, patience_s: float, beat: Callable[[], None]) -> None:
        """Take no more connections than wait to be accepted, and see every begun request answered."""
        self._stop_s = time.monotonic()
        self._accepting.stop(QUIET_STOP_S)
        while self._connections and time.monotonic() < self._stop_s + patience_s:
            self._look_at_s = min(self._look_at_s, time.monotonic() + LOOK_S / 5)
            self.turn(LOOK_S / 5)
            beat()
        for connection in list(self._connections):
            if not connection.is_in_hand:
                self._close(connection)
        self._selector.close()
        self._returned.close()

    def _admit(self, line: socket.socket, client: Any, server: Any) -> None:
        connection = Connection(line, client, server, time.monotonic() + BUDGET_S)
        connection.receiver = Receiver(self._cfg, client, self._room, self._most_body_bytes, connection.say_continue)
        self._connections.add(connection)
        connection.watch(self._selector, READ)

    def _ready(self, connection: Connection) -> None:
        if connection.is_in_hand:
            connection.watch(self._selector, 0)
            # The thread that gives it back wakes the loop if it sees this; it may have looked a moment before.
            if not connection.is_in_hand:
                self._resume(connection)
        elif connection.is_handed_over:
            self._close(connection)
        elif connection.rest:
            self._send(connection)
        else:
            self._receive(connection)

    def _receive(self, connection: Connection) -> None:
        try:
            data = connection.line.recv(PIECE_BYTES if connection.progress is None else BODY_PIECE_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if connection.is_lingering:
            if not data:
                self._close(connection)
            return
        if data or connection.receiver.has_pending:  # a whole request may have come before the end
            self._read(connection, data)
        if not data and not connection.is_in_hand and not connection.is_last:
            self._cut(connection)

    def _read(self, connection: Connection, data: bytes) -> None:
        receiver = connection.receiver
        self._receiving = connection
        try:
            request = receiver.receive(data)
        except Exception as error:
            self._refuse(connection, error)
            return
        finally:
            self._receiving = None
        if request is not None:
            self._hand(connection, request)
        elif receiver.body is None:
            if connection.is_idle:
                connection.receive_by(time.monotonic() + BUDGET_S)
        elif connection.progress is None:
            connection.begin_body()
        else:
            connection.progress.moved(len(data))

    def _hand(self, connection: Connection, request: Any) -> None:
        connection.is_in_hand = True
        try:
            self._give(connection, request)
        except HttpError as error:
            connection.is_in_hand = False
            self._refuse(connection, error)

    def _cut(self, connection: Connection) -> None:
        """The client has gone, or its time is over; a body that will never be whole is the application's to refuse."""
        if connection.receiver.body is not None:
            self._hand(connection, connection.receiver.break_off())
        else:
            self._close(connection)

    def _refuse(self, connection: Connection, error: Exception) -> None:
        connection.receiver.forget()
        connection.rest.append(memoryview(refusal(error)))
        connection.is_last = True
        connection.begin_sending()
        self._send(connection)

    def _send(self, connection: Connection) -> None:
        try:
            is_all = connection.send_rest()
        except OSError:
            self._close(connection)
            return
        if not is_all:
            if connection.watched != WRITE:
                connection.watch(self._selector, WRITE)
                self._bound_what_waits()
        elif connection.is_last:
            connection.begin_lingering()
            connection.watch(self._selector, READ)
        else:
            self._await_next(connection)
            self._receive_next(connection)

    def _await_next(self, connection: Connection) -> None:
        """Give the client the time it has for its next request."""
        has_pending = connection.receiver.has_pending
        wait_s = BUDGET_S if has_pending else self._cfg.keepalive
        connection.receive_by(time.monotonic() + wait_s, is_idle=not has_pending)

    def _receive_next(self, connection: Connection) -> None:
        connection.watch(self._selector, READ)
        if connection.receiver.has_pending:
            self._read(connection, b"")

    def _take_back(self) -> None:
        for connection in self._returned.take():
            self._guarded(self._resume, connection)

    def _resume(self, connection: Connection) -> None:
        """Go on with a connection that was given back."""
        if connection not in self._connections or connection.is_in_hand:
            return
        if connection.is_handed_over:
            self._close(connection)
        elif connection.rest:
            self._send(connection)
        elif connection.is_lingering:
            connection.watch(self._selector, READ)
        else:
            self._receive_next(connection)

    def _look(self, now_s: float) -> None:
        """Cut off whoever is late, and accept again if that had to be given up."""
        if self._stop_s is None:
            self._accepting.start()
        for connection in list(self._connections):
            if connection.is_in_hand or connection.is_handed_over:
                continue
            if connection.is_late(now_s):
                self._guarded(self._cut, connection)
            elif self._stop_s is None or connection.rest or connection.is_lingering:
                continue
            elif connection.is_quiet:
                if now_s >= max(self._stop_s, connection.since_s) + QUIET_STOP_S:
                    self._close(connection)
            elif now_s >= self._stop_s + BEGUN_STOP_S:
                self._guarded(lambda late: self._refuse(late, _STOPPING), connection)

    def _give_up_a_connection(self) -> bool:
        found = giving_up.connection_to_close(self._connections)
        if found is not None:
            self._close(found)
        return found is not None

    def _give_up_a_body(self) -> bool:
        found = giving_up.body_to_refuse(self._connections, self._receiving, time.monotonic())
        if found is not None:
            self._refuse(found, overloaded("large requests"))
        return found is not None

    def _bound_what_waits(self) -> None:
        for each in giving_up.answers_to_break_off(self._connections, MOST_WAITING_BYTES):
            log.warning("an answer was broken off: its client reads too slowly")
            self._close(each)

    def _close(self, connection: Connection) -> None:
        self._connections.discard(connection)
        connection.watch(self._selector, 0)
        connection.receiver.forget()
        connection.rest.clear()
        with contextlib.suppress(OSError):
            connection.line.close()
        if self._stop_s is None:
            self._accepting.start()
