"""What `channel` says of an error that the user can mend, instead of a traceback."""

from __future__ import annotations

import click
from sqlalchemy.exc import SQLAlchemyError

from app.errors import ChannelError
from app.records import database_errors
from app.records.database import DatabaseUnavailable


def in_words(error: Exception) -> click.ClickException | None:
    """The error as click shows it; None for a fault of ours."""
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
