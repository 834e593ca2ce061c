"""What a gateway needs when a command uses it: above all the rate it shares with the server's processes (R14)."""

from __future__ import annotations

from pathlib import Path

import click
from sqlalchemy.engine import make_url

from app import shared_rates
from app.gateways.interface import Tools
from app.records.database import Database
from app.settings import Settings

THREADS = 2
"""As many threads as one vendor is told this process has; a command calls from one."""


def tools(configured: Settings, channel: str) -> Tools:
    """For one channel's gateway, until the command ends.

    Where SQLite has no file yet no server has ever run, and the whole rate is this command's.
    """
    url = configured.database_url
    if url.startswith("sqlite:") and not Path(make_url(url).database or "").exists():
        return Tools(channel, THREADS)
    database = Database(url)
    click.get_current_context().call_on_close(database.close)
    return Tools(channel, THREADS, rate=shared_rates(configured, database, is_server=False))
