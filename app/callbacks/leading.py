"""Has the event loop run by one thread, which answers short requests itself, and by another where one takes long.

The thread that calls `watch` sees to it that the loop goes on: a request that was expected to be short and is not
keeps the thread it is in, and a new thread goes on with the loop.

Requests that share a commit (`records.group_commit`) are begun one inside the other, each while those around it wait.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import threading
import time
from collections.abc import Callable
from contextvars import Context, copy_context
from functools import partial
from typing import Final

from app import caller, logs
from app.callbacks.loop import Loop
from app.callbacks.short_requests import Kind, ShortRequests
from app.callbacks.threads import Begun, Threads

LONG_S: Final = 0.025
"""How long the loop may wait for a request that was expected to be short."""

LOOK_S: Final = 0.025
"""How often it is looked whether it has to, while there are such requests."""

TURN_S: Final = 1.0
"""How long a turn of the loop waits for something to do, and how long nobody watches while no request is short."""

MOST_INNER: Final = 15
"""How many requests may be begun while others wait for the commit that all of them share."""

MOST_TURNS: Final = 16
"""How many turns of the loop one request that waits for a commit looks for another one."""


class _Leader:
    """A thread that runs the loop, and the short request it is with."""

    __slots__ = ("inner", "kind", "since_s")

    def __init__(self) -> None:
        self.kind: Kind | None = None
        self.inner = 0
        """How many requests it has begun while those before them wait for the same commit."""
        self.since_s = 0.0
        """When the request was begun (monotonic seconds), 0 while there is none."""


class Leading:
    """The thread of the loop of one process."""

    def __init__(
        self, loop: Loop, threads: Threads, short: ShortRequests, beat: Callable[[], None], pipe: tuple[int, int]
    ) -> None:
        """`beat` is called at each turn of the loop.

        `pipe`: its ends for reading and writing; what a signal writes into it ends a `watch` as well.
        """
        self._loop = loop
        self._threads = threads
        self._short = short
        self._beat = beat
        self._reading, self._writing = pipe
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._reading, selectors.EVENT_READ)
        self._turning = threading.Lock()
        """Held by whoever runs the loop, while it does."""
        self._leader: _Leader | None = None
        self._started = 0
        self._begun = self._begun_before = 0
        """Short requests that were begun in the thread of the loop."""
        self._is_dozing = False
        """True while nobody looks how long a short request takes."""
        self._fault: BaseException | None = None

    def start(self) -> None:
        """Begin to run the loop in a thread of its own.  Raises `RuntimeError` where the system allows none."""
        with self._turning:
            self._follow()

    def watch(self) -> None:
        """Wait a moment, or for a signal, and see that the loop goes on.  Raises what the loop ended with."""
        patience_s = LOOK_S
        if self._begun == self._begun_before:
            self._is_dozing = True
            if self._leader is None or not self._leader.since_s:
                patience_s = TURN_S
        self._begun_before = self._begun
        if self._selector.select(patience_s):
            os.read(self._reading, 4096)
        self._is_dozing = False
        if self._fault is not None:
            raise self._fault
        leader = self._leader
        since_s = leader.since_s if leader is not None else 0.0
        is_long = since_s > 0 and time.monotonic() - since_s > LONG_S
        if leader is not None and is_long and self._turning.acquire(blocking=False):
            try:
                self._short.add_long(leader.kind)
                with contextlib.suppress(RuntimeError):  # the next look tries again
                    self._follow()
            finally:
                self._turning.release()

    def end(self) -> None:
        """From here on the loop is the caller's; a short request that is not answered yet keeps its thread."""
        self._leader = None
        self._loop.wake()
        with self._turning:
            self._selector.close()
        self._threads.have_no_short()

    def _follow(self) -> None:
        """Have a new thread run the loop from here on."""
        leader = _Leader()
        name = f"loop-{self._started + 1}"
        threading.Thread(target=self._lead, args=(leader,), name=name, daemon=True).start()
        self._started += 1
        self._leader = leader

    def _lead(self, leader: _Leader) -> None:
        caller.meanwhile.set(partial(self._begin_others, leader))
        try:
            while True:
                with self._turning:
                    if self._leader is not leader:
                        break
                    self._beat()
                    self._loop.turn(0.0 if self._threads.short else TURN_S)
                self._answer_short(leader)
                if self._leader is not leader:
                    break  # whoever follows may hold the turn for long, and is woken below
        except BaseException as fault:
            self._fault = fault
            self._ring()
        self._loop.wake()  # whoever runs the loop now sees what this thread has left to it at last

    def _answer_short(self, leader: _Leader) -> None:
        """Answer the short requests that the turn has brought; those that follow them wait for a turn of the loop."""
        for _ in range(self._threads.short):
            begun = self._threads.take_short() if self._leader is leader else None
            if begun is None:
                break
            _, job, _ = begun
            leader.kind, leader.since_s = job.kind, time.monotonic()
            self._begun += 1
            if self._is_dozing:
                self._is_dozing = False
                self._ring()
            self._threads.do_short(begun)
        leader.since_s = 0.0
        logs.request_id.set("")

    def _begin_others(self, leader: _Leader) -> None:
        """While a request is about to wait for a commit: begin the next one of its kind, which begins the next itself.

        Back when those are answered, for the last one to wait has committed for all; one that does not wait, such as
        one that is refused, is answered at once.
        """
        kind = leader.kind
        for _ in range(MOST_TURNS):
            if leader.inner >= MOST_INNER or self._leader is not leader:
                break
            begun = self._threads.take_short(lambda job: job.kind == kind)
            if begun is not None:
                if self._has_committed(leader, begun):
                    break
            elif self._threads.short or not self._turn(leader):  # one of another kind is next, or nothing has come
                break

    def _has_committed(self, leader: _Leader, begun: Begun) -> bool:
        """Answer a request inside another one; True where it has waited for the commit for which that one waits."""
        context = copy_context()
        leader.inner += 1
        leader.since_s = time.monotonic()
        try:
            context.run(self._threads.do_short, begun)
        finally:
            leader.inner -= 1
        if self._leader is not leader:
            self._loop.wake()  # whoever follows has to see what this one has left to it
        return context[caller.commit_s] > 0

    def _turn(self, leader: _Leader) -> bool:
        """Take what has come since the last turn, such as a connection, the first half of most requests.

        False where nothing has come, or another thread runs the loop by now, which it may do for long.
        """
        if not self._turning.acquire(blocking=False):
            return False
        try:
            return self._leader is leader and Context().run(self._loop.turn, 0.0)
        finally:
            self._turning.release()

    def _ring(self) -> None:
        with contextlib.suppress(OSError):  # a full pipe wakes as well
            os.write(self._writing, b"\0")
