"""What `channel` says of an error that the user can mend, instead of a traceback."""

from __future__ import annotations

from typing import IO, Any

import click
from sqlalchemy.exc import SQLAlchemyError

from app.errors import ChannelError, SettingsFault
from app.records import database_errors
from app.records.database import DatabaseUnavailable
from app.terminal import WRONG, warn


class Misconfigured(click.ClickException):
    """Every fault of the configuration, a line each."""

    exit_code = WRONG

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self._faults = faults

    def show(self, file: IO[Any] | None = None) -> None:
        for fault in self._faults:
            warn(fault)


def in_words(error: Exception) -> click.ClickException | None:
    """The error as click shows it; None for a fault of ours."""
    if isinstance(error, SettingsFault):
        return Misconfigured(error.faults)
    if isinstance(error, DatabaseUnavailable):
        return click.ClickException(f"DATABASE_URL: the database there cannot be used ({error})")
    if isinstance(error, SQLAlchemyError):
        # Its own text may hold the address, and with it the password.
        reason = database_errors.in_words(getattr(error, "orig", None) or error)
        return click.ClickException(f"DATABASE_URL: the database there cannot be used ({reason})")
    if isinstance(error, ChannelError):
        return click.ClickException(str(error))
    if isinstance(error, OSError):
        return click.ClickException(f"{error.filename or type(error).__name__}: {error.strerror}")
    return None
