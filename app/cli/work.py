"""`channel deliveries work`: the process that makes the calls owed to vendors."""

from __future__ import annotations

import logging
import os
import threading

import click

from app import logs, memory, settings
from app.channel import registration
from app.cli.stopping import stop_signal
from app.gateways import VENDORS
from app.records.database import Database, DatabaseRejects, DatabaseUnavailable
from app.settings import Settings
from app.terminal import json_option, print_json

THREADS = 16
"""Vendor calls one worker process has under way at once."""

STOP_WITHIN_S = 17.5
"""How long attempts under way may still take at the end; platforms kill after 20 to 30 s."""

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 5.0
"""Between two tries while the database is away at the start."""

log = logging.getLogger(__name__)


@click.command()
@json_option
def work(as_json: bool) -> None:
    """Deliver until SIGTERM or SIGINT, then end within 18 seconds.

    This is the worker process of the Procfile.  A database that is away at the start is waited for.  What is not
    finished at the end stays owed and is taken up by the next worker.  Log lines go to standard error.
    """
    from app.composition import Works  # the whole server, which no other command of `deliveries` needs

    memory.keep_flat()  # before the first thread
    configured = settings.load(vendors=VENDORS)
    logs.configure(configured.log_level, configured.secrets())
    stopping = stop_signal()
    database = Database(configured.database_url, configured.connections_each)
    found = _once_database_is_there(configured, database, stopping)
    if found is None:
        return
    configured = found
    logs.configure(configured.log_level, configured.secrets(), configured.names)
    works = Works(configured, database, delivery_threads=THREADS)
    works.start()
    works.deliver()
    names = [channel.name for channel in configured.channels]
    if as_json:
        print_json({"working": True, "channels": names, "threads": THREADS})
    else:
        click.echo(f"Delivering for {', '.join(names) or 'no channel'} with {THREADS} threads.")
    stopping.wait()
    last_resort = threading.Timer(STOP_WITHIN_S, _end_now)
    last_resort.daemon = True
    last_resort.start()
    works.stop()
    last_resort.cancel()


def _once_database_is_there(configured: Settings, database: Database, stopping: threading.Event) -> Settings | None:
    """The settings with the keys of the channels' records; None when signalled to stop while the database is away.

    Raises `SettingsFault` and `DatabaseRejects`, which no waiting mends.
    """
    pause_s, waits = FIRST_PAUSE_S, logs.Repeats()
    while True:
        try:
            database.prepare()
            return registration.register(configured, database, database.now())
        except DatabaseRejects:
            raise
        except DatabaseUnavailable as error:
            if waits.is_news(str(error)):
                log.warning("the database is away (%s); nothing is delivered until it is back", error)
        if stopping.wait(pause_s):
            return None
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def _end_now() -> None:
    """Leave behind an attempt that does not end: its lease runs out and it is owed again."""
    log.warning("deliveries still under way are left owed")
    os._exit(0)
