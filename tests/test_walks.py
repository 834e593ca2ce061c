"""How far a value travels through app/, and how large its rooms are: figures that may fall and never rise.

`pytest tests/test_walks.py -s` prints them.  A change that lowers a figure lowers its limit here in the same commit.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pytest
from flask import Flask

from app.contract.schemas import Contract
from app.deliveries.background_work import WorkerProcess
from app.deliveries.sync import Syncer
from app.sandbox.server import serve
from app.sandbox.vendors.rally import serve_rally
from tests.channels import channel_table
from tests.gateways.vendors.rally.shop import MUG, TEE, Shop, channel_text
from tests.retailops import Caller
from tests.sandboxes import Sandbox
from tests.walk_tracer import Walk, order_acts, sizes, traced, untraced

FIGURES = ("files", "moves between files", "moves between rooms", "statements", "transactions", "decodings")
"""Statements at the cursor, from claim to reply; decodings of the stored body of a command."""

LIMITS = {
    "order_cancel to Pipe17 and back": (32, 94, 31, 7, 2, 1),
    "order_shipment_submit to Pipe17 and back": (40, 125, 38, 9, 2, 1),
    "order_acknowledge to Pipe17 and back": (35, 99, 35, 8, 3, 1),
    "inventory_push, the request": (17, 28, 13, 3, 1, 0),
    "inventory_push, the same stock in the background": (33, 72, 17, 9, 4, 0),
    "order_pull, a page of 100, the first time": (None, None, None, 9, 4, 0),
    "order_pull, a page of 100, again": (41, None, None, 6, 4, 0),
    "Rally order/create": (34, 89, 24, 10, 2, 0),
    "order_cancel to Pipe17 and back, PostgreSQL": (None, None, None, 8, 2, 1),
    "order_shipment_submit to Pipe17 and back, PostgreSQL": (None, None, None, 9, 2, 1),
    "order_acknowledge to Pipe17 and back, PostgreSQL": (None, None, None, 8, 3, 1),
    "order_pull, a page of 100, the first time, PostgreSQL": (None, None, None, 8, 4, 0),
    "order_pull, a page of 100, again, PostgreSQL": (None, None, None, 7, 4, 0),
}
"""At most so many of each.  None: not limited; without a limit of files no call is followed, for that is slow."""

ALLOWED = {"files": 1.05, "moves between files": 1.05, "moves between rooms": 1.05}
"""By how much these may be above: one call more or less depends on what a process has read before."""

LINES = {"gateways": 10_669, "all of app/": 72_826}
"""Lines of Python at most, `gateways` with all vendors, their commands and the example that is copied."""

LINES_OF_CODE = {"gateways": 7_434, "Rally": 1_693, "sandbox": 4_268, "cli": 5_454}
"""Of these the lines that are neither blank, nor of comments or docstrings alone."""

LONGEST_FUNCTION, MEDIAN_FUNCTION = 150, 7
"""Lines."""

Walking = Callable[..., None]


class Walker(Caller):
    """RetailOps, whose own look at an answer is no part of the walk."""

    def judge(self, callback: str, answer: dict[str, Any]) -> None:
        with untraced():
            super().judge(callback, answer)


def risen(name: str, walked: Walk) -> dict[str, tuple[int, int]]:
    """The figures above their limits, each with its limit."""
    compared = zip(FIGURES, walked.figures, LIMITS[name], strict=True)
    return {
        what: (count, most)
        for what, count, most in compared
        if most is not None and count > most * ALLOWED.get(what, 1)
    }


def held(name: str, walks: Iterable[Walk]) -> None:
    """Prints the figures, and holds them to their limits.

    One of the walks is enough: now and then a callback also reads anew what a process keeps for some seconds.
    """
    walked = min(walks, key=lambda walked: len(risen(name, walked)))
    print(f"\n{name}: " + ", ".join(f"{count} {what}" for what, count in zip(FIGURES, walked.figures, strict=True)))
    print("  " + ", ".join(f"{start} -> {end} {times}" for (start, end), times in walked.room_moves.most_common()))
    assert risen(name, walked) == {}, f"{name}, as seen: {walked.statements}"


@pytest.fixture
def walk(monkeypatch: pytest.MonkeyPatch) -> Walking:
    """Counts what this thread does in each of the tries, until one is within the limits."""

    def walk(name: str, caller: Caller, *tries: Callable[[], object]) -> None:
        name = name if caller.database.is_sqlite else f"{name}, PostgreSQL"
        walks: list[Walk] = []
        for act in tries:
            with traced(caller.database, monkeypatch, follows_calls=LIMITS[name][0] is not None) as walked:
                act()
            walks.append(walked)
            if not risen(name, walked):
                break
        held(name, walks)

    return walk


@pytest.fixture
def retailops(build_app: Callable[..., Flask], start_pipe17: Callable[..., Sandbox], contract: Contract) -> Caller:
    """RetailOps in front of Pipe17 with more orders than a page holds; nothing runs in the background."""
    sandbox = start_pipe17(shipments=120)
    return Walker(build_app(channel_table(sandbox.url), DELIVERIES="worker"), contract)


@pytest.mark.both_databases
def test_how_far_an_orders_callbacks_travel(retailops: Caller, walk: Walking) -> None:
    orders: list[dict[str, Any]] = []
    walk("order_pull, a page of 100, the first time", retailops, lambda: orders.extend(retailops.pull()))
    assert len(orders) == 100

    def pull() -> None:
        assert len(retailops.pull()) == 100

    walk("order_pull, a page of 100, again", retailops, pull, pull)

    acknowledge, ship, cancel = order_acts(retailops).values()
    alike = [order for order in orders[20:] if len(order["order_items"]) == 1]  # the odd ones are the first
    shipped, cancelled, acknowledged = alike[:4], alike[4:8], alike[8:11]
    for order in (*shipped, *cancelled):
        acknowledge(order)
    # The first of each kind stays uncounted: what a process works out once is worked out by it.
    ship(shipped[0])
    cancel(cancelled[0])
    for name, act, some in (
        ("order_acknowledge to Pipe17 and back", acknowledge, acknowledged),
        ("order_shipment_submit to Pipe17 and back", ship, shipped[1:]),
        ("order_cancel to Pipe17 and back", cancel, cancelled[1:]),
    ):
        walk(name, retailops, *(partial(act, order) for order in some))


def test_how_far_stock_travels(retailops: Caller, walk: Walking) -> None:
    works = retailops.app.extensions["works"]
    sender = Syncer(WorkerProcess(works.database, works.gateways, works.database.clock, lambda: False))

    def state(units: int) -> None:
        detail = {"quantity_type": "internal", "facility_name": "Dallas DC", "available_quantity": units,
                  "total_quantity": units}  # fmt: skip
        row = {"sku": "MUG-RED", "quantity_available": units, "quantity_detail": [detail]}
        assert retailops.ask("inventory_push", inventory_updates=[row])["events"] == []

    def send() -> None:
        sender.send("first", "pipe17")

    state(31)
    send()
    walk("inventory_push, the request", retailops, *(partial(state, units) for units in (32, 33, 34)))
    walk("inventory_push, the same stock in the background", retailops, send)
    with works.database.read() as connection:
        assert connection.exec_driver_sql("select sent_seq = seq and refusal = '' from stock").scalars().all() == [1]


def test_how_far_an_order_of_rallys_travels(
    build_app: Callable[..., Flask], contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    callers: list[Caller] = []
    walks: list[Walk] = []

    def served(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        if (environ["REQUEST_METHOD"], environ["PATH_INFO"].rpartition("/")[2]) != ("POST", "orders"):
            return callers[0].app(environ, start)
        with traced(callers[0].database, monkeypatch) as walked:
            body = callers[0].app(environ, start)
        walks.append(walked)
        return body

    with serve(served) as server, serve_rally() as rally:
        callers.append(Walker(build_app(channel_text(rally.url), PUBLIC_URL=server.url), contract))
        shop = Shop(callers[0], rally, server)
        shop.register_hooks()
        shop.offer(**{TEE: 5, MUG: 5})
        for _ in range(2):
            shop.buy()
    held("Rally order/create", walks)


def test_how_large_the_rooms_are() -> None:
    rooms = sizes()
    functions = [lines for size in rooms.values() for lines in size.function_lines]
    for room, size in rooms.items():
        longest = max(size.function_lines, default=0)
        print(f"{room or 'ground floor'}: {size.lines} lines, {size.lines_of_code} of code,", end=" ")
        print(f"functions' median {size.median:g}, longest {longest}")
    gateways = [size for size in rooms.values() if size.is_gateway]
    found = {
        "gateways": sum(size.lines for size in gateways),
        "all of app/": sum(size.lines for size in rooms.values()),
    }
    of_code = {"gateways": sum(size.lines_of_code for size in gateways), "Rally": rooms["rally"].lines_of_code}
    of_code |= {room: rooms[room].lines_of_code for room in ("sandbox", "cli")}
    print(f"{found}, of code {of_code}, functions' median {statistics.median(functions):g}, longest {max(functions)}")
    assert {what: (lines, LINES[what]) for what, lines in found.items() if lines > LINES[what]} == {}
    assert {what: (lines, LINES_OF_CODE[what]) for what, lines in of_code.items() if lines > LINES_OF_CODE[what]} == {}
    assert statistics.median(functions) <= MEDIAN_FUNCTION
    assert max(functions) <= LONGEST_FUNCTION
