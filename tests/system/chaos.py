"""The chaos run: eight callers live whole order lives while everything around them is killed at random.

`python -m tests.system.chaos --seconds 60 --seed 7 [--database sqlite|postgresql]` prints what happened
and ends with 0 only if, once all is well again, the vendor's state equals what was answered.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import requests
from sqlalchemy import select

from app import settings
from app.records import stock
from app.records.database import Database, DatabaseUnavailable
from app.records.tables import deliveries
from app.sandbox.retailops import RetailOps, shipment
from tests.postgres import NoPostgres, running_postgres
from tests.system.books import Books, Request, Units, Vendor, changed, compare
from tests.system.stage import Stage

CALLERS = 8
FACILITIES = ("Dallas DC", "Reno DC")
SKUS_PER_CALLER = 5

LATE_S = 0.8
"""How late the vendor shows what it did."""

FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "reset_before"},
    {"kind": "reset_after"},
    {"kind": "reset_after"},
    {"kind": "refuse"},
    {"kind": "status", "code": 500},
    {"kind": "status", "code": 502, "works": True},
    {"kind": "status", "code": 503, "retry_after": 1},
    {"kind": "status", "code": 429, "retry_after": 1},
    {"kind": "hang"},
    {"kind": "hang", "works": True},
    {"kind": "html"},
    {"kind": "html", "works": True},
    {"kind": "half_body"},
    {"kind": "truncated_json"},
    {"kind": "wrong_type"},
    {"kind": "empty"},
    {"kind": "slow", "delay_s": 0.6},
    {"kind": "slow", "delay_s": 1.4},
)
PLACES = ("", "/fulfillments", "/fulfillments", "/shipments", "/shipments", "/inventory")


class DatabaseServer(Protocol):
    """A database server of the run's own that can be stopped and started."""

    def stop(self, *, is_crash: bool) -> None: ...

    def start(self) -> None: ...


@dataclass
class Result:
    """What a run came to."""

    seed: int
    lives: Counter[str] = field(default_factory=Counter)
    blows: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    fulfilments: int = 0
    saved_by_vendor: int = 0
    """Creates that only the vendor's own 409 kept from being doubled, as far as was seen."""
    parked: list[tuple[str, str, str]] = field(default_factory=list)
    seconds_to_quiet: float = 0.0
    violations: list[str] = field(default_factory=list)
    log_tail: str = ""

    def lines(self) -> Iterator[str]:
        def told(counts: Counter[str]) -> str:
            return ", ".join(f"{times} {name}" for name, times in counts.most_common())

        yield f"seed {self.seed}"
        yield f"lives:    {told(self.lives)}"
        yield f"blows:    {told(self.blows)}"
        yield f"answers:  {told(self.statuses)}"
        yield f"events:   {told(self.events)}"
        yield f"vendor:   {self.fulfilments} fulfilments, {self.saved_by_vendor} doubled creates it refused itself"
        yield f"parked:   {self.parked or 'none'}"
        yield f"quiet {self.seconds_to_quiet:.1f} s after the last blow"
        for violation in self.violations:
            yield f"VIOLATION {violation}"
        if self.violations:
            yield f"last lines of the server's log:\n{self.log_tail}"
        yield "the vendor's state equals what was answered" if not self.violations else "NOT as promised"


class Shop:
    """Orders RetailOps has fetched and nobody has begun to live yet."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._lock = threading.Lock()
        self._seen: set[str] = set()
        self._waiting: list[dict[str, Any]] = []
        self._ids = 500

    def take(self, caller: RetailOps, count: int) -> list[dict[str, Any]]:
        with self._lock:
            if len(self._waiting) < count:
                self._fetch(caller)
            taken, self._waiting = self._waiting[:count], self._waiting[count:]
            return taken

    def next_shipment_id(self) -> int:
        with self._lock:
            self._ids += 1
            return self._ids

    def _fetch(self, caller: RetailOps) -> None:
        had = self._books.acknowledged()
        try:
            found = caller.pull_all()
        except (requests.RequestException, RuntimeError):
            return
        for order in found:
            refnum = order["channel_order_refnum"]
            if refnum in had:
                self._books.violate(f"{refnum} was handed out again after its acknowledgement was answered")
            if refnum not in self._seen:
                self._seen.add(refnum)
                self._waiting.append(order)


Step = list[Request]
"""Requests to be sent at the same time."""


class Playwright:
    """Writes the lives of orders."""

    def __init__(self, rng: random.Random, shop: Shop) -> None:
        self._rng = rng
        self._shop = shop
        self._lives: dict[str, Callable[[dict[str, Any]], list[Step]]] = {
            "kept": lambda order: [],
            "shipped": self._shipped,
            "completed": self._completed,
            "cut short": self._cut_short,
            "completed unseen": self._completed_unseen,
            "cancelled": self._cancelled,
            "cancelled too late": self._cancelled_too_late,
            "cancelled while shipping": self._cancelled_while_shipping,
        }

    def life(self, order: dict[str, Any]) -> tuple[str, list[Step]]:
        name = self._rng.choices(list(self._lives), (1, 3, 3, 4, 3, 4, 2, 1))[0]
        return name, self._lives[name](order)

    def acknowledgement(self, orders: list[dict[str, Any]]) -> Request:
        refnums = tuple(order["channel_order_refnum"] for order in orders)
        entries = [
            {"channel_order_refnum": refnum, "retailops_order_id": self._shop.next_shipment_id()} for refnum in refnums
        ]
        return Request("order_acknowledge", {"orders": entries}, refnums)

    def submission(self, order: dict[str, Any]) -> Request:
        """Everything in one shipment of one to three packages."""
        return self._parcelled(order, self._packed(self._units(order)))

    def cancellation(self, order: dict[str, Any]) -> Request:
        refnum = order["channel_order_refnum"]
        return Request("order_cancel", {"order": {"channel_order_refnum": refnum}}, (refnum,))

    def completion(self, order: dict[str, Any]) -> Request:
        """It tells shipments nobody submitted before, and units that will never ship."""
        [[completion]] = self._completed_unseen(order)
        return completion

    def _shipped(self, order: dict[str, Any]) -> list[Step]:
        return [[self._parcelled(order, parcels)] for parcels in self._shipments(self._units(order))]

    def _completed(self, order: dict[str, Any]) -> list[Step]:
        submitted = self._shipped(order)
        return [*submitted, [self._completion(order, [step[0] for step in submitted], [])]]

    def _cut_short(self, order: dict[str, Any]) -> list[Step]:
        sent, kept = self._halves(order)
        submitted = [[self._parcelled(order, parcels)] for parcels in self._shipments(sent)]
        return [*submitted, [self._completion(order, [step[0] for step in submitted], kept)]]

    def _completed_unseen(self, order: dict[str, Any]) -> list[Step]:
        """Its shipments are never submitted; the completion alone tells them."""
        sent, kept = self._halves(order)
        unseen = [self._parcelled(order, parcels) for parcels in self._shipments(sent)]
        return [[self._completion(order, unseen, kept)]]

    def _cancelled(self, order: dict[str, Any]) -> list[Step]:
        return [[self.cancellation(order)]]

    def _cancelled_too_late(self, order: dict[str, Any]) -> list[Step]:
        return [*self._shipped(order), [self.cancellation(order)]]

    def _cancelled_while_shipping(self, order: dict[str, Any]) -> list[Step]:
        first, *_ = self._shipped(order)
        return [[first[0], self.cancellation(order)]]

    def _units(self, order: dict[str, Any]) -> list[int]:
        """The line of every unit, shuffled."""
        units = [index for index, line in enumerate(order["order_items"]) for _ in range(line["quantity"])]
        self._rng.shuffle(units)
        return units

    def _halves(self, order: dict[str, Any]) -> tuple[list[int], list[int]]:
        """What ships and what never will; the latter is never empty."""
        units = self._units(order)
        at = self._rng.randrange(len(units))
        return units[:at], units[at:]

    def _shipments(self, units: list[int]) -> list[list[list[tuple[int, int]]]]:
        """One or two shipments of one to three packages, each of (line, units)."""
        return [self._packed(part) for part in self._parts(units, 2)]

    def _packed(self, units: list[int]) -> list[list[tuple[int, int]]]:
        return [sorted(Counter(parcel).items()) for parcel in self._parts(units, 3)]

    def _parts(self, units: list[int], at_most: int) -> list[list[int]]:
        count = self._rng.randint(1, at_most)
        return [part for part in (units[at::count] for at in range(count)) if part]

    def _parcelled(self, order: dict[str, Any], parcels: list[list[tuple[int, int]]]) -> Request:
        refnum = order["channel_order_refnum"]
        shipment_id = self._shop.next_shipment_id()
        shipped = shipment(order, shipment_id, *parcels)
        packages = {
            f"{shipment_id}-{package['retailops_package_id']}": _by_line(order, parcel)
            for package, parcel in zip(shipped["packages"], parcels, strict=True)
        }
        fields = {"channel_order_refnum": refnum, "retailops_order_id": 0, "shipment": shipped}
        return Request("order_shipment_submit", fields, (refnum,), packages)

    def _completion(self, order: dict[str, Any], submitted: list[Request], kept: list[int]) -> Request:
        refnum = order["channel_order_refnum"]
        lines = order["order_items"]
        missing = sorted(Counter(kept).items())
        told = {
            "channel_order_refnum": refnum,
            "grand_total": "0",
            "shipments": [request.fields["shipment"] for request in submitted],
            "unshipped_items": [
                {
                    "channel_item_refnum": lines[index]["channel_item_refnum"],
                    "sku": lines[index]["sku"],
                    "ordered_quantity": lines[index]["quantity"],
                    "unshipped_quantity": units,
                }
                for index, units in missing
            ],
        }
        packages = {key: units for request in submitted for key, units in request.packages.items()}
        return Request("order_complete", {"order": told}, (refnum,), packages, _by_line(order, missing))


def _by_line(order: dict[str, Any], parcel: list[tuple[int, int]]) -> Units:
    return {order["order_items"][index]["channel_item_refnum"]: units for index, units in parcel}


class Caller:
    """One thread of RetailOps: takes orders, lives them, repeats itself, states stock."""

    def __init__(self, number: int, seed: int, stage: Stage, books: Books, shop: Shop, lives: Counter[str]) -> None:
        self._rng = random.Random(f"{seed}:caller:{number}")
        self._books = books
        self._shop = shop
        self._lives = lives
        self._playwright = Playwright(self._rng, shop)
        self._voices = [stage.retailops(), stage.retailops()]
        """The second is for what is sent at the same time as something else."""
        self.skus = [f"FIRE-{number}-{place}" for place in range(SKUS_PER_CALLER)]
        self._level = 0

    def play(self, ending: threading.Event) -> None:
        while not ending.is_set():
            orders = self._shop.take(self._voices[0], self._rng.randint(1, 3))
            if orders and self._rng.random() < 0.95:
                self._ask([self._books.open(self._playwright.acknowledgement(orders))])
            for order in orders:
                name, steps = self._playwright.life(order)
                self._lives[name] += 1
                for step in steps:
                    self._ask([self._books.open(request) for request in step])
                    self._repeat()
                    if ending.is_set():
                        return
            if self._rng.random() < 0.7:
                self._state_stock()
            time.sleep(self._rng.uniform(0.0, 0.1) if orders else 0.2)

    def close(self) -> None:
        for voice in self._voices:
            voice.close()

    def _ask(self, step: Step) -> None:
        """Send like a job queue: again after a short while, and on to the next when it will not work."""
        if len(step) > 1 or self._rng.random() < 0.1:
            twins = step if len(step) > 1 else [step[0], step[0]]
            self._send_together(twins)
        for request in step:
            for _ in range(3):
                if request.answers:
                    break
                if send(self._voices[0], self._books, request) is not None:
                    time.sleep(self._rng.uniform(0.1, 0.5))

    def _send_together(self, twins: Step) -> None:
        other = threading.Thread(target=send, args=(self._voices[1], self._books, twins[1]))
        other.start()
        send(self._voices[0], self._books, twins[0])
        other.join()

    def _repeat(self) -> None:
        """Anybody's old command once more, word for word."""
        if self._rng.random() < 0.3:
            old = self._books.of("order_acknowledge", "order_shipment_submit", "order_cancel", "order_complete")
            if old:
                send(self._voices[0], self._books, self._rng.choice(old[-60:]))

    def _state_stock(self) -> None:
        self._level += self._rng.randint(1, 5)
        chosen = self._rng.sample(self.skus, self._rng.randint(1, len(self.skus)))
        self._ask_stock(self._books.open(self._statement(chosen)))

    def state_all_again(self, give_up_at: float) -> None:
        """As RetailOps does each hour: what got an answer word for word, all else with the level of now.

        An old statement is never sent after a newer one.
        """
        newest = {sku: request for request in self._books.of("inventory_push") for sku, _ in request.levels}
        answered = [sku for sku in self.skus if sku in newest and newest[sku].answers]
        again = self._request(
            {place: units for sku in answered for place, units in newest[sku].levels.items() if place[0] == sku}
        )
        self._level += 1
        for request in (again, self._statement([sku for sku in self.skus if sku not in answered])):
            if request.levels:
                self._books.open(request)
                while not request.answers and time.monotonic() < give_up_at:
                    if send(self._voices[0], self._books, request) is not None:
                        time.sleep(0.3)

    def _statement(self, chosen: list[str]) -> Request:
        return self._request(
            {(sku, facility): self._level + at for sku in chosen for at, facility in enumerate(FACILITIES)}
        )

    def _request(self, levels: dict[tuple[str, str], int]) -> Request:
        chosen = dict.fromkeys(sku for sku, _ in levels)
        rows = [
            {
                "sku": sku,
                "quantity_available": sum(levels[sku, facility] for facility in FACILITIES),
                "quantity_detail": [
                    {
                        "quantity_type": "internal",
                        "facility_name": facility,
                        "available_quantity": levels[sku, facility],
                        "total_quantity": levels[sku, facility],
                    }
                    for facility in FACILITIES
                ],
            }
            for sku in chosen
        ]
        return Request("inventory_push", {"inventory_updates": rows}, levels=levels)

    def _ask_stock(self, request: Request) -> None:
        for _ in range(2):
            if send(self._voices[0], self._books, request) is None:
                return


def send(voice: RetailOps, books: Books, request: Request) -> str | None:
    """Send once.  None when a 200 came, else what came instead."""
    begun_at = time.monotonic()
    try:
        heard = voice.call(request.callback, **request.fields)
    except requests.RequestException as error:
        books.note_silence(request, type(error).__name__)
        return type(error).__name__
    books.note(request, heard, begun_at, time.monotonic())
    return None if heard.status == 200 else str(heard.status)


class Storm:
    """Hits the stage at random until told to end; knows what has to stand up again afterwards."""

    def __init__(
        self, seed: int, stage: Stage, database: DatabaseServer | None, result: Result, skus: list[str]
    ) -> None:
        self._rng = random.Random(f"{seed}:storm")
        self._skus = skus
        self._places = {item["name"]: item["locationId"] for item in stage.vendor()["locations"]}
        self._stage = stage
        self._database = database
        self._result = result
        self._refused_creates: set[tuple[str, str]] = set()
        self._blows: dict[str, tuple[int, Callable[[], None]]] = {
            "vendor faults": (20, self._add_fault),
            "new orders": (4, self._add_orders),
            "sales of stated stock": (3, self._sell),
            "stock counted by people": (3, self._count_stock),
            "web process killed": (3, self._kill_web_process),
            "server killed": (2, self._kill_server),
            "vendor killed": (1, self._kill_vendor),
        }
        if stage.deliveries == "worker":
            self._blows["worker killed"] = (3, self._kill_worker)
        if database is not None:
            self._blows["database stopped"] = (1, self._stop_database)

    def rage(self, seconds: float, is_enough: Callable[[], bool]) -> None:
        """On a machine that is busy otherwise up to four times as long, until enough has happened."""
        begun_at = time.monotonic()
        while (raged_s := time.monotonic() - begun_at) < seconds or (raged_s < 4 * seconds and not is_enough()):
            weights = [weight for weight, _ in self._blows.values()]
            name = self._rng.choices(list(self._blows), weights)[0]
            self._result.blows[name] += 1
            self._blows[name][1]()
            self._stage.revive()
            time.sleep(self._rng.uniform(0.05, 0.6))

    def calm(self) -> None:
        self._stage.heal_vendor()
        self._stage.revive()
        self._stage.await_ready()

    def look_for_refused_creates(self) -> None:
        """Creates the vendor refused because it had them: nothing may be sent twice on a mere guess."""
        for call in self._stage.vendor()["recent_calls"]:
            if call["method"] == "POST" and call["status"] == 409:
                self._refused_creates.add((call["at"], call["request_id"]))
        self._result.saved_by_vendor = len(self._refused_creates)

    def _add_fault(self) -> None:
        rule = dict(self._rng.choice(FAULTS))
        place = self._rng.choice(PLACES)
        if rule["kind"] == "slow" and rule["delay_s"] > 1:
            # A level taken in after we gave up on it would be the vendor's own mistake in order.
            place = self._rng.choice(("/fulfillments", "/shipments"))
        match = {"path_prefix": f"/api/v3{place}"}
        if place and self._rng.random() < 0.5:
            match["method"] = self._rng.choice(("POST", "PUT") if place == "/shipments" else ("POST",))
        self._stage.tell_vendor("faults", {**rule, "times": self._rng.randint(1, 6), "match": match})

    def _add_orders(self) -> None:
        self._stage.tell_vendor("shipments", {"count": self._rng.randint(4, 12)})

    def _sell(self) -> None:
        """An order of goods whose stock RetailOps states: the vendor commits and later subtracts it by itself."""
        chosen = self._rng.sample(self._skus, self._rng.randint(1, 2))
        number = self._rng.randrange(10**9)
        place = self._places[self._rng.choice(FACILITIES)]
        lines = [{"uniqueId": f"{at}", "sku": sku, "quantity": 1 + at} for at, sku in enumerate(chosen)]
        address = {"firstName": "Ana", "lastName": "Ruiz", "address1": "1 Elm St", "city": "Austin",
                   "stateOrProvince": "TX", "zipCodeOrPostalCode": "78701", "country": "US"}  # fmt: skip
        body = {"extOrderId": f"sale-{number}", "locationId": place, "lineItems": lines, "shippingAddress": address}
        self._stage.tell_vendor("shipments", {"shipment": {**body, "status": "readyForFulfillment"}})

    def _count_stock(self) -> None:
        """Somebody at the vendor's corrects a figure by hand, rightly or wrongly."""
        body = {"locationId": self._places[self._rng.choice(FACILITIES)], "onHand": self._rng.randint(0, 99)}
        self._stage.tell_vendor(f"inventory/{self._rng.choice(self._skus)}", body, "PUT")

    def _kill_web_process(self) -> None:
        self._stage.kill_one_web_process(self._rng.randrange(8))

    def _kill_server(self) -> None:
        self._stage.kill("server")
        time.sleep(self._rng.uniform(0.0, 0.5))

    def _kill_worker(self) -> None:
        self._stage.kill("worker")
        time.sleep(self._rng.uniform(0.0, 0.5))

    def _kill_vendor(self) -> None:
        self.look_for_refused_creates()
        self._stage.kill("vendor")
        time.sleep(self._rng.uniform(0.0, 1.0))
        self._stage.start_vendor()

    def _stop_database(self) -> None:
        assert self._database is not None
        self._database.stop(is_crash=self._rng.random() < 0.5)
        time.sleep(self._rng.uniform(0.3, 2.0))
        self._database.start()


def run(
    stage: Stage,
    *,
    seconds: float,
    seed: int,
    database: DatabaseServer | None = None,
    least_lives: int = 0,
    quiet_within_s: float = 90.0,
) -> Result:
    """Play the whole run on a stage that stands still; it is left running."""
    result = Result(seed)
    books = Books()
    shop = Shop(books)
    callers = [Caller(number, seed, stage, books, shop, result.lives) for number in range(CALLERS)]
    skus = [sku for caller in callers for sku in caller.skus]
    storm = Storm(seed, stage, database, result, skus)
    stage.add_products(skus)
    stage.tell_vendor("settings", {"visible_after_s": LATE_S}, "PUT")
    at_first = Vendor.read(stage.vendor())
    ending = threading.Event()
    threads = [threading.Thread(target=caller.play, args=(ending,), name="caller") for caller in callers]
    for thread in threads:
        thread.start()
    try:
        storm.rage(seconds, lambda: result.lives.total() >= least_lives)
    finally:
        ending.set()
        for thread in threads:
            thread.join(60)
    storm.calm()
    calm_at = time.monotonic()
    give_up_at = calm_at + quiet_within_s
    send_until_answered(stage, books, give_up_at)
    # What the vendor moved by itself becomes what was stated once it is stated again, as a merchant does (R13).
    result.violations += await_quiet(stage.database_url, give_up_at)
    for caller in callers:
        caller.state_all_again(give_up_at)
        caller.close()
    result.violations += await_quiet(stage.database_url, give_up_at)
    result.seconds_to_quiet = time.monotonic() - calm_at
    storm.look_for_refused_creates()
    judge(stage, books, at_first, result, give_up_at)
    return result


def judge(stage: Stage, books: Books, at_first: Vendor, result: Result, give_up_at: float) -> None:
    """Once nothing is owed: compare, ask everything once more, and see that nothing changed and no doubt is left."""
    result.violations += await_quiet(stage.database_url, give_up_at)
    quiet = Vendor.read(stage.vendor())
    parked = _parked(stage.database_url)
    surely_refused = [request for request in books.of("order_cancel") if request.was_surely_refused]
    result.violations += compare(books, quiet, at_first, parked)
    repeated = [request for request in books.of(*_REPEATABLE) if request not in surely_refused]
    _in_parallel(stage, lambda voice, request: send(voice, books, request), repeated)
    result.violations += await_quiet(stage.database_url, give_up_at + 15)
    after = Vendor.read(stage.vendor())
    undecided = {request.refnums[0] for request in books.of("order_cancel") if not request.is_accepted}
    again = {request.refnums[0] for request in books.of("order_cancel") if len(request.answers) > 1}
    result.violations += changed(quiet, after, lambda refnum: refnum in undecided | again)
    result.violations += compare(books, after, at_first, parked)
    result.violations = list(dict.fromkeys([*result.violations, *books.violations]))
    result.violations += _faults_in_logs(stage)
    result.violations += _bodies_left(stage.database_url)
    result.log_tail = stage.log_tail("server")
    result.parked = parked
    result.statuses = books.statuses
    result.fulfilments = sum(map(len, after.fulfillments.values()))
    for request in books.requests:
        for answer in request.answers:
            result.events.update(set(answer.codes))
    if result.saved_by_vendor:
        result.violations.append(f"{result.saved_by_vendor} creates were sent twice and only the vendor noticed")


_REPEATABLE = ("order_acknowledge", "order_shipment_submit", "order_cancel", "order_complete")


def send_until_answered(stage: Stage, books: Books, give_up_at: float) -> None:
    def insist(voice: RetailOps, request: Request) -> None:
        while not request.answers and time.monotonic() < give_up_at:
            if send(voice, books, request) is not None:
                time.sleep(0.3)

    _in_parallel(stage, insist, books.unanswered())
    for request in books.unanswered():
        books.violate(f"never answered although all is well: {request.said()}")


def _in_parallel(stage: Stage, act: Callable[[RetailOps, Request], object], asked: list[Request]) -> None:
    """Each voice has its share, in order."""

    def speak(share: list[Request]) -> None:
        voice = stage.retailops()
        for request in share:
            act(voice, request)
        voice.close()

    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(speak, [asked[at::CALLERS] for at in range(CALLERS)]))


def await_quiet(database_url: str, give_up_at: float) -> list[str]:
    """Wait until nothing is owed or being found out; what still is at the end."""
    database = _records(database_url)
    try:
        while True:
            left = _open_work(database)
            if not left:
                return []
            if time.monotonic() > give_up_at:
                return [f"still {number} {state} although all is well" for state, number in left.items()]
            time.sleep(0.3)
    finally:
        database.close()


def _records(url: str) -> Database:
    """The run's own look at the records."""
    return Database(settings.load_database_url({"APP_ENV": "demo", "DATABASE_URL": url}))


def _open_work(database: Database) -> dict[str, int]:
    try:
        with database.read() as connection:
            rows = connection.execute(select(deliveries.c.state, deliveries.c.lane)).all()
            held = {row.lane for row in rows if row.state == "parked"}  # What waits behind a person may wait.
            left = Counter(row.state for row in rows if row.state in ("owed", "checking") and row.lane not in held)
            owed = stock.owed_count(connection)
            return {**left, **({"stock levels owed": owed} if owed else {})}
    except DatabaseUnavailable:
        return {"database unavailable": 1}


def _parked(database_url: str) -> list[tuple[str, str, str]]:
    database = _records(database_url)
    try:
        with database.read() as connection:
            rows = connection.execute(
                select(deliveries.c.lane, deliveries.c.verb, deliveries.c.last_code).where(
                    deliveries.c.state == "parked"
                )
            )
            return [(row.lane, row.verb, row.last_code) for row in rows]
    finally:
        database.close()


def _bodies_left(database_url: str) -> list[str]:
    """Addresses stand in the bodies of calls; a call that is over needs none (P32)."""
    database = _records(database_url)
    try:
        with database.read() as connection:
            left = connection.execute(
                select(deliveries.c.id).where(deliveries.c.closed_at.is_not(None), deliveries.c.body.is_not(None))
            ).all()
            return [f"{len(left)} calls are over and their bodies are still kept"] if left else []
    finally:
        database.close()


def _faults_in_logs(stage: Stage) -> list[str]:
    """Tracebacks are faults of ours, whatever happened around us."""
    found = []
    for name in ("server", "worker"):
        lines = [line for line in stage.log_text(name).splitlines() if "Traceback" in line]
        if lines:
            found.append(f"{len(lines)} tracebacks in the {name}'s log; the first: {lines[0][:600]}")
    return found


@contextmanager
def database_of(kind: str, folder: Path) -> Iterator[tuple[str, DatabaseServer | None]]:
    """The address of an empty database, and its server where there is one to be stopped.

    Raises `LookupError` with the reason when this machine has no PostgreSQL.
    """
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'channel.db'}", None
        return
    try:
        with running_postgres(is_durable=True) as server, server.database() as url:
            yield url, server
    except NoPostgres as reason:
        raise LookupError(str(reason)) from None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.system.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="How long the storm lasts.")
    parser.add_argument("--seed", type=int, default=None, help="Repeat a run's random choices.")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--deliveries", choices=("inline", "worker"), default=None, help="Default: the seed says.")
    parser.add_argument("--unhurried", action="store_true", help="The product's own leases and pauses; takes minutes.")
    parser.add_argument("--keep", type=Path, help="Folder to keep logs and records in.")
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(10**6)
    deliver = given.deliveries or ("inline", "worker")[seed % 2]
    print(f"seed {seed}, {given.seconds:.0f} s, {given.database}, deliveries {deliver}", flush=True)
    with tempfile.TemporaryDirectory(prefix="channel-chaos-") as scratch:
        folder = given.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with database_of(given.database, folder) as (url, server):
                stage = Stage(folder, url, deliver, is_hurried=not given.unhurried, shipments=40)
                with stage:
                    stage.start()
                    patience_s = 400.0 if given.unhurried else 90.0
                    result = run(stage, seconds=given.seconds, seed=seed, database=server, quiet_within_s=patience_s)
        except LookupError as error:
            print(error)
            return 2
    print("\n".join(result.lines()))
    return 1 if result.violations else 0


if __name__ == "__main__":
    sys.exit(main())
