"""A database that is locked, full, gone or slow: 503 in time, nothing half-written, and well again by itself."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask

from app.contract.schemas import Contract
from app.records import engines
from app.records.database import DatabaseUnavailable
from app.records.tables.deliveries import commands, deliveries
from app.records.tables.operations import journal
from app.records.tables.orders import packages
from app.records.tables.stock import stock as stock_table
from tests import ROOT
from tests.channels import channel_table
from tests.databases import driver_url, migrate
from tests.postgres import PostgresServer, running_postgres
from tests.retailops import Caller, codes, shipment_of
from tests.sandboxes import Sandbox
from tests.stopwatch import Stopwatch
from tests.waiting import eventually


def push(retailops: Caller, quantity: int, rows: int = 1) -> Any:
    updates = [{"sku": f"T{number}", "quantity_available": quantity} for number in range(rows)]
    return retailops.post("inventory_push", inventory_updates=updates)


def refused_for_now(reply: Any) -> bool:
    return reply.status_code == 503 and int(reply.headers["Retry-After"]) > 0 and codes(reply.get_json()) != []


def readiness(retailops: Caller) -> tuple[int, str]:
    """What the platform is told, and why."""
    reply = retailops.app.test_client().get("/readyz")
    assert (reply.status_code == 503) == ("Retry-After" in reply.headers)
    return reply.status_code, reply.get_json().get("reason", "")


def statuses_in_journal(retailops: Caller) -> list[int]:
    with retailops.database.read() as connection:
        wanted = sa.select(journal.c.status).where(journal.c.name == "inventory_push").order_by(journal.c.id)
        return list(connection.execute(wanted).scalars())


def count(retailops: Caller, table: sa.Table) -> int:
    with retailops.database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def test_p7_a_locked_sqlite_is_503_in_time_and_200_again_by_itself(retailops: Caller, tmp_path: Path) -> None:
    assert push(retailops, 1).status_code == 200
    holder = sqlite3.connect(tmp_path / "channel.db", isolation_level=None)
    holder.execute("begin immediate")
    took: list[tuple[bool, float]] = []

    def ask() -> None:
        with Stopwatch() as watch:
            is_refused = refused_for_now(push(retailops, 2))
        took.append((is_refused, watch.took_s))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(is_refused and seconds < 12 for is_refused, seconds in took), took
    assert retailops.app.test_client().get("/readyz").status_code == 200, "reading goes on beside a writer"
    holder.execute("rollback")
    holder.close()
    assert push(retailops, 3).status_code == 200
    eventually(lambda: statuses_in_journal(retailops) == [200, 503, 503, 503, 200])


def test_p10_a_full_disk_is_503_leaves_nothing_half_written_and_passes(
    build_app: Callable[..., Flask], pipe17: Sandbox, contract: Contract, tmp_path: Path
) -> None:
    retailops = Caller(build_app(channel_table(pipe17.url), DELIVERIES="worker"), contract)
    orders = retailops.pull()
    retailops.acknowledge(*[order["channel_order_refnum"] for order in orders])
    with closing(sqlite3.connect(tmp_path / "channel.db")) as connection:
        connection.execute("vacuum")  # no page is free inside the file
    is_full = True

    @sa.event.listens_for(retailops.database.engine, "begin")
    def _limit(connection: sa.Connection) -> None:
        pages = int(connection.exec_driver_sql("PRAGMA page_count").scalar_one()) if is_full else 2**30
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    assert refused_for_now(push(retailops, 5, rows=5_000))
    assert count(retailops, stock_table) == 0
    assert readiness(retailops) == (503, "the database cannot be written: the disk is full")
    for number, order in enumerate(orders):  # the last pages may have room for a few
        before = [count(retailops, table) for table in (commands, deliveries, packages)]
        calls = pipe17.calls("POST /fulfillments")
        reply = retailops.post("order_shipment_submit", **_shipment(order, number))
        if reply.status_code != 200:
            break
    assert refused_for_now(reply)
    assert [count(retailops, table) for table in (commands, deliveries, packages)] == before
    assert pipe17.calls("POST /fulfillments") == calls, "what could not be kept was not done"
    is_full = False
    assert readiness(retailops) == (200, "")
    assert push(retailops, 5, rows=5_000).status_code == 200
    assert codes(retailops.ask("order_shipment_submit", **_shipment(order, number))) == []
    assert len(pipe17.fulfilments(order["channel_order_refnum"])) == 1


def _shipment(order: dict[str, Any], number: int) -> dict[str, Any]:
    long = {name: name[0] * 250 for name in ("tracking_number", "carrier_name", "carrier_class_name")}
    return {
        "channel_order_refnum": order["channel_order_refnum"],
        "shipment": shipment_of(order, 501 + number, **long),
    }


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A server that may be stopped."""
    with running_postgres(is_durable=True) as server:
        yield server


@pytest.fixture
def beside(
    own_postgres: PostgresServer, build_app: Callable[..., Flask], pipe17: Sandbox, contract: Contract
) -> Iterator[Caller]:
    """RetailOps before an application on that server."""
    with own_postgres.database() as url:
        migrate(url)
        yield Caller(build_app(channel_table(pipe17.url), DATABASE_URL=url), contract)


@pytest.mark.postgresql
@pytest.mark.parametrize("is_crash", [False, True], ids=["stopped", "crashed"])
def test_p26_a_postgresql_that_goes_and_comes_back_costs_only_the_answers_in_between(
    beside: Caller, own_postgres: PostgresServer, pipe17: Sandbox, is_crash: bool
) -> None:
    orders = beside.pull()
    beside.acknowledge(*[order["channel_order_refnum"] for order in orders])
    pipe17.fault(kind="status", code=503, times=1, match={"method": "POST"})
    assert codes(beside.ship(orders[0])) == ["OWED"]
    assert push(beside, 1).status_code == 200
    own_postgres.stop(is_crash=is_crash)
    for _ in range(3):
        with Stopwatch() as watch:
            assert refused_for_now(push(beside, 2))
        assert watch.took_s < 12
    assert readiness(beside) == (503, "the database cannot be used: nobody listens at its address")
    assert beside.app.test_client().get("/healthz").status_code == 200
    own_postgres.start()
    assert push(beside, 3).status_code == 200, "the first use of a dead connection is not an error"
    eventually(lambda: len(pipe17.fulfilments(orders[0]["channel_order_refnum"])) == 1)
    eventually(lambda: statuses_in_journal(beside) == [200, 503, 503, 503, 200])


@pytest.mark.postgresql
def test_p24_a_postgresql_that_takes_no_writes_is_not_ready_and_says_why(
    beside: Caller, own_postgres: PostgresServer
) -> None:
    """A standby, a full disk; reading goes on."""
    assert readiness(beside) == (200, "")

    def administer(*statements: str) -> None:
        with psycopg.connect(own_postgres.url("postgres"), autocommit=True) as connection:
            for statement in (*statements, "select pg_reload_conf()"):
                connection.execute(statement)

    administer("alter system set default_transaction_read_only = on")
    eventually(lambda: readiness(beside) == (503, "the database cannot be written: it is read-only"))
    assert refused_for_now(push(beside, 1))
    administer("alter system reset default_transaction_read_only")
    eventually(lambda: readiness(beside) == (200, ""))
    with beside.database.write() as connection:
        full = "create function full_disk() returns trigger language plpgsql as $$ begin raise sqlstate '53100'; end $$"
        connection.execute(sa.text(full))
        on = "before insert on write_probes for each row execute function full_disk()"
        connection.execute(sa.text(f"create trigger full_disk {on}"))
    eventually(lambda: readiness(beside) == (503, "the database cannot be written: its disk is full"))


@pytest.mark.postgresql
def test_p5_connections_that_are_lost_again_and_again_are_503(
    own_postgres: PostgresServer, build_app: Callable[..., Flask], pipe17: Sandbox, contract: Contract
) -> None:
    """A proxy before the database, or a server that dies as it starts: the new connection is lost like the old one."""
    with own_postgres.database() as url, Relay(own_postgres.port) as relay:
        migrate(url)
        url = url.replace(f":{own_postgres.port}/", f":{relay.port}/")
        retailops = Caller(build_app(channel_table(pipe17.url), DATABASE_URL=url), contract)
        assert push(retailops, 1).status_code == 200
        relay.cuts = True
        for _ in range(4):
            assert refused_for_now(push(retailops, 2))
        status, reason = readiness(retailops)
        assert status == 503 and reason.startswith("the database cannot be used: ")
        shown = subprocess.run(
            [sys.executable, "-m", "app.cli", "refunds", "list"], capture_output=True, text=True, timeout=60, cwd=ROOT,
            env={**os.environ, "APP_ENV": "development", "DATABASE_URL": url, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert shown.returncode == 1 and "the database there cannot be used" in shown.stderr
        assert "Traceback" not in shown.stderr and shown.stderr.count("Error:") == 1
        relay.cuts = False
        assert push(retailops, 3).status_code == 200


class Relay:
    """Carries connections to a server on loopback; while it `cuts`, it ends each one at the first query."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.cuts = False
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes who accepts
        self._thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            threading.Thread(target=self._serve, args=(client, server), daemon=True).start()

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        with client, server:
            back = threading.Thread(target=self._carry, args=(server, client), daemon=True)
            back.start()
            self._carry(client, server)
            back.join()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if self.cuts and data[:1] in (b"Q", b"P"):  # a query, or its preparation
                    break
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)  # the other direction ends as well
        with suppress(OSError):
            source.shutdown(socket.SHUT_RDWR)


@pytest.mark.postgresql
def test_p7_a_postgresql_that_is_locked_is_503_in_time(beside: Caller) -> None:
    assert push(beside, 1).status_code == 200
    with psycopg.connect(driver_url(beside.database)) as holder:
        holder.execute("lock table stock in access exclusive mode")
        with Stopwatch() as watch:
            assert refused_for_now(push(beside, 2))
        assert watch.took_s < 12
    assert push(beside, 3).status_code == 200


@pytest.mark.postgresql
def test_p7_a_postgresql_that_hangs_is_given_up_in_time(beside: Caller, own_postgres: PostgresServer) -> None:
    assert push(beside, 1).status_code == 200
    with own_postgres.frozen():
        with Stopwatch() as watch:
            assert refused_for_now(push(beside, 2))
        assert watch.took_s < 12
    eventually(lambda: push(beside, 3).status_code == 200)


@pytest.mark.postgresql
def test_p10_a_write_that_is_cut_off_leaves_nothing(beside: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "TRANSACTION_S", 0.5)
    with pytest.raises(DatabaseUnavailable), beside.database.write() as connection:
        connection.execute(sa.insert(journal), [_line("half")])
        connection.execute(sa.text("select pg_sleep(5)"))
    with beside.database.read() as connection:
        assert connection.execute(sa.select(journal.c.id).where(journal.c.name == "half")).first() is None


def _line(name: str) -> dict[str, Any]:
    return {
        "at": datetime.now(UTC), "kind": "callback", "channel": "c", "name": name, "order_refnum": "", "status": 200,
        "outcome": "", "duration_ms": 1, "request_id": "r",
    }  # fmt: skip


@pytest.mark.postgresql
def test_p26_orders_touched_crosswise_by_many_never_wait_for_each_other(beside: Caller) -> None:
    """Pulls, and acknowledgements of the same orders in opposite order: PostgreSQL would call it a deadlock."""
    refnums = [order["channel_order_refnum"] for order in beside.pull()]
    found: list[int] = []

    def ask(callback: str, **fields: Any) -> None:
        for _ in range(6):
            found.append(beside.post(callback, **fields).status_code)

    def entries(named: list[str]) -> list[dict[str, Any]]:
        return [{"channel_order_refnum": refnum, "retailops_order_id": 5} for refnum in named]

    pull = {"specific_orders": [{"channel_refnum": refnum} for refnum in refnums]}
    threads = [
        threading.Thread(target=ask, args=("order_acknowledge",), kwargs={"orders": entries(refnums)}),
        threading.Thread(target=ask, args=("order_acknowledge",), kwargs={"orders": entries(refnums[::-1])}),
        threading.Thread(target=ask, args=("order_pull",), kwargs=pull),
        threading.Thread(target=ask, args=("order_pull",)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == {200} and len(found) == 24
