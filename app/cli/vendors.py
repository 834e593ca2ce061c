"""The gateways of the channels as they are configured now, for commands that look at records beside the server."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import click

from app.channel_settings import Channel
from app.errors import GatewayError
from app.gateways import VENDORS
from app.gateways.capabilities import Gateway
from app.gateways.vendor import Tools
from app.operations.shared_rates import shared_rates
from app.records.database import Database
from app.settings import Settings
from app.terminal import warn

THREADS = 2
"""How many threads of this process are stated to a vendor: a command calls from one."""

Built = dict[tuple[str, str], Gateway]


def build(configured: Settings, database: Database) -> Built:
    """Every gateway by key of the channel's records and vendor; one that cannot be built is left out.

    Calls take their turn at the rate that the server's processes share (R14).
    """
    rate = shared_rates(configured, database, is_server=False)
    tools = Tools("", THREADS, database=database, rate=rate)
    built = {}
    for channel in configured.channels:
        for token in channel.gateways:
            with suppress(GatewayError):
                lent = replace(tools, channel=channel.key, channel_name=channel.name)
                built[channel.key, token] = VENDORS[token].create(channel.vendors[token], lent)
    return built


def channel_named(configured: Settings, name: str, vendor: str = "", hint: str = "GATEWAY") -> Channel:
    """The channel, which has this vendor among its gateways; `hint` is what the command line calls the vendor.

    Raises `click.BadParameter` for a channel that channels.toml does not have, or one without that vendor.
    """
    for channel in configured.channels:
        if channel.name == name:
            if vendor and vendor not in channel.gateways:
                known = ", ".join(channel.gateways)
                raise click.BadParameter(f"channel '{name}' has {known}, not '{vendor}'", param_hint=hint)
            for fault in channel.set_aside:
                warn(f"'{name}' is set aside, so nothing is sent for it: {fault}")
            return channel
    known = ", ".join(channel.name for channel in configured.channels) or "none"
    raise click.BadParameter(f"there is no channel '{name}'; channels.toml has {known}", param_hint="CHANNEL")
