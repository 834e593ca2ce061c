"""Accepts connections for the event loop, as long as there is a place for them."""

from __future__ import annotations

import errno
import logging
import resource
import selectors
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

OTHER_FILES: Final = 256
"""File descriptors left to the database, vendors, bodies and logs."""

_NO_FILES: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}

log = logging.getLogger(__name__)


def most_connections(most_open: int, threads: int) -> int:
    """How many connections one process may have, by its limit of open files."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = most_open if soft == resource.RLIM_INFINITY else min(most_open, soft - OTHER_FILES)
    return max(most, threads + 1)


class Accepting:
    """The listeners of one process, which may share them with others."""

    def __init__(
        self,
        listeners: Sequence[Any],
        selector: selectors.BaseSelector,
        *,
        admit: Callable[[socket.socket, Any, Any], None],
        is_full: Callable[[], bool],
        make_place: Callable[[], bool],
    ) -> None:
        """`admit` is given a connection, the client's address and ours; `make_place` gives up another connection and
        returns True if it did."""
        self._addresses = {listener: listener.getsockname() for listener in listeners}
        self._selector = selector
        self._admit = admit
        self._is_full = is_full
        self._make_place = make_place
        self._is_on = False

    def start(self) -> None:
        """Accept from here on; harmless twice."""
        if not self._is_on:
            self._is_on = True
            for listener in self._addresses:
                listener.setblocking(False)
                self._selector.register(listener, selectors.EVENT_READ, partial(self._accept, listener))

    def pause(self) -> None:
        """Leave new connections to other processes, or to wait; harmless twice."""
        if self._is_on:
            self._is_on = False
            for listener in self._addresses:
                self._selector.unregister(listener)

    def stop(self, patience_s: float) -> None:
        """Accept what waits, for so long at most, and no more: what waits when a listener closes is reset."""
        self.pause()
        until_s = time.monotonic() + patience_s
        for listener in self._addresses:
            while self._accept(listener) and time.monotonic() < until_s:
                pass
            listener.close()

    def _accept(self, listener: Any) -> bool:
        """Accept one connection, no more, for another process may be idle.

        False when no connection is left that waits, or there is no place for one.
        """
        if self._is_full() and not self._make_place():
            self.pause()
            return False
        try:
            line, client = listener.accept()
        except (BlockingIOError, InterruptedError):
            return False
        except ConnectionError:
            return True
        except OSError as error:
            log.error("a connection cannot be accepted: %s", errno.errorcode.get(error.errno or 0, error.errno))
            # The loop begins again in a second: this need not be by our own connections.
            if error.errno not in _NO_FILES or not self._make_place():
                self.pause()
            return False
        line.setblocking(False)
        self._admit(line, client, self._addresses[listener])
        return True
