"""Counters that processes share: what each adds is summed, and a histogram is one whoever asks."""

from __future__ import annotations

import pytest

from app import metrics
from app.metrics import Metric
from app.records import counters
from app.records.counters import Deltas
from app.records.database import Database

pytestmark = pytest.mark.both_databases


def write(database: Database, deltas: Deltas) -> None:
    with database.write() as connection:
        deltas.write(connection)


def kept(database: Database) -> counters.Kept:
    with database.read() as connection:
        return counters.kept(connection)


def test_p26_what_processes_count_adds_up(database: Database) -> None:
    first, second = Deltas(), Deltas()
    for deltas in (first, second):
        deltas.count(metrics.CALLBACKS, "order_pull", "200")
        for duration_s in (0.004, 0.02, 0.3, 60.0):
            deltas.observe(metrics.CALLBACK_SECONDS, duration_s, "order_pull")
    second.count(metrics.CALLBACKS, "order_pull", "503")
    for deltas in (first, second):
        write(database, deltas)
        deltas.clear()
        assert not deltas
    write(database, first)
    found = kept(database)
    assert counters.totals(found, metrics.CALLBACKS) == {("order_pull", "200"): 2, ("order_pull", "503"): 1}
    [(labels, seconds)] = counters.distributions(found, metrics.CALLBACK_SECONDS).items()
    assert labels == ("order_pull",)
    assert dict(seconds.buckets) == {
        "0.005": 2, "0.02": 4, "0.1": 4, "0.5": 6, "1": 6, "2": 6, "5": 6, "10": 6, "12": 6, "+Inf": 8,
    }  # fmt: skip
    assert seconds.sum_s == pytest.approx(2 * 60.324)


def test_p47_lines_of_a_version_with_other_labels_and_bounds_do_no_harm(database: Database) -> None:
    theirs = Metric(metrics.CALLBACKS.name, "counter", ("callback", "status", "channel"), "")
    coarse = Metric(metrics.CALLBACK_SECONDS.name, "histogram", ("callback",), "", (0.25, 3.0))
    deltas = Deltas()
    deltas.count(theirs, "order_pull", "200", "first")
    deltas.count(metrics.CALLBACKS, "order_pull", "200")
    deltas.observe(coarse, 2.5, "order_pull")
    deltas.observe(metrics.CALLBACK_SECONDS, 1.5, "order_pull")
    write(database, deltas)
    found = kept(database)
    assert counters.totals(found, metrics.CALLBACKS) == {("order_pull", "200"): 1}
    [seconds] = counters.distributions(found, metrics.CALLBACK_SECONDS).values()
    assert [count for bound, count in seconds.buckets if bound in ("1", "2", "3", "5", "+Inf")] == [0, 1, 2, 2, 2]
