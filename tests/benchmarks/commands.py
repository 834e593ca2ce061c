"""S15: how many statements and transactions a command about one order takes, from its claim to its reply."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app import create_app, settings
from app.contract.schemas import load_contract
from app.gateways import VENDORS
from app.sandbox.vendors.pipe17 import serve_pipe17
from tests.benchmarks.durable import databases
from tests.benchmarks.rounds import Row
from tests.channels import channel_table
from tests.retailops import Caller
from tests.walk_tracer import order_acts, traced

TRIES = 4
"""Orders of each command; the least of them counts, now and then one reads anew what a process keeps for seconds."""


def s15(folder: Path) -> Iterator[Row]:
    """Statements and transactions of order_cancel, order_shipment_submit and order_acknowledge of one Pipe17 order.

    Counted at the cursor in this process, as `tests/test_walks.py` does; the application and Pipe17's sandbox are real.
    """
    pipe17 = serve_pipe17(shipments=120)
    try:
        for name, [url] in databases(folder):
            environ = {
                "APP_ENV": "development", "DATABASE_URL": url, "CHANNELS": channel_table(pipe17.url),
                "DELIVERIES": "worker", "LOG_LEVEL": "ERROR",
            }  # fmt: skip
            app = create_app(settings.load(environ, vendors=VENDORS))
            try:
                found = _counted(Caller(app, load_contract()))
            finally:
                app.extensions["works"].stop()
            for command, (statements, transactions) in found.items():
                print(f"    {name}, {command}: {statements} statements, {transactions} transactions")
            yield f"S15 {name} statements", float(max(count for count, _ in found.values())), "<= 9"
            yield f"S15 {name} transactions", float(max(count for _, count in found.values())), "<= 3"
    finally:
        pipe17.stop()


def _counted(retailops: Caller) -> dict[str, tuple[int, int]]:
    """Statements and transactions by command; the first of each is left out, for a process works things out by it."""
    alike = [order for order in retailops.pull()[20:] if len(order["order_items"]) == 1]  # the odd ones are the first

    found = {}
    acts = order_acts(retailops)
    for number, (command, act) in enumerate(acts.items()):
        seen = []
        for order in alike[number * TRIES : (number + 1) * TRIES]:
            if command != "order_acknowledge":
                acts["order_acknowledge"](order)
            with (
                pytest.MonkeyPatch.context() as patch,
                traced(retailops.database, patch, follows_calls=False) as walked,
            ):
                act(order)
            seen.append((len(walked.statements), walked.transactions))
        found[command] = min(seen[1:])
    return found
