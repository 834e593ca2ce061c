"""Health of channels as a whole: their settings, gone ones, unknown accounts, orders not taken (R28, R35)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection

from app import gateways
from app.channel import registration
from app.channel_settings import Channel
from app.domain.findings import Finding
from app.gateways import VENDORS
from app.records import inbound
from app.records.database import Database
from app.settings import Settings
from app.storefront import order_expiry

NAMED = 3
"""How many accounts are named one by one."""

NOT_HANDED_OVER_FOR = timedelta(days=7)
"""How long after its payment an order that RetailOps does not have is named."""


def of_channel(channel: Channel) -> list[Finding]:
    """What its settings alone say of one channel."""
    found = [
        Finding("set aside", "attention", f"{fault}; until then its callbacks get 503") for fault in channel.set_aside
    ]
    if not any(VENDORS[token].brings_orders(options) for token, options in channel.vendors.items()):
        found.append(Finding("orders", "note", "no gateway of this channel brings orders: order_pull is always empty"))
    return found


def of_gone_channels(configured: Settings, database: Database) -> list[Finding]:
    """Channels that nobody serves any more although something of theirs is open.  Raises `DatabaseUnavailable`."""
    return [
        Finding("channel gone", "attention", registration.unserved_sentence(item, what))
        for item, what in registration.unserved(configured, database)
    ]


def not_handed_over(connection: Connection, found: Mapping[str, list[Finding]], now: datetime) -> None:
    """Paid orders that RetailOps should have had long ago; they are kept until it has them (R28)."""
    for waiting in order_expiry.waiting_since_before(connection, now - NOT_HANDED_OVER_FOR):
        count = f"{waiting.count} orders" if waiting.count > 1 else "1 order"
        what = (
            f"{count} paid more than {NOT_HANDED_OVER_FOR.days} days ago and not acknowledged by RetailOps, the oldest "
            f"{waiting.refnum} of {waiting.since:%Y-%m-%d %H:%M} UTC: kept until it is; see that RetailOps pulls this "
            "channel, or cancel the order at its source"
        )
        found[waiting.channel].append(Finding("not handed over", "attention", what))


def unknown_accounts(connection: Connection, now: datetime) -> Iterator[Finding]:
    """Requests of vendors for accounts that no channel has: an account is mistyped, or hooks were left behind."""
    for gateway in gateways.REGISTRY:
        answered = inbound.since(connection, inbound.NOBODY, gateway, now - timedelta(hours=1))
        if answered:
            named = ", ".join(f"{item.reason} ({count}x)" for item, count in list(answered.items())[:NAMED])
            more = f", and {len(answered) - NAMED} more" if len(answered) > NAMED else ""
            what = (
                f"{gateway} called here in the last hour for accounts that no channel of channels.toml has: {named}"
                f"{more}; mend the account's id there, or remove those hooks at {gateway}"
            )
            yield Finding("unknown accounts", "attention", what)
