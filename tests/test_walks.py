"""How far a value travels through app/, and how large its rooms are: figures that may fall and never rise.

`pytest tests/test_walks.py -s` prints them.  A change that lowers a figure lowers its limit here in the same commit.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask

from app.contract.schemas import Contract
from app.deliveries.facts import FactSender
from app.sandbox.faults import serve
from app.sandbox.vendors.rally import serve_rally
from tests.conftest import Caller, Sandbox, channel_table
from tests.gateways.rally_shop import MUG, TEE, Shop, channel_text
from tests.walk_tracer import Walk, sizes, traced

FIGURES = ("files", "moves between files", "moves between rooms", "statements", "decodings")
"""Statements at the cursor, from claim to reply; decodings of the stored body of a command."""

LIMITS = {
    "order_cancel to Pipe17 and back": (48, 219, 92, 16, 3),
    "order_shipment_submit to Pipe17 and back": (54, 215, 118, 20, 3),
    "order_acknowledge to Pipe17 and back": (48, 209, 87, 16, 3),
    "inventory_push, the request": (22, 40, 17, 2, 0),
    "inventory_push, the same stock in the background": (34, 115, 27, 16, 0),
    "order_pull, a page of 100, the first time": (None, None, None, 311, 0),
    "order_pull, a page of 100, again": (49, None, None, 211, 0),
    "Rally order/create": (35, 112, 24, 16, 0),
}
"""At most so many of each.  None: not limited; without a limit of files no call is followed, for that is slow."""

LINES = {"gateways": 15_300, "all of app/": 59_500}
"""Lines of Python at most, `gateways` with all vendors."""

LONGEST_FUNCTION, MEDIAN_FUNCTION = 150, 7
"""Lines."""

Walking = Callable[[str, Caller], Any]


@pytest.fixture
def walk(monkeypatch: pytest.MonkeyPatch) -> Walking:
    """Counts what this thread does within the block and holds it to its limits."""

    @contextmanager
    def walk(name: str, caller: Caller) -> Iterator[Walk]:
        limits = LIMITS[name]
        with traced(caller.database, monkeypatch, follows_calls=limits[0] is not None) as walked:
            yield walked
        found = walked.figures
        print(f"\n{name}: " + ", ".join(f"{count} {what}" for what, count in zip(FIGURES, found, strict=True)))
        print("  " + ", ".join(f"{start} -> {end} {times}" for (start, end), times in walked.room_moves.most_common()))
        risen = {
            what: (count, most)
            for what, count, most in zip(FIGURES, found, limits, strict=True)
            if most is not None and count > most
        }
        assert risen == {}, f"{name}: {risen}; as seen: {walked.statements}"

    return walk


@pytest.fixture
def retailops(build_app: Callable[..., Flask], start_pipe17: Callable[..., Sandbox], contract: Contract) -> Caller:
    """RetailOps in front of Pipe17 with more orders than a page holds; nothing runs in the background."""
    sandbox = start_pipe17(shipments=120)
    return Caller(build_app(channel_table(sandbox.url), DELIVERIES="worker"), contract)


def test_how_far_an_orders_callbacks_travel(retailops: Caller, walk: Walking) -> None:
    with walk("order_pull, a page of 100, the first time", retailops):
        orders = retailops.pull()
    assert len(orders) == 100
    with walk("order_pull, a page of 100, again", retailops):
        assert len(retailops.pull()) == 100
    warm, called_off, first, second = orders[-4:]
    refnum = second["channel_order_refnum"]
    for order in (warm, called_off, first):  # what is worked out once a process is worked out now
        retailops.acknowledge(order["channel_order_refnum"])
    assert retailops.ship(warm)["events"] == []
    assert retailops.cancel(called_off["channel_order_refnum"])["status"] == "success"
    with walk("order_acknowledge to Pipe17 and back", retailops):
        assert retailops.acknowledge(refnum)["events"] == []
    with walk("order_shipment_submit to Pipe17 and back", retailops):
        assert retailops.ship(first)["events"] == []
    with walk("order_cancel to Pipe17 and back", retailops):
        assert retailops.cancel(refnum)["status"] == "success"


def test_how_far_stock_travels(retailops: Caller, walk: Walking) -> None:
    works = retailops.app.extensions["works"]
    sender = FactSender(works.database, works.gateways, works.database.clock, lambda: False)

    def level(units: int) -> list[dict[str, Any]]:
        detail = {"quantity_type": "internal", "facility_name": "Dallas DC", "available_quantity": units,
                  "total_quantity": units}  # fmt: skip
        return [{"sku": "MUG-RED", "quantity_available": units, "quantity_detail": [detail]}]

    retailops.ask("inventory_push", inventory_updates=level(31))
    sender.send("first", "pipe17")
    with walk("inventory_push, the request", retailops):
        assert retailops.ask("inventory_push", inventory_updates=level(32))["events"] == []
    with walk("inventory_push, the same stock in the background", retailops):
        sender.send("first", "pipe17")
    with works.database.read() as connection:
        assert connection.exec_driver_sql("select sent_seq = seq and refusal = '' from stock").scalars().all() == [1]


def test_how_far_an_order_of_rallys_travels(build_app: Callable[..., Flask], contract: Contract, walk: Walking) -> None:
    callers: list[Caller] = []
    walks: list[Walk] = []

    def served(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        if (environ["REQUEST_METHOD"], environ["PATH_INFO"].rpartition("/")[2]) != ("POST", "orders"):
            return callers[0].app(environ, start)
        with walk("Rally order/create", callers[0]) as walked:
            body = callers[0].app(environ, start)
        walks.append(walked)
        return body

    with serve(served) as server, serve_rally() as rally:
        callers.append(Caller(build_app(channel_text(rally.url), PUBLIC_URL=server.url), contract))
        shop = Shop(callers[0], rally, server)
        shop.register_hooks()
        shop.offer(**{TEE: 5, MUG: 5})
        shop.buy()
        assert len(walks) == 1, "its limits are passed"


def test_how_large_the_rooms_are() -> None:
    rooms = sizes()
    functions = [lines for size in rooms.values() for lines in size.function_lines]
    for room, size in rooms.items():
        longest = max(size.function_lines, default=0)
        print(f"{room or 'ground floor'}: {size.lines} lines, functions' median {size.median:g}, longest {longest}")
    of_gateways = sum(size.lines for room, size in rooms.items() if size.is_gateway)
    found = {"gateways": of_gateways, "all of app/": sum(size.lines for size in rooms.values())}
    print(f"{found}, functions' median {statistics.median(functions):g}, longest {max(functions)}")
    assert {what: (lines, LINES[what]) for what, lines in found.items() if lines > LINES[what]} == {}
    assert statistics.median(functions) <= MEDIAN_FUNCTION
    assert max(functions) <= LONGEST_FUNCTION
