"""The journal while the database is away: lines are kept, and each is logged once."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

import app.records.journal
from app import logs, metrics
from app.domain.traffic import VendorCall
from app.records import call_figures, counters
from app.records.database import Database, DatabaseUnavailable
from app.records.journal import Journal


def test_a_callback_is_logged_once_however_long_the_database_is_away(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    database = Database(f"sqlite:///{folder}/channel.db")
    folder.rmdir()
    journal = Journal(database)
    journal.callback(
        name="order_pull", channel="first", order_refnum="", status=200, outcome="success", duration_s=0.1,
        request_id="once-only",
    )  # fmt: skip
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    with open(tmp_path / "log", "w", encoding="utf-8") as stream:
        handler = logs.GatheredLines(stream)
        handler.setFormatter(logs.JsonLines())
        root.handlers[:] = [handler]
        root.setLevel("INFO")
        try:
            for _ in range(3):
                journal.flush()
            handler.flush()
        finally:
            root.handlers[:] = before
            root.setLevel(level)
    database.close()
    assert (tmp_path / "log").read_text().count("once-only") == 1


def test_when_too_many_lines_wait_for_the_database_the_oldest_are_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.records.journal, "KEPT_LINES", 3)
    folder = tmp_path / "gone"
    database = Database(f"sqlite:///{folder}/channel.db")
    folder.rmdir()
    journal = Journal(database)
    for number in range(5):
        journal.callback(
            name="order_pull", channel="first", order_refnum="", status=200, outcome="success", duration_s=0.1,
            request_id=f"line-{number}",
        )  # fmt: skip
        journal.flush()
    folder.mkdir()
    database.prepare()
    for _ in range(2):
        journal.flush()
    with database.read() as connection:
        kept = connection.exec_driver_sql("select request_id from journal order by request_id").scalars().all()
    database.close()
    assert kept == ["line-2", "line-3", "line-4"]


def test_r16_what_waited_for_the_database_is_written_in_transactions_that_end_in_time_and_each_line_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third of five transactions is cut off: those before it stay, and what they wrote is not written again."""
    monkeypatch.setattr(app.records.journal, "AT_ONCE", 2)
    monkeypatch.setattr(app.records.journal, "WRITE_S", 0)
    count, sizes = call_figures.add, []

    def cut_off(connection: Connection, figures: call_figures.Counted) -> None:
        sizes.append(figures.calls.total())
        if len(sizes) == 3:
            raise DatabaseUnavailable("cut off")
        count(connection, figures)

    monkeypatch.setattr(call_figures, "add", cut_off)
    database = Database(f"sqlite:///{tmp_path}/channel.db")
    database.prepare()
    journal = Journal(database)
    for number in range(9):
        call = VendorCall("pipe17", "GET", "/orders", None, "ok", 0.3, f"call-{number}")
        journal.vendor_call("first", call)
    journal.flush()
    with database.read() as connection:
        assert connection.exec_driver_sql("select count(*) from journal").scalar() == 4
    journal.flush()
    with database.read() as connection:
        kept = connection.exec_driver_sql("select request_id from journal order by id").scalars().all()
        hours = "select sum(count) from call_figures where span_s = 3600"
        figures = connection.exec_driver_sql(hours).scalar()
        counted = counters.kept(connection)
    database.close()
    assert kept == [f"call-{number}" for number in range(9)] and sizes == [2, 2, 2, 2, 2, 1]
    assert figures == 9 and counters.totals(counted, metrics.VENDOR_CALLS) == {("pipe17", "ok"): 9}


def test_r16_lines_of_several_statements_are_counted_once_a_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Figures and last calls are rows of all processes: a transaction that came back to them could deadlock."""
    monkeypatch.setattr(app.records.journal, "AT_ONCE", 2)
    count, sizes = call_figures.add, []

    def note(connection: Connection, figures: call_figures.Counted) -> None:
        sizes.append(figures.calls.total())
        count(connection, figures)

    monkeypatch.setattr(call_figures, "add", note)
    database = Database(f"sqlite:///{tmp_path}/channel.db")
    database.prepare()
    journal = Journal(database)
    for number in range(7):
        journal.vendor_call("first", VendorCall("pipe17", "GET", "/orders", None, "ok", 0.3, f"call-{number}"))
    journal.flush()
    assert sizes == [7] and written(database) == [f"call-{number}" for number in range(7)]
    database.close()


def test_r16_a_line_that_the_database_refuses_costs_those_of_its_statement_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.records.journal, "AT_ONCE", 2)
    database = Database(f"sqlite:///{tmp_path}/channel.db")
    database.prepare()
    journal = Journal(database)
    for number in range(7):
        request_id: Any = None if number == 3 else f"call-{number}"  # the column takes no null
        journal.vendor_call("first", VendorCall("pipe17", "GET", "/orders", 200, "ok", 0.3, request_id))
    for _ in range(2):
        journal.flush()
    assert written(database) == [f"call-{number}" for number in (0, 1, 4, 5, 6)]
    database.close()


def written(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.exec_driver_sql("select request_id from journal order by id").scalars())


def test_what_is_counted_while_the_database_is_away_is_counted_once_it_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    database = Database(f"sqlite:///{folder}/channel.db")
    folder.rmdir()
    journal = Journal(database)
    for number, outcome in enumerate(["ok", "not_sent", "ok"]):
        call = VendorCall("pipe17", "GET", "/orders", None, outcome, 0.3, f"call-{number}")
        journal.vendor_call("first", call)
        journal.flush()
    folder.mkdir()
    database.prepare()
    for _ in range(2):
        journal.vendor_call("first", call)
        journal.flush()
    with database.read() as connection:
        found = counters.kept(connection)
    database.close()
    assert counters.totals(found, metrics.VENDOR_CALLS) == {("pipe17", "ok"): 4, ("pipe17", "not_sent"): 1}
    [seconds] = counters.distributions(found, metrics.VENDOR_SECONDS).values()
    assert dict(seconds.buckets)["+Inf"] == 4 and abs(seconds.sum_s - 1.2) < 0.001
