"""What RetailOps states in the records, and processes that send it to Pipe17, with the memory they have of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from app.deliveries.background_work import WorkerProcess
from app.deliveries.sync import Syncer
from app.domain.stock import StockLevel
from app.gateways.vendors.pipe17 import Pipe17Gateway
from app.operations.health_checks import waiting
from app.records import cataloguing, stock
from app.records.cataloguing import Statement
from app.records.database import Database
from tests.databases import owed_levels
from tests.gateways.vendors.pipe17.stage import connect
from tests.sandboxes import Sandbox


class Merchant:
    """One process that sends what RetailOps states, with the memory it has of Pipe17."""

    def __init__(self, sandbox: Sandbox, database: Database) -> None:
        self.sandbox = sandbox
        self.database = database
        self.now = datetime(2026, 2, 3, 12, tzinfo=UTC)
        self.connect()

    def connect(self, **options: Any) -> Pipe17Gateway:
        gateway = connect(self.sandbox, **options)
        process = WorkerProcess(self.database, {("first", "pipe17"): gateway}, lambda: self.now, lambda: False)
        self._sender = Syncer(process)
        return gateway

    def state(self, **levels: StockLevel) -> None:
        """State them, and send them at once."""
        self.accept(**levels)
        self.send()

    def accept(self, **levels: StockLevel) -> None:
        """State them; an underscore stands for a hyphen."""
        encoded = {sku.replace("_", "-"): msgspec.json.encode(level) for sku, level in levels.items()}
        with self.database.write() as connection:
            stock.accept(connection, "first", "pipe17", encoded, now=self.now)

    def push(self, *skus: str) -> None:
        statements = [Statement(f"Product:{number}", {"sku": sku, "title": sku}) for number, sku in enumerate(skus, 1)]
        with self.database.write() as connection:
            cataloguing.accept(connection, "first", ["pipe17"], statements, self.now)
        self.send()

    def send(self, later_s: float = 0.0) -> None:
        self.now += timedelta(seconds=later_s)
        self._sender.send("first", "pipe17")

    def send_anew(self, **options: Any) -> None:
        """What is owed, an hour later, by a process that knows nothing but the records."""
        self.connect(**options)
        self.send(3600.0)

    def owed(self) -> int:
        with self.database.read() as connection:
            return owed_levels(connection)

    def posts(self) -> int:
        return self.sandbox.calls("POST /inventory")

    def refusal(self, sku: str) -> str:
        with self.database.read() as connection:
            return {item.sku: item for item in stock.stated(connection, "first", "pipe17", after="", limit=999)}[
                sku
            ].refusal

    def attention(self) -> list[str]:
        found = waiting.of_records(self.database, ["first"], self.now)["first"]
        return [item.sentence for item in found if item.state == "attention" and "stock" in item.name]
