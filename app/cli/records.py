"""The configuration and the database of a command, and the names of the channels whose records stand there."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager

import click

from app import settings
from app.channel import registration
from app.gateways import VENDORS
from app.operations.scope import Scope
from app.records import channels
from app.records.channels import Names
from app.records.database import Database, UnfitDatabase
from app.settings import Settings
from app.terminal import warn


@contextmanager
def records() -> Iterator[tuple[Settings, Database]]:
    """The configuration and its database, for the length of a command.

    Its channels have the keys of their records.  Raises `SettingsFault` when either cannot be used.
    """
    configured = settings.load(vendors=VENDORS)
    with closing(Database(configured.database_url)) as database:
        database.prepare()
        remember_names(database)
        click.get_current_context().meta[_CONFIGURED] = [channel.name for channel in configured.channels]
        yield registration.resolve(configured, database), database


_NAMES = "app.cli.records.names"
_CONFIGURED = "app.cli.records.configured"

_NO_CHANNEL = ("unconfigured", "dry_run")
"""What stands in the place of a channel's name at callbacks of none."""


def remember_names(database: Database) -> Names:
    """From now on this command knows the channels' names, so that `key_of` and `shown_channel` can be used.

    Raises `UnfitDatabase` where this version cannot use the database.
    """
    if reason := database.form().reason:
        raise UnfitDatabase(reason)
    with database.read() as connection:
        names = channels.names(connection)
    click.get_current_context().meta[_NAMES] = names
    return names


def key_of(name: str) -> str:
    """The key of the records that a channel's name means, a former name too; "" for "", which means all.

    A name that no channel has or had is named on standard error, so that a typing error does not look like "nothing".
    """
    meta = click.get_current_context().meta
    found, configured = meta.get(_NAMES), meta.get(_CONFIGURED, [])
    if not found or name in found.keys:
        return found.keys[name] if found else name
    known = configured or sorted(set(found.shown.values()))
    name_if_known("channel", name, known, also=[*found.shown, *_NO_CHANNEL])
    return name


def name_if_known(what: str, name: str, known: Collection[str], also: Collection[str] = ()) -> str:
    """The name a list is restricted to; one that is neither known nor among `also` is named on standard error."""
    said = click.get_current_context().meta.setdefault(f"{__name__}.unknown", set())
    if name and name not in known and name not in also and (what, name) not in said:
        said.add((what, name))
        warn(f"there is no {what} '{name}'; known: {', '.join(known) or 'none'}")
    return name


def shown_channel(key: str) -> str:
    """The name of the channel whose records have this key."""
    found = click.get_current_context().meta.get(_NAMES)
    return found.shown.get(key, key) if found else key


def scope_of(channel: str) -> Scope:
    """What may be seen of the channel of this name; everything for ""."""
    return Scope(frozenset((key_of(channel),))) if channel else Scope()
