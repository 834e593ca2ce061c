"""The options by which commands choose channels, calls and times; each is declared once."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from app.cli.records import key_of, name_if_known
from app.clock import utc_now
from app.gateways import VENDORS
from app.records.delivery_rows import DeliveryFilter
from app.terminal import Command

_AGO = re.compile(r"([0-9]{1,6})([smhd])")
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


class Number(click.IntRange):
    """The number of what is kept here, such as a call; `whose` says of what."""

    def __init__(self, whose: str) -> None:
        super().__init__(min=1)
        self._whose = whose

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return int(super().convert(value, param, ctx))
        except click.BadParameter:
            self.fail(f"'{value}' is no number of a {self._whose}, such as 12", param, ctx)


def vendor_option(help: str) -> Callable[[Command], Command]:
    """--vendor, which restricts a list; a name that no vendor has is named on standard error."""
    return click.option("--vendor", default="", callback=_vendor, help=help)


def _vendor(ctx: click.Context, param: click.Parameter, name: str) -> str:
    return name_if_known("vendor", name, list(VENDORS))


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


def call_filters(states: Sequence[str]) -> Callable[[Command], Command]:
    """The options that choose among the calls to vendors."""

    def add(command: Command) -> Command:
        order = click.option("--order", default="", help="Only calls for this order (the channel's number).")
        vendor = vendor_option("Only calls to this vendor, such as pipe17.")
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
