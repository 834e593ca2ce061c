"""`channel deliveries work`: the process that makes the calls owed to vendors."""

from __future__ import annotations

import logging
import os
import threading

import click

from app import Works, logs, settings
from app.channel import registration
from app.cli.terminal import json_option, print_json, stop_signal
from app.records.database import Database

THREADS = 16
"""Vendor calls one worker process has under way at once."""

STOP_WITHIN_S = 17.5
"""How long attempts under way may still take at the end; platforms kill after 20 to 30 s."""

log = logging.getLogger(__name__)


@click.command()
@json_option
def work(as_json: bool) -> None:
    """Deliver until SIGTERM or SIGINT, then end within 18 seconds.

    This is the worker process of the Procfile.  What is not finished at the end stays owed and is
    taken up by the next worker.  Log lines go to standard error.
    """
    configured = settings.load()
    logs.configure(configured.log_level, configured.secrets())
    stopping = stop_signal()
    database = Database(configured.database_url)
    database.prepare()
    configured = registration.register(configured, database, database.now())
    logs.configure(configured.log_level, configured.secrets(), configured.names)
    works = Works(configured, database, delivery_threads=THREADS)
    works.start()
    works.dispatcher.start()
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


def _end_now() -> None:
    """Leave behind an attempt that does not end: its lease runs out and it is owed again."""
    log.warning("deliveries still under way are left owed")
    os._exit(0)
