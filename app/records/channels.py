"""The channels whose records are kept: their keys, names and accounts, and what is unfinished under each (R35)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Table, delete, exists, func, insert, select, update

from app.domain.channel_identity import Known, Pair, numbered
from app.records import tables
from app.records.statements import upsert
from app.records.tables.catalogue import catalogue, catalogue_sync
from app.records.tables.channels import channel_accounts, channel_names, channels
from app.records.tables.deliveries import IS_OPEN, commands, deliveries
from app.records.tables.gateways import feed_pieces, feeds, pending_reports, reported_lines
from app.records.tables.operations import search_keys
from app.records.tables.orders import IS_OPEN_ORDER, handed_out
from app.records.tables.stock import fact_obstacles, stock, sync_states
from app.records.tables.storefront import IS_PAID_FOR, orders

LOCK = "channels"
"""What `Database.write(serial=...)` needs where channels are registered or forgotten."""

GOODS = (
    "stock", "stock_disagreements", "catalogue", "sku_numbers", "catalogue_sync", "categories", "sync_states",
    "feeds", "feed_pieces",
)  # fmt: skip
"""The tables of what RetailOps stated of goods and stock, and of what gateways were sent of it."""


@dataclass(frozen=True)
class Open:
    """How much is unfinished under one key: calls owed or parked, orders paid and not completed.

    A command that is not finished has open calls.
    """

    calls: int
    orders: int

    def __bool__(self) -> bool:
        return bool(self.calls or self.orders)

    def __str__(self) -> str:
        counts = ((self.calls, "call"), (self.orders, "order"))
        named = [f"{count} {what}{'s' if count > 1 else ''}" for count, what in counts if count]
        return f"{' and '.join(named)} unfinished" if named else ""


def known(connection: Connection) -> list[Known]:
    """Every channel whose records are kept and not forgotten, by key."""
    names: dict[str, set[str]] = defaultdict(set)
    for row in connection.execute(select(channel_names)):
        names[row.channel].add(row.name)
    accounts: dict[str, dict[str, str]] = defaultdict(dict)
    for row in connection.execute(select(channel_accounts)):
        accounts[row.channel][row.gateway] = row.account
    rows = connection.execute(select(channels).where(channels.c.forgotten_at.is_(None)).order_by(channels.c.key))
    return [
        Known(
            row.key,
            row.name,
            frozenset(names[row.key]),
            None if row.client_id is None else (row.client_id, row.channel_id),
            accounts[row.key],
        )
        for row in rows
    ]


@dataclass(frozen=True)
class Names:
    """`keys` of records by every name that means them; `shown`: the name that people see, by key."""

    keys: Mapping[str, str]
    shown: Mapping[str, str]


def names(connection: Connection) -> Names:
    """The names of all channels, former and forgotten ones too."""
    return Names(
        {row.name: row.channel for row in connection.execute(select(channel_names))},
        {row.key: row.name for row in connection.execute(select(channels.c.key, channels.c.name))},
    )


def keys(connection: Connection) -> frozenset[str]:
    """Every key there ever was, forgotten ones too."""
    return frozenset(connection.execute(select(channels.c.key)).scalars())


def named(connection: Connection, name: str) -> tuple[str, datetime | None] | None:
    """The key that a name means, and when its records were forgotten; None for a name that means none."""
    row = connection.execute(
        select(channels.c.key, channels.c.forgotten_at)
        .join(channel_names, channel_names.c.channel == channels.c.key)
        .where(channel_names.c.name == name)
    ).first()
    return None if row is None else (row.key, row.forgotten_at)


def _open_orders(key: str) -> ColumnElement[bool]:
    """Orders of a source that pushes them here which are paid and not over."""
    is_over = exists().where(
        handed_out.c.channel == orders.c.channel, handed_out.c.refnum == orders.c.refnum, handed_out.c.state != "open"
    )
    return (orders.c.channel == key) & IS_PAID_FOR & ~is_over


def _taken_orders(key: str) -> ColumnElement[bool]:
    """Orders of other sources that RetailOps has and that nobody has cancelled or completed."""
    is_kept_here = exists().where(orders.c.channel == handed_out.c.channel, orders.c.refnum == handed_out.c.refnum)
    is_taken = handed_out.c.acknowledged_at.is_not(None) & handed_out.c.source_cancelled_at.is_(None)
    return (handed_out.c.channel == key) & IS_OPEN_ORDER & is_taken & ~is_kept_here


def what_is_open(connection: Connection, key: str) -> Open:
    """What is unfinished under a key."""
    questions = (
        (deliveries, (deliveries.c.channel == key) & IS_OPEN),
        (orders, _open_orders(key)),
        (handed_out, _taken_orders(key)),
    )
    found = [
        int(connection.execute(select(func.count()).select_from(table).where(rule)).scalar_one())
        for table, rule in questions
    ]
    return Open(found[0], found[1] + found[2])


def is_used(connection: Connection, key: str) -> bool:
    """Whether RetailOps ever stated, commanded or got anything under a key."""
    queries = [select(exists().where(table.c.channel == key)) for table in (handed_out, commands, stock, catalogue)]
    return any(connection.execute(question).scalar_one() for question in queries)


def register(
    connection: Connection, key: str, name: str, pair: Pair, accounts: Mapping[str, str], now: datetime
) -> None:
    """A channel is served: keep its name, its pair and its accounts.  A former name goes on meaning its records.

    `name` becomes the one people see, unless it is a former one already: then a process of before still runs.
    """
    values = {"client_id": pair[0], "channel_id": pair[1]}
    upsert(connection, channels, {"key": key, "name": name, "registered_at": now, **values}, values)
    if named(connection, name) != (key, None):
        upsert(connection, channel_names, {"name": name, "channel": key}, {"channel": key})
        connection.execute(update(channels).where(channels.c.key == key).values(name=name))
    for gateway, account in accounts.items():
        row = {"channel": key, "gateway": gateway, "account": account}
        upsert(connection, channel_accounts, row, {"account": account})


def mark_forgotten(connection: Connection, key: str, now: datetime) -> bool:
    """No channel goes on with these records.  False where they were forgotten already."""
    is_kept = (channels.c.key == key) & channels.c.forgotten_at.is_(None)
    return connection.execute(update(channels).where(is_kept).values(forgotten_at=now)).rowcount == 1


def keep_account(connection: Connection, key: str, gateway: str, before: str, account: str) -> bool:
    """The account of a gateway is the same one under another word.  False where it is not `before` any more."""
    is_its = _of(channel_accounts, key, gateway) & (channel_accounts.c.account == before)
    return connection.execute(update(channel_accounts).where(is_its).values(account=account)).rowcount == 1


def set_apart(connection: Connection, key: str) -> str:
    """The records of an account that has left its channel get a name of their own, which is returned."""
    own = _name_apart(connection, key)
    connection.execute(update(channels).where(channels.c.key == key).values(name=own))
    connection.execute(insert(channel_names).values(name=own, channel=key))
    return own


def _name_apart(connection: Connection, key: str) -> str:
    name = connection.execute(select(channels.c.name).where(channels.c.key == key)).scalar_one()
    taken = keys(connection) | {*connection.execute(select(channel_names.c.name)).scalars()}
    return next(other for other in numbered(name) if other not in taken)


def take_goods_along(connection: Connection, key: str, leaves: str) -> None:
    """What RetailOps stated of goods and stock under `leaves` is what it stated under `key`."""
    for name in GOODS:
        table = tables.metadata.tables[name]
        connection.execute(update(table).where(table.c.channel == leaves).values(channel=key))
    is_sku = (search_keys.c.channel == leaves) & (search_keys.c.order_refnum == "")
    connection.execute(update(search_keys).where(is_sku).values(channel=key))


def send_all_again(connection: Connection, key: str, gateway: str) -> None:
    """A gateway has another account: to that nothing of the goods and the stock was ever sent (R13)."""
    unsent = {"sent": None, "sent_seq": 0, "is_changed": True, "refusal": "", "is_uncertain": False, "sent_at": None}
    of_stock = {"turn": stock.c.seq, "moved_at": None, "tries": 0, "attention": "", "again_at": None, "uncertain": None}
    of_goods = {"turn": catalogue_sync.c.seq, "is_in_flight": False, "again_at": None}
    connection.execute(update(stock).where(_of(stock, key, gateway)).values(**unsent, **of_stock))
    connection.execute(update(catalogue_sync).where(_of(catalogue_sync, key, gateway)).values(**unsent, **of_goods))
    for table in (fact_obstacles, feeds, feed_pieces, pending_reports, reported_lines):
        connection.execute(delete(table).where(_of(table, key, gateway)))
    rested = {"attempts": 0, "next_try_at": None, "last_error": "", "poll_until_ms": None}
    of_catalogue = {"catalogue_attempts": 0, "catalogue_next_try_at": None, "catalogue_last_error": ""}
    connection.execute(update(sync_states).where(_of(sync_states, key, gateway)).values(**rested, **of_catalogue))


def leave_calls(connection: Connection, key: str, gateway: str, now: datetime) -> None:
    """Open calls to the account a gateway had are set apart: they must not be made to the one it has now."""
    is_waiting = _of(deliveries, key, gateway) & IS_OPEN
    if not connection.execute(select(exists().where(is_waiting))).scalar_one():
        return
    own = _name_apart(connection, key)
    account = connection.execute(
        select(channel_accounts.c.account).where(
            channel_accounts.c.channel == key, channel_accounts.c.gateway == gateway
        )
    ).scalar_one()
    connection.execute(insert(channels).values(key=own, name=own, registered_at=now))
    connection.execute(insert(channel_names).values(name=own, channel=own))
    connection.execute(insert(channel_accounts).values(channel=own, gateway=gateway, account=account))
    connection.execute(update(deliveries).where(is_waiting).values(channel=own))


def _of(table: Table, key: str, gateway: str) -> ColumnElement[bool]:
    return (table.c.channel == key) & (table.c.gateway == gateway)
