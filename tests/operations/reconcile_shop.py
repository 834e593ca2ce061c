"""A channel served beside Pipe17's people, who change what RetailOps stated."""

from __future__ import annotations

from typing import Any

import requests

from app.clock import utc_now
from app.records import stock
from app.sandbox.vendors.pipe17 import BASE_PATH, LEGACY_KEY
from app.sandbox.vendors.pipe17.samples import DALLAS, RENO
from tests.command_line import CommandLine
from tests.databases import owed_levels
from tests.retailops import Caller
from tests.sandboxes import Sandbox
from tests.waiting import eventually

PEOPLE = {"X-Pipe17-Key": LEGACY_KEY}


class Shop:
    """A channel served beside Pipe17's people."""

    def __init__(self, retailops: Caller, pipe17: Sandbox, channel: CommandLine) -> None:
        self.retailops = retailops
        self.pipe17 = pipe17
        self.channel = channel
        self.places = {item["name"]: item["locationId"] for item in pipe17.state()["locations"]}

    def state(self, **skus: tuple[int, int]) -> None:
        """Units in Dallas and in Reno, as RetailOps counts them, and wait until Pipe17 holds them."""
        self.retailops.ask("inventory_push", inventory_updates=[row_of(sku, *units) for sku, units in skus.items()])
        eventually(lambda: all(self.held(sku) == units for sku, units in skus.items()) and not self.is_pending())

    def is_pending(self) -> bool:
        with self.retailops.database.read() as connection:
            return owed_levels(connection) > 0

    def held(self, sku: str) -> tuple[int | None, int | None]:
        rows = {(row["sku"], row["locationId"]): row["onHand"] for row in self.pipe17.state()["inventory"]}
        return rows.get((sku, self.places[DALLAS])), rows.get((sku, self.places[RENO]))

    def count(self, sku: str, place: str, units: int) -> None:
        """Pipe17's people correct a figure on its pages."""
        body = {"event": "adjust", "sku": sku, "locationId": self.places[place], "onHand": units}
        self.as_people("POST", "/inventory", body)

    def delete(self, sku: str, place: str) -> None:
        """Pipe17's people delete a stock record."""
        [record] = [
            row["inventoryId"]
            for row in self.pipe17.state()["inventory"]
            if (row["sku"], row["locationId"]) == (sku, self.places[place])
        ]
        self.as_people("DELETE", f"/inventory/{record}", None)

    def as_people(self, method: str, path: str, body: Any) -> None:
        address = f"{self.pipe17.url}{BASE_PATH}{path}"
        reply = requests.request(method, address, json=body, headers=PEOPLE, timeout=10)
        assert reply.status_code == 200, reply.text

    def reconcile(self, *options: str, exit_code: int) -> dict[str, Any]:
        found: dict[str, Any] = self.channel.json("reconcile", "first", *options, exit_code=exit_code)["vendors"][0]
        return found

    def stale(self) -> list[str]:
        """SKUs that wait for RetailOps' next statement."""
        with self.retailops.database.read() as connection:
            return [item.sku for item in stock.stale(connection, utc_now())]

    def writes(self) -> dict[str, int]:
        return {name: count for name, count in self.pipe17.state()["calls"].items() if not name.startswith("GET")}


def row_of(sku: str, dallas: int, reno: int) -> dict[str, Any]:
    details = [
        {"quantity_type": "internal", "facility_name": name, "available_quantity": units, "total_quantity": units}
        for name, units in ((DALLAS, dallas), (RENO, reno))
    ]
    return {"sku": sku, "quantity_available": dallas + reno, "quantity_detail": details}
