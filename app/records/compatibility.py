"""Which code can use a database: each migration says from which code on it can be used, and the database keeps that.

A rolling release migrates the database while old processes still serve, and a rollback starts old code on a newer
database.  Old code does not have the newer migration's file, so it reads what the migration has left in the table
`schema_compatibility`: `usable_from` is the newest migration that code has to know to go on (P47).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, select, text

from app.errors import SettingsFault
from app.records.tables.server import schema_compatibility

if TYPE_CHECKING:  # whoever does not migrate starts the sooner without it
    import alembic.config
    from alembic.migration import MigrationContext
    from alembic.runtime.migration import MigrationInfo
    from alembic.script import ScriptDirectory

MIGRATIONS = Path(__file__).parent / "migrations"

MIGRATION_LOCK = 727002
"""PostgreSQL's advisory lock that every transaction shares, and that a migration which old code cannot live with
takes alone."""


class UnfitDatabase(SettingsFault):
    """The database is there, and this code cannot use it as it is: a migration is missing here or there."""

    def __init__(self, reason: str) -> None:
        super().__init__([f"DATABASE_URL: {reason}"])
        self.reason = reason


@dataclass(frozen=True)
class Form:
    """What a database's migrations mean for this code."""

    revision: str | None
    """The last migration that has run; None before the first."""
    pending: tuple[str, ...] = ()
    """Migrations of this code that have not run yet, oldest first."""
    newer: tuple[str, ...] = ()
    """Migrations that have run and that this code does not have."""
    fault: str = ""
    """Why this code cannot use the database although nothing is pending; "" where it can."""

    @property
    def reason(self) -> str:
        """Why this code cannot use the database now, and what to do; "" where it can."""
        return self.fault or (LACKS_MIGRATIONS if self.pending else "")


LACKS_MIGRATIONS = "the database lacks migrations; run `channel db upgrade` first"

BEFORE_FIRST_RELEASE = (
    "the database is of a version before the first release (migration {}) and cannot be brought to this one: let the "
    "version that made it finish what is open, then set DATABASE_URL to a new database, run `channel db upgrade`, and "
    "have RetailOps send catalogue and stock again"
)
"""Its tables have other names and forms; only the migrations of that version know them."""


def config() -> alembic.config.Config:
    """Alembic's configuration; its migrations run on the connection in `attributes`."""
    import alembic.config

    made = alembic.config.Config()
    made.set_main_option("script_location", str(MIGRATIONS))
    return made


@functools.cache
def _scripts() -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(config())


@functools.cache
def chain() -> tuple[str, ...]:
    """The migrations of this code, oldest first: the name of each file begins with its revision."""
    files = (MIGRATIONS / "versions").glob("[0-9]*.py")
    return tuple(sorted(file.name.partition("_")[0] for file in files))


def head() -> str:
    """The newest migration of this code."""
    return chain()[-1]


def of(connection: Connection) -> Form:
    """The form of the database behind a connection."""
    return judged(connection, _revision(connection))


def _revision(connection: Connection) -> str | None:
    """The last migration that has run, as Alembic keeps it."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(text("select version_num from alembic_version")).scalar_one_or_none()
    return revision


def judged(connection: Connection, revision: str | None) -> Form:
    """The same where the last migration that has run is known."""
    known = chain()
    if revision is None:
        return Form(None, pending=known)
    if revision in known:
        return Form(revision, pending=known[known.index(revision) + 1 :])
    kept: dict[str, str] = {}
    if inspect(connection).has_table(schema_compatibility.name):
        kept = {row.revision: row.usable_from for row in connection.execute(select(schema_compatibility))}
    if known[0] not in kept:
        return Form(revision, fault=BEFORE_FIRST_RELEASE.format(revision))
    said = {name: usable_from for name, usable_from in kept.items() if name not in known}
    newer = tuple(sorted({*said, revision}))
    # Each of them has to be lived with; one that names a migration this code does not have wants newer code.
    too_new = sorted(name for name in newer if said.get(name) not in known)
    fault = ""
    if too_new:
        fault = (
            f"the database was migrated by a newer version of this server (to {revision}), and migration "
            f"{too_new[0]} cannot be used by this version (which knows {head()}): deploy the newer version again, "
            "or restore a backup from before that migration"
        )
    return Form(revision, newer=newer, fault=fault)


def keep(ctx: MigrationContext, step: MigrationInfo, heads: object, run_args: object) -> None:
    """Alembic's hook after each migration: keeps what it says, in the same transaction.

    One that says nothing can be used only by code that has it.
    """
    connection = ctx.connection
    script = step.up_revision
    if connection is None or script is None:
        return
    connection.execute(
        schema_compatibility.insert(), {"revision": script.revision, "usable_from": usable_from(script.revision)}
    )


def usable_from(revision: str) -> str:
    """What a migration of this code says: the oldest one whose code can use the database after it."""
    return str(getattr(_scripts().get_revision(revision).module, "usable_from", revision))


def is_breaking(revision: str, current: str | None) -> bool:
    """Whether code that was written for `current` cannot use the database once `revision` has run."""
    known = chain()
    said = usable_from(revision)
    return current is not None and (said not in known or known.index(said) > known.index(current))
