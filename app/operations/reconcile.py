"""Compares what RetailOps stated last with what a vendor holds, and says where they differ and how old each side is.

It only reads.  It runs beside the server and takes its calls from the same rate as facts; ours is read page by page,
the vendor's by the SKUs of that page, so that memory does not grow with the catalogue.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, TypeVar

import msgspec

from app.deadline import Deadline
from app.domain.catalogue import ProductChange
from app.domain.comparisons import OrderThere
from app.domain.stock import StockChange
from app.errors import SWITCHED_OFF, BrokenReply, Misconfigured, Refused, Unavailable
from app.gateways.calls import Call
from app.gateways.capabilities import Gateway
from app.gateways.holdings import Holdings
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

Kind = Literal[
    "stock_differs", "stock_missing", "product_differs", "product_missing", "order_open_there", "order_open_here"
]
Note = Literal["", "pending", "moved", "refused"]

T = TypeVar("T")


class Difference(msgspec.Struct, frozen=True):
    """One thing that is otherwise at the vendor.

    `place` is a facility, `vendor_sku` the vendor's name of the SKU where it is another, `field` a field of a product.
    `note`: pending, ours is about to be sent anyway; moved, something known here has moved the figure since it was
    stated; refused, the vendor refused it the last time.
    """

    kind: Kind
    subject: str
    ours: Any
    theirs: Any
    place: str = ""
    vendor_sku: str = ""
    field: str = ""
    stated_at: datetime | None = None
    sent_at: datetime | None = None
    note: Note = ""


@dataclass
class Result:
    """What the comparison with one vendor came to.

    `compared` counts SKUs, products and orders by subject; `left_out` says why one was not, or not wholly.
    `unstated` counts SKUs the vendor holds units of and RetailOps never stated; `skipped` SKUs whose stock the vendor
    does not take just now, `refused` those it refused; `unreadable` names SKUs that no request to the vendor can name.
    """

    differences: list[Difference] = field(default_factory=list)
    compared: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    unstated: int = 0
    skipped: int = 0
    refused: int = 0
    unreadable: list[str] = field(default_factory=list)

    def skus(self, subject: Literal["stock", "product"]) -> list[str]:
        """SKUs of that kind whose fact can be sent again: they differ, and ours is not pending anyway."""
        found = (item for item in self.differences if item.kind.startswith(subject) and item.note != "pending")
        return list(dict.fromkeys(item.subject for item in found))


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
            if why := self._ask(lambda call, subject=subject: self._holdings.why_not(subject, call)):  # type: ignore[misc]
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
        found = self._ask(lambda call: self._holdings.compare_stock(changes, call))
        known = {level.sku: level for level in levels}
        moving: list[StatedLevel] = []
        differing = {item.sku for item in found.differences}
        if differing and not is_again:
            with self._database.read() as connection:
                now = stock.stated_of(connection, self._channel, self._token, differing)
            moving = [level for level in now if level != known[level.sku]]
        again = {level.sku for level in moving}
        self.result.differences += [
            Difference(
                "stock_differs" if item.theirs is not None else "stock_missing",
                item.sku,
                item.ours,
                item.theirs,
                place=item.place,
                vendor_sku=item.vendor_sku,
                stated_at=known[item.sku].stated_at,
                sent_at=known[item.sku].sent_at,
                note=_note_of(known[item.sku]),
            )
            for item in found.differences
            if item.sku not in again
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
            page = self._ask(lambda call, at=at: self._holdings.stock_page(at, call))  # type: ignore[misc]
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
            found = self._ask(lambda call, some=changes: self._holdings.compare_products(some, call))  # type: ignore[misc]
            for item in found:
                ours = of_sku[item.sku]
                self.result.differences.append(
                    Difference(
                        "product_differs" if item.theirs is not None else "product_missing",
                        item.sku,
                        item.ours,
                        item.theirs,
                        field=item.field,
                        stated_at=ours.stated_at,
                        sent_at=ours.sent_at,
                        note="pending" if ours.is_owed else "refused" if ours.refusal else "",
                    )
                )
            self._count("products", len(products))

    # Orders

    def _orders(self) -> None:
        self._orders_open_here()
        at: int | None = 0
        while at is not None:
            page = self._ask(lambda call, at=at: self._holdings.open_orders(at, call))  # type: ignore[misc]
            theirs = {there.refnum: there for there in page.items}
            with self._database.read() as connection:
                ours = order_standings.named(connection, self._channel, list(theirs))
            # One that is cancelled here because its source cancelled it is open there again only by a new request.
            self.result.differences += [
                _order_difference("order_open_there", order, theirs[order.refnum].state)
                for order in ours
                if order.state != "open"
            ]
            at = page.next_at

    def _orders_open_here(self) -> None:
        after = ""
        while page := self._open_orders(after):
            after = page[-1].refnum
            theirs = self._ask(
                lambda call, page=page: self._holdings.orders([order.refnum for order in page], call)  # type: ignore[misc]
            )
            self.result.differences += list(_closed_there(page, theirs))
            self._count("orders", len(page))

    def _open_orders(self, after: str) -> list[Standing]:
        with self._database.read() as connection:
            return order_standings.open_after(connection, self._channel, after, self._holdings.order_batch)


def _note_of(level: StatedLevel) -> Note:
    if level.is_owed:
        return "pending"
    if level.is_moved:
        return "moved"
    return "refused" if level.refusal and level.refusal != SKIPPED else ""


def _closed_there(ours: Sequence[Standing], theirs: Any) -> Iterator[Difference]:
    for order in ours:
        there: OrderThere | None = theirs.get(order.refnum)
        if (there is not None and there.is_open) or order.is_settled:
            continue
        if there is not None and there.state == "fulfilled" and order.is_shipped:
            continue  # Sent whole on both sides; RetailOps completes it next.
        yield _order_difference("order_open_here", order, there.state if there else None)


def _order_difference(kind: Kind, order: Standing, theirs: str | None) -> Difference:
    # A cancellation at the source that is known here is sent to RetailOps with its next pull.
    note: Note = "pending" if order.is_pending or order.is_called_off else ""
    return Difference(kind, order.refnum, order.state, theirs, stated_at=order.since, note=note)
