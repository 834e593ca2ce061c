"""Which tables grow for as long as a server runs, and the figures by which SQLite plans statements on them.

No statement of a request or of the background may read all rows of such a table, or all that a channel has in it
(`tests/records/test_plans.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod

from sqlalchemy import Connection, text

GROWING = frozenset(
    {
        "attempts", "call_figures", "carts", "catalogue", "catalogue_sync", "commands", "deliveries", "fact_obstacles",
        "handed_out", "journal", "late_events", "orders", "packages", "payments", "pending_figures", "pending_reports",
        "refunds", "reported_lines", "reservations", "search_keys", "sku_numbers", "stock",
    }
)  # fmt: skip
"""Tables with rows for each order, call, request, moment or SKU."""

SMALL: Mapping[str, str] = {
    "categories": "a row for each category of goods",
    "channel_accounts": "a row for each gateway of a channel",
    "channel_names": "a row for each name of a channel",
    "channels": "a row for each channel",
    "check_requests": "a row for each click on Check",
    "counters": "a row for each combination of labels, none of which names an object",
    "feed_pieces": "some pieces of the last two builds of each feed",
    "feeds": "a row for each feed",
    "heartbeat": "one row",
    "held_back": "orders that a person has to look at",
    "inbound_requests": "kinds of answers to vendors, for a day",
    "last_calls": "a row for each callback and each vendor of a channel",
    "open_breakers": "a row for each open breaker of a process",
    "operation_targets": "what people did, by hand",
    "operations": "what people did, by hand",
    "pauses": "a row for each gateway that is paused",
    "periodic_work": "a row for each kind of work",
    "rates": "a row for each key of a vendor",
    "schema_compatibility": "a row for each migration",
    "source_cancellation_cursors": "a row for each source of orders",
    "stock_disagreements": "a row for each channel",
    "sync_states": "a row for each gateway of a channel",
    "unseen_steps": "a row for each step of the clock",
    "unverified_requests": "at most 100 rows",
    "write_probes": "a row for each process",
}
"""Why each of the other tables does not grow."""

ROWS = 1_000_000
"""Rows that SQLite expects in a growing table: those of some years."""

OF_FEW = frozenset(
    {
        "ix_catalogue_blanks", "ix_catalogue_sync_again", "ix_catalogue_sync_owed", "ix_catalogue_waits_for",
        "ix_deliveries_due", "ix_deliveries_lane", "ix_deliveries_late", "ix_handed_out_left_open",
        "ix_handed_out_source_cancelled", "ix_handed_out_tired", "ix_handed_out_trimmed", "ix_late_events_open",
        "ix_refunds_parked", "ix_stock_again", "ix_stock_attention", "ix_stock_blanks", "ix_stock_owed",
    }
)  # fmt: skip
"""Indexes of what is pending, in doubt or odd: as a rule few rows, so that they may be read whole."""

ROWS_OF_FEW = 1_000
"""Their entries; an index of another part of a table is taken for one of half of it."""

VALUES: Mapping[str, int] = {
    "callback": 10, "channel": 2, "code": 10, "gateway": 2, "is_changed": 2, "kind": 5, "name": 10, "outcome": 10,
    "span_s": 3, "state": 5, "verb": 10,
}  # fmt: skip
"""How many values columns have that say little of a row; without figures SQLite expects ten rows of each value."""

OTHER_VALUES = ROWS // 5
"""How many any other column has."""


def write_planner_figures(connection: Connection) -> None:
    """Keep how many rows the growing tables come to have, and how many an index finds by its first columns.

    SQLite has no other figures before `ANALYZE` is run, which nothing here does: figures of a server's first days
    would be wrong later.  Connections use them from when they next read the schema.  PostgreSQL counts by itself.
    """
    connection.execute(text("analyze sqlite_schema"))  # makes the table of the figures
    connection.execute(text("delete from sqlite_stat1"))
    rows = [
        {"tbl": table, "idx": index, "stat": " ".join(map(str, figures))}
        for table in sorted(GROWING)
        for index, figures in _figures(connection, table)
    ]
    connection.execute(text("insert into sqlite_stat1 (tbl, idx, stat) values (:tbl, :idx, :stat)"), rows)
    connection.execute(text("analyze sqlite_schema"))


def _figures(connection: Connection, table: str) -> Iterator[tuple[str, list[int]]]:
    """Of each index how many entries it has, and how many of them its first column leaves, its first two, and so on."""
    for _, index, is_unique, origin, is_partial in connection.execute(text(f"pragma index_list({table})")).all():
        columns = [row.name for row in connection.execute(text(f"pragma index_info({index})"))]
        count = ROWS_OF_FEW if index in OF_FEW else ROWS // 2 if is_partial else ROWS
        left = [_left(count, columns[:length]) for length in range(1, len(columns) + 1)]
        if is_unique:
            left[-1] = 1
        # A table without row ids is the index of its primary key.
        is_table = origin == "pk" and not connection.execute(text(_IS_OF_ITS_OWN), {"name": index}).scalar()
        yield table if is_table else index, [count, *left]


_IS_OF_ITS_OWN = "select count(*) from sqlite_schema where name = :name and rootpage > 0"


def _left(count: int, columns: Sequence[str]) -> int:
    return max(count // prod(VALUES.get(column, OTHER_VALUES) for column in columns), 1)
