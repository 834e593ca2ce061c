"""The ledger of reported goods by order and product, so that no line is counted twice (contract 4)."""

from __future__ import annotations

import logging
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from app.errors import Unavailable
from app.records.database import Database, DatabaseUnavailable
from app.records.tables import told_lines

log = logging.getLogger(__name__)


class ReportLedger:
    """What one channel has reported."""

    def __init__(self, database: Database, channel: str, gateway: str) -> None:
        self._database = database
        self._keys = {"channel": channel, "gateway": gateway}
        self._heard: dict[tuple[str, int], datetime] = {}
        """Goods Retail Rocket has, which the database could not take yet."""
        self._is_ours = (told_lines.c.channel == channel) & (told_lines.c.gateway == gateway)

    def open(self, order_refnum: str, products: Collection[int]) -> dict[int, int]:
        """Those not reported yet, and how many attempts in a row left it unknown whether they were."""
        with self._database.read() as connection:
            rows = connection.execute(
                select(told_lines).where(self._is_ours, told_lines.c.order_refnum == order_refnum)
            ).all()
        done = {int(row.product) for row in rows if row.told_at is not None}
        done |= {product for refnum, product in list(self._heard) if refnum == order_refnum}
        doubts = {int(row.product): row.doubts for row in rows}
        return {product: doubts.get(product, 0) for product in products if product not in done}

    def begin(self, order_refnum: str, products: Collection[int]) -> None:
        """About to be sent: until the outcome is known it is in doubt, also if this process dies.

        Raises `Unavailable`, nothing done, without the database.
        """
        try:
            self._begin(order_refnum, products)
        except DatabaseUnavailable as error:
            message = "retailrocket was not called: this server's database is away"
            raise Unavailable("RECORDS_UNAVAILABLE", message) from error

    def _begin(self, order_refnum: str, products: Collection[int]) -> None:
        with self._database.write() as connection:
            insert = (sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert)(told_lines)
            connection.execute(
                insert.on_conflict_do_update(
                    index_elements=[
                        told_lines.c.channel, told_lines.c.gateway, told_lines.c.order_refnum, told_lines.c.product,
                    ],
                    set_={"doubts": told_lines.c.doubts + 1},
                ),
                [
                    {**self._keys, "order_refnum": order_refnum, "product": str(product), "doubts": 1}
                    for product in products
                ],
            )  # fmt: skip

    def done(self, order_refnum: str, products: Collection[int], now: datetime) -> None:
        """Retail Rocket has them.  Never raises for the database: what it cannot take now is written next time."""
        self._heard |= {(order_refnum, product): now for product in products}
        try:
            for refnum, at in {(refnum, at) for (refnum, _), at in self._heard.items()}:
                heard = [key for key, heard_at in self._heard.items() if (key[0], heard_at) == (refnum, at)]
                self._set(refnum, [product for _, product in heard], doubts=0, told_at=at)
                for key in heard:
                    del self._heard[key]
        except DatabaseUnavailable as error:
            log.warning("what retailrocket was told is written when the database is back: %s", error)

    def not_done(self, order_refnum: str, products: Collection[int]) -> None:
        """Surely not: as if it had never been tried; where the database is away it stays in doubt."""
        with suppress(DatabaseUnavailable):
            self._set(order_refnum, products, doubts=told_lines.c.doubts - 1)

    def settle(self, order_refnum: str, products: Collection[int]) -> None:
        """The operator decides from here on: whoever sends it again begins anew."""
        self._set(order_refnum, products, doubts=0)

    def _set(self, order_refnum: str, products: Collection[int], **values: object) -> None:
        with self._database.write() as connection:
            self._update(connection, order_refnum, products, values)

    def _update(
        self, connection: Connection, order_refnum: str, products: Collection[int], values: dict[str, object]
    ) -> None:
        connection.execute(
            update(told_lines)
            .where(
                self._is_ours,
                told_lines.c.order_refnum == order_refnum,
                told_lines.c.product.in_([str(product) for product in products]),
            )
            .values(**values)
        )
