"""What really passed between the server and a vendor: every call with its answer, read off the relay's connections.

A vendor's sandbox forgives: a refund sent twice is a refund once.  Here both calls are seen, and whether the answer
of each reached the process that made it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.system.relay import Direction, Link


@dataclass
class Exchange:
    """One call as the vendor received it.  Times are monotonic."""

    method: str
    path: str
    body: bytes
    process: int | None
    """The process that made it; None where that could not be seen."""
    sent_at: float
    status: int = 0
    """0 until a whole answer goes to a caller that still listens."""
    answered_at: float = 0.0

    @property
    def is_surely_not_done(self) -> bool:
        """The vendor said no, or not now (408, 425, 429): the call may be made again."""
        return 400 <= self.status <= 499


@dataclass
class _Side:
    """The bytes of one direction that no whole message was read from yet."""

    data: bytearray = field(default_factory=bytearray)

    def messages(self) -> list[tuple[str, bytes]]:
        """Whole messages with a Content-Length: start line and body."""
        found = []
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            start_line, *lines = self.data[:end].decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(":") for line in lines)}
            whole = end + 4 + int(headers.get("content-length", "0"))
            if len(self.data) < whole:
                break
            found.append((start_line, bytes(self.data[end + 4 : whole])))
            del self.data[:whole]
        return found


class Overheard:
    """The exchanges of one kind with a vendor; its `tap` goes to the relay."""

    def __init__(self, path_end: str, owner_of: Callable[[int], int | None]) -> None:
        """`owner_of` names the process that has a local port; that costs time, so only these calls are kept."""
        self._path_end = path_end
        self._owner_of = owner_of
        self._lock = threading.Lock()
        self._sides: dict[tuple[Link, Direction], _Side] = {}
        self._owners: dict[Link, int | None] = {}
        self._open: dict[Link, list[Exchange]] = {}
        self.exchanges: list[Exchange] = []

    def tap(self, link: Link, direction: Direction, data: bytes) -> None:
        """Take in what is about to be passed on."""
        now = time.monotonic()
        kept: list[Exchange] = []
        with self._lock:
            side = self._sides.setdefault((link, direction), _Side())
            side.data += data
            for start_line, body in side.messages():
                if direction == "calls":
                    method, path, *_ = start_line.split(" ")
                    exchange = Exchange(method, path, body, None, now)
                    if path.endswith(self._path_end):
                        kept.append(exchange)
                    self._open.setdefault(link, []).append(exchange)
                elif waiting := self._open.get(link):
                    exchange = waiting.pop(0)
                    if not link.has_closed():
                        exchange.status, exchange.answered_at = int(start_line.split(" ")[1]), now
            self.exchanges += kept
        # Nobody else waits for it; a connection has one thread for each direction.
        for exchange in kept:
            exchange.process = self._owner(link)

    def _owner(self, link: Link) -> int | None:
        if link not in self._owners:
            self._owners[link] = self._owner_of(link.caller_port)
        return self._owners[link]
