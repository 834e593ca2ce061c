"""Two web servers and a worker on one PostgreSQL: whoever is asked, the counters equal the calls that were made."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

import pytest
import requests

from app.contract.schemas import Contract
from tests.channels import channel_table
from tests.operations.metric_lines import TOKEN, Lines, lines_of
from tests.sandboxes import Sandbox
from tests.system.processes import Processes, caller, in_parallel
from tests.waiting import eventually

pytestmark = pytest.mark.postgresql


def scraped(address: str) -> Lines:
    reply = requests.get(f"{address}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10)
    assert reply.status_code == 200, reply.text
    return lines_of(reply.text)


def total(lines: Lines, metric: str, *leaving_out: str) -> float:
    return sum(value for (name, labels), value in lines.items() if name == metric and not {*leaving_out} & {*labels})


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_p26_counters_equal_the_calls_made_whoever_answers(
    database_url: str, pipe17: Sandbox, contract: Contract, tmp_path: Path
) -> None:
    processes = Processes(tmp_path, database_url, channel_table(pipe17.url), CONSOLE_TOKEN=TOKEN)
    try:
        (first, one), (_, other) = in_parallel(processes.web, processes.web)
        processes.worker()

        def call(address: str, number: int) -> list[tuple[str, int]]:
            retailops = caller(address, contract)
            stock = [{"sku": "MUG-RED", "quantity_available": number}]
            body = {"integration_auth_token": "not+the+key+of+any+channel+at+all"}
            wrong = requests.post(f"{address}/api/channel/order_cancel_v1", json=body, timeout=20)
            return [
                ("order_pull", retailops.call("order_pull").status),
                ("inventory_push", retailops.call("inventory_push", inventory_updates=stock).status),
                ("order_cancel", wrong.status_code),
            ]

        calls = [lambda number=number: call((one, other)[number % 2], number) for number in range(24)]
        made = Counter(answer for answers in in_parallel(*calls) for answer in answers)
        assert made.total() == 72 and made["order_cancel", 401] == 24 and made["inventory_push", 200] == 24
        expected = {(callback, str(status)): count for (callback, status), count in made.items()}

        def told(address: str) -> bool:
            lines = scraped(address)
            counted = {labels: value for (name, labels), value in lines.items() if name == "channel_callbacks_total"}
            sent = total(lines, "channel_vendor_calls_total", "not_sent")
            timed = total(lines, "channel_callback_seconds_count") == sum(expected.values())
            is_whole = (
                sent == total(lines, "channel_vendor_call_seconds_count") == sum(pipe17.state()["calls"].values())
            )
            return counted == expected and timed and is_whole and not owed(lines)

        def owed(lines: Lines) -> float:
            return total(lines, "channel_facts_owed") + total(lines, "channel_deliveries")

        eventually(lambda: told(one) and told(other))
        # Who answers no more has left what it counted; one that begins anew goes on from there.
        status = caller(one, contract).call("order_pull").status
        expected["order_pull", str(status)] = expected.get(("order_pull", str(status)), 0) + 1
        first.send_signal(signal.SIGTERM)
        first.wait(30)
        _, third = processes.web()
        # A worker may be calling the vendor just now, and counts that within a second.
        eventually(lambda: told(other) and told(third))
    finally:
        processes.stop()
