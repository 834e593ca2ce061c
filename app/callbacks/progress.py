"""Judges whether a peer keeps up: it is cut off for being slow, never for taking long."""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
from typing import Final

SLOWEST_BYTES_S: Final = 1024.0
"""Bytes a second below which a peer is too slow."""

WINDOW_S: Final = 30.0
"""How long a peer may be that slow."""

MOST_SENT_S: Final = 45.0
"""The same for a peer that reads.  It takes what it has been sent in steps as large as its own buffers, so what
leaves here shows its pace only roughly: half a window more keeps one that reads fast enough."""


class Progress:
    """Time a peer has left.  Each second of waiting takes one, each `SLOWEST_BYTES_S` bytes give one back.

    `most_s` is how much may be saved up, a window where nothing is said.
    """

    def __init__(self, most_s: float = 0.0) -> None:
        self._most_s = most_s or WINDOW_S
        self.left_s = WINDOW_S

    def waited(self, seconds: float) -> None:
        """The peer was waited for."""
        self.left_s -= seconds

    def moved(self, count: int) -> None:
        """So many bytes came or left."""
        self.left_s = min(self.left_s + count / SLOWEST_BYTES_S, self._most_s)

    @property
    def is_too_slow(self) -> bool:
        return self.left_s <= 0


class Outgoing:
    """How many bytes the peer of one socket has taken, beside what only waits in our system's buffer."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._given = 0
        self._taken = 0

    def given(self, count: int) -> None:
        """So many bytes were given to the system."""
        self._given += count

    def moved(self) -> int:
        """Bytes the peer has acknowledged since the last look."""
        taken = max(self._given - self.waiting(), self._taken)
        moved, self._taken = taken - self._taken, taken
        return moved

    def waiting(self) -> int:
        """Bytes the peer has not acknowledged; 0 where the system does not say, so that giving counts as taking."""
        try:
            raw = fcntl.ioctl(self._line.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
        except (OSError, ValueError):
            return 0
        return int(struct.unpack("i", raw)[0])
