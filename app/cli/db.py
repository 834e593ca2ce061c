"""`channel db`: brings the records to the form this code was written for (R27)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import click

from app.errors import SettingsFault
from app.records.database import Database
from app.settings import load_database_url
from app.terminal import Group, Output, json_or_tables


@contextmanager
def database_alone() -> Iterator[Database]:
    """The database of DATABASE_URL, for a command that no other fault of the configuration is to stop.

    Raises `SettingsFault` for an address that cannot be read.
    """
    try:
        database = Database(load_database_url())
    except ValueError as error:
        raise SettingsFault(
            ["DATABASE_URL: cannot be read; it looks like postgresql://user:password@host/name"]
        ) from error
    with closing(database):
        yield database


@click.group(cls=Group)
def db() -> None:
    """Look after the database that DATABASE_URL names."""


@db.command()
@json_or_tables
def upgrade() -> Output:
    """Run the migrations that have not run yet and name them.

    Needs DATABASE_URL and no other setting.  A database that a newer version has migrated and this one can use is
    left as it is: a rollback starts with this command.
    """
    with database_alone() as database:
        ran = database.upgrade()
        newer = database.form().newer
    form = "The database is up to date."
    if newer:
        form = f"A newer version has migrated the database (to {newer[-1]}); this version can use it."
    return Output({"migrations": ran}, *(f"ran migration {revision}" for revision in ran), form)
