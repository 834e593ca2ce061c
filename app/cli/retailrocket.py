"""`channel retailrocket feed`: what the feed holds, and what Retail Rocket would never see and why."""

from __future__ import annotations

from datetime import UTC, datetime

import click
import msgspec

from app import settings as configuration
from app.cli.terminal import console, json_option, new_table, print_json
from app.gateways.retailrocket.feed_store import FeedStore, LeftOut, Report
from app.gateways.retailrocket.gateway import RetailRocketGateway
from app.records.database import Database
from app.settings import Settings


class Feed(msgspec.Struct, frozen=True):
    """One channel's feed.  `left_out` names the first of the units left out, `left_out_count` counts all."""

    channel: str
    address: str
    built_at: datetime | None
    has_waiting_changes: bool
    offers: int
    gone: int
    left_out_count: int
    left_out: tuple[LeftOut, ...]


@click.group()
def retailrocket() -> None:
    """Look at what Retail Rocket is given."""


@retailrocket.command()
@click.argument("channel", default="")
@json_option
@click.pass_context
def feed(ctx: click.Context, channel: str, as_json: bool) -> None:
    """Show each feed (or that of CHANNEL): its address, when it was built, and the goods left out of it.

    Exit code 1 when a feed is not built yet or leaves goods out.
    """
    configured = configuration.load()
    names = [item.name for item in configured.channels if _has_feed(item.vendors.get(RetailRocketGateway.token))]
    if channel and channel not in names:
        raise click.UsageError(f"channel '{channel}' has no feed; channels with one: {', '.join(names) or 'none'}")
    database = Database(configured.database_url)
    try:
        found = [_feed(database, configured, name) for name in names if channel in ("", name)]
    finally:
        database.close()
    if as_json:
        print_json(found)
    else:
        _show(found)
    ctx.exit(1 if any(item.built_at is None or item.left_out_count for item in found) else 0)


def _has_feed(options: object) -> bool:
    return getattr(options, "mode", "") == "feed"


def _feed(database: Database, configured: Settings, name: str) -> Feed:
    report: Report
    report, built_at, is_waiting = FeedStore(database, name, RetailRocketGateway.token).report()
    base = configured.public_url or f"http://localhost:{configured.port}"
    address = f"{base}/feeds/{RetailRocketGateway.token}/{name}.xml"
    return Feed(
        name, address, built_at, is_waiting, report.offers, len(report.gone), report.left_out_count, report.left_out
    )


def _show(found: list[Feed]) -> None:
    out = console()
    for item in found:
        if item.built_at is None:
            out.print(f"{item.channel}: {item.address} is not built yet")
            continue
        built = f"{item.built_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        waiting = "; changes wait for the next build" if item.has_waiting_changes else ""
        out.print(f"{item.channel}: {item.address}")
        out.print(f"{item.offers} offers ({item.gone} gone and unavailable), built {built}{waiting}")
        if item.left_out_count:
            table = new_table(f"{item.left_out_count} units left out", "sku", "product", "reason")
            for unit in item.left_out:
                table.add_row(unit.sku, unit.product_id, unit.reason)
            out.print(table)
    if not found:
        out.print("No channel has a feed.")
