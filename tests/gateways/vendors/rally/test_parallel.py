"""Several products or SKUs go to Rally at a time: what that must not change of order, refusals and certainty (R13)."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from app.contract.schemas import Contract
from app.deliveries.background_work import WorkerProcess
from app.deliveries.sync import Syncer
from app.gateways.vendors.rally import FACTS_AT_ONCE
from app.records.tables.catalogue import catalogue_sync
from app.records.tables.stock import stock, sync_states
from app.sandbox.server import serve
from tests.gateways.vendors.rally.shop import channel_text, record
from tests.retailops import Caller
from tests.waiting import eventually

STREAM = ("shop", "rally")
SKUS = [f"S{number:02d}" for number in range(40)]


class SlowRally:
    """A Rally that takes its time, and keeps which calls were under way together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: Counter[str] = Counter()
        self._skus: dict[str, str] = {}
        self.delay_s: Callable[[], float] = lambda: 0.005
        self.status_of: Callable[[str, int], int] = lambda sku, calls: 200
        """The status for a SKU, given how many calls there were before."""
        self.overlapping: list[str] = []
        self.most_at_once = 0
        self.calls = 0
        self.figures: defaultdict[str, list[int]] = defaultdict(list)
        """Of each SKU the figures of stock that were accepted, in their order."""
        self.prices: defaultdict[str, list[int]] = defaultdict(list)
        self.not_accepted: Counter[str] = Counter()
        self.categories: list[str] = []
        self.categories_before: list[int] = []
        """How many there were when each product came."""

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        body = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        if environ["PATH_INFO"].endswith("category-update"):
            time.sleep(self.delay_s())
            self.categories.append(body["title"])
            start("200 Answered", [("Content-Type", "application/json"), ("Content-Length", "2")])
            return [b"{}"]
        is_stock = environ["PATH_INFO"].endswith("product-inventory-update")
        with self._lock:
            if not is_stock:
                self._skus[body["external_id"]] = body["variants"][0]["external_sku"]
                self.categories_before.append(len(self.categories))
            sku = self._skus[body["external_product_id" if is_stock else "external_id"]]
            if self._open[sku]:
                self.overlapping.append(sku)
            self._open[sku] += 1
            self.most_at_once = max(self.most_at_once, self._open.total())
            status = self.status_of(sku, self.calls)
            self.calls += 1
            delay_s = self.delay_s()
        time.sleep(delay_s)
        with self._lock:
            self._open[sku] -= 1
            if status != 200:
                self.not_accepted[sku] += 1
            elif is_stock:
                self.figures[sku].append(body["value"])
            else:
                self.prices[sku].append(int(body["variants"][0]["prices"][0]["price"]))
        start(f"{status} Answered", [("Content-Type", "application/json"), ("Content-Length", "2")])
        return [b"{}"]


class Desk:
    """RetailOps, and the syncer where no other is running."""

    def __init__(self, rally: SlowRally, retailops: Caller) -> None:
        self.rally = rally
        self.retailops = retailops
        works = retailops.app.extensions["works"]
        self.is_stopping = threading.Event()
        process = WorkerProcess(works.database, works.gateways, works.database.clock, self.is_stopping.is_set)
        self.syncer = Syncer(process)

    def offer(self, price: int, skus: Iterable[str] = SKUS, *, category: str = "") -> None:
        records = [record(SKUS.index(sku) + 100, sku, f"{price}.00") for sku in skus]
        if category:
            for each in records:
                each["feed_data"]["Categories"] = [category]
        self.retailops.ask("catalog_push", template_output={"data": {"Product": records}})

    def state(self, **units: int) -> None:
        rows = [{"sku": sku, "quantity_available": count} for sku, count in units.items()]
        self.retailops.ask("inventory_push", inventory_updates=rows)

    def send(self) -> None:
        """Send what is due, without pauses."""
        with self.retailops.database.write() as connection:
            connection.execute(update(sync_states).values(next_try_at=None, catalogue_next_try_at=None))
        self.syncer.send(*STREAM)

    def owed(self) -> set[str]:
        return {sku for sku, is_owed, _ in self._levels() if is_owed}

    def uncertain(self) -> set[str]:
        """What the vendor may have of these is not known."""
        return {sku for sku, _, uncertain in self._levels() if uncertain is not None}

    def owed_products(self) -> int:
        synced = catalogue_sync.c
        with self.retailops.database.read() as connection:
            return len(connection.execute(select(synced.root_key).where(synced.seq > synced.sent_seq)).all())

    def _levels(self) -> list[Any]:
        levels = stock.c
        with self.retailops.database.read() as connection:
            return list(connection.execute(select(levels.sku, levels.seq > levels.sent_seq, levels.uncertain)))


@pytest.fixture
def desk_of(build_app: Callable[..., Flask], contract: Contract) -> Iterator[Callable[..., Desk]]:
    rally = SlowRally()
    with serve(rally) as server:
        yield lambda **how: Desk(rally, Caller(build_app(channel_text(server.url), **how), contract))


@pytest.fixture
def desk(desk_of: Callable[..., Desk]) -> Desk:
    """Rally has the products; nobody but the test sends anything."""
    desk = desk_of(DELIVERIES="worker")
    desk.offer(10)
    desk.state(**dict.fromkeys(SKUS, 1))
    desk.send()
    assert desk.owed() == desk.uncertain() == set() and desk.owed_products() == 0
    desk.rally.calls = 0
    return desk


def test_p27_calls_for_one_sku_never_overlap_and_the_newest_arrives_last(
    desk_of: Callable[..., Desk], seed: int
) -> None:
    roll = random.Random(seed)
    desk = desk_of()
    desk.rally.delay_s = lambda: roll.choice((0.0, 0.002, 0.005, 0.01, 0.08))
    desk.offer(10)
    stated: dict[str, int] = {}
    for turn in range(1, 7):
        fresh = {sku: 100 * turn + number for number, sku in enumerate(roll.sample(SKUS, 20))}
        stated |= fresh
        desk.state(**fresh)
        if turn % 3 == 0:
            desk.offer(10 + turn, roll.sample(SKUS, 10))
        before = desk.rally.calls
        eventually(lambda before=before: desk.rally.calls > before)
    eventually(lambda: not desk.owed() and not desk.owed_products())
    assert desk.rally.overlapping == []
    assert 1 < desk.rally.most_at_once <= FACTS_AT_ONCE
    for sku, newest in stated.items():
        figures = desk.rally.figures[sku]
        assert figures == sorted(set(figures)) and figures[-1:] in ([newest], []), sku


def test_r13_a_refused_sku_costs_its_own_entry_alone(desk: Desk) -> None:
    desk.rally.status_of = lambda sku, calls: 422 if sku == "S07" else 200
    desk.state(**dict.fromkeys(SKUS, 2))
    desk.offer(11)
    desk.send()
    assert desk.rally.most_at_once > 1
    accepted = {sku for sku in SKUS if (desk.rally.figures[sku][-1], desk.rally.prices[sku][-1]) == (2, 11)}
    assert accepted == set(SKUS) - {"S07"} and desk.rally.not_accepted == {"S07": 2}
    assert desk.owed() == set()


def test_r13_a_category_is_sent_once_and_before_all_products_that_name_it(desk: Desk) -> None:
    desk.rally.categories_before.clear()
    desk.rally.delay_s = lambda: 0.02
    desk.offer(11, category="Shirts")
    desk.send()
    assert desk.rally.categories == ["Shirts"] and desk.rally.categories_before == [1] * len(SKUS)
    assert desk.rally.most_at_once > 1


def test_p44_a_vendor_that_dies_in_the_middle_leaves_in_doubt_only_what_it_was_sent(
    desk: Desk, desk_of: Callable[..., Desk]
) -> None:
    desk.rally.status_of = lambda sku, calls: 503 if calls >= 12 else 200
    desk.state(**dict.fromkeys(SKUS, 2))
    desk.send()
    failed = {sku for sku in SKUS if desk.rally.not_accepted[sku]}
    taken = {sku for sku in SKUS if desk.rally.figures[sku][-1:] == [2]}
    assert len(taken) == 12 and 0 < len(failed) < 28
    assert (desk.owed(), desk.uncertain()) == (set(SKUS) - taken, failed)

    desk.rally.status_of = lambda sku, calls: 200
    desk_of(DELIVERIES="worker").send()  # another process, whose breaker is closed
    assert desk.owed() == set()
    assert all(desk.rally.figures[sku][-1] == 2 for sku in SKUS)
    again_at = stock.c.again_at
    with desk.retailops.database.read() as connection:
        again = set(connection.execute(select(stock.c.sku).where(again_at.is_not(None))).scalars())
    assert again <= failed, "what was never tried is not sent once more"


@pytest.mark.both_databases
def test_p21_a_worker_that_stops_in_the_middle_records_what_was_taken_and_gives_back_the_rest(
    desk_of: Callable[..., Desk],
) -> None:
    desk = desk_of(DELIVERIES="worker")

    def stopping(sku: str, calls: int) -> int:
        if calls == 10:
            desk.is_stopping.set()
        return 200

    desk.rally.status_of = stopping
    desk.offer(10)
    desk.send()
    assert desk.owed_products() == len(SKUS) - desk.rally.calls and desk.rally.calls <= 10 + FACTS_AT_ONCE
    synced = catalogue_sync.c
    with desk.retailops.database.read() as connection:
        assert connection.execute(select(synced.root_key).where(synced.is_in_flight)).all() == []
        assert (
            len(connection.execute(select(synced.root_key).where(synced.sent.is_not(None))).all()) == desk.rally.calls
        )
    desk.is_stopping.clear()
    desk.send()
    desk.state(**dict.fromkeys(SKUS, 3))
    desk.rally.calls = 0
    desk.send()
    assert len(desk.owed()) == len(SKUS) - desk.rally.calls > 0 and desk.uncertain() == set()
