"""The server itself: its figures, the check of its connections, its settings, and what operators did."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response

from app.console import choosing
from app.console.acting import gone
from app.console.guard import visitor
from app.console.page_context import PageContext
from app.console.pictures import Picture, bars, lines
from app.console.rendering import shown
from app.console.sessions import PATH
from app.console.showing import duration
from app.domain.texts import counted
from app.operations import check_requests, operator_log, settings_view, vendor_limits
from app.operations.health import HealthFigures, Window, health

WINDOWS: Final[tuple[tuple[Window, str], ...]] = (
    ("1h", "1 hour"), ("24h", "24 hours"), ("7d", "7 days"), ("90d", "90 days"),
)  # fmt: skip


def add_to(console: Blueprint, context: PageContext) -> None:
    """Add the pages."""

    @console.get("/health", provide_automatic_options=False)
    def figures() -> Response:
        window = choosing.word("window", [name for name, _ in WINDOWS]) or "24h"
        channel = choosing.text("channel")
        key = context.key_of(channel) if channel else ""
        found = health(context.database, context.scope, window, channel=key)
        limits = vendor_limits.find(
            context.database, context.scope, context.configured.channels, context.limits, channel=key
        )
        title = dict(WINDOWS)[window]
        return shown(
            "health.html", health=found, windows=WINDOWS, channel=channel, channels=context.channel_choices(),
            said=said(found, title), limits=limits, calls=_calls(found, title), backlog=_backlog(found, title),
        )  # fmt: skip

    @console.get("/check", provide_automatic_options=False)
    def check() -> Response:
        latest = check_requests.latest(context.database, context.scope)
        finished = check_requests.latest(context.database, context.scope, is_finished=True)
        return shown("check.html", latest=latest, report=finished.report if finished else None)

    @console.post("/check", endpoint="request_check", provide_automatic_options=False)
    def request_check() -> Response:
        is_new = check_requests.request(context.database, visitor().who)
        return gone(f"{PATH}/check", "requested" if is_new else "too-soon")

    @console.get("/settings", provide_automatic_options=False)
    def settings() -> Response:
        return shown("settings.html", tables=settings_view.shown(context.configured, context.scope))

    @console.get("/operations", provide_automatic_options=False)
    def operations() -> Response:
        channel = choosing.text("channel")
        key = context.key_of(channel) if channel else ""
        found = operator_log.find(context.database, context.scope, channel=key, after=choosing.after())
        return shown("operations.html", found=found, channel=channel, channels=context.channel_choices())


def said(found: HealthFigures, title: str) -> str:
    """The figures in a sentence."""
    calls = sum(item.count for item in found.callbacks)
    bad = sum(item.outcomes.get("refused", 0) + item.outcomes.get("failed", 0) for item in found.callbacks)
    vendor_calls = sum(item.calls for item in found.vendors)
    errors = sum(item.errors for item in found.vendors)
    if not calls and not vendor_calls:
        return f"Nothing was called in the last {title}."
    return (
        f"In the last {title} RetailOps called {counted(calls, 'time')}, {bad:,} refused or failed; "
        f"vendors were called {counted(vendor_calls, 'time')}, {errors:,} without success."
    )


def _calls(found: HealthFigures, title: str) -> Picture:
    good = [sum(span.outcomes.get(name, 0) for name in ("success", "with_events")) for span in found.over_time]
    bad = [sum(span.outcomes.values()) - well for span, well in zip(found.over_time, good, strict=True)]
    sentence = f"{sum(good):,} answered well, {sum(bad):,} refused or failed"
    moments = [span.at for span in found.over_time]
    return bars("calls", f"Callbacks, {title}", sentence, moments, good, bad)


def _backlog(found: HealthFigures, title: str) -> Picture:
    ages = [span.oldest_s for span in found.pending]
    top = max((age for age in ages if age is not None), default=0)
    sentence = f"at most {duration(top)}" if top else "nothing waited, as far as it was sampled"
    return lines(
        "backlog", f"Age of the oldest open call, {title}", sentence, [span.at for span in found.pending], ages,
        ["" if age is None else duration(age) for age in ages], duration(top) if top else "", "oldest",
    )  # fmt: skip
