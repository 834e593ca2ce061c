"""The feed from the real server: who fetches it slowly, or not at all, costs nobody else anything."""

from __future__ import annotations

import gzip
import json
import socket
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from app.callbacks import downloads
from app.callbacks.downloads import Downloads
from app.callbacks.progress import MOST_SENT_S, SLOWEST_BYTES_S
from tests.channels import KEY, PAIR
from tests.gateways.vendors.retailrocket.stage import FEED, PATHS, channel, record
from tests.passing_time import PassingTime
from tests.real_server import real_server
from tests.stopwatch import Stopwatch
from tests.waiting import eventually

THREADS = 3
"""Of the server's one process: fewer than stalled fetchers."""

STALLED = 8
OFFERS = 2_000


@dataclass
class Served:
    url: str
    port: int
    log: Path

    def push(self, callback: str, **fields: Any) -> dict[str, Any]:
        envelope = {"integration_auth_token": KEY, "client_id": PAIR[0], "channel_info": {"id": PAIR[1]}}
        reply = requests.post(f"{self.url}/api/channel/{callback}_v1", json=envelope | fields, timeout=20)
        assert reply.status_code == 200, reply.text
        answer: dict[str, Any] = reply.json()
        return answer


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    channels = channel("keep_gone_days = 1") + PATHS + 'description = "General.Description"\n'
    with real_server(tmp_path_factory.mktemp("served-feed"), channels, WEB_THREADS=str(THREADS)) as server:
        found = Served(server.url, server.port, server.log)
        words = ("hose", "garden", "kettle", "steel", "yard", "green")
        goods = [
            record(f"SKU-{n}", Description=" ".join(f"{words[(n * k) % 6]}{n * k}" for k in range(500)))
            for n in range(OFFERS)
        ]
        assert found.push("catalog_push", template_output={"data": {"products": goods}})["events"] == []
        eventually(lambda: requests.head(found.url + FEED, timeout=20).status_code == 200)
        yield found


def stalled(port: int) -> socket.socket:
    """Somebody who asks for the feed and reads nothing."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.connect(("127.0.0.1", port))
    line.sendall(f"GET {FEED} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return line


def test_p15_stalled_downloads_of_the_feed_take_neither_a_thread_nor_the_feed_from_others(served: Served) -> None:
    with ExitStack() as stack:
        lines = [stack.enter_context(stalled(served.port)) for _ in range(STALLED)]
        time.sleep(0.5)
        with Stopwatch() as watch:
            for _ in range(5):
                assert served.push("catalog_get_config") == {"sku_fanout": "no_fanout"}
        assert watch.took_s < 3
        whole = requests.get(served.url + FEED, headers={"Accept-Encoding": "identity"}, timeout=20)
        packed = requests.get(served.url + FEED, stream=True, timeout=20)
        text = gzip.decompress(packed.raw.read(decode_content=False))
        assert whole.status_code == packed.status_code == 200 and whole.content == text
        assert len(ET.fromstring(text).findall("shop/offers/offer")) >= OFFERS / 10
        assert len(text) > 8_000_000, "the feed would fit into the system's buffers, and nobody would stall"
        # Each of them may still have all of it, for nothing was cut off in this time.
        for line in (lines[0], lines[-1]):
            line.settimeout(10)
            given = 0
            while piece := line.recv(1 << 20):
                given += len(piece)
            assert given > len(text)


def test_p15_a_fetcher_that_hangs_up_gives_its_place_back(served: Served) -> None:
    for _ in range(3):
        lines = [stalled(served.port) for _ in range(40)]
        for line in lines:
            line.close()
    eventually(lambda: requests.get(served.url + FEED, timeout=20).status_code == 200)
    assert served.push("catalog_get_config") == {"sku_fanout": "no_fanout"}
    assert b'"ERROR"' not in served.log.read_bytes()


class Body:
    """Ever more bytes, and whether it was closed."""

    def __init__(self, pieces: int) -> None:
        self.pieces = pieces
        self.is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(self.pieces):
            yield b"x" * 65536

    def close(self) -> None:
        self.is_closed = True


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of one TCP connection, with small buffers."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        theirs = socket.socket()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        theirs.connect(listener.getsockname())
        ours, _ = listener.accept()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32768)
    return ours, theirs


def test_a_download_is_cut_off_for_being_slow_and_not_for_taking_long(
    monkeypatch: pytest.MonkeyPatch, time_passes: PassingTime
) -> None:
    looks, is_over = 0, downloads._Download.is_over

    def counted(download: downloads._Download) -> bool:
        nonlocal looks
        looks += 1
        return is_over(download)

    monkeypatch.setattr(downloads._Download, "is_over", counted)
    monkeypatch.setattr(downloads, "LOOK_S", 0.01)
    sender = Downloads()
    slow, quick = Body(1000), Body(5)
    ours, stalling = pair()
    sender.take(ours, slow)
    ours, reading = pair()
    sender.take(ours, quick)
    given = 0
    begun_s = time.monotonic()
    with stalling, reading:
        reading.settimeout(30)
        while piece := reading.recv(8192):
            given += len(piece)
            if given < 5 * 65536:
                time_passes.move(len(piece) / SLOWEST_BYTES_S / 2)  # it is twice as fast as it has to be
                seen = looks
                eventually(lambda: looks >= seen + 4 or quick.is_closed)  # noqa: B023 - asked at once
        assert given == 5 * 65536 and time.monotonic() - begun_s > 3 * MOST_SENT_S
        eventually(lambda: slow.is_closed and quick.is_closed)
    sender.stop(1)


def test_json_is_what_a_fetcher_hears_where_there_is_no_feed(served: Served) -> None:
    reply = requests.get(f"{served.url}/feeds/retailrocket/other.xml", timeout=5)
    assert reply.status_code == 404 and json.loads(reply.text)["events"][0]["code"] == "NO_FEED"
