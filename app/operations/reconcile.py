"""Compares what RetailOps stated last with what a vendor holds, and says where they differ and how old each side is.

It only reads.  It runs beside the server and takes its calls from the same rate as facts; ours is read page by page,
the vendor's by the SKUs of that page, so that memory does not grow with the catalogue.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, TypeVar

from app.deadline import Deadline
from app.domain.catalogue import ProductChange
from app.domain.stock import StockChange
from app.errors import SWITCHED_OFF, BrokenReply, Misconfigured, Refused, Unavailable
from app.gateways.calls import Call
from app.gateways.capabilities import Gateway
from app.gateways.holdings import Holdings
from app.operations.differences import Result, closed_there, order_difference, product_difference, stock_difference
from app.records import catalogue, catalogue_sync, order_standings, stock
from app.records.database import Database
from app.records.order_standings import Standing
from app.records.stock import StatedLevel
from app.records.stock_batches import SKIPPED
from app.transport.retries import next_try_s

CALL_S: Final = 60.0
"""How long one page may take with all its calls: each of them waits for its turn behind the server's own."""

TRIES: Final = 8
"""How often in a row a page is requested that the vendor does not answer."""

SUBJECTS: Final = ("products", "stock", "orders")

T = TypeVar("T")

Progressed = Callable[[str, int], None]
"""Called with a subject and how many of it have been compared so far."""


class Reconciliation:
    """One comparison of one channel with one vendor."""

    def __init__(
        self,
        database: Database,
        channel: str,
        gateway: Gateway,
        holdings: Holdings,
        *,
        progress: Progressed = lambda subject, count: None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._database = database
        self._channel = channel
        self._gateway = gateway
        self._token = gateway.token
        self._holdings = holdings
        self._progress = progress
        self._pause = pause
        self._request_id = f"reconcile-{uuid.uuid4().hex[:12]}"
        self.result = Result()
        self._theirs: set[str] = set()
        """SKUs as the vendor names them that RetailOps has stated."""

    def run(self) -> Result:
        """Raises `GatewayError` when the vendor cannot be read; what was found until then stands in `result`."""
        takes = {
            "products": self._gateway.catalogue is not None,
            "stock": self._gateway.stock is not None,
            "orders": self._gateway.orders is not None,
        }
        compare = {"products": self._products, "stock": self._stock, "orders": self._orders}
        for subject in SUBJECTS:
            if not takes[subject]:
                continue
            if why := self._ask(partial(self._holdings.why_not, subject)):
                self.result.left_out[subject] = why
                continue
            self.result.compared[subject] = 0
            try:
                compare[subject]()
            except (Misconfigured, Refused, BrokenReply) as error:  # Such as a missing grant: others may be readable.
                self.result.left_out[subject] = error.message
        return self.result

    def _ask(self, read: Callable[[Call], T]) -> T:
        """Ask again, later and later, while the vendor does not answer or others have the rate."""
        for attempt in range(1, TRIES + 1):
            try:
                return read(Call(Deadline.in_s(CALL_S), self._request_id, "fact"))
            except Unavailable as error:
                if error.code == SWITCHED_OFF or attempt == TRIES:
                    raise
                self._pause(next_try_s(attempt, error.retry_after_s, random.random()))
        raise AssertionError("the last attempt returns or raises")

    def _count(self, subject: str, more: int) -> None:
        self.result.compared[subject] += more
        self._progress(subject, self.result.compared[subject])

    # Stock

    def _stock(self) -> None:
        after = ""
        while page := self._levels(after):
            self._compare_stock(page, is_again=False)
            after = page[-1].sku
            self.result.refused += sum(level.refusal not in ("", SKIPPED) for level in page)
            self._count("stock", len(page))
        self._count_unstated()

    def _levels(self, after: str) -> list[StatedLevel]:
        with self._database.read() as connection:
            return stock.stated(connection, self._channel, self._token, after=after, limit=self._holdings.stock_batch)

    def _compare_stock(self, levels: Sequence[StatedLevel], *, is_again: bool) -> None:
        """What was stated or sent while the vendor was read is compared once more, or an old figure would differ."""
        skus = [level.sku for level in levels]
        with self._database.read() as connection:
            notes = stock.notes_of(connection, self._channel, self._token, skus)
        changes = [StockChange(level.sku, level.level, notes.get(level.sku)) for level in levels]
        found = self._ask(partial(self._holdings.compare_stock, changes))
        known = {level.sku: level for level in levels}
        moving: list[StatedLevel] = []
        differing = {item.sku for item in found.differences}
        if differing and not is_again:
            with self._database.read() as connection:
                now = stock.stated_of(connection, self._channel, self._token, differing)
            moving = [level for level in now if level != known[level.sku]]
        again = {level.sku for level in moving}
        self.result.differences += [
            stock_difference(item, known[item.sku]) for item in found.differences if item.sku not in again
        ]
        if not is_again:
            self._theirs.update(found.theirs)
            self.result.skipped += found.skipped
            self.result.unreadable += found.unreadable
        if moving:
            self._compare_stock(moving, is_again=True)

    def _count_unstated(self) -> None:
        """Rows come in the order of their SKUs; one that is met on two pages counts once."""
        at: int | None = 0
        last = ""
        while at is not None:
            page = self._ask(partial(self._holdings.stock_page, at))
            for sku in page.items:
                self.result.unstated += sku not in self._theirs and sku != last
                last = sku
            at = page.next_at

    # Products

    def _products(self) -> None:
        after, is_last = "", False
        while not is_last:
            with self._database.read() as connection:
                limit = self._holdings.product_batch
                after, products = catalogue.page(connection, self._channel, after, limit)
                stated = catalogue_sync.stated(
                    connection, self._channel, self._token, [product.item.key for product in products]
                )
            is_last = not after
            of_sku = {unit.sku: stated[product.item.key] for product in products for unit in product.units}
            changes = [ProductChange(product.item.key, product, stated[product.item.key].sent) for product in products]
            found = self._ask(partial(self._holdings.compare_products, changes))
            self.result.differences += [product_difference(item, of_sku[item.sku]) for item in found]
            self._count("products", len(products))

    # Orders

    def _orders(self) -> None:
        self._orders_open_here()
        at: int | None = 0
        while at is not None:
            page = self._ask(partial(self._holdings.open_orders, at))
            theirs = {there.refnum: there for there in page.items}
            with self._database.read() as connection:
                ours = order_standings.named(connection, self._channel, list(theirs))
            # One that is cancelled here because its source cancelled it is open there again only by a new request.
            self.result.differences += [
                order_difference("order_open_there", order, theirs[order.refnum].state)
                for order in ours
                if order.state != "open"
            ]
            at = page.next_at

    def _orders_open_here(self) -> None:
        after = ""
        while page := self._open_orders(after):
            after = page[-1].refnum
            theirs = self._ask(partial(self._holdings.orders, [order.refnum for order in page]))
            self.result.differences += closed_there(page, theirs)
            self._count("orders", len(page))

    def _open_orders(self, after: str) -> list[Standing]:
        with self._database.read() as connection:
            return order_standings.open_after(connection, self._channel, after, self._holdings.order_batch)
