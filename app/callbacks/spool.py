"""Request bodies on their way in: in memory while they are small, then in files without names, bounded in sum (P46)."""

from __future__ import annotations

import contextlib
import io
import tempfile
import threading
from collections.abc import Callable
from typing import IO, Any, Final, cast

from app.errors import overloaded

SMALL_BYTES: Final = 64 * 1024
"""A body up to this stays in memory; the number of connections bounds how many there are."""

MOST_SPOOLED_BYTES: Final = 256 * 1024 * 1024
"""The larger bodies of one process together, from their first byte until their request is answered."""


class Room:
    """A number of bytes that many bodies share.  Any thread may give back."""

    def __init__(self, most_bytes: int, make_room: Callable[[], bool] = lambda: False) -> None:
        """`make_room` gives up some body when there is no room and returns True if it did."""
        self._lock = threading.Lock()
        self._left_bytes = most_bytes
        self._make_room = make_room

    def take(self, count: int) -> None:
        """Raises `HttpError` 503 where there is no room."""
        while not self._is_taken(count):
            if not self._make_room():
                raise overloaded("large requests")

    def give_back(self, count: int) -> None:
        with self._lock:
            self._left_bytes += count

    def _is_taken(self, count: int) -> bool:
        with self._lock:
            if count > self._left_bytes:
                return False
            self._left_bytes -= count
            return True


class Spool:
    """One body."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._file: IO[bytes] = io.BytesIO()
        self._taken = 0
        self.size = 0
        """Bytes so far."""

    @property
    def is_large(self) -> bool:
        """True when the body counts against the room."""
        return self._taken > 0

    def write(self, piece: bytes | memoryview) -> None:
        """Raises `HttpError` 503 where there is no room, `OSError` where the disk does not take it."""
        size = self.size + len(piece)
        if size > SMALL_BYTES:
            self._room.take(size - self._taken)
            if not self._taken:
                small = cast(io.BytesIO, self._file).getvalue()
                self._taken = size
                # Has no name, and where the system gives it one for a moment, nobody else may open it (0600).
                self._file = tempfile.TemporaryFile(prefix="channel-body-")  # noqa: SIM115
                self._file.write(small)
            self._taken = size
        self._file.write(piece)
        self.size = size

    def complete(self) -> None:
        """Nothing more comes.  Raises `OSError` where the disk does not take what was only buffered."""
        self._file.flush()

    def opened(self) -> IO[bytes]:
        """The body from its beginning."""
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Forget the body; harmless twice, and on a full disk, where closing the file reports what was not written."""
        with contextlib.suppress(OSError):
            self._file.close()
        taken, self._taken = self._taken, 0
        if taken:
            self._room.give_back(taken)


class BrokenOff:
    """What is here of a body that will never be whole: reads to its end and then raises `OSError`."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int | None = -1) -> bytes:
        found = b"" if size is None or size < 0 else self._file.read(size)
        if not found and size != 0:
            raise OSError("the body breaks off")
        return found

    def readline(self, size: int | None = -1) -> bytes:
        return self.read(size)

    def readinto(self, buffer: Any) -> int:
        found = self.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)

    def __iter__(self) -> BrokenOff:
        return self

    def __next__(self) -> bytes:
        return self.readline()
