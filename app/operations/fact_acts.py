"""Sends stock and products again, as an act of an operator: what RetailOps stated last becomes pending once more.

In short transactions, because the server writes beside the command; together they are one act.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime

from sqlalchemy import Connection

from app.operations.operators import Operator, keep
from app.records import catalogue_sync, operations, stock_sync
from app.records.database import Database
from app.records.operations import Target
from app.records.statements import chunked
from app.records.stock_sync import SendAgain

AT_ONCE = 500
"""SKUs sent again in one transaction."""


def send_stock(
    database: Database,
    operator: Operator,
    channel: str,
    gateway: str,
    skus: Collection[str] | None,
    now: datetime,
    *,
    even_if_moved: bool = False,
    act: str = "stock.send",
) -> SendAgain:
    """Make the stock RetailOps stated last pending again; None: of every SKU.

    What something known here has moved since it was stated is left unless `even_if_moved` (R13).
    """

    def send(connection: Connection, some: Collection[str] | None) -> SendAgain:
        return stock_sync.send_again(
            connection, channel, gateway, some, even_if_moved=even_if_moved, is_dry_run=False, now=now
        )

    detail = "--even-if-moved" if even_if_moved else ""
    return _send(database, operator, act, channel, gateway, skus, send, now, detail, kind="sku")


def send_catalogue(
    database: Database,
    operator: Operator,
    channel: str,
    gateway: str,
    skus: Collection[str] | None,
    now: datetime,
    *,
    act: str = "catalogue.send",
) -> SendAgain:
    """Make the products of these SKUs pending again as RetailOps stated them last; None: all of them."""

    def send(connection: Connection, some: Collection[str] | None) -> SendAgain:
        return catalogue_sync.send_again(connection, channel, gateway, some, is_dry_run=False)

    return _send(database, operator, act, channel, gateway, skus, send, now, kind="product")


def _send(
    database: Database,
    operator: Operator,
    act: str,
    channel: str,
    gateway: str,
    skus: Collection[str] | None,
    send: Callable[[Connection, Collection[str] | None], SendAgain],
    now: datetime,
    detail: str = "",
    *,
    kind: str,
) -> SendAgain:
    """The act names every SKU; one on all of them (None) names none and counts them."""
    parts = [None] if skus is None else chunked(dict.fromkeys(skus), AT_ONCE)
    operation_id: int | None = None
    owed: list[str] = []
    moved: list[str] = []
    unknown: list[str] = []
    for some in parts:
        with database.write() as connection:
            done = send(connection, some)
            if done.owed:
                targets = [] if some is None else [Target(kind, sku) for sku in done.owed]
                if operation_id is None:
                    options = " ".join(filter(None, ["--all" if some is None else "", detail]))
                    operation_id = keep(
                        connection, operator, act, channel, gateway, "pending", targets, now, options,
                        count=len(done.owed),
                    )  # fmt: skip
                else:
                    operations.extend(connection, operation_id, targets)
        owed += done.owed
        moved += done.moved
        unknown += done.unknown
    return SendAgain(tuple(owed), tuple(moved), tuple(unknown))
