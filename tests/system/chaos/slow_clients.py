"""Clients without any key that hold on to whatever a server gives them (P46): the others must not notice."""

from __future__ import annotations

import random
import socket
import time
from contextlib import suppress

from tests.system.chaos.storm import Scene

CLIENTS = 30

_HEAD = b"POST /api/channel/order_pull_v1 HTTP/1.1\r\nHost: channel\r\nContent-Type: application/json\r\n"
_BODY = b'{"action": "SDK.orderpull.order_fetch", "version": 1, "client_id": 1201, "integration_auth_token": "none"}'


def connect_slowly(scene: Scene, rng: random.Random) -> bool:
    """A few seconds of heads and bodies of a byte a second, of silence, and of answers nobody reads."""
    seconds = rng.uniform(4.0, 7.0)
    return scene.beside("slow clients", lambda: _stay(scene.stage.port, seconds))


def _stay(port: int, seconds: float) -> None:
    whole = _HEAD + f"Content-Length: {len(_BODY)}\r\n\r\n".encode() + _BODY
    asked_for_much = b"GET /openapi.json HTTP/1.1\r\nHost: channel\r\n\r\n" * 20
    begun_with = (b"", whole[: whole.index(b"\r\n\r\n") + 4], b"", asked_for_much)
    goes_on = (whole, _BODY, b"", b"")
    clients: list[tuple[socket.socket, bytes]] = []
    end_at, sent = time.monotonic() + seconds, 0
    try:
        for number in range(CLIENTS):
            client = socket.socket()
            clients.append((client, goes_on[number % 4]))
            with suppress(OSError):  # one that cannot connect is closed with the others
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
                client.settimeout(0.2)
                client.connect(("127.0.0.1", port))
                client.sendall(begun_with[number % 4])
        while time.monotonic() < end_at:
            time.sleep(1.0)
            for client, rest in clients:
                with suppress(OSError):
                    client.send(rest[sent : sent + 1])
            sent += 1
    finally:
        for client, _ in clients:
            client.close()
