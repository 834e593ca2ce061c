"""A TCP relay that can stand still like a network that swallows packets, and go on as if nothing had been.

While it holds, it reads from neither side.  Of what a client sends then, as much as fits into the relay's small receive
buffer counts as on its way and is delivered at `release`; the rest stays in the send buffer of the client's own kernel,
which goes on sending it after the release, unless the client has dropped it by then.
"""

from __future__ import annotations

import select
import socket
import struct
import threading
from contextlib import suppress
from types import TracebackType
from typing import Final

SWALLOWED_BYTES: Final = 4096
"""Receive buffer towards the client, in bytes as the kernel counts them: payload takes about half of it at most."""

_CHUNK: Final = 65536
_POLL_S: Final = 0.02


class HoldingProxy:
    """Relays connections on a loopback port of its own to `upstream` until `stop()` or the end of a `with` block."""

    def __init__(self, upstream: tuple[str, int]) -> None:
        self._upstream = upstream
        self._open = threading.Event()
        self._open.set()
        self._is_stopping = False
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self.holds = 0
        """How often it was told to hold."""
        self.delivered = 0
        """Bytes given to the upstream so far."""
        self._listener = socket.socket()
        # Before it listens, so that connections inherit the small window from their first packet on.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SWALLOWED_BYTES)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(128)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, name="holding-proxy", daemon=True).start()

    def hold(self) -> None:
        """From now on nothing passes, in either direction, new connections included."""
        self.holds += 1
        self._open.clear()

    def release(self) -> None:
        """What is on its way arrives, and everything passes again."""
        self._open.set()

    def stop(self) -> None:
        """Closes the port and every connection.  Harmless when repeated."""
        self._is_stopping = True
        self._open.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for sock in self._sockets:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> HoldingProxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _accept(self) -> None:
        with suppress(OSError):
            while not self._is_stopping:
                client, _ = self._listener.accept()
                threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        self._open.wait()
        try:
            server = socket.create_connection(self._upstream, timeout=5)
        except OSError:
            _reset(client)
            return
        with self._lock:
            self._sockets |= {client, server}
        for sock in (client, server):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        back = threading.Thread(target=self._pass_on, args=(server, client, False), daemon=True)
        back.start()
        self._pass_on(client, server, True)
        back.join()
        with self._lock:
            self._sockets -= {client, server}
        client.close()
        server.close()

    def _pass_on(self, source: socket.socket, target: socket.socket, is_to_upstream: bool) -> None:
        """Until one side ends: an orderly end is passed on as one, a reset as a reset."""
        while not self._is_stopping:
            self._open.wait()
            if not select.select([source], [], [], _POLL_S)[0] or not self._open.is_set():
                continue
            try:
                data = source.recv(_CHUNK)
            except BlockingIOError:
                continue
            except OSError:
                _reset(target)
                return
            # What was read in the moment of a hold is on its way, too.
            self._open.wait()
            try:
                if not data:
                    target.shutdown(socket.SHUT_WR)
                    return
                _send_all(target, data)
            except OSError:
                _reset(source)
                return
            if is_to_upstream:
                self.delivered += len(data)


def start(upstream: str | tuple[str, int]) -> HoldingProxy:
    """A relay to an upstream given as (host, port) or as an http address."""
    if isinstance(upstream, str):
        host, _, port = upstream.removeprefix("http://").partition("/")[0].rpartition(":")
        upstream = (host, int(port))
    return HoldingProxy(upstream)


def _send_all(sock: socket.socket, data: bytes) -> None:
    left = memoryview(data)
    while left:
        select.select([], [sock], [])
        with suppress(BlockingIOError):
            left = left[sock.send(left) :]


def _reset(sock: socket.socket) -> None:
    """Both directions end with a reset; the other thread of the connection is woken."""
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.shutdown(socket.SHUT_RDWR)
