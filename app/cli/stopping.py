"""What ends a command that runs on: Ctrl-C, and the signals of platforms and terminals."""

from __future__ import annotations

import signal
import threading
from types import FrameType


def end_signals() -> list[signal.Signals]:
    """What a command is asked to end by, beside Ctrl-C: SIGTERM, and SIGHUP, which comes when its terminal is closed.

    Not SIGHUP where whoever started the command has it ignored, as nohup does.
    """
    hang_up = getattr(signal, "SIGHUP", None)
    return [signal.SIGTERM, *([hang_up] if hang_up and signal.getsignal(hang_up) is not signal.SIG_IGN else [])]


def stop_signal() -> threading.Event:
    """Set by Ctrl-C or an end signal from now on, in place of what they usually do.  Main thread only."""
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGINT, *end_signals()):
        signal.signal(number, stop)
    return stopping
