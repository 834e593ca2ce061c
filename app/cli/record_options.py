"""Options that the operator's commands share, the records they read, and how both name channels and moments."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from app import settings
from app.channel import registration
from app.clock import utc_now
from app.gateways import VENDORS
from app.operations.scope import Scope
from app.records import channels
from app.records.channels import Names
from app.records.database import Database, UnfitDatabase
from app.records.delivery_rows import DeliveryFilter
from app.settings import Settings

Command = Callable[..., Any]

_AGO = re.compile(r"([0-9]{1,6})([smhd])")
_AGE_UNITS = {86_400: "d", 3_600: "h", 60: "min"}
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def moment(text: str) -> datetime:
    """`2h` (that long ago; s, m, h, d) or ISO 8601; a time without an offset is UTC.

    Raises `click.BadParameter` for anything else.
    """
    try:
        if ago := _AGO.fullmatch(text):
            return utc_now() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        given = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise click.BadParameter("write it as 30m, 2h, 7d or 2026-02-03T15:00:00Z") from None
    return given if given.tzinfo else given.replace(tzinfo=UTC)


channel_option = click.option("--channel", default="", help="Only this channel, by its name in channels.toml.")
gateway_option = click.option(
    "--gateway", "vendor", default="", metavar="VENDOR", help="Only this vendor, such as pipe17."
)


def limit_option(
    default: int, meaning: str = "How many, newest first.", most: int | None = 10_000
) -> Callable[[Command], Command]:
    """--limit, which the command takes as `limit`."""
    return click.option("--limit", default=default, show_default=True, type=click.IntRange(1, most), help=meaning)


def period_options(what: str) -> Callable[[Command], Command]:
    """--since and --until; `what` happened then."""

    def add(command: Command) -> Command:
        until = click.option("--until", type=moment, metavar="WHEN", help=f"{what} before then.")
        since = click.option(
            "--since", type=moment, metavar="WHEN", help=f"{what} since then: 30m, 2h, 7d or an ISO time."
        )
        return since(until(command))

    return add


@contextmanager
def records() -> Iterator[tuple[Settings, Database]]:
    """The configuration and its database, for the length of a command.

    Its channels have the keys of their records.  Raises `SettingsFault` when either cannot be used.
    """
    configured = settings.load(vendors=VENDORS)
    database = Database(configured.database_url)
    try:
        database.prepare()
        remember_names(database)
        yield registration.resolve(configured, database), database
    finally:
        database.close()


_NAMES = "app.cli.record_options.names"


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
    """The key of the records that a channel's name means, a former name too; "" for "", which means all."""
    found = click.get_current_context().meta.get(_NAMES)
    return found.keys.get(name, name) if found else name


def shown_channel(key: str) -> str:
    """The name of the channel whose records have this key."""
    found = click.get_current_context().meta.get(_NAMES)
    return found.shown.get(key, key) if found else key


def scope_of(channel: str) -> Scope:
    """What may be seen of the channel of this name; everything for ""."""
    return Scope(frozenset((key_of(channel),))) if channel else Scope()


def when(at: datetime | None) -> str:
    """A moment for people: UTC to the second."""
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else ""


def when_exactly(at: datetime) -> str:
    """The same to the millisecond, for moments that follow one another closely."""
    return f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03}"


def age(at: datetime | None, now: datetime) -> str:
    """How long ago, for people: in the largest unit that says enough; "never" for None."""
    if at is None:
        return "never"
    seconds = max(0, int((now - at).total_seconds()))
    for size, unit in ((172_800, 86_400), (7_200, 3_600), (120, 60)):
        if seconds >= size:
            return f"{seconds // unit} {_AGE_UNITS[unit]} ago"
    return f"{seconds} s ago"


def iso(at: datetime | None) -> str | None:
    """A moment for programs."""
    return at.isoformat(timespec="milliseconds") if at else None


def row_json(row: object, names: str, **others: object) -> dict[str, Any]:
    """The named attributes of a row and some others, for programs: each moment in ISO 8601."""
    found = {name: getattr(row, name) for name in names.split()} | others
    return {name: iso(value) if isinstance(value, datetime) else value for name, value in found.items()}


def plural(count: int, noun: str) -> str:
    """ "1 SKU", "2 SKUs"."""
    return f"{count} {noun}{'s' * (count != 1)}"


def call_filters(states: Sequence[str]) -> Callable[[Command], Command]:
    """The options that choose among the calls to vendors."""

    def add(command: Command) -> Command:
        order = click.option("--order", default="", help="Only calls for this order (the channel's number).")
        vendor = click.option("--vendor", default="", help="Only calls to this vendor, such as pipe17.")
        state = click.option("--state", "states", multiple=True, type=click.Choice(states), help="May be repeated.")
        return order(channel_option(vendor(state(period_options("Owed")(command)))))

    return add


def chosen_calls(chosen: dict[str, Any], default_states: Sequence[str], ids: Sequence[int] = ()) -> DeliveryFilter:
    """What those options say; without a state, and without ids, the default ones."""
    states = chosen["states"] or (default_states if not ids else ())
    return DeliveryFilter(
        ids=ids,
        order=chosen["order"],
        channel=key_of(chosen["channel"]),
        gateway=chosen["vendor"],
        states=() if "any" in states else states,
        since=chosen["since"],
        until=chosen["until"],
    )
