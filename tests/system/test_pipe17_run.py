"""Many shipping requests through the whole chain with faults on: pulled, acknowledged, shipped, completed.

`python -m tests.system.test_pipe17_run --orders 1000 --seed 7 [--calm]` prints the calls to Pipe17 per order and ends
with 0 only if none was lost and none doubled.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import func, select

from app import settings
from app.records.database import Database
from app.records.deliveries import OPEN_STATES
from app.records.tables.deliveries import deliveries
from app.sandbox.vendors.retailops import CallbackReply, RetailOps, shipment
from tests.system.chaos.vendor_faults import ILLNESSES, LATE_S, PLACES
from tests.system.stage import Stage

CALLERS = 6
FAULT_EVERY_S = 0.15
QUIET_S = 90.0


@dataclass
class Result:
    """What a run came to."""

    orders: int
    seconds: float = 0.0
    calls: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    @property
    def calls_per_order(self) -> float:
        return sum(self.calls.values()) / self.orders

    def lines(self) -> Iterator[str]:
        yield f"{self.orders} orders in {self.seconds:.0f} s; answers: {dict(self.answers)}"
        yield f"calls to Pipe17 per order: {self.calls_per_order:.2f}"
        for name, count in self.calls.most_common():
            yield f"  {count / self.orders:6.2f}  {name}"
        yield from (f"PROBLEM {problem}" for problem in self.problems)


class Run:
    """Every order of the vendor's queue is lived to its end, while the vendor is hit now and then."""

    def __init__(self, stage: Stage, orders: int, seed: int, *, is_calm: bool = False) -> None:
        self._stage = stage
        self._rng = random.Random(seed)
        self._is_calm = is_calm
        self._result = Result(orders)
        self._lock = threading.Lock()
        self._handed: Counter[str] = Counter()
        self._acknowledged: dict[str, int] = {}

    def play(self) -> Result:
        begun_at = time.monotonic()
        self._stage.tell_vendor("shipments", {"count": self._result.orders})
        before = Counter(self._stage.vendor()["calls"])
        healing = threading.Event()
        if not self._is_calm:
            self._stage.tell_vendor("settings", {"visible_after_s": LATE_S}, "PUT")
            storm = threading.Thread(target=self._storm, args=(healing,))
            storm.start()
        self._live_all(begun_at + 60.0 + self._result.orders)
        healing.set()
        if not self._is_calm:
            storm.join()
        self._stage.heal_vendor()
        self._await_quiet()
        vendor = self._stage.vendor()
        self._result.seconds = time.monotonic() - begun_at
        self._result.calls = Counter(vendor["calls"]) - before
        self._judge(vendor)
        return self._result

    def _storm(self, healing: threading.Event) -> None:
        while not healing.wait(FAULT_EVERY_S):
            rule = self._rng.choice(ILLNESSES)
            place = f"/api/v3{self._rng.choice(PLACES)}"
            self._stage.tell_vendor("faults", {**rule, "times": 1, "match": {"path_prefix": place}})

    def _live_all(self, give_up_at: float) -> None:
        """Pull and acknowledge until the queue is empty; whatever was acknowledged is lived meanwhile."""
        caller = self._stage.retailops()
        with ThreadPoolExecutor(CALLERS) as lives:
            while len(self._acknowledged) < self._result.orders and time.monotonic() < give_up_at:
                heard = self._ask(caller, "order_pull", page_token="", specific_orders=None)
                orders = heard.answer.get("orders", []) if heard else []
                fresh = [order for order in orders if order["channel_order_refnum"] not in self._acknowledged]
                if len(fresh) < len(orders):
                    self._problem("an order was handed out again after its acknowledgement was answered")
                self._handed.update(order["channel_order_refnum"] for order in fresh)
                entries = [
                    {"channel_order_refnum": order["channel_order_refnum"], "retailops_order_id": 9000 + number}
                    for number, order in enumerate(fresh, len(self._acknowledged))
                ]
                for at in range(0, len(entries), 10):
                    self._until_taken(caller, "order_acknowledge", give_up_at, orders=entries[at : at + 10])
                self._acknowledged |= {item["channel_order_refnum"]: item["retailops_order_id"] for item in entries}
                for order, entry in zip(fresh, entries, strict=True):
                    lives.submit(self._live, order, entry["retailops_order_id"], give_up_at)
        caller.close()

    def _live(self, order: dict[str, Any], shipment_id: int, give_up_at: float) -> None:
        """Everything in one package, then the completion that tells it again."""
        caller = self._stage.retailops()
        refnum = order["channel_order_refnum"]
        parcel = [(index, line["quantity"]) for index, line in enumerate(order["order_items"])]
        shipped = shipment(order, shipment_id, parcel)
        told = {"channel_order_refnum": refnum, "shipments": [shipped], "unshipped_items": []}
        try:
            self._until_taken(
                caller, "order_shipment_submit", give_up_at, channel_order_refnum=refnum, shipment=shipped
            )
            self._until_taken(caller, "order_complete", give_up_at, order=told)
        except Exception as error:
            self._problem(f"a life ended with {type(error).__name__}: {error}")
        finally:
            caller.close()

    def _until_taken(self, caller: RetailOps, callback: str, give_up_at: float, **fields: Any) -> None:
        while time.monotonic() < give_up_at:
            heard = self._ask(caller, callback, **fields)
            if heard is not None:
                if errors := heard.codes("error"):
                    self._problem(f"{callback} was answered {errors}")
                return
            time.sleep(0.1)
        self._problem(f"{callback} got no answer in time")

    def _ask(self, caller: RetailOps, callback: str, **fields: Any) -> CallbackReply | None:
        """None when it has to be sent again."""
        heard: CallbackReply | None = None
        outcome = ""
        try:
            heard = caller.call(callback, **fields)
        except requests.RequestException as error:
            outcome = type(error).__name__
        if heard is not None and heard.problems:
            self._problem(f"RetailOps would throw away an answer of {callback}")
        with self._lock:
            self._result.answers[outcome or str(heard and heard.status)] += 1
        return heard if heard is not None and heard.status == 200 else None

    def _problem(self, sentence: str) -> None:
        with self._lock:
            self._result.problems.append(sentence)

    def _await_quiet(self) -> None:
        database = Database(settings.load_database_url({"APP_ENV": "demo", "DATABASE_URL": self._stage.database_url}))
        is_open = select(func.count()).select_from(deliveries).where(deliveries.c.state.in_(OPEN_STATES))
        give_up_at = time.monotonic() + QUIET_S
        try:
            while True:
                with database.read() as connection:
                    left = connection.execute(is_open).scalar_one()
                if not left:
                    return
                if time.monotonic() > give_up_at:
                    return self._problem(f"{left} calls are still open")
                time.sleep(0.3)
        finally:
            database.close()

    def _judge(self, vendor: dict[str, Any]) -> None:
        """None lost, none doubled: every request sent to us, shipped once with all its units, under our number."""
        requests_of = {item["shipmentId"]: item for item in vendor["shipments"]}
        if set(requests_of) != set(self._handed):
            self._problem(f"{len(set(requests_of) ^ set(self._handed))} requests were lost or never made")
        made: dict[str, list[dict[str, Any]]] = {}
        for item in vendor["fulfillments"]:
            made.setdefault(item["shipmentId"], []).append(item)
        for refnum, item in requests_of.items():
            number = self._acknowledged.get(refnum)
            wanted = Counter({line["uniqueId"]: line["quantity"] for line in item["lineItems"]})
            shipped = [
                Counter({line["uniqueId"]: line["quantity"] for line in one["lineItems"]})
                for one in made.get(refnum, [])
            ]
            if (item["status"], item.get("extReferenceId")) != ("fulfilled", str(number)):
                self._problem(f"{refnum} is {item['status']} under {item.get('extReferenceId')}, not {number}")
            if shipped != [wanted]:
                self._problem(f"{refnum} has {len(shipped)} fulfilments")


def test_p9_no_request_is_lost_or_doubled_and_each_costs_few_calls(tmp_path: Path, seed: int) -> None:
    with Stage(tmp_path, f"sqlite:///{tmp_path / 'channel.db'}", shipments=0) as stage:
        stage.start()
        result = Run(stage, 60, seed).play()
    print("\n".join(result.lines()))
    assert result.problems == []
    assert result.calls_per_order < 9, "five and what the faults cost"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.system.test_pipe17_run", description=__doc__)
    parser.add_argument("--orders", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--calm", action="store_true", help="no faults: what an order costs at the least")
    wanted = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        Stage(Path(folder), f"sqlite:///{folder}/channel.db", shipments=0) as stage,
    ):
        stage.start()
        result = Run(stage, wanted.orders, wanted.seed, is_calm=wanted.calm).play()
    print("\n".join(result.lines()))
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main())
