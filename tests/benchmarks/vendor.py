"""A vendor that takes its time for every call, in a process of its own: `python -m tests.benchmarks.vendor PORT S`.

`GET /answered` says at once how many calls it has had; it counts as none.
"""

from __future__ import annotations

import selectors
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from tests.benchmarks.bench import ROOT
from tests.real_server import await_port, free_port

_BODIES = {
    b"/shipments/0": b'{"success":true,"code":200,"shipment":{"shipmentId":"ASKED_FOR_______",'
    b'"status":"sentToFulfillment","lineItems":[]}}',
    b"/locations": b'{"success":true,"code":200,"locations":[{"locationId":"00000000000000a1","name":"Dallas DC",'
    b'"status":"active"}],"pagination":{"last":true,"pageSize":100}}',
    b"/shipments": b'{"success":true,"code":200,"shipments":[],"pagination":{"last":true,"pageSize":100}}',
}

_ASKED_FOR = b"ASKED_FOR_______"
"""Stands for the id in the request's path."""


def main(port: int, delay_s: float) -> None:
    """One thread and an event loop, so that the vendor costs the machine as little as can be."""
    listener = socket.create_server(("127.0.0.1", port), backlog=256)
    listener.setblocking(False)
    loop = selectors.DefaultSelector()
    loop.register(listener, selectors.EVENT_READ)
    received: dict[socket.socket, bytes] = {}
    due: deque[tuple[float, socket.socket, bytes]] = deque()
    calls = 0
    while True:
        timeout = max(0.0, due[0][0] - time.monotonic()) if due else None
        for key, _ in loop.select(timeout):
            if key.fileobj is listener:
                peer, _ = listener.accept()
                peer.setblocking(False)
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                received[peer] = b""
                loop.register(peer, selectors.EVENT_READ)
                continue
            assert isinstance(key.fileobj, socket.socket)
            peer = key.fileobj
            try:
                piece = peer.recv(65536)
            except OSError:
                piece = b""
            if not piece:
                loop.unregister(peer)
                del received[peer]
                peer.close()
                continue
            received[peer] += piece
            answer = _answer_to(received[peer])
            if answer is not None:
                is_question = received[peer].startswith(b"GET /answered ")
                received[peer] = b""
                if is_question:
                    peer.sendall(_whole(b"%d" % calls))
                    continue
                calls += 1
                due.append((time.monotonic() + delay_s, peer, answer))
        while due and due[0][0] <= time.monotonic():
            _, peer, answer = due.popleft()
            if peer in received:
                peer.sendall(answer)


def content_for(head: bytes) -> bytes:
    """The body of the answer to a request with this head, or path."""
    return next((value for path, value in _BODIES.items() if path in head), b'{"success":true,"code":200}')


def _answer_to(request: bytes) -> bytes | None:
    """The answer once the request is whole."""
    head, mark, body = request.partition(b"\r\n\r\n")
    if not mark:
        return None
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    if length and len(body) < int(length):
        return None
    content = content_for(head)
    asked_for = head.partition(b"/shipments/")[2][: len(_ASKED_FOR)]
    content = content.replace(_ASKED_FOR, asked_for)
    return _whole(content)


def _whole(content: bytes) -> bytes:
    return (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(content)) + content


@contextmanager
def running(delay_s: float = 0.02) -> Iterator[int]:
    """The port of such a vendor, while the block lasts."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "tests.benchmarks.vendor", str(port), str(delay_s)], cwd=ROOT)
    try:
        await_port(port, process)
        yield port
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
