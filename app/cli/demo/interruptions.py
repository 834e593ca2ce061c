"""Ctrl-C and end signals while processes run: they interrupt once, and never where a process could be forgotten."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from app.cli.stopping import end_signals


def interrupt_once() -> None:
    """From now on the first Ctrl-C or end signal raises KeyboardInterrupt, and those after it do nothing.

    They come in groups (a closed terminal sends SIGHUP twice), and what was started is being ended by then.
    Main thread only.
    """
    is_interrupted = False

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal is_interrupted
        if not is_interrupted:
            is_interrupted = True
            raise KeyboardInterrupt

    for number in _numbers():
        signal.signal(number, interrupt)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ctrl-C and end signals that come during the block take effect at its end, once each.  Main thread only.

    They are not blocked in the kernel: a process that is started in the block would inherit that.
    """
    came: list[int] = []
    handlers = {number: signal.getsignal(number) for number in _numbers()}
    try:
        for number in handlers:
            signal.signal(number, lambda number, _frame: came.append(number))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for came_number in dict.fromkeys(came):
            signal.raise_signal(came_number)


def _numbers() -> list[signal.Signals]:
    """What is to end the demo; not what whoever started it has ignored."""
    return [number for number in (signal.SIGINT, *end_signals()) if signal.getsignal(number) is not signal.SIG_IGN]
