"""What a vendor's call costs in the client (S7)."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from app.deadline import Deadline
from app.transport.client import VendorClient
from tests.benchmarks import vendor
from tests.benchmarks.rounds import Row, interleaved, timed


def s7(rounds: int) -> Iterator[Row]:
    """1,000 vendor POSTs through the client from one process, 16 threads, 20 ms each, against ideal."""
    body = b'{"status":"sentToFulfillment"}'
    with vendor.running() as vendor_port:
        client = VendorClient("bench", f"http://127.0.0.1:{vendor_port}", headers={"X-Key": "k"}, patience_s=5)

        def thousand() -> None:
            left = iter(range(1000))

            def run() -> None:
                for _ in left:
                    reply = client.call("POST", "/things", json_body=body, deadline=Deadline.in_s(10), kind="command")
                    assert reply.status == 200

            threads = [threading.Thread(target=run) for _ in range(16)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        timed(thousand)
        [taken] = interleaved(rounds, lambda: timed(thousand))
    ideal = 1000 / 16 * 0.02
    print(f"    {taken:.2f} s, ideal {ideal:.2f} s")
    yield "S7", taken / ideal, "<= 1.2"
