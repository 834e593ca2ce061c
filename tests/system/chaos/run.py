"""One run from the first order to the last comparison."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.postgres import NoPostgres, running_postgres
from tests.system.books import Books, Vendor
from tests.system.chaos.callers import Caller
from tests.system.chaos.faults import TABLE
from tests.system.chaos.judging import count_answers, judge, repeat_all, send_until_answered
from tests.system.chaos.lives import Shop
from tests.system.chaos.money_books import HEARD_OF, MoneyAtRest, compare_money
from tests.system.chaos.records import await_quiet, parked, refund_entries
from tests.system.chaos.result import Result
from tests.system.chaos.stage import FullStage
from tests.system.chaos.stockers import Stocker
from tests.system.chaos.storm import DatabaseServer, Fault, Scene, Storm
from tests.system.chaos.till import Till, TillLives, lost_orders
from tests.system.chaos.vendor_faults import LATE_S

CALLERS, CASHIERS, STOCKERS = 5, 3, 2
FIRST_ORDERS = 6
"""Orders at Rally before anything is hurt."""


class Run:
    """A stage that stands still, its callers, and both channels' books."""

    def __init__(self, stage: FullStage, seed: int, database: DatabaseServer | None, faults: Sequence[Fault]) -> None:
        self.stage = stage
        self.result = Result(seed)
        excuses = stage.injuries.stood_still_s, stage.injuries.may_have_forgotten
        self.books, self.till_books = Books(*excuses), Books(*excuses)
        shop, self.till_shop = Shop(self.books), Shop(self.till_books)
        lives = self.result.lives
        self.stockers = [Stocker(number, seed, stage.retailops(), self.books) for number in range(STOCKERS)]
        self.callers = [
            Caller(f"{number}", seed, stage.retailops, self.books, shop, lives) for number in range(CALLERS)
        ]
        self.callers += [
            Caller(f"till-{number}", seed, stage.till, self.till_books, self.till_shop, lives, TillLives)
            for number in range(CASHIERS)
        ]
        self.till = Till(stage, seed)
        skus = [sku for caller in self.stockers for sku in caller.skus]
        stage.add_products(skus)
        stage.tell_vendor("settings", {"visible_after_s": LATE_S}, "PUT")
        moved = [sku for caller in self.stockers for sku in caller.moved_skus]
        self.scene = Scene(stage, database, moved, self.result.played)
        self.storm = Storm(seed, self.scene, faults)
        self.at_first = Vendor.read(stage.vendor())

    def play(self, seconds: float, least_lives: int, quiet_within_s: float) -> Result:
        """All of it; the stage is left running."""
        self.till.open()
        for _ in range(FIRST_ORDERS):
            self.till.buy()
        self._rage(seconds, least_lives)
        self.result.violations += self.storm.calm()
        calm_at = time.monotonic()
        give_up_at = calm_at + quiet_within_s
        send_until_answered(self.stage.retailops, self.books, give_up_at)
        send_until_answered(self.stage.till, self.till_books, give_up_at)
        self._quiet(give_up_at)
        self.result.violations += self._stock_as_stated(give_up_at)
        # What the vendor moved by itself becomes what was stated once it is stated again, as a merchant does (R13).
        for stocker in self.stockers:
            stocker.state_all_again(give_up_at)
        self._quiet(give_up_at)
        self.result.seconds_to_quiet = time.monotonic() - calm_at
        self._judge(give_up_at)
        for stocker in self.stockers:
            stocker.close()
        for caller in self.callers:
            caller.close()
        return self.result

    def _rage(self, seconds: float, least_lives: int) -> None:
        ending = threading.Event()
        acts = [*(each.play for each in self.callers), *(each.play for each in self.stockers), self.till.sell]
        threads = [threading.Thread(target=act, args=(ending,), name="caller") for act in acts]
        for thread in threads:
            thread.start()
        try:
            self.storm.rage(seconds, lambda: self.result.lives.total() >= least_lives)
        finally:
            ending.set()
            for thread in threads:
                thread.join(60)

    def _quiet(self, give_up_at: float) -> None:
        self.result.violations += await_quiet(self.stage.database_url, give_up_at)

    def _stock_as_stated(self, give_up_at: float) -> list[str]:
        """What only we move has come to what was stated last, without being stated again."""
        until = min(give_up_at, time.monotonic() + self.stage.settle_s * 2 + 5)
        while True:
            vendor = Vendor.read(self.stage.vendor())
            wrong = [line for caller in self.stockers for line in caller.wrong_levels(vendor)]
            if not wrong or time.monotonic() > until:
                return wrong
            time.sleep(0.5)

    def _judge(self, give_up_at: float) -> None:
        stage, result = self.stage, self.result
        stage.note_refused_creates()
        result.saved_by_vendor = len(stage.refused_creates)
        judge(stage, self.books, self.at_first, result, give_up_at, stage.injuries.may_have_delayed)
        repeat_all(stage.till, self.till_books)
        self._quiet(give_up_at + 15)
        orders = self.till.orders()
        # An order whose checkout was under way when Rally was killed is not kept there; it refuses all about it.
        forgotten = {refnum for request in self.till_books.of(*HEARD_OF) for refnum in request.refnums} - set(orders)
        result.forgotten_orders = len(forgotten)
        if wrong := forgotten if not result.played["kill-vendor"] else forgotten & set(self.till.bought):
            result.violations.append(f"orders that were handed out are not at Rally: {sorted(wrong)}")
        self.till_books.leave_out(forgotten)
        charged = {refnum: _amount(order["charged"]) for refnum, order in orders.items()}
        rest = MoneyAtRest(
            self.till_books, charged, orders,
            [entry for entry in refund_entries(stage.database_url) if entry.order_refnum not in forgotten],
            [item for item in parked(stage.database_url, "rally") if item.lane not in forgotten],
            stage.refunds_sent.exchanges, stage.injuries,
        )  # fmt: skip
        found, result.parked_refunds = compare_money(rest)
        result.violations += found + self.till_books.violations
        result.violations += lost_orders(self.till, self.till_books, self._all_handed_out())
        result.refunds = sum(map(len, rest.at_rally().values()))
        result.checkouts = self.till.checkouts
        count_answers(self.till_books, result)

    def _all_handed_out(self) -> set[str]:
        voice = self.stage.till()
        waiting = {order["channel_order_refnum"] for order in voice.pull_all()}
        voice.close()
        return waiting | self.till_shop.handed_out


def run(
    stage: FullStage,
    *,
    seconds: float,
    seed: int,
    database: DatabaseServer | None = None,
    faults: Sequence[Fault] = TABLE,
    least_lives: int = 0,
    quiet_within_s: float = 90.0,
) -> Result:
    """Play the whole run on a stage that stands still; it is left running."""
    return Run(stage, seed, database, faults).play(seconds, least_lives, quiet_within_s)


def _amount(value: Any) -> Decimal:
    return Decimal(str(value))


@contextmanager
def database_of(kind: str, folder: Path) -> Iterator[tuple[str, DatabaseServer | None]]:
    """The address of an empty database, and its server where there is one to be stopped.

    Raises `LookupError` with the reason when this machine has no PostgreSQL.
    """
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'channel.db'}", None
        return
    try:
        with running_postgres(is_durable=True) as server, server.database() as url:
            yield url, server
    except NoPostgres as reason:
        raise LookupError(str(reason)) from None
