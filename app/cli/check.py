"""`channel check`: does everything this server needs answer, and does anything wait for an operator?"""

from __future__ import annotations

import logging
import queue
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import click
from rich.text import Text

from app import settings as configuration
from app.channel import registration
from app.channel_settings import Channel
from app.cli import public_address
from app.cli.vendors import build
from app.domain.findings import Finding
from app.errors import SettingsFault
from app.gateways import VENDORS
from app.operations.health_checks import server as server_checks
from app.operations.health_checks.report import Checks, Report
from app.operations.shared_rates import shared_rates
from app.records.database import Database, DatabaseUnavailable
from app.settings import Settings
from app.terminal import DONE, FAILED, WRONG, Output, console, end, json_option, print_cells, print_json, warn


@click.command()
@click.argument("name", required=False, metavar="[NAME]")
@json_option
def check(name: str | None, as_json: bool) -> None:
    """Check that every channel and gateway is connected, and that nothing waits for an operator.

    NAME restricts it to one channel of channels.toml.  Vendors are only read from, nothing is changed
    anywhere, and no secret is shown.  States of a gateway: connected, not configured, refused (the vendor
    does not accept the key or its grants), unreachable.  States of all else: ok, off (at rest because
    somebody wants it so), note (worth knowing), attention (an operator has to act).

    A channel with a fault of its own, such as a currency that RetailOps does not take or another account
    under its name, is set aside: its callbacks are answered 503 until the fault is mended, and the other
    channels run.  A channel that is not configured any more is named while anything of it is open.

    Exit codes: 0 all is well, 1 something is refused, unreachable or needs an operator, 2 the configuration
    is wrong.
    """
    # Whatever is worth knowing is shown below; the same as a log line on standard error would only confuse.
    logging.getLogger("app").addHandler(logging.NullHandler())
    try:
        configured = configuration.load(vendors=VENDORS)
    except SettingsFault as error:
        if not as_json:
            raise
        Output(Report(False, error.faults, [], [], []), code=WRONG).finish(as_json=True)
    known = [channel.name for channel in configured.channels]
    if name is not None and name not in known:
        there = f"channels.toml has {', '.join(known)}" if known else "no channel is configured"
        raise click.BadParameter(f"there is no channel '{name}'; {there}", param_hint="NAME")
    channels = [channel for channel in configured.channels if name in (None, channel.name)]
    report = _report(configured, channels)
    if as_json:
        print_json(report)
    else:
        _show(report)
    for fault in report.faults:
        warn(fault)
    end(WRONG if report.faults else DONE if report.ok else FAILED)


def _report(configured: Settings, channels: Sequence[Channel]) -> Report:
    address: queue.SimpleQueue[Finding] = queue.SimpleQueue()
    threading.Thread(
        target=lambda: address.put(public_address.of_public_url(configured.public_url)), daemon=True
    ).start()
    about_database, database = server_checks.open_database(configured.database_url)
    names = {channel.name for channel in channels}
    if database is not None:
        try:
            configured = registration.resolve(configured, database)
        except DatabaseUnavailable as error:
            about_database = Finding("database", "attention", f"DATABASE_URL: the database went away ({error}).")
    with _records(database) as lent:
        checks = Checks(
            configured,
            lent,
            shared_rates(configured, lent, is_server=False),
            try_address=public_address.of_address,
            build=lambda: build(configured, lent),
        )
        chosen = [channel for channel in configured.channels if channel.name in names]
        return checks.report(chosen, about_database, address.get, has_records=database is not None)


@contextmanager
def _records(database: Database | None) -> Iterator[Database]:
    """What gateways are lent: the database, or in its absence an empty one that is forgotten afterwards."""
    if database is not None:
        with closing(database):
            yield database
        return
    with (
        tempfile.TemporaryDirectory(prefix="channel-check-") as folder,
        closing(Database(f"sqlite:///{Path(folder) / 'empty.db'}")) as empty,
    ):
        empty.upgrade()
        yield empty


# What is shown

_STYLES = {"ok": "green", "connected": "green", "off": "yellow", "note": "cyan"}


def _show(report: Report) -> None:
    out = console()
    _show_table("Server", [(item.name, item.state, item.sentence) for item in report.server])
    for part in report.channels:
        rows: list[tuple[str, str, str]] = []
        for item in part.gateways:
            rows.append((item.gateway, item.state, f"{item.detail} ({item.ms} ms)".strip()))
            rows += [(f"  {found.name}", found.state, found.sentence) for found in item.findings]
        rows += [(found.name, found.state, found.sentence) for found in part.findings]
        _show_table(f"Channel '{part.channel}' (client_id {part.client_id}, channel_id {part.channel_id})", rows)
    if report.unused:
        out.print(f"Not configured: no channel names {', '.join(report.unused)}.")
    out.print("All is well." if report.ok else "Not all is well: see what is not ok, connected, off or a note.")


def _show_table(title: str, rows: Sequence[tuple[str, str, str]]) -> None:
    styled = [(name, Text(state, style=_STYLES.get(state, "bold red")), sentence) for name, state, sentence in rows]
    print_cells(title, ("What", "State", "Detail"), styled)
    console().print()
