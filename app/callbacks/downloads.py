"""Sends long bodies from one thread for all, so that a peer that stalls holds no thread of its own (R14)."""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Final

from app.callbacks.mailbox import Mailbox
from app.callbacks.progress import MOST_SENT_S, Outgoing, Progress

TURN_BYTES: Final = 512 * 1024
"""What one peer is given before the others have their turn."""

LOOK_S: Final = 1.0
"""How often the pace of every peer is judged."""

log = logging.getLogger(__name__)


class _Download:
    """One body on its way."""

    def __init__(self, line: socket.socket, body: Iterable[bytes]) -> None:
        self.line = line
        self._body = body
        self._pieces: Iterator[bytes] = iter(body)
        self._rest = memoryview(b"")
        self._outgoing = Outgoing(line)
        self._progress = Progress(MOST_SENT_S)
        self._looked_at_s = time.monotonic()
        self.is_given = False
        """True when all of it is given to the system; the connection stays until the peer has taken it."""

    def send(self) -> None:
        """Send what the peer takes now.  Raises `OSError` when it is gone, and whatever the body raises."""
        given = 0
        while given < TURN_BYTES:
            if not self._rest:
                piece = next(self._pieces, None)
                if piece is None:
                    self.is_given = True
                    self.line.shutdown(socket.SHUT_WR)
                    return
                self._rest = memoryview(piece)
                continue
            try:
                count = self.line.send(self._rest)
            except (BlockingIOError, InterruptedError):
                return
            self._rest = self._rest[count:]
            self._outgoing.given(count)
            given += count

    def is_over(self) -> bool:
        """True when the peer has all of it, or is too slow."""
        now_s = time.monotonic()
        self._progress.waited(now_s - self._looked_at_s)
        self._looked_at_s = now_s
        self._progress.moved(self._outgoing.moved())
        return self._progress.is_too_slow or (self.is_given and not self._outgoing.waiting())

    def close(self) -> None:
        close = getattr(self._body, "close", None)
        with contextlib.suppress(OSError):
            self.line.close()
        if close is not None:
            close()


class Downloads:
    """All bodies one process is sending this way; whoever makes a body bounds how many there are."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._new: Mailbox[_Download] = Mailbox()
        self._thread: threading.Thread | None = None
        self._end_at_s: float | None = None

    def take(self, line: socket.socket, body: Iterable[bytes]) -> None:
        """Send the body and close the connection, which is ours from here on; returns at once."""
        line.setblocking(False)
        self._new.put(_Download(line, body))
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="downloads", daemon=True)
                self._thread.start()

    def stop(self, patience_s: float) -> None:
        """Let what is being sent end, for so long; cut off the rest."""
        self._end_at_s = time.monotonic() + patience_s
        if self._thread is not None:
            self._new.ring()
            self._thread.join(patience_s + 2 * LOOK_S)
        self._new.close()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._new.woken, selectors.EVENT_READ)
            look_at_s = time.monotonic() + LOOK_S
            while True:
                for key, _ in selector.select(LOOK_S):
                    if key.data is None:
                        self._admit(selector)
                    else:
                        self._serve(selector, key.data)
                if time.monotonic() >= look_at_s:
                    look_at_s = time.monotonic() + LOOK_S
                    for download in _open(selector):
                        if download.is_over():
                            _end(selector, download)
                if self._end_at_s is not None and not self._new:
                    if time.monotonic() >= self._end_at_s:
                        for download in _open(selector):
                            _end(selector, download)
                    if not _open(selector):
                        return

    def _admit(self, selector: selectors.BaseSelector) -> None:
        for download in self._new.take():
            selector.register(download.line, selectors.EVENT_WRITE, download)
            self._serve(selector, download)

    def _serve(self, selector: selectors.BaseSelector, download: _Download) -> None:
        try:
            if download.is_given:
                if not download.line.recv(4096):
                    _end(selector, download)
                return
            download.send()
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            _end(selector, download)
        except Exception as error:
            # The head promised a length, so whoever reads sees that this is cut short.
            log.warning("a download was broken off: %s", type(error).__name__)
            _end(selector, download)
        else:
            if download.is_given:
                selector.modify(download.line, selectors.EVENT_READ, download)


def _open(selector: selectors.BaseSelector) -> list[_Download]:
    return [key.data for key in selector.get_map().values() if key.data is not None]


def _end(selector: selectors.BaseSelector, download: _Download) -> None:
    with contextlib.suppress(KeyError, ValueError):
        selector.unregister(download.line)
    download.close()
