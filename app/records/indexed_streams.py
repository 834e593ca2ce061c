"""Which (channel, gateway) pairs a partial index has entries of, however many entries and however many gateways.

A server that looks for due work of all its gateways at once costs three look-ups for each pair that has any, and one
where none has: `select distinct` would read every entry, and a list of all gateways would cost a look-up for each.
"""

from __future__ import annotations

from sqlalchemy import Index, String, Subquery, Table, column, text

Stream = tuple[str, str]
"""(channel, gateway)."""

_STATEMENT = """
with recursive channels(channel) as (
  select min(channel) from {entries}
  union all
  select (select min(channel) from {entries} and channel > channels.channel)
  from channels where channels.channel is not null
), streams(channel, gateway) as (
  select channels.channel, (select min(gateway) from {entries} and channel = channels.channel)
  from channels where channels.channel is not null
  union all
  select streams.channel,
    (select min(gateway) from {entries} and channel = streams.channel and gateway > streams.gateway)
  from streams where streams.gateway is not null
)
select channel, gateway from streams where gateway is not null
"""


def streams_in(table: Table, index_name: str, dialect: str) -> Subquery:
    """SQL: the columns `channel` and `gateway` of those pairs; the index is a partial one that begins with both.

    Raises `StopIteration` where the table has no index of this name.
    """
    index: Index = next(index for index in table.indexes if index.name == index_name)
    condition = index.dialect_options[dialect]["where"]
    # SQLite may take the primary key for as good, and read all rows of a gateway that has no entry.
    source = f"{table.name} indexed by {index_name}" if dialect == "sqlite" else table.name
    statement = text(_STATEMENT.format(entries=f"{source} where {condition}"))
    return statement.columns(column("channel", String), column("gateway", String)).subquery(
        index_name.removeprefix("ix_")
    )
