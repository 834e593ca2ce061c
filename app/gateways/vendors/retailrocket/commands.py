"""`channel retailrocket ...`: shows the feeds, the number of each SKU, and what is left out and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

import click
import msgspec

from app.domain.catalogue import Product
from app.gateways.command_context import CommandContext
from app.gateways.vendors.retailrocket.api import TOKEN
from app.gateways.vendors.retailrocket.offers import Offers
from app.gateways.vendors.retailrocket.options import RetailRocketOptions
from app.records import catalogue, catalogue_sync
from app.records.database import Database
from app.records.feeds import FeedStore, LeftOut
from app.terminal import DONE, FAILED, Column, Group, console, end, json_option, print_json, print_table, shortened


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


class Numbered(msgspec.Struct, frozen=True):
    """A unit that can be bought, and by which numbers Retail Rocket knows it and its product.

    `refusal` is why it was not sent as it is, in Product API mode.
    """

    channel: str
    sku: str
    number: int
    group: int | None
    address: str
    refusal: str


WHERE_FROM = (
    "A reason names fields of the feed. [channel.catalog] in channels.toml says from which field of RetailOps' "
    "catalogue each is read; `channel settings` shows it."
)
"""What a reason means, for who reads one for the first time."""

LEFT_OUT: Sequence[Column[LeftOut]] = (
    Column("sku", lambda unit: shortened(unit.sku, 60), narrow=lambda unit: shortened(unit.sku, 26)),
    Column("product", lambda unit: shortened(unit.product_id, 30), narrow=lambda unit: shortened(unit.product_id, 13)),
    Column("reason", lambda unit: unit.reason),
)

PAGE = 250
"""Products read at a time."""


@click.group(cls=Group)
def commands() -> None:
    """Look at what Retail Rocket is given."""


@commands.command()
@click.argument("channel", default="")
@json_option
@click.pass_obj
def feed(context: CommandContext, channel: str, as_json: bool) -> None:
    """Show each feed (or that of CHANNEL): its address, when it was built, and the goods left out of it.

    Exit code 1 when a feed is not built yet or leaves goods out.
    """
    configured = context.settings()
    stores = {item.name: item.vendors[TOKEN] for item in configured.channels if TOKEN in item.vendors}
    names = [name for name, options in stores.items() if options.mode == "feed"]
    if channel and channel not in names:
        raise click.UsageError(f"channel '{channel}' has no feed; channels with one: {', '.join(names) or 'none'}")
    base = configured.public_url or f"http://localhost:{configured.port}"
    with context.records(configured) as (database, keys):
        found = [
            _feed(FeedStore(database, keys.get(name, name), TOKEN), name, f"{base}{stores[name].feed_path(name)}")
            for name in names
            if channel in ("", name)
        ]
    if as_json:
        print_json(found)
    else:
        _show(found)
    end(FAILED if any(item.built_at is None or item.left_out_count for item in found) else DONE)


@commands.command()
@click.option("--channel", default="", help="Only this channel of channels.toml.  Default: all of them.")
@click.option("--refused", "only_refused", is_flag=True, help="Only goods the Product API was not given, and why.")
@json_option
@click.pass_obj
def products(context: CommandContext, channel: str, only_refused: bool, as_json: bool) -> None:
    """List the number of every SKU: the productId that the shop's site has to send to Retail Rocket.

    A number stays its SKU's for ever.  Fields are parted by tabs.  Exit code 1 when --refused finds any.
    """
    configured, found = context.channels_with(TOKEN, channel)
    with context.records(configured) as (database, keys):
        units = (
            unit
            for store in found
            for unit in _numbered(database, store.name, keys.get(store.name, store.name), store.vendors[TOKEN])
            if unit.refusal or not only_refused
        )
        count = _print_json_list(units) if as_json else _print_lines(units)
    end(FAILED if only_refused and count else DONE)


def _numbered(database: Database, channel: str, key: str, options: RetailRocketOptions) -> Iterator[Numbered]:
    """Page by page, for a catalogue may be large."""
    offers = Offers(options)
    for found in catalogue.pages(database, key, PAGE):
        with database.read() as connection:
            keys = [product.item.key for product in found] if options.mode == "product_api" else []
            refusals_of = catalogue_sync.refusals(connection, key, TOKEN, keys)
        for product in found:
            group = product.item.number if product.variants else None
            refusals = _refusals(offers, product, refusals_of.get(product.item.key, ""), options.currency)
            for unit in product.units:
                if unit.sku:
                    refusal = refusals.get(unit.key, "")
                    yield Numbered(channel, unit.sku, unit.number, group, offers.address(unit.url), refusal)


def _refusals(offers: Offers, product: Product, refused: str, currency: str) -> dict[str, str]:
    """By key of a unit what it lacks itself, or what was refused of the whole product."""
    if not refused:
        return {}
    lacking = {
        unit.key: reason
        for unit in product.units
        if unit.is_enabled is not False and isinstance(reason := offers.of(product, unit, {}, currency), str)
    }
    of_all = "; ".join(reason for reason in refused.split("; ") if reason not in lacking.values())
    return {unit.key: lacking.get(unit.key, of_all) for unit in product.units}


def _print_json_list(units: Iterable[Numbered]) -> int:
    """As one line, written piece by piece; how many there were."""
    count = 0
    click.echo("[", nl=False)
    for count, unit in enumerate(units, 1):
        click.echo(("," if count > 1 else "") + msgspec.json.encode(unit).decode(), nl=False)
    click.echo("]")
    return count


def _print_lines(units: Iterable[Numbered]) -> int:
    """As lines a spreadsheet takes, for no table can be laid out before its last row is known; how many there were."""
    count = 0
    click.echo("channel\tsku\tnumber\tgroup\taddress\trefusal")
    for count, unit in enumerate(units, 1):  # noqa: B007
        click.echo(_line(unit))
    return count


def _line(unit: Numbered) -> str:
    values = (unit.channel, unit.sku, unit.number, unit.group or "", unit.address, unit.refusal)
    return "\t".join(" ".join(str(value).split()) for value in values)


def _feed(store: FeedStore, channel: str, address: str) -> Feed:
    report, built_at, is_waiting = store.report()
    gone = len(report.gone)
    return Feed(channel, address, built_at, is_waiting, report.offers, gone, report.left_out_count, report.left_out)


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
            units = "1 unit" if item.left_out_count == 1 else f"{item.left_out_count} units"
            print_table(f"{units} left out", LEFT_OUT, item.left_out)
            if item.left_out_count > len(item.left_out):
                out.print(f"{item.left_out_count - len(item.left_out)} more.")
            out.print(WHERE_FROM)
    if not found:
        out.print("No channel has a feed.")
