"""Checks that every channel and gateway is connected and that nothing waits for an operator, by harmless reads.

`channel check` runs it at once, a delivering process when the console requests it.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from app import gateways
from app.channel_settings import Channel
from app.deadline import Deadline
from app.domain.findings import Finding
from app.domain.traffic import VendorCall
from app.errors import Misconfigured
from app.gateways import VENDORS
from app.gateways.calls import Call, Health
from app.gateways.capabilities import Gateways
from app.gateways.vendor import Tools
from app.operations.health_checks import channels as channel_checks
from app.operations.health_checks import server as server_checks
from app.operations.health_checks import stock_figures, waiting
from app.records.database import Database, DatabaseUnavailable
from app.settings import Settings
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

ConnectionState = Literal["connected", "not configured", "refused", "unreachable"]

Lend = Callable[[str, RatePlan], SharedRate]
"""Gives the rate of one vendor key that all processes share."""


class Checked(msgspec.Struct, frozen=True):
    """One gateway of a channel."""

    gateway: str
    state: ConnectionState
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


@dataclass(frozen=True)
class Checks:
    """What a report is made from."""

    configured: Settings
    """With the keys of the channels' records."""
    database: Database
    lend: Lend
    try_address: Callable[[Finding], Finding] = lambda finding: finding
    """Tries whether the address that a finding is about can be reached from here."""
    build: Callable[[], Gateways] = dict
    """The gateways, by key of a channel's records and vendor, for what is read of the records."""
    on_answer: Callable[[int, int], object] = lambda done, total: None
    """Called when one more of all gateways has answered."""

    def report(
        self,
        channels: Sequence[Channel],
        about_database: Finding,
        about_address: Callable[[], Finding] | None = None,
        *,
        has_records: bool = True,
    ) -> Report:
        """Check these channels; `has_records` is False where the database is an empty stand-in for one that is away."""
        configured, database = self.configured, self.database
        checked = self._ask_all(channels)
        waits: Mapping[str, list[Finding]] = {}
        figures: Mapping[str, list[Finding]] = {}
        gone: list[Finding] = []
        if has_records:
            try:
                waits = waiting.of_records(database, [channel.name for channel in configured.channels], database.now())
                gone = [*server_checks.of_clock(database), *channel_checks.of_gone_channels(configured, database)]
                figures = stock_figures.of_channels(database, channels, self.build())
            except DatabaseUnavailable as error:
                about_database = Finding("database", "attention", f"DATABASE_URL: the database went away ({error}).")
        address = [about_address()] if about_address else []
        server = [about_database, *address, *server_checks.of_settings(configured), *waits.get("", []), *gone]
        parts = [
            OfChannel(
                channel.name,
                *channel.pair,
                [checked[(channel.name, token)] for token in channel.gateways],
                [*channel_checks.of_channel(channel), *waits.get(channel.name, []), *figures.get(channel.name, [])],
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
        is_fine = not faults and _is_fine(server, parts)
        used = {token for channel in configured.channels for token in channel.gateways}
        return Report(is_fine, faults, server, parts, [token for token in gateways.REGISTRY if token not in used])

    def _ask_all(self, channels: Sequence[Channel]) -> dict[tuple[str, str], Checked]:
        """Every gateway at the same time, each in a thread that nobody waits for longer than its patience."""
        arrived: queue.SimpleQueue[tuple[tuple[str, str], Checked]] = queue.SimpleQueue()
        needed = [(channel, token) for channel in channels for token in channel.gateways]
        for channel, token in needed:
            work = (channel, token, arrived)
            threading.Thread(target=self._ask, args=work, name=f"check {token}", daemon=True).start()
        give_up_at = time.monotonic() + PATIENCE_S + GRACE_S
        late = f"it gave no answer within {PATIENCE_S:g} s"
        checked = {
            (channel.name, token): Checked(token, "unreachable", late, int(PATIENCE_S * 1000), ())
            for channel, token in needed
        }
        for done in range(1, len(needed) + 1):
            try:
                key, found = arrived.get(timeout=max(0.0, give_up_at - time.monotonic()))
            except queue.Empty:
                break
            checked[key] = found
            self.on_answer(done, len(needed))
        return checked

    def _ask(self, channel: Channel, token: str, arrived: queue.SimpleQueue[tuple[tuple[str, str], Checked]]) -> None:
        begun = time.monotonic()
        calls: list[VendorCall] = []
        limits: list[SharedRate] = []

        def rate(key: str, plan: RatePlan) -> SharedRate:
            limits.append(self.lend(key, plan))
            return limits[-1]

        tools = Tools(
            channel.key,
            THREADS,
            channel_name=channel.name,
            observe=calls.append,
            rate=rate,
            database=self.database,
            clock=self.database.clock,
            public_url=self.configured.public_url,
        )
        state: ConnectionState
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
        findings = (
            *map(self.try_address, health.findings),
            *_flows(flows),
            *_clock(token, calls),
            *map(server_checks.of_rate, limits),
        )
        arrived.put(((channel.name, token), Checked(token, state, health.detail, ms, findings)))


def part_of(report: Report, names: Collection[str]) -> Report:
    """What the report says of the channels with these names alone."""
    parts = [part for part in report.channels if part.channel in names]
    return Report(_is_fine([], parts), [], [], parts, [])


def _is_fine(server: Sequence[Finding], parts: Sequence[OfChannel]) -> bool:
    everything = [*server, *(item for part in parts for item in _all_findings(part))]
    is_connected = all(item.state == "connected" for part in parts for item in part.gateways)
    return is_connected and all(item.state != "attention" for item in everything)


def _all_findings(part: OfChannel) -> Iterator[Finding]:
    for item in part.gateways:
        yield from item.findings
    yield from part.findings


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
