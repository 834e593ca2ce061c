"""A big catalogue goes to Rally as fast as the rate allows, and no faster, whatever the number of processes (R14)."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from flask import Flask

from app.contract.schemas import Contract
from app.sandbox.vendors.rally import serve_rally
from tests.gateways.vendors.rally.shop import Shop, channel_text, record
from tests.retailops import Caller
from tests.stopwatch import Stopwatch
from tests.waiting import eventually


@pytest.mark.both_databases
def test_p14_facts_alone_use_the_whole_rate_that_two_processes_share(
    build_app: Callable[..., Flask], contract: Contract, database_url: str
) -> None:
    per_s = 20.0
    server = serve_rally()
    try:
        table = channel_text(server.url).replace("requests_per_s = 0\n", f"requests_per_s = {per_s:g}\n")
        apps = [build_app(table, WEB_CONCURRENCY="2") for _ in range(2)]
        shop = Shop(Caller(apps[0], contract), server, server)
        shop.push([record(number, f"S{number}", "20.00") for number in range(400)])

        def calls() -> int:
            return server.requests

        eventually(lambda: calls() > per_s)
        for _ in range(3):  # a machine that is busy with other things may be too slow for the rate for a while
            begun, before = time.monotonic(), calls()
            with Stopwatch() as watch:
                time.sleep(5.0)
                sent = calls() - before
            took_s = time.monotonic() - begun
            print(f"{sent} calls in {took_s:.2f} s: {sent / took_s / per_s:.3f} of {per_s:g} a second")
            # Where this machine kept calls waiting they were let go before, and came within this time.
            most_s = took_s + (took_s - watch.took_s)
            assert sent <= per_s * (1 + 0.2 * 5 / 60) * most_s + 2 * 0.25 * per_s + 1
            if sent >= 0.95 * per_s * took_s:
                break
        assert sent >= 0.95 * per_s * watch.took_s
    finally:
        server.stop()
