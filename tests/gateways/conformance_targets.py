"""How each vendor of the registry is set up against its sandbox, so that one suite can judge them all.

A new vendor adds a function here; `test_conformance.py` fails until it does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import requests

from app.gateways import vendor
from app.gateways.interface import Gateway, Tools, VendorCall
from app.gateways.words import (
    Acknowledgement,
    Cancellation,
    CommandBody,
    Completion,
    Package,
    PackageLine,
    StockChange,
    StockDetail,
    StockLevel,
)
from app.sandbox.faults import RunningServer
from app.sandbox.pipe17 import BASE_PATH, LEGACY_KEY, serve_pipe17
from app.sandbox.pipe17.samples import DALLAS

PATIENCE_S = 0.5


@dataclass
class Target:
    """A vendor's sandbox with one order in it, and what to say about that order."""

    server: RunningServer
    make: Callable[[str], Gateway]
    """A gateway for a base URL."""
    base_url: str
    api_prefix: str
    order_refnum: str
    commands: Mapping[str, CommandBody]
    write: str
    """The command whose last call is a POST: the one a vendor's failures are tried on."""
    stock: list[StockChange]
    secrets: tuple[str, ...]
    calls: list[VendorCall] = field(default_factory=list)

    def gateway(self) -> Gateway:
        return self.make(self.base_url)

    def body(self, verb: str) -> bytes:
        return msgspec.json.encode(self.commands[verb])


@contextmanager
def _pipe17() -> Iterator[Target]:
    with serve_pipe17(shipments=0) as server:
        made: dict[str, Any] = _ask(server, "shipments", {"count": 1})["shipments"][0]
        lines = tuple(PackageLine(line["uniqueId"], line["sku"], line["quantity"]) for line in made["lineItems"])
        refnum = made["shipmentId"]
        calls: list[VendorCall] = []

        def make(base_url: str) -> Gateway:
            pipe17 = vendor("pipe17")
            options = pipe17.options(api_key=LEGACY_KEY, base_url=base_url, patience_s=PATIENCE_S, requests_per_s=0.0)
            return pipe17.create(options, Tools("conformance", 8, calls.append))

        yield Target(
            server=server,
            make=make,
            base_url=server.url + BASE_PATH,
            api_prefix=BASE_PATH,
            order_refnum=refnum,
            commands={
                "acknowledge_order": Acknowledgement(refnum, "9001"),
                "submit_shipment": Package(refnum, "501-1", lines, "501", "UPS", "Ground", tracking_number="1Z1"),
                "cancel_order": Cancellation(refnum),
                "complete_order": Completion(refnum, lines),
            },
            write="submit_shipment",
            stock=[StockChange("MUG-RED", StockLevel(5, (StockDetail("internal", DALLAS, 5, 5),)))],
            secrets=(LEGACY_KEY,),
            calls=calls,
        )


def _ask(server: RunningServer, path: str, body: Any) -> Any:
    with requests.Session() as session:
        return session.post(f"{server.url}/sandbox/{path}", json=body, timeout=10).json()


TARGETS: Mapping[str, Callable[[], AbstractContextManager[Target]]] = {"pipe17": _pipe17}
