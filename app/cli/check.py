"""`channel check`: does everything this server needs answer, and does anything wait for an operator?"""

from __future__ import annotations

import logging
import queue
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import click
import msgspec
from rich.text import Text

from app import gateways, shared_rates
from app import settings as configuration
from app.channel import registration
from app.cli import public_address
from app.cli.vendors import build
from app.deadline import Deadline
from app.domain.findings import Finding
from app.domain.traffic import VendorCall
from app.errors import Misconfigured, SettingsFault
from app.gateways import VENDORS
from app.gateways.calls import Call, Health
from app.gateways.vendor import Tools
from app.operations.health_checks import channels as channel_checks
from app.operations.health_checks import server as server_checks
from app.operations.health_checks import stock_figures, waiting
from app.records.database import Database, DatabaseUnavailable
from app.settings import Channel, Settings
from app.terminal import console, json_option, new_table, print_json
from app.transport.rates import RatePlan
from app.transport.shared_rate import SharedRate

PATIENCE_S = 10.0
"""How long one gateway's check may take with all its reads; each call is bound by its vendor's own patience too."""

GRACE_S = 1.0
"""What a gateway may overrun before it is given up: a name that does not resolve cannot be interrupted."""

SKEW_S = 60.0
"""Clocks further apart than this need somebody: windows of time and signatures depend on them."""

THREADS = 2
"""How many threads of this process are stated to one vendor; a check calls from one."""

State = Literal["connected", "not configured", "refused", "unreachable"]


class Checked(msgspec.Struct, frozen=True):
    """One gateway of a channel."""

    gateway: str
    state: State
    detail: str
    ms: int
    findings: tuple[Finding, ...]


class OfChannel(msgspec.Struct, frozen=True):
    """One channel: its gateways, and what of it waits for an operator."""

    channel: str
    client_id: int
    channel_id: int
    gateways: list[Checked]
    findings: list[Finding]


class Report(msgspec.Struct, frozen=True):
    """All of it.  `unused`: vendors this server knows and no channel names."""

    ok: bool
    faults: list[str]
    server: list[Finding]
    channels: list[OfChannel]
    unused: list[str]


@click.command(short_help="Check all connections, and what waits for an operator.")
@click.argument("name", required=False, metavar="[NAME]")
@json_option
@click.pass_context
def check(ctx: click.Context, name: str | None, as_json: bool) -> None:
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
        print_json(Report(False, error.faults, [], [], []))
        ctx.exit(2)
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
        click.echo(f"channel: {fault}", err=True)
    ctx.exit(2 if report.faults else 0 if report.ok else 1)


def _report(configured: Settings, channels: Sequence[Channel]) -> Report:
    address: queue.SimpleQueue[Finding] = queue.SimpleQueue()
    threading.Thread(
        target=lambda: address.put(public_address.of_public_url(configured.public_url)), daemon=True
    ).start()
    about_database, database = server_checks.open_database(configured.database_url)
    if database is not None:
        try:
            configured = registration.resolve(configured, database)
            channels = [item for item in configured.channels if item.name in {channel.name for channel in channels}]
        except DatabaseUnavailable as error:
            about_database = Finding("database", "attention", f"DATABASE_URL: the database went away ({error}).")
    with _records(database) as lent:
        checked = _ask_all(channels, configured, lent)
        told: Mapping[str, list[Finding]] = {}
        figures: Mapping[str, list[Finding]] = {}
        gone: list[Finding] = []
        if database is not None:
            try:
                told = waiting.of_records(database, [channel.name for channel in configured.channels], database.now())
                gone = [*server_checks.of_clock(database), *channel_checks.of_gone_channels(configured, database)]
                figures = stock_figures.of_channels(database, channels, build(configured, database))
            except DatabaseUnavailable as error:
                about_database = Finding("database", "attention", f"DATABASE_URL: the database went away ({error}).")
    server = [about_database, address.get(), *server_checks.of_settings(configured), *told.get("", []), *gone]
    parts = [
        OfChannel(
            channel.name,
            *channel.pair,
            [checked[(channel.name, token)] for token in channel.gateways],
            [*channel_checks.of_channel(channel), *told.get(channel.name, []), *figures.get(channel.name, [])],
        )
        for channel in channels
    ]
    faults = [
        f"channel '{part.channel}': gateway '{item.gateway}': {item.detail}"
        for part in parts
        for item in part.gateways
        if item.state == "not configured"
    ]
    if not configured.channels:
        faults.append("channels.toml: no channel is configured; set CHANNELS_FILE or CHANNELS")
    everything = [*server, *(item for part in parts for item in _all_findings(part))]
    is_connected = all(item.state == "connected" for part in parts for item in part.gateways)
    is_fine = not faults and is_connected and all(item.state != "attention" for item in everything)
    used = {token for channel in configured.channels for token in channel.gateways}
    return Report(is_fine, faults, server, parts, [token for token in gateways.REGISTRY if token not in used])


def _all_findings(part: OfChannel) -> Iterator[Finding]:
    for item in part.gateways:
        yield from item.findings
    yield from part.findings


@contextmanager
def _records(database: Database | None) -> Iterator[Database]:
    """What gateways are lent: the database, or in its absence an empty one that is forgotten afterwards."""
    if database is not None:
        try:
            yield database
        finally:
            database.close()
        return
    with tempfile.TemporaryDirectory(prefix="channel-check-") as folder:
        empty = Database(f"sqlite:///{Path(folder) / 'empty.db'}")
        try:
            empty.upgrade()
            yield empty
        finally:
            empty.close()


# The vendors


def _ask_all(channels: Sequence[Channel], configured: Settings, database: Database) -> dict[tuple[str, str], Checked]:
    """Every gateway at the same time, each in a thread that nobody waits for longer than its patience."""
    arrived: queue.SimpleQueue[tuple[tuple[str, str], Checked]] = queue.SimpleQueue()
    wanted = [(channel, token) for channel in channels for token in channel.gateways]
    for channel, token in wanted:
        work = (channel, token, configured, database, arrived)
        threading.Thread(target=_ask, args=work, name=f"check {token}", daemon=True).start()
    give_up_at = time.monotonic() + PATIENCE_S + GRACE_S
    late = f"it gave no answer within {PATIENCE_S:g} s"
    checked = {
        (channel.name, token): Checked(token, "unreachable", late, int(PATIENCE_S * 1000), ())
        for channel, token in wanted
    }
    for _ in wanted:
        try:
            key, found = arrived.get(timeout=max(0.0, give_up_at - time.monotonic()))
        except queue.Empty:
            break
        checked[key] = found
    return checked


def _ask(
    channel: Channel,
    token: str,
    configured: Settings,
    database: Database,
    arrived: queue.SimpleQueue[tuple[tuple[str, str], Checked]],
) -> None:
    begun = time.monotonic()
    calls: list[VendorCall] = []
    limits: list[SharedRate] = []
    lend = shared_rates(configured, database, is_server=False)

    def rate(key: str, plan: RatePlan) -> SharedRate:
        limits.append(lend(key, plan))
        return limits[-1]

    tools = Tools(
        channel.key,
        THREADS,
        channel_name=channel.name,
        observe=calls.append,
        rate=rate,
        database=database,
        clock=database.clock,
        public_url=configured.public_url,
    )
    state: State
    flows: Mapping[str, str] = {}
    try:
        gateway = VENDORS[token].create(channel.vendors[token], tools)
        health = gateway.check(Call(Deadline.in_s(PATIENCE_S), "channel-check", "question"))
        flows = gateway.permissions() if gateway.permissions and health.state == "connected" else {}
        state = health.state
    except Misconfigured as error:
        state, health = "not configured", Health("refused", error.message)
    except DatabaseUnavailable:
        state, health = "unreachable", Health("unreachable", "our own database, which this check needs, went away")
    except Exception as error:
        # A fault of ours in one gateway must not hide what the others found.
        state, health = "unreachable", Health("unreachable", f"the check itself failed: {type(error).__name__}")
    ms = round((time.monotonic() - begun) * 1000)
    told = (
        *map(public_address.of_address, health.findings),
        *_flows(flows),
        *_clock(token, calls),
        *map(server_checks.of_rate, limits),
    )
    arrived.put(((channel.name, token), Checked(token, state, health.detail, ms, told)))


def _flows(flows: Mapping[str, str]) -> Iterator[Finding]:
    """What is switched on and what rests; whether a key may also write shows only in what waits (`waiting`)."""
    for flow, why in flows.items():
        yield Finding(flow, "off" if why else "ok", why or "it is switched on")


def _clock(token: str, calls: Sequence[VendorCall]) -> Iterator[Finding]:
    """How far the vendor's clock is from ours, where it said what time it is."""
    skews = [call.ahead_s for call in calls if call.ahead_s is not None]
    if not skews:
        return
    skew_s = skews[-1]
    if abs(skew_s) <= SKEW_S:
        yield Finding("clock", "ok", f"{token}'s clock and ours agree within {max(1, round(abs(skew_s)))} s")
        return
    way = "before" if skew_s > 0 else "behind"
    what = f"{token}'s clock is {round(abs(skew_s))} s {way} ours: set this machine's clock (NTP), or ask the vendor"
    yield Finding("clock", "attention", what)


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
    table = new_table(title, "What", "State", "Detail")
    for name, state, sentence in rows:
        table.add_row(name, Text(state, style=_STYLES.get(state, "bold red")), sentence)
    out = console()
    out.print(table)
    out.print()
