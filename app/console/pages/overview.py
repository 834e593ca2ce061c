"""The first page: how each channel stands, and what waits for a person."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from flask import Blueprint, Response

from app.console.page_context import PageContext
from app.console.pictures import Picture, bars
from app.console.rendering import shown
from app.console.sessions import PATH
from app.console.showing import ago, duration
from app.domain.texts import counted
from app.operations.overview import ChannelNow, Overview, Waiting, left_behind, overview

_WORDS: Final = {
    "parked": ("call to {} is parked", "calls to {} are parked"),
    "held_back": ("order is held back from RetailOps", "orders are held back from RetailOps"),
    "late": ("failure was found after its answer", "failures were found after their answers"),
    "refund_in_doubt": ("refund is in doubt", "refunds are in doubt"),
    "refused_hooks": ("request of {} was refused in the last hour", "requests of {} were refused in the last hour"),
    "paused": ("gateway is paused: {}", "gateways are paused: {}"),
    "set_aside": ("fault sets the channel aside", "faults set the channel aside"),
    "unacknowledged": ("order is fetched again and again and never acknowledged",
                       "orders are fetched again and again and never acknowledged"),
    "left_open": ("order was completed with units left open", "orders were completed with units left open"),
}  # fmt: skip
"""What waits, for one and for several; {} is the vendor."""


def add_to(console: Blueprint, context: PageContext) -> None:
    """Add the page."""

    @console.get("/", strict_slashes=False, provide_automatic_options=False)
    def first_page() -> Response:
        found = overview(context.database, context.scope, context.configured.channels)
        behind = left_behind(context.configured, context.database, context.scope)
        return shown(
            "overview.html",
            overview=found,
            said=said(found, len(behind or ())),
            left_behind=behind,
            words=words,
            place=place,
            pictures={channel.key: _day(channel) for channel in found.channels},
        )


def said(found: Overview, left_behind: int) -> str:
    """How everything stands, in a sentence; `left_behind`: channels that are not configured and have anything open."""
    waiting = [item for channel in found.channels for item in channel.waiting]
    number = sum(item.count for item in waiting) + sum(pair.count > 0 for pair in found.wrong_pairs) + left_behind
    oldest = min((item.since for item in waiting if item.since), default=None)
    if not number:
        first = "Nothing waits for you"
    else:
        first = f"{counted(number, 'thing waits', 'things wait')} for you"
        if oldest is not None:
            first += f", the oldest for {duration(found.at - oldest)}"
    return f"{first}; {_last_asked(found.channels, found.at)}."


def _last_asked(channels: Iterable[ChannelNow], now: datetime) -> str:
    moments = [item.at for channel in channels for item in channel.callbacks]
    return f"RetailOps last called {ago(max(moments), now)}" if moments else "RetailOps has not called yet"


def words(item: Waiting) -> str:
    """What waits, in words."""
    one, more = _WORDS[item.kind]
    return counted(item.count, one.format(item.gateway), more.format(item.gateway))


def place(channel: ChannelNow, item: Waiting) -> str:
    """The page that shows what waits."""
    pages = {
        "parked": ("deliveries", {"state": "parked", "vendor": item.gateway}),
        "held_back": ("orders", {"state": "held back"}),
        "late": ("late", {}),
        "refund_in_doubt": ("refunds", {"doubt": "yes"}),
        "refused_hooks": ("hooks", {"refused": "yes", "vendor": item.gateway}),
        "paused": (f"gateways/{channel.name}/{item.gateway}/resume", None),
        "set_aside": ("settings", None),
        "unacknowledged": ("orders", {"state": "handed out"}),
        "left_open": ("orders", {"state": "left open"}),
    }
    page, chosen = pages[item.kind]
    return f"{PATH}/{page}" + (f"?{urlencode({'channel': channel.name, **chosen})}" if chosen is not None else "")


def _day(channel: ChannelNow) -> Picture:
    moments = [hour.at for hour in channel.hours]
    bad = [hour.bad for hour in channel.hours]
    total = sum(hour.count for hour in channel.hours)
    sentence = (
        f"{counted(total, 'callback')} in {duration(timedelta(hours=len(moments)))}, {sum(bad):,} refused or failed"
    )
    return bars(
        f"day-{channel.key}", f"Callbacks by hour, {channel.name}", sentence, moments,
        [hour.count - hour.bad for hour in channel.hours], bad, small=True,
    )  # fmt: skip
