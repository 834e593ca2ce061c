"""What the vendors' own commands are provided with: settings, records, the rate of calls, acts of operators."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import click
import requests
from sqlalchemy import make_url

from app import settings as configuration
from app.channel_settings import Channel
from app.cli.acting import ask, operator_of
from app.cli.records import records, remember_names
from app.cli.vendors import THREADS, channel_named
from app.gateways import VENDORS
from app.gateways.command_context import CommandContext
from app.gateways.vendor import Tools
from app.operations import acts
from app.operations.health_checks import server as server_checks
from app.operations.shared_rates import shared_rates
from app.records import channels
from app.records.database import Database
from app.settings import Settings
from app.transport import straight

OWN_ADDRESS_S = 10.0
"""How long this server's own address may take to answer."""


class VendorCommandContext(CommandContext):
    """See `CommandContext`."""

    def settings(self) -> Settings:
        return configuration.load(vendors=VENDORS)

    def channels_with(self, token: str, name: str = "") -> tuple[Settings, list[Channel]]:
        configured = self.settings()
        known = [channel for channel in configured.channels if token in channel.vendors]
        found = [channel for channel in known if name in ("", channel.name)]
        if name and not found:
            names = ", ".join(channel.name for channel in known) or "none"
            raise click.UsageError(f"channel '{name}' does not have {token}; channels with it: {names}")
        return configured, found

    def tools(self, configured: Settings, channel: str) -> Tools:
        """With the rate that the server's processes share (R14).

        Where SQLite has no file yet no server has ever run, and the whole rate is this command's.
        """
        url = configured.database_url
        if url.startswith("sqlite:") and not Path(make_url(url).database or "").exists():
            return Tools(channel, THREADS)
        database = Database(url)
        click.get_current_context().call_on_close(database.close)
        return Tools(channel, THREADS, rate=shared_rates(configured, database, is_server=False))

    @contextmanager
    def records(self, configured: Settings) -> Iterator[tuple[Database, Mapping[str, str]]]:
        with closing(Database(configured.database_url)) as database:
            yield database, remember_names(database).keys

    def records_if_any(self, configured: Settings) -> Database | None:
        return server_checks.open_database(configured.database_url)[1]

    def keep_account(
        self,
        token: str,
        channel: str,
        is_replaced: Callable[[Any, str], bool],
        *,
        refusal: str,
        question: str,
        by: str,
        reason: str,
        yes: bool,
    ) -> bool:
        operator = operator_of(by, reason, needs_reason=True)
        with records() as (configured, database):
            found = channel_named(configured, channel, token)
            with database.read() as connection:
                known = {item.key: item for item in channels.known(connection)}
            before = known[found.key].accounts.get(token, "") if found.key in known else ""
            options = found.vendors.get(token)
            account = VENDORS[token].account(options) if options else ""
            if options is None or before in ("", account) or not is_replaced(options, before):
                raise click.ClickException(refusal)
            if not yes:
                ask(question)
            return acts.keep_account(database, operator, found.key, token, before, account, database.now())

    def why_unreachable(self, public_url: str) -> str:
        try:
            with straight.session_to(public_url) as session:
                reply = session.get(f"{public_url}/healthz", timeout=OWN_ADDRESS_S, allow_redirects=False)
        except requests.RequestException as error:
            return f"nobody answers there ({type(error).__name__})"
        return "" if reply.status_code == 200 else f"/healthz answers {reply.status_code} there, not 200"
