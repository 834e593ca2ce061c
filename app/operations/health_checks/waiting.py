"""What waits for an operator by the records: parked calls, held orders, stale stock, callers no channel has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from app.domain.findings import Finding
from app.operations.health_checks.channels import not_handed_over, unknown_accounts
from app.operations.wrong_pairs import wrong_pairs
from app.records import attention, channels, pauses, stock, sync_state
from app.records.database import Database
from app.records.pulls import TIRED_AFTER

LOOKED_BACK = timedelta(days=7)
"""How far back the journal is searched for calls of pairs that no channel has (R3)."""

NAMED = 3
"""How many pairs are named one by one."""

LEFT_OPEN_FOR = timedelta(days=30)
"""How long an order whose completion left units open is named; by then somebody has closed it at the vendor."""

KEY_REFUSED = ("HTTP_401", "HTTP_403")
"""Codes of a vendor that does not accept the key or its grants; a flow that rests for one names it in its reason."""


def of_records(database: Database, served: Sequence[str], now: datetime) -> Mapping[str, list[Finding]]:
    """What waits for an operator, by name of a channel that is `served`; under "" what concerns the whole server.

    Raises `DatabaseUnavailable`.
    """
    found: dict[str, list[Finding]] = defaultdict(list)
    with database.read() as connection:
        names = channels.names(connection)
        shown = {**names.shown, **{names.keys.get(name, name): name for name in served}}
        _paused(connection, found, shown)
        _deliveries(connection, found)
        _without_grant(connection, found)
        _held_back(connection, found)
        _tired(connection, found, now)
        _left_open(connection, found, now)
        not_handed_over(connection, found, now)
        _late_news(connection, found)
        _stock(connection, found, shown, now)
        pairs = [_unconfigured(connection, now), *unknown_accounts(connection, now)]
    of_channels: dict[str, list[Finding]] = defaultdict(list)
    for key, items in found.items():
        name = shown.get(key, key)
        if name in served:
            of_channels[name] += items
            continue
        gone = f"channel '{name}', not configured now"
        of_channels[""] += [Finding(item.name, item.state, f"{gone}: {item.sentence}") for item in items]
    of_channels[""] += pairs
    return of_channels


def _paused(connection: Connection, found: dict[str, list[Finding]], shown: Mapping[str, str]) -> None:
    for item in pauses.all_of(connection):
        name = shown.get(item.channel, item.channel)
        what = (
            f"{item.gateway} is paused since {item.at:%Y-%m-%d %H:%M} UTC by {item.who} ({item.reason}): nothing is "
            f"sent to it until `channel resume {name} {item.gateway}`"
        )
        found[item.channel].append(Finding("paused", "attention", what))


def _deliveries(connection: Connection, found: dict[str, list[Finding]]) -> None:
    for row in attention.open_calls(connection):
        one_of = f"{row.number} call{'s' if row.number > 1 else ''} to {row.gateway}"
        since = f"the oldest since {row.since:%Y-%m-%d %H:%M} UTC"
        if row.state == "parked":
            orders = attention.orders_of_parked_calls(connection, row.channel, row.gateway)
            named = f", about order{'s' if len(orders) > 1 else ''} {', '.join(orders)}" if orders else ""
            named += " and others" if row.number > len(orders) == attention.NAMED else ""
            what = f"{one_of} parked, {since}{named}: `channel deliveries list --state parked` shows what to do"
            found[row.channel].append(Finding("parked", "attention", what))
        else:
            found[row.channel].append(Finding(row.state, "ok", f"{one_of} still to be made, {since}"))


def _without_grant(connection: Connection, found: dict[str, list[Finding]]) -> None:
    """What is owed and waits for the vendor to accept the key; it is tried again by itself."""
    for row in attention.calls_failed_with(connection, KEY_REFUSED):
        count = f"{row.number} calls to {row.gateway} wait" if row.number > 1 else f"1 call to {row.gateway} waits"
        found[row.channel].append(Finding(row.verb, "attention", f"{count} until its key may make them: {row.said}"))
    for owed in sync_state.owed(connection):
        if any(code in owed.last_error for code in KEY_REFUSED):
            unit = "SKU" if owed.kind == "stock" else "product"
            count = f"{owed.count} {unit}s wait" if owed.count > 1 else f"1 {unit} waits"
            what = f"{count} until the key of {owed.gateway} may tell them: {owed.last_error}"
            found[owed.channel].append(Finding(owed.kind, "attention", what))


def _held_back(connection: Connection, found: dict[str, list[Finding]]) -> None:
    for orders in attention.held_back_orders(connection):
        count = f"{orders.number} orders are" if orders.number > 1 else "1 order is"
        found[orders.channel].append(Finding("held back", "attention", f"{count} held back from RetailOps: {orders}"))


def _tired(connection: Connection, found: dict[str, list[Finding]], now: datetime) -> None:
    """Orders RetailOps was given again and again and never acknowledged (R18)."""
    for row in attention.unacknowledged(connection, now):
        count = f"{row.number} orders, such as {row.one}," if row.number > 1 else f"order {row.one}"
        what = f"{count} went to RetailOps {TIRED_AFTER} times or more and was never acknowledged"
        found[row.channel].append(Finding("unacknowledged", "attention", what))


def _left_open(connection: Connection, found: dict[str, list[Finding]], now: datetime) -> None:
    """Orders RetailOps has completed, or tried to, while units of them are still open here or at the vendor."""
    for orders in attention.left_open(connection, now - LEFT_OPEN_FOR):
        count = f"{orders.number} orders have" if orders.number > 1 else "1 order has"
        what = (
            f"{count} units left open by order_complete: {orders}; send order_complete again with unshipped_items for "
            f"them, or close them at the vendor; what is closed there alone is named for {LEFT_OPEN_FOR.days} days"
        )
        found[orders.channel].append(Finding("left open", "attention", what))


def _late_news(connection: Connection, found: dict[str, list[Finding]]) -> None:
    for row in attention.open_late_events(connection):
        what = (
            f"{row.number} failure{'s' if row.number > 1 else ''} found after RetailOps had its answer, {row.sent} of "
            "them sent to it since: `channel late list` shows them, `channel late dismiss` ends them"
        )
        found[row.channel].append(Finding("late news", "attention", what))


def _stock(connection: Connection, found: dict[str, list[Finding]], shown: Mapping[str, str], now: datetime) -> None:
    """Figures that wait for RetailOps' next statement, and what a gateway has to say about SKUs (R13)."""
    for stale in stock.stale(connection, now):
        count = f"{stale.count} SKUs, such as {stale.sku}, wait" if stale.count > 1 else f"SKU {stale.sku} waits"
        what = (
            f"STOCK_STALE: the stock of {count} for the next inventory_push: it was to be sent to {stale.gateway} "
            "again, but orders or shipments have moved it since; "
            f"`channel stock send {shown.get(stale.channel, stale.channel)} --even-if-moved` sends it as it was stated"
        )
        found[stale.channel].append(Finding("stale stock", "attention", what))
    for noted in stock.noted(connection):
        more = f" ({noted.count} SKUs are like this)" if noted.count > 1 else ""
        found[noted.channel].append(Finding("stock", "attention", f"{noted.gateway}: {noted.sentence}{more}"))


def _unconfigured(connection: Connection, now: datetime) -> Finding:
    """Pairs that called with a good key and belong to no channel.  The fixtures' pairs are certification's (R4)."""
    seen = wrong_pairs(connection, now - LOOKED_BACK)
    strange = [item for item in seen if not item.is_of_fixtures]
    days = f"in the last {LOOKED_BACK.days} days"
    if strange:
        named = ", ".join(
            f"{item.pair} ({item.count}x, last {item.last:%Y-%m-%d %H:%M} UTC)" for item in strange[:NAMED]
        )
        more = f", and {len(strange) - NAMED} more" if len(strange) > NAMED else ""
        what = (
            f"RetailOps called with a good key for client_id/channel_id that no channel of channels.toml has {days}: "
            f"{named}{more}; nothing was done for them"
        )
        return Finding("unknown pairs", "attention", what)
    if seen:
        return Finding("unknown pairs", "ok", f"only the SDK's fixtures (certification) called for no channel {days}")
    return Finding("unknown pairs", "ok", f"nobody called for a pair that no channel has {days}")
