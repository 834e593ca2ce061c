"""Finds the records of each configured channel, once at start and before anything is served (R35).

`register` is for processes that serve: it writes down new names and accounts.  `resolve` is for commands, which only
look.  Both give the settings anew, each channel with the key of its records, or set aside with the reason.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from app.channel_settings import Channel
from app.domain.channel_identity import Configured, Decision, Identity, Known, decide
from app.gateways import VENDORS
from app.records import channels
from app.records.channels import Open
from app.records.database import Database
from app.settings import Settings

log = logging.getLogger(__name__)


def register(configured: Settings, database: Database, now: datetime) -> Settings:
    """The settings with the records' keys, after keeping what is new of names and accounts.

    Processes that start together do so one after another.  Raises `DatabaseUnavailable`.
    """
    with database.read() as connection:
        known = channels.known(connection)
        decision = _decided(connection, configured, known)
    pairs = zip(configured.channels, decision.identities, strict=True)
    if not all(_is_kept(channel, identity, known) for channel, identity in pairs):
        with database.alone() as connection:
            known = channels.known(connection)
            decision = _decided(connection, configured, known)
            for channel, identity in zip(configured.channels, decision.identities, strict=True):
                if not identity.faults:
                    _keep(connection, channel, identity, now)
    with database.read() as connection:
        for item, what in _open(connection, decision.unserved):
            log.warning("%s", unserved_sentence(item, what), extra={"channel": item.name})
        return _applied(connection, configured, decision)


def resolve(configured: Settings, database: Database) -> Settings:
    """The settings with the records' keys; nothing is written.  Raises `DatabaseUnavailable`."""
    with database.read() as connection:
        return _applied(connection, configured, _decided(connection, configured, channels.known(connection)))


def served_keys(configured: Settings, database: Database) -> frozenset[str]:
    """The keys of the channels whose records are theirs without doubt.  Raises `DatabaseUnavailable`."""
    with database.read() as connection:
        decision = _decided(connection, configured, channels.known(connection))
        return frozenset(identity.key for identity in decision.identities if not identity.faults)


def unserved(configured: Settings, database: Database) -> list[tuple[Known, Open]]:
    """Channels that are not configured any more and have anything open.  Raises `DatabaseUnavailable`."""
    with database.read() as connection:
        decision = _decided(connection, configured, channels.known(connection))
        return _open(connection, decision.unserved)


def unserved_sentence(item: Known, what: Open) -> str:
    """What is left of a channel that nobody serves, and what to do about it."""
    return (
        f"channel '{item.name}' is not configured any more and has {what}: if it was renamed, set "
        f'former_name = "{item.name}" in its new [[channel]]; if it is to go, say '
        f"`channel forget {item.name} --yes --reason TEXT`"
    )


def described(channel: Channel) -> Configured:
    """A channel as the decision needs it."""
    vendors = {token: (VENDORS[token], options) for token, options in channel.vendors.items()}
    return Configured(
        channel.name,
        channel.pair,
        {token: vendor.account(options) for token, (vendor, options) in vendors.items()},
        channel.order_source,
        channel.former_name,
        channel.former_account,
        {token: vendor.former_accounts(options) for token, (vendor, options) in vendors.items()},
    )


def _decided(connection: Connection, configured: Settings, known: Sequence[Known]) -> Decision:
    return decide(
        [described(channel) for channel in configured.channels],
        known,
        channels.keys(connection),
        is_open=lambda key: bool(channels.what_is_open(connection, key)),
        is_used=lambda key: channels.is_used(connection, key),
    )


def _open(connection: Connection, items: Sequence[Known]) -> list[tuple[Known, Open]]:
    found = [(item, channels.what_is_open(connection, item.key)) for item in items]
    return [(item, what) for item, what in found if what]


def _is_kept(channel: Channel, identity: Identity, known: Sequence[Known]) -> bool:
    """True where nothing is to be written for a channel."""
    mine = next((item for item in known if item.key == identity.key), None)
    if identity.faults:
        return True
    stated = described(channel)
    return (
        mine is not None
        and not identity.renewed
        and mine.pair == stated.pair
        and channel.name in mine.names
        and stated.accounts.items() <= mine.accounts.items()
    )


def _keep(connection: Connection, channel: Channel, identity: Identity, now: datetime) -> None:
    key = identity.key
    if identity.leaves:
        apart = channels.set_apart(connection, identity.leaves)
        log.warning(
            "channel %s: it has another account now; the records of the former one are kept as '%s'",
            channel.name,
            apart,
        )
        if identity.brings_goods:
            channels.take_goods_along(connection, key, identity.leaves)
    for gateway in identity.renewed:
        if not identity.leaves:
            channels.leave_calls(connection, key, gateway, now)
        channels.send_all_again(connection, key, gateway)
    channels.register(connection, key, channel.name, channel.pair, described(channel).accounts, now)


def _applied(connection: Connection, configured: Settings, decision: Decision) -> Settings:
    found = tuple(
        replace(
            channel,
            record_key=identity.key,
            set_aside=(*channel.set_aside, *(f"channel '{channel.name}': {fault}" for fault in identity.faults)),
        )
        for channel, identity in zip(configured.channels, decision.identities, strict=True)
    )
    names = {**channels.names(connection).shown, **{channel.key: channel.name for channel in found}}
    return replace(configured, channels=found, names={key: name for key, name in names.items() if key != name})
