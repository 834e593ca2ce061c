"""`channel ...` whose process stops itself once, between the last look at its lease and the first byte it sends.

`python -m tests.system.stands_still WORDS deliveries work`: at the first request that has these bytes in it.  Nobody
can look again between a look and a send, so that is where a process that is stopped does most harm.
"""

from __future__ import annotations

import gc
import http.client
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from app.records.database import Database


@contextmanager
def _nobody_writing() -> Iterator[None]:
    """No thread of this process is in a transaction of SQLite, which would keep every other process from writing."""
    with ExitStack() as writers:
        for database in [item for item in gc.get_objects() if isinstance(item, Database)]:
            writers.enter_context(database._writer.turn("", 60.0))
        yield


def stop_before(words: bytes) -> None:
    """SIGSTOP this process at its first request that has `words` in it; whoever continues it lets it send them."""
    own_send = http.client.HTTPConnection.send
    has_stood = False

    def send(connection: http.client.HTTPConnection, data: Any) -> None:
        nonlocal has_stood
        if not has_stood and words in bytes(data):
            has_stood = True
            stand_still()
        own_send(connection, data)

    http.client.HTTPConnection.send = send  # type: ignore[method-assign]


def stop_when_told(order: Path) -> None:
    """SIGSTOP this process at the first writing request it sends while the file `order` is there.

    Who stops takes the file away.
    """
    own_send = http.client.HTTPConnection.send

    def send(connection: http.client.HTTPConnection, data: Any) -> None:
        if data[:4] in (b"POST", b"PUT ") and order.exists():
            with suppress(FileNotFoundError):  # another process was first
                order.unlink()
                stand_still()
        own_send(connection, data)

    http.client.HTTPConnection.send = send  # type: ignore[method-assign]


def stand_still() -> None:
    """Until somebody sends SIGCONT.

    The signal goes to this thread, which then takes not one step more.  Sent to the process it reaches the main
    thread first, and until that one runs the others go on: this one gives the turn to write to the next, which may be
    stopped in the middle of its transaction.
    """
    with _nobody_writing():
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)


if __name__ == "__main__":
    from app.cli import main
    from tests.system.stage import hurry

    stop_before(sys.argv.pop(1).encode())
    hurry()
    main()
