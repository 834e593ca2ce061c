"""Old code and new code on one database, both ways and under traffic: each migration says who can use it (P47)."""

from __future__ import annotations

import itertools
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
import sqlalchemy as sa

from app.contract.schemas import Contract
from tests.channels import KEY, PAIR, channel_table
from tests.databases import open_database
from tests.sandboxes import Sandbox
from tests.system import releases
from tests.system.processes import Processes, caller
from tests.waiting import eventually

pytestmark = [pytest.mark.both_databases, pytest.mark.unmigrated]


class Traffic:
    """RetailOps calling whichever server is told, from several threads; every answer is judged and kept."""

    THREADS = 3

    def __init__(self, contract: Contract) -> None:
        self._check = contract.callbacks["inventory_push"].check_answer
        self.refnums: Iterator[str] = iter(())
        self.address = ""
        self.answers: list[tuple[int, str]] = []
        self.acknowledged: list[str] = []
        self.stated: dict[str, int] = {}
        """The last quantity of each SKU that was answered with 200."""
        self._may_go = threading.Event()
        self._is_over = False
        self._at_work = [threading.Lock() for _ in range(self.THREADS)]
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(self.THREADS)]

    def begin(self, address: str) -> None:
        self.address = address
        for thread in self._threads:
            thread.start()
        self._may_go.set()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nothing is under way inside the block: a process may be killed without taking a request along."""
        self._may_go.clear()
        for lock in self._at_work:
            lock.acquire()
        try:
            yield
        finally:
            for lock in self._at_work:
                lock.release()
            self._may_go.set()

    def go_to(self, address: str) -> None:
        """From here on everything goes to another server; returns when the former one has answered all."""
        with self.held():
            self.address = address

    def end(self) -> None:
        self._is_over = True
        self._may_go.set()
        for thread in self._threads:
            thread.join()

    def more(self, seconds: float) -> list[tuple[int, str]]:
        """What is answered in the next seconds; at least some."""
        begun = len(self.answers)
        time.sleep(seconds)
        eventually(lambda: len(self.answers) >= begun + 2 * self.THREADS)
        return self.answers[begun:]

    def _run(self, number: int) -> None:
        session = requests.Session()
        for turn in itertools.count(1):
            self._may_go.wait()
            if self._is_over:
                session.close()
                return
            with self._at_work[number]:
                self._state(session, number, turn)
                if turn % 3 == 0 and (refnum := next(self.refnums, None)):
                    entries = [{"channel_order_refnum": refnum, "retailops_order_id": turn}]
                    if self._post(session, "order_acknowledge", orders=entries) == 200:
                        self.acknowledged.append(refnum)
            time.sleep(0.1)

    def _state(self, session: requests.Session, number: int, turn: int) -> None:
        rows = [{"sku": f"R{number}", "quantity_available": turn}]
        if self._post(session, "inventory_push", inventory_updates=rows) == 200:
            self.stated[f"R{number}"] = turn

    def _post(self, session: requests.Session, callback: str, **fields: Any) -> int:
        body = {"integration_auth_token": KEY, "client_id": PAIR[0], "channel_info": {"id": PAIR[1]}, **fields}
        reply = session.post(f"{self.address}/api/channel/{callback}_v1", json=body, timeout=15)
        if reply.status_code == 200 and callback == "inventory_push":
            assert self._check(reply.json()) == ()
        self.answers.append((reply.status_code, reply.headers.get("Retry-After", "")))
        told = {event["code"] for event in reply.json()["events"] if event["event_type"] == "error"}
        return reply.status_code if reply.status_code != 200 or not told else 0


class Release:
    """One version of the code and its processes on the database of the test."""

    def __init__(self, code: Path, folder: Path, database_url: str, channels: str) -> None:
        self._is_sqlite = database_url.startswith("sqlite")
        folder.mkdir()
        self.processes = Processes(
            folder, database_url, channels, code,
            DELIVERIES="inline" if self._is_sqlite else "worker", WEB_CONCURRENCY="2", WEB_THREADS="8",
        )  # fmt: skip

    def deploy(self) -> int:
        """What a platform runs before it starts the processes; SQLite migrates itself at the start."""
        return 0 if self._is_sqlite else self.processes.start(["app.cli", "db", "upgrade"]).wait(90)

    def start(self) -> tuple[subprocess.Popen[bytes], str]:
        assert self.deploy() == 0, self.processes.log()[-2000:]
        if not self._is_sqlite:
            self.processes.worker()
        return self.processes.web()


def readiness(address: str) -> tuple[int, str]:
    reply = requests.get(f"{address}/readyz", timeout=10)
    return reply.status_code, reply.json().get("reason", "")


def replace_a_dead_process(server: subprocess.Popen[bytes], traffic: Traffic) -> None:
    """Kill one web process; gunicorn has another in its place before traffic goes on."""
    master = psutil.Process(server.pid)
    with traffic.held():
        before = master.children()
        before[0].kill()
        eventually(lambda: len(new := master.children()) == 2 and before[0] not in new)
    time.sleep(1.5)
    assert server.poll() is None and before[0] not in master.children()


@pytest.fixture(scope="module")
def codes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """The last release, this code with an additive migration, and with a breaking one; Python compiles each once."""
    folder = tmp_path_factory.mktemp("codes")
    old_code = releases.last_release(folder / "old_code")
    new_code = releases.with_additive(folder / "new_code", releases.newest_migration(old_code))
    return old_code, new_code, releases.with_breaking(folder / "newest_code", new_code)


def test_p47_old_and_new_code_live_on_one_database_as_each_migration_says(
    database_url: str, pipe17: Sandbox, contract: Contract, codes: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    pipe17.tell("shipments", {"count": 60})
    channels = channel_table(pipe17.url)
    old, new, newest = (Release(code, tmp_path / f"{code.name}_runs", database_url, channels) for code in codes)
    traffic = Traffic(contract)
    try:
        old_server, old_address = old.start()
        retailops = caller(old_address, contract)
        traffic.refnums = iter([order["channel_order_refnum"] for order in retailops.pull_all()])
        retailops.close()
        traffic.begin(old_address)
        traffic.more(0.5)

        # An additive migration runs under the traffic of the old code, which goes on, and so do its replacements.
        new_server, new_address = new.start()
        assert readiness(old_address) == (200, "")
        replace_a_dead_process(old_server, traffic)
        traffic.more(0.5)
        assert readiness(old_address) == (200, "")
        traffic.go_to(new_address)
        traffic.more(0.5)
        old_server.send_signal(signal.SIGTERM)
        assert old_server.wait(25) == 0

        # A rollback: old code starts on the newer database.
        old_server, old_address = old.start()
        traffic.go_to(old_address)
        new.processes.stop()
        traffic.more(1)
        assert {status for status, _ in traffic.answers} == {200}

        # A breaking one: the old code says so, writes nothing, and does not end.
        newest_server, newest_address = newest.start()
        eventually(lambda: traffic.answers[-1][0] == 503)
        traffic.go_to(old_address)  # so that all that was begun before is answered
        refused = traffic.more(1)
        assert {status for status, _ in refused} == {503} and all(int(wait) > 0 for _, wait in refused)
        status, reason = readiness(old_address)
        assert status == 503 and releases.BREAKING in reason and "deploy the newer version" in reason
        assert requests.get(f"{old_address}/healthz", timeout=10).status_code == 200
        replace_a_dead_process(old_server, traffic)
        assert {status for status, _ in traffic.more(1)} == {503}
        assert_nothing_changed(database_url)
        assert old.processes.start(["app.cli", "deliveries", "work"]).wait(90) == 2, "it refuses to start"
        assert "deploy the newer version again" in old.processes.log()

        before = dict(traffic.stated)
        traffic.go_to(newest_address)
        assert {status for status, _ in traffic.more(1)} == {200}
        assert all(traffic.stated[sku] > figure for sku, figure in before.items())
        assert set(status for status, _ in traffic.answers) == {200, 503}
        assert "Traceback" not in old.processes.log() + new.processes.log() + newest.processes.log()
        traffic.end()
        assert_all_is_kept_and_done(traffic, pipe17, database_url)
        assert newest_server.poll() is None and new_server.returncode is not None
    finally:
        traffic.end()
        for release in (old, new, newest):
            release.processes.stop()


@contextmanager
def opened(url: str) -> Iterator[sa.Connection]:
    database = open_database(url)
    try:
        with database.read() as connection:
            yield connection
    finally:
        database.close()


def assert_nothing_changed(database_url: str) -> None:
    """What old code would have written since the migration is not there."""
    with opened(database_url) as connection:
        for table, columns in releases.KEPT.items():
            now, then = (
                set(map(tuple, connection.execute(sa.text(f"select {columns} from {name}"))))
                for name in (table, f"{table}_then")
            )
            assert now == then, table


def assert_all_is_kept_and_done(traffic: Traffic, pipe17: Sandbox, database_url: str) -> None:
    """What was answered with 200, whichever code has answered."""
    with opened(database_url) as connection:
        bound = set(connection.execute(sa.text("select order_refnum from commands")).scalars())
        levels = dict(map(tuple, connection.execute(sa.text("select sku, level from stock"))))
    assert len(traffic.acknowledged) > 5 and set(traffic.acknowledged) <= bound
    for sku, figure in traffic.stated.items():
        assert str(figure).encode() in bytes(levels[sku]), (sku, figure, levels[sku])
    eventually(lambda: _statuses(pipe17, traffic.acknowledged) == {"sentToFulfillment"})


def _statuses(pipe17: Sandbox, refnums: list[str]) -> set[str]:
    return {item["status"] for item in pipe17.state()["shipments"] if item["shipmentId"] in set(refnums)}
