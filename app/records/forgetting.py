"""Removes what is kept of a channel that is to be forgotten; what says where money went stays (R9, R35)."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, Table, delete, func, select, tuple_

from app.records.channels import LOCK
from app.records.database import Database
from app.records.tables import metadata
from app.records.tables.operations import search_keys

STAYS = frozenset({"commands", "refunds", "payments", "operations", "channel_names"})
"""Tables of which nothing is removed: the ledgers, which hold ids and amounts only, what operators did, and the name,
so that a second call says that it is done."""

AT_ONCE = 1000
"""Rows of one transaction."""


def held(connection: Connection, key: str) -> dict[str, int]:
    """How many rows of each table would be removed, by its name; tables without any are left out."""
    counted = {
        table.name: int(
            connection.execute(select(func.count()).select_from(table).where(table.c.channel == key)).scalar_one()
        )
        for table in _tables()
    }
    return {name: count for name, count in counted.items() if count}


def purge(database: Database, key: str) -> None:
    """Remove it in short transactions, for the server writes beside us.  Raises `DatabaseUnavailable`.

    The numbers that orders and SKUs are found by go last, under the lock that `search_filling` writes them with: from
    rows that are still there it would fill them again.
    """
    for table in sorted(_tables(), key=lambda table: table is search_keys):
        keys = list(table.primary_key.columns)
        some = select(*keys).where(table.c.channel == key).limit(AT_ONCE)
        is_more = True
        while is_more:
            with database.write(serial=[LOCK] if table is search_keys else ()) as connection:
                is_more = connection.execute(delete(table).where(tuple_(*keys).in_(some))).rowcount == AT_ONCE


def kinds() -> list[str]:
    """Every name that `held` may say."""
    return [table.name for table in _tables()]


def _tables() -> Iterator[Table]:
    """Every table of channels' records that is not kept, those that others refer to last."""
    for table in reversed(metadata.sorted_tables):
        if "channel" in table.c and table.name not in STAYS:
            yield table
