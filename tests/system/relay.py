"""A network of our own between the server and a vendor: it can hold the bytes of either direction, or lose them.

While a direction is held nothing of it is passed on: on every connection, or only on those there are, as when one
of several paths is broken.  After the end of the hold each of them begins again within `resend_s`, as TCP does, so
that an old call may arrive after a newer one.  What becomes of a call whose caller gave up meanwhile depends on where
its bytes were, and the relay plays both:

* `are_sent=False`: the packets were swallowed, so the bytes stand in the caller's kernel, which sends them again once
  the network is back.  A caller that reset its connection has thrown them away; one that merely closed it has not.
* `are_sent=True`: the packets were under way and arrive late, whatever the caller did since.

`Relay.drop` ends every connection at once with a reset to both sides, and what was held is lost.  After
`Relay.refuse` nobody can connect any more, while those that are connected go on, held or not.
"""

from __future__ import annotations

import random
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from tests.real_server import free_port

Direction = Literal["calls", "answers"]

Tap = Callable[["Link", Direction, bytes], None]
"""Is told what is about to be passed on, in order: the connection, the direction, the bytes.

Not afterwards, for who gets the bytes may answer them, or hang up, before the thread that passed them on goes on.
"""

_BACKLOG = 64
_RESET = struct.pack("ii", 1, 0)


@dataclass(eq=False)
class Link:
    """One connection of a caller and its continuation to the vendor."""

    caller: socket.socket
    vendor: socket.socket
    caller_port: int
    gates: dict[Direction, threading.Event]
    """Open where this connection is not held for itself."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    ended: int = 0
    """How many of the two directions are over."""

    def has_reset(self) -> bool:
        """True when the caller threw the connection away, with what its kernel had not sent."""
        return bool(self._seen(0) & (select.POLLERR | select.POLLHUP | select.POLLNVAL))

    def has_closed(self) -> bool:
        """True when the caller reads no answer any more."""
        return bool(self._seen(select.POLLRDHUP))

    def _seen(self, wanted: int) -> int:
        """What the kernel says of the caller, whatever bytes of it are still to be read."""
        try:
            poll = select.poll()
            poll.register(self.caller, wanted)
            return sum(found for _, found in poll.poll(0))
        except (OSError, ValueError):
            return select.POLLNVAL

    def reset(self) -> None:
        """End both sides with a reset, at once."""
        for side in (self.caller, self.vendor):
            with suppress(OSError):
                side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                side.shutdown(socket.SHUT_RDWR)
            side.close()


class Relay:
    """Listens on a port of its own on loopback and passes everything on to the vendor's port, until `close()`."""

    def __init__(self, vendor_port: int, tap: Tap = lambda link, direction, data: None) -> None:
        self._vendor_port = vendor_port
        self._tap = tap
        self._gates = _open_gates()
        self._are_sent = False
        self._resend_s = 0.0
        self._links: set[Link] = set()
        self._lock = threading.Lock()
        self._is_refusing = self._is_closed = False
        self.port = free_port()  # one that the system chose would be given away as soon as nobody listens
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=_BACKLOG)
        self._begin_to_accept()

    def hold(
        self, *directions: Direction, are_sent: bool = False, is_for_all: bool = True, resend_s: float = 0.0
    ) -> None:
        """Pass nothing on in these directions from now on; `is_for_all` also on connections made later."""
        self._are_sent, self._resend_s = are_sent, resend_s
        with self._lock:
            held = [self._gates] if is_for_all else [link.gates for link in self._links]
        for gates in held:
            for direction in directions:
                gates[direction].clear()

    def refuse(self) -> None:
        """Refuse connections that are not there yet, from now on; the port stays this relay's."""
        with self._lock:
            if not self._is_refusing:
                self._is_refusing = True
                self._listener.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """Pass on what was held, and everything after it; take new connections again."""
        with self._lock:
            if self._is_refusing and not self._is_closed:
                self._is_refusing = False
                self._listener.listen(_BACKLOG)
                self._begin_to_accept()
            held = [self._gates, *(link.gates for link in self._links)]
        for gates in held:
            for gate in gates.values():
                gate.set()

    def drop(self) -> int:
        """Lose every connection and what was held; how many there were."""
        with self._lock:
            links, self._links = self._links, set()
        for link in links:
            link.reset()
            for gate in link.gates.values():
                gate.set()
        return len(links)

    def close(self) -> None:
        """Take no more connections and lose those there are."""
        with self._lock:
            self._is_closed = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()
        self.release()

    def _begin_to_accept(self) -> None:
        threading.Thread(target=self._accept, name="relay", daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                caller, (_, caller_port) = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._join, args=(caller, caller_port), daemon=True).start()

    def _join(self, caller: socket.socket, caller_port: int) -> None:
        try:
            vendor = socket.create_connection(("127.0.0.1", self._vendor_port), timeout=2)
        except OSError:  # The vendor is down: the caller hears the same as without a relay.
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            caller.close()
            return
        vendor.settimeout(None)
        for side in (caller, vendor):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = Link(caller, vendor, caller_port, _open_gates())
        with self._lock:
            self._links.add(link)
        threading.Thread(target=self._pass, args=(link, "answers", vendor, caller), daemon=True).start()
        self._pass(link, "calls", caller, vendor)

    def _pass(self, link: Link, direction: Direction, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                was_held = self._wait(link, direction)
                if was_held and direction == "calls" and not self._are_sent and link.has_reset():
                    break
                self._tap(link, direction, data)
                target.sendall(data)
            self._wait(link, direction)
            with suppress(OSError):
                target.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        self._end(link)

    def _wait(self, link: Link, direction: Direction) -> bool:
        """Until this direction of the connection is not held any more; True when it was."""
        was_held = False
        for gate in (self._gates[direction], link.gates[direction]):
            if not gate.is_set():
                gate.wait()
                was_held = True
        if was_held:
            time.sleep(random.uniform(0.0, self._resend_s))
        return was_held

    def _end(self, link: Link) -> None:
        """The second direction to end closes both sides; a reset of one ends the other, too."""
        with link.lock:
            link.ended += 1
            is_over = link.ended == 2
        if is_over or link.has_reset():
            with self._lock:
                self._links.discard(link)
            if is_over:
                link.caller.close()
                link.vendor.close()
            else:
                link.reset()


def _open_gates() -> dict[Direction, threading.Event]:
    gates: dict[Direction, threading.Event] = {"calls": threading.Event(), "answers": threading.Event()}
    for gate in gates.values():
        gate.set()
    return gates
