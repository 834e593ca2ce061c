"""Two hundred callers on a small plan's PostgreSQL, in the middle of a rolling release (P42)."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import requests

from tests import ROOT
from tests.channels import KEY, PAIR, channel_table
from tests.postgres import PostgresServer, limited_role
from tests.sandboxes import Sandbox
from tests.system.processes import Processes, in_parallel

pytestmark = pytest.mark.postgresql

ALLOWED = 20
CALLERS = 200
COMMANDS = (["deliveries", "list", "--json"], ["check", "--json"])


@pytest.fixture
def small_plan(postgres: PostgresServer, postgres_template: str) -> Iterator[tuple[str, str]]:
    """The addresses of a database, as its superuser and as a role with as many connections as small plans allow."""
    with postgres.database(postgres_template) as url, limited_role(url, ALLOWED) as limited:
        yield url, limited


def test_p42_two_hundred_callers_during_a_rolling_release_all_get_a_connection_and_so_does_the_operator(
    small_plan: tuple[str, str], pipe17: Sandbox, tmp_path: Path
) -> None:
    """Four web processes and two workers with their default settings; commands of the operator beside them."""
    url, limited = small_plan
    defaults = {"WEB_CONCURRENCY": "2", "WEB_THREADS": "16"}
    processes = Processes(tmp_path, limited, channel_table(pipe17.url), **defaults)
    is_over = threading.Event()
    seen: list[int] = []

    def watch() -> None:
        query = "select count(*) from pg_stat_activity where usename <> current_user and datname = current_database()"
        with psycopg.connect(url, autocommit=True) as observer:
            while not is_over.wait(0.02):
                [(count,)] = observer.execute(query).fetchall()
                seen.append(count)

    def call(address: str, number: int) -> list[int]:
        updates = [{"sku": f"S{number}-{row}", "quantity_available": 1} for row in range(3)]
        body = {
            "integration_auth_token": KEY, "action": "SDK.inventory_push", "version": 1, "client_id": PAIR[0],
            "channel_info": {"id": PAIR[1]}, "inventory_updates": updates,
        }  # fmt: skip
        statuses = [requests.post(f"{address}/api/channel/inventory_push_v1", json=body, timeout=60).status_code]
        if number % 10 == 0:
            statuses.append(requests.get(f"{address}/readyz", timeout=60).status_code)
        return statuses

    def operate(command: list[str]) -> tuple[int, str]:
        environment = processes.environment()
        done = subprocess.run(
            [sys.executable, "-m", "app.cli", *command], cwd=ROOT, env=environment, capture_output=True, text=True
        )
        return done.returncode, done.stdout + done.stderr

    try:
        addresses = [address for _, address in in_parallel(processes.web, processes.web)]
        processes.worker(), processes.worker()
        watching = threading.Thread(target=watch)
        watching.start()
        begun = time.monotonic()
        callers = [lambda number=number: call(addresses[number % 2], number) for number in range(CALLERS)]
        operators = [lambda command=command: operate(command) for command in COMMANDS]
        *answers, listed, checked = in_parallel(*callers, *operators)
        print(f"{CALLERS} callers in {time.monotonic() - begun:.1f} s; connections at most {max(seen)}")
        is_over.set()
        watching.join()
        assert Counter(status for each in answers for status in each) == {200: CALLERS + CALLERS // 10}
        assert listed[0] == 0, listed[1]
        assert checked[0] in (0, 1) and "too many connections" not in checked[1], checked[1]
        assert 6 <= max(seen) <= ALLOWED
    finally:
        is_over.set()
        processes.stop()
    assert "too many connections" not in processes.log()
