"""A server that has answered for long is no larger than one that has answered for a while."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.bench import KEY, ROOT, Client, gunicorn, inventory, load, peak_kib, post_bytes
from tests.benchmarks.bodies import MAX_BODY, bomb, packed_post, statuses
from tests.benchmarks.callbacks import PUSH, channel

GROWTH_MIB = 40


def test_p28_p46_memory_is_bounded_over_large_pushes_many_small_callbacks_and_bombs(tmp_path: Path) -> None:
    environment = {**channel("https://pipe17.invalid"), "DELIVERIES": "worker"}
    small = post_bytes(PUSH, inventory(10))
    with gunicorn("app:create_app()", folder=tmp_path, environment=environment) as server:
        client = Client(server.port)
        for first in (0, 1):  # the first pushes make the pools, buffers and caches what they will be
            assert client.send(post_bytes(PUSH, inventory(10_000, key=KEY, first=first)), is_kept=True) == 200
        [worker] = server.workers()
        before = peak_kib(worker, "VmRSS")
        for first in range(2, 20):
            assert client.send(post_bytes(PUSH, inventory(10_000, key=KEY, first=first)), is_kept=True) == 200
        after_large = peak_kib(worker, "VmRSS")
        answered = 0
        while answered < 50_000:
            result = load(server.port, lambda _: small, connections=8, duration_s=3)
            assert set(result.statuses) == {200} and not result.failures
            answered += len(result.seconds)
        after_small = peak_kib(worker, "VmRSS")
        client.close()
        before_bombs = peak_kib(worker)
        # By strangers, then by a channel: as large as may be, and of ten million values.
        assert statuses(server.port, [packed_post(bomb("no+key"))] * 24, 8) == {401: 24}
        stranger_kib = peak_kib(worker) - before_bombs
        assert statuses(server.port, [packed_post(bomb(KEY))] * 8, 8) == {413: 8}
        channel_kib = peak_kib(worker) - before_bombs
    print(f"peak MiB more: {stranger_kib / 1024:.0f} by strangers' bombs, {channel_kib / 1024:.0f} by a channel's")
    assert stranger_kib < MAX_BODY / 1024 / 2, "what has no key is kept nowhere (P46)"
    assert channel_kib < 2 * MAX_BODY / 1024, "two are in hand at most"
    figures = [f"{kib / 1024:.0f}" for kib in (before, after_large, after_small)]
    print(f"resident MiB: {figures[0]} at first, {figures[1]} after 20 pushes, {figures[2]} after {answered} callbacks")
    assert max(after_large, after_small) - before < GROWTH_MIB * 1024


ARENAS = """
import ctypes, sys, threading
import app.serving

assert "app.composition" in sys.modules, "imported before the fork, else every worker has a copy of its own"
assert not sys.modules.keys() & {"alembic", "markdown_it"}, "a start is quicker without what few need"
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
kept, go_on = [], threading.Barrier(13)

def fill():
    go_on.wait()
    kept.append([bytes(20_000) for _ in range(500)])
    go_on.wait()

for _ in range(12):
    threading.Thread(target=fill).start()
go_on.wait()
go_on.wait()
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
assert libc.malloc_info(0, file) == 0
libc.fclose(file)
"""


def test_p28_a_server_has_two_arenas_however_many_threads_it_has(tmp_path: Path) -> None:
    found = tmp_path / "malloc.xml"
    environment = {**os.environ, "APP_ENV": "demo", "CHANNELS": "# none", "DATABASE_URL": f"sqlite:///{tmp_path}/x.db"}
    environment.pop("MALLOC_ARENA_MAX", None)
    subprocess.run([sys.executable, "-c", ARENAS, str(found)], cwd=ROOT, env=environment, check=True, timeout=60)
    assert 1 <= found.read_text().count("<heap nr=") <= 2
