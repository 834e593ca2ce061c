"""The ledger of goods reported to a vendor that counts purchases, by order and product: none is counted twice."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

from sqlalchemy import select, update

from app.errors import GatewayError, Unavailable
from app.records.database import Database, DatabaseUnavailable
from app.records.statements import upsert
from app.records.tables.gateways import reported_lines

log = logging.getLogger(__name__)


class ReportLedger:
    """What one channel has reported to one vendor."""

    def __init__(self, database: Database, channel: str, gateway: str) -> None:
        self._database = database
        self._keys = {"channel": channel, "gateway": gateway}
        self._gateway = gateway
        self._unwritten: dict[tuple[str, int], datetime] = {}
        """Goods the vendor has, which the database could not take yet."""
        self._is_ours = (reported_lines.c.channel == channel) & (reported_lines.c.gateway == gateway)

    def open(self, order_refnum: str, products: Collection[int]) -> dict[int, int]:
        """Those not reported yet, and how many attempts in a row left it unknown whether they were."""
        with self._database.read() as connection:
            rows = connection.execute(
                select(reported_lines).where(self._is_ours, reported_lines.c.order_refnum == order_refnum)
            ).all()
        done = {int(row.product) for row in rows if row.reported_at is not None}
        done |= {product for refnum, product in list(self._unwritten) if refnum == order_refnum}
        uncertain = {int(row.product): row.uncertain for row in rows}
        return {product: uncertain.get(product, 0) for product in products if product not in done}

    @contextmanager
    def reporting(self, order_refnum: str, products: Collection[int], clock: Callable[[], datetime]) -> Iterator[None]:
        """Around the call that reports these: in doubt before it, done after it, untouched where it surely was not.

        Raises `Unavailable`, nothing done, without the database, and what the call raises.
        """
        self.begin(order_refnum, products)
        try:
            yield
        except GatewayError as error:
            if not error.outcome_unknown:
                self.not_done(order_refnum, products)
            raise
        self.done(order_refnum, products, clock())

    def begin(self, order_refnum: str, products: Collection[int]) -> None:
        """About to be sent: until the outcome is known it is in doubt, also if this process dies.

        Raises `Unavailable`, nothing done, without the database.
        """
        key = {**self._keys, "order_refnum": order_refnum}
        rows = [{**key, "product": str(product), "uncertain": 1} for product in products]
        try:
            with self._database.write() as connection:
                upsert(connection, reported_lines, rows, {"uncertain": reported_lines.c.uncertain + 1})
        except DatabaseUnavailable as error:
            message = f"{self._gateway} was not called: this server's database is away"
            raise Unavailable("RECORDS_UNAVAILABLE", message) from error

    def done(self, order_refnum: str, products: Collection[int], now: datetime) -> None:
        """The vendor has them.  Never raises for the database: what it cannot take now is written next time."""
        self._unwritten |= {(order_refnum, product): now for product in products}
        try:
            for refnum, at in {(refnum, at) for (refnum, _), at in self._unwritten.items()}:
                known = [key for key, known_at in self._unwritten.items() if (key[0], known_at) == (refnum, at)]
                self._set(refnum, [product for _, product in known], uncertain=0, reported_at=at)
                for key in known:
                    del self._unwritten[key]
        except DatabaseUnavailable as error:
            log.warning("what was reported to %s is written when the database is back: %s", self._gateway, error)

    def not_done(self, order_refnum: str, products: Collection[int]) -> None:
        """Surely not: as if it had never been tried; where the database is away it stays in doubt."""
        with suppress(DatabaseUnavailable):
            self._set(order_refnum, products, uncertain=reported_lines.c.uncertain - 1)

    def settle(self, order_refnum: str, products: Collection[int]) -> None:
        """The operator decides from here on: whoever sends it again begins anew."""
        self._set(order_refnum, products, uncertain=0)

    def _set(self, order_refnum: str, products: Collection[int], **values: object) -> None:
        is_meant = reported_lines.c.product.in_([str(product) for product in products])
        is_of_order = reported_lines.c.order_refnum == order_refnum
        with self._database.write() as connection:
            connection.execute(update(reported_lines).where(self._is_ours, is_of_order, is_meant).values(**values))
