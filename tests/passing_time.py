"""Time that passes at once: what a server would do within seconds it does now, so no test sleeps to see it not done."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from app.clock import SharedClock
from app.deliveries.dispatcher import Dispatcher

ROUNDS = 3
"""Looks of the background after which nothing more comes of one moment: a report is queued, sent, recorded."""

PATIENCE_S = 20.0


class PassingTime:
    """Every clock that this process reads, moved on by a test; calls under way see their deadlines come nearer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._ahead_s = 0.0
        monotonic, wall, gettime, learn = time.monotonic, time.time, time.clock_gettime, SharedClock.learn

        def learn_ahead(clock: SharedClock, shared_s: float, asked_s: float, answered_s: float) -> None:
            learn(clock, shared_s + self._ahead_s, asked_s, answered_s)  # PostgreSQL's clock goes with ours

        monkeypatch.setattr(time, "monotonic", lambda: monotonic() + self._ahead_s)
        monkeypatch.setattr(time, "time", lambda: wall() + self._ahead_s)
        monkeypatch.setattr(time, "clock_gettime", lambda clock: gettime(clock) + self._ahead_s)
        monkeypatch.setattr(SharedClock, "learn", learn_ahead)

    def move(self, seconds: float) -> None:
        """So many seconds have passed; nobody is woken."""
        self._ahead_s += seconds

    def __call__(self, app: Flask, seconds: float) -> None:
        """So many seconds pass, and the background of this server has done all that is due then."""
        self.move(seconds)
        for _ in range(ROUNDS):
            finish_looks(app)


def finish_looks(app: Flask) -> None:
    """Return when the background has looked for everything that is due, and has ended all that it began then."""
    dispatcher: Dispatcher = app.extensions["works"].dispatcher
    if not isinstance(dispatcher._idle, _CountedIdle):
        dispatcher._idle = _CountedIdle(dispatcher._idle)
    seen = dispatcher._idle
    enough = seen.count + 2  # the first may have begun before
    _await(lambda: seen.count >= enough, dispatcher.wake)
    work = dispatcher._stream_work
    _await(
        lambda: (
            not (
                work._busy or work._queued or any(dispatcher._slots._inside.values()) or dispatcher._recorder.has_any()
            )
        ),
        lambda: None,
    )


class _CountedIdle:
    """Counts the turns of a dispatcher that found nothing to claim."""

    def __init__(self, idle: Callable[[], Any]) -> None:
        self._idle = idle
        self.count = 0

    def __call__(self) -> None:
        self._idle()
        self.count += 1


def _await(is_so: Callable[[], bool], push: Callable[[], None]) -> None:
    give_up_at = time.perf_counter() + PATIENCE_S
    while not is_so():
        assert time.perf_counter() < give_up_at, "the background did not come to rest"
        push()
        time.sleep(0.005)
