"""Sends stock and products again, as an act of an operator: what RetailOps stated last becomes pending once more.

In short transactions, because the server writes beside the command; together they are one act.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection

from app.operations.operators import Operator, keep
from app.records import catalogue_sync, operations, stock_sync
from app.records.database import Database
from app.records.operations import Target
from app.records.statements import chunked
from app.records.stock_sync import SendAgain

AT_ONCE = 500
"""SKUs sent again in one transaction."""

Subject = Literal["stock", "catalogue"]


@dataclass(frozen=True)
class ChosenFacts:
    """The stock or the products of some SKUs, for one vendor of a channel."""

    subject: Subject
    channel: str
    """Key of the records."""
    gateway: str
    skus: Collection[str] | None
    """None: every SKU that RetailOps has stated."""
    even_if_moved: bool = False
    """Whether stock is included that something known here has moved since it was stated; else that is left (R13)."""


def would_send(database: Database, chosen: ChosenFacts) -> SendAgain:
    """What `send` would make pending again now, and what it would leave; nothing is written."""
    with database.read() as connection:
        return _send_again(connection, chosen, chosen.skus, None)


def send(
    database: Database, operator: Operator, chosen: ChosenFacts, now: datetime, *, by: Literal["", "reconcile"] = ""
) -> SendAgain:
    """Make the facts pending again as RetailOps stated them last; the name of the act says what sent them.

    The act names every SKU; one on all of them names none and counts them.
    """
    parts = [None] if chosen.skus is None else chunked(dict.fromkeys(chosen.skus), AT_ONCE)
    kind = "sku" if chosen.subject == "stock" else "product"
    operation_id: int | None = None
    owed: list[str] = []
    moved: list[str] = []
    unknown: list[str] = []
    for some in parts:
        with database.write() as connection:
            done = _send_again(connection, chosen, some, now)
            if done.owed:
                targets = [] if some is None else [Target(kind, sku) for sku in done.owed]
                if operation_id is None:
                    flags = {"--all": some is None, "--even-if-moved": chosen.even_if_moved}
                    operation_id = keep(
                        connection, operator, f"{by or chosen.subject}.send", chosen.channel, chosen.gateway, "pending",
                        targets, now, " ".join(flag for flag, is_set in flags.items() if is_set), count=len(done.owed),
                    )  # fmt: skip
                else:
                    operations.extend(connection, operation_id, targets)
        owed += done.owed
        moved += done.moved
        unknown += done.unknown
    return SendAgain(tuple(owed), tuple(moved), tuple(unknown))


def _send_again(
    connection: Connection, chosen: ChosenFacts, skus: Collection[str] | None, now: datetime | None
) -> SendAgain:
    """Without a time only what would be sent again."""
    place = (connection, chosen.channel, chosen.gateway, skus)
    if chosen.subject == "catalogue":
        return catalogue_sync.send_again(*place, is_dry_run=now is None)
    return stock_sync.send_again(*place, even_if_moved=chosen.even_if_moved, is_dry_run=now is None, now=now)
