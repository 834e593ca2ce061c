"""`channel reconcile`: what RetailOps stated, beside what the vendor holds, with the age of each difference."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from app.cli.acting import Act, operator_act
from app.cli.choosing import gateway_option, limit_option
from app.cli.facts import MOVED, send_again_json
from app.cli.reconcile_tables import UNITS, show_result
from app.cli.records import records
from app.cli.showing import plural, row_json
from app.cli.vendors import build, channel_named
from app.clock import utc_now
from app.errors import GatewayError
from app.gateways.capabilities import Gateway
from app.operations import fact_acts
from app.operations.differences import Result
from app.operations.fact_acts import ChosenFacts
from app.operations.reconcile import Progressed, Reconciliation
from app.records.database import Database
from app.records.stock_sync import SendAgain
from app.terminal import DONE, FAILED, WRONG, end, print_json


@dataclass
class Compared:
    """One vendor: what was found, and what of it was made pending again."""

    vendor: str
    result: Result | None = None
    failure: str = ""
    """Why it was not, or not wholly, compared."""
    is_readable: bool = True
    stock: SendAgain = field(default_factory=SendAgain)
    catalogue: SendAgain = field(default_factory=SendAgain)


@click.command()
@click.argument("channel")
@gateway_option
@click.option("--send", "is_sent", is_flag=True, help="Send our side of every stock and product difference again.")
@click.option("--even-if-moved", is_flag=True, help="With --send: also figures that were moved since they were stated.")
@limit_option(100, "Rows a table shows of a kind.", most=None)
@operator_act(carried_out_by="is_sent")
def reconcile(channel: str, vendor: str, is_sent: bool, even_if_moved: bool, limit: int, act: Act) -> None:
    """Read what each vendor of CHANNEL holds, and show where it differs from what RetailOps stated last.

    Compared are stock by SKU and facility, products, and which orders are open.  Pipe17 can be read; Rally and
    Retail Rocket cannot, and are named.  Calls take their turn behind those of the running server.

    Nothing is written unless you add --send: then stock and products that differ are made pending again and the server
    sends them, except figures that a shipment or an order has moved since (see `channel stock send`).  Orders that
    differ are only shown: RetailOps or the vendor's people have to close them.

    Exit codes: 0 no difference, 1 differences, or a vendor did not answer, 2 wrong usage, or no vendor can be read.
    """
    with records() as (configured, database):
        served = channel_named(configured, channel, vendor, "--gateway")
        built = build(configured, database)
        found = [
            _compare(database, served.key, token, built.get((served.key, token)))
            for token in served.gateways
            if vendor in ("", token)
        ]
        if not act.as_json:
            _show(channel, found, limit)
        if is_sent:
            _send(database, act, served.key, found, even_if_moved=even_if_moved)
    if act.as_json:
        print_json({"channel": channel, "vendors": [_as_json(item) for item in found]})
    elif is_sent:
        _show_sent(found)
    end(_exit_code(found))


def _compare(database: Database, channel: str, token: str, gateway: Gateway | None) -> Compared:
    if gateway is None:
        return Compared(token, failure="it cannot be used as it is configured; see `channel check`")
    if gateway.holdings is None:
        return Compared(token, failure="it shows nothing of what it holds, so it cannot be compared", is_readable=False)
    with _progress(token) as progress:
        work = Reconciliation(database, channel, gateway, gateway.holdings, progress=progress)
        try:
            return Compared(token, work.run())
        except GatewayError as error:
            return Compared(token, work.result, f"it did not answer to the end ({error})")


@contextmanager
def _progress(token: str) -> Iterator[Progressed]:
    """Counts that grow, on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda subject, count: None
        return
    columns = (TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True, markup=False), transient=True) as shown:
        task = shown.add_task(f"{token}: asking", total=None)
        yield lambda subject, count: shown.update(task, description=f"{token}: {count} {UNITS[subject]} compared")


def _send(database: Database, act: Act, channel: str, found: Sequence[Compared], *, even_if_moved: bool) -> None:
    differing = {item.vendor: (item.result.skus("stock"), item.result.skus("product")) for item in found if item.result}
    count = sum(len(skus) + len(products) for skus, products in differing.values())
    if not count or not act.may_go_on(f"Send {plural(count, 'SKU')} again as RetailOps stated them?"):
        return
    now = database.now()
    for item in found:
        skus, products = differing.get(item.vendor, ([], []))
        if products:
            chosen = ChosenFacts("catalogue", channel, item.vendor, products)
            item.catalogue = fact_acts.send(database, act.operator, chosen, now, by="reconcile")
        if skus:
            chosen = ChosenFacts("stock", channel, item.vendor, skus, even_if_moved)
            item.stock = fact_acts.send(database, act.operator, chosen, now, by="reconcile")


def _exit_code(found: Sequence[Compared]) -> int:
    readable = [item for item in found if item.is_readable]
    if not readable:
        return WRONG
    is_alike = all(
        item.result and not (item.failure or item.result.differences or item.result.left_out) for item in readable
    )
    return DONE if is_alike else FAILED


def _show(channel: str, found: Sequence[Compared], limit: int) -> None:
    now = utc_now()
    for item in found:
        if item.result is not None:
            show_result(channel, item.vendor, item.result, limit, now)
        if item.failure:
            click.echo(f"{item.vendor}: {item.failure}.", err=True)


def _show_sent(found: Sequence[Compared]) -> None:
    for item in found:
        for what, sent in (("stock", item.stock), ("products", item.catalogue)):
            if sent.owed:
                count = plural(len(sent.owed), "SKU")
                click.echo(f"{item.vendor}: pending again: {what} of {count}; the server sends it.")
            if sent.moved:
                click.echo(f"{item.vendor}: {MOVED}: {', '.join(sent.moved[:20])}", err=True)


def _as_json(item: Compared) -> dict[str, Any]:
    result = item.result
    shown = row_json(item, "vendor is_readable failure")
    if result is None:
        return shown
    names = "kind subject place vendor_sku field ours theirs stated_at sent_at note"
    counted = "unstated_skus=unstated skipped_skus=skipped refused_skus=refused unreadable_skus=unreadable"
    return shown | row_json(
        result,
        f"compared left_out {counted}",
        differences=[row_json(difference, names) for difference in result.differences],
        sent={"stock": send_again_json(item.stock), "catalogue": send_again_json(item.catalogue)},
    )
