"""What an error of a database driver means for the caller, and its reason in words.

The words are ours alone: a driver's own text may hold an address, a user or a value.
"""

from __future__ import annotations

import logging
from typing import Literal

from sqlalchemy.engine import ExceptionContext

from app.errors import ChannelError
from app.logs import Tally

log = logging.getLogger(__name__)


class DatabaseUnavailable(ChannelError):
    """The database did not take or give what was requested, and nothing was half-written.  Its text is the reason."""


class DatabaseConflict(DatabaseUnavailable):
    """Two transactions met; nothing was written, and the same again succeeds as a rule."""


class DatabaseBusy(DatabaseUnavailable):
    """Others used the database for as long as we could wait; it is well."""


class DatabaseRejects(DatabaseUnavailable):
    """The database, or its server, is there and does not let us use it: waiting mends nothing."""


class DatabaseRefused(ChannelError):
    """The database cannot keep a value of this transaction, however often it is sent; nothing was written."""


Family = Literal["conflict", "refused", "ours", "busy", "rejects", "away"]

_CONFLICTS = frozenset({"23505", "40001", "40P01"})
"""SQLSTATE of a key that another transaction has just taken, and of two that waited for each other."""

_PERMANENT = ("22", "23", "54")
"""Classes of SQLSTATE that no repetition changes: a value, a constraint, a limit of the program."""

_BY_STATE: dict[str, tuple[Family, str]] = {
    "25006": ("away", "it is read-only"),
    "25P03": ("away", "the transaction was idle for too long"),
    "28000": ("rejects", "it does not let this user in"),
    "28P01": ("rejects", "it does not take the user's password"),
    "3D000": ("rejects", "there is no database of that name"),
    "42501": ("away", "the user may not do this to its tables"),
    "53100": ("away", "its disk is full"),
    "53200": ("away", "its server is out of memory"),
    "53300": ("busy", "too many connections"),
    "55P03": ("busy", "a lock did not come in time"),
    "57014": ("busy", "a statement took too long"),
    "57P01": ("away", "its server is being stopped"),
    "57P02": ("away", "its server has crashed"),
    "57P03": ("away", "its server does not take connections yet"),
    "58030": ("away", "its disk gives an input/output error"),
}
"""PostgreSQL's SQLSTATE: family and reason."""

_BY_CLASS: dict[str, tuple[Family, str]] = {
    "08": ("away", "the connection was lost"),
    "53": ("away", "its server is out of resources"),
    "57": ("away", "its server was interrupted"),
    "58": ("away", "its server's operating system failed it"),
    "F0": ("away", "its server cannot read its configuration"),
    "XX": ("away", "its server reports damaged data or a fault of its own"),
}

_BY_TEXT: tuple[tuple[str, Family, str], ...] = (
    ("too many connections for role", "busy", "too many connections for role"),
    ("too many connections for database", "busy", "too many connections for database"),
    ("connection slots are reserved", "busy", "remaining connection slots are reserved"),
    ("too many clients", "busy", "too many clients already"),
    ("too many connections", "busy", "too many connections"),
    ("no more connections allowed", "busy", "no more connections allowed"),
    ("password authentication failed", "rejects", "it does not take the user's password"),
    ("no password supplied", "rejects", "it wants a password"),
    ("no pg_hba.conf entry", "rejects", "it does not let this user or this machine in"),
    ("is not permitted to log in", "rejects", "it does not let this user in"),
    ("starting up", "away", "its server is starting"),
    ("shutting down", "away", "its server is being stopped"),
    ("in recovery mode", "away", "its server is recovering"),
    ("not yet accepting connections", "away", "its server does not take connections yet"),
    ("no space left", "away", "its disk is full"),
    ("connection refused", "away", "nobody listens at its address"),
    ("failed to resolve host", "away", "the name of its host cannot be found"),
    ("could not translate host name", "away", "the name of its host cannot be found"),
    ("timeout expired", "away", "it does not answer in time"),
    ("timed out", "away", "it does not answer in time"),
    ("no route to host", "away", "its host cannot be reached"),
    ("unreachable", "away", "its host cannot be reached"),
    ("invalid uri query parameter", "rejects", "its address has an option that PostgreSQL does not know"),
    ("invalid sslmode value", "rejects", "its address has an sslmode that PostgreSQL does not know"),
    ("certificate", "rejects", "its certificate, or ours, is not accepted"),
    ("does not support ssl", "rejects", "it does not speak TLS"),
    ("too many open files", "busy", "this process has too many files open"),
)
"""What a failed connection says: libpq gives it no SQLSTATE."""

_SQLITE: tuple[tuple[str, Family, str], ...] = (
    ("SQLITE_FULL", "away", "the disk is full"),
    ("SQLITE_READONLY", "rejects", "the file, or its folder, is read-only"),
    ("SQLITE_BUSY", "busy", "another process holds the file locked"),
    ("SQLITE_LOCKED", "busy", "another connection holds the table locked"),
    ("SQLITE_CANTOPEN", "rejects", "the file cannot be opened"),
    ("SQLITE_NOTADB", "rejects", "the file is no SQLite database"),
    ("SQLITE_CORRUPT", "away", "the file is damaged"),
    ("SQLITE_INTERRUPT", "busy", "a statement took too long"),
    ("SQLITE_IOERR", "away", "the disk gives an input/output error"),
    ("SQLITE_PERM", "rejects", "the file may not be used by this user"),
    ("SQLITE_AUTH", "rejects", "the file may not be used by this user"),
    ("SQLITE_NOMEM", "away", "this process is out of memory"),
)
"""SQLite's error names, which may have an ending that says more."""


_FULL = tuple(words for _, kind, words in _BY_TEXT if kind == "busy" and "files" not in words)


def is_full(error: BaseException) -> bool:
    """True when the server has no connection left, or pgbouncer none: some close soon."""
    known = _known(error)
    return known is not None and known[1] in _FULL


def family(error: BaseException) -> Family:
    """What an error of the driver means: see the errors of this module; "ours" is a fault in our SQL."""
    state = getattr(error, "sqlstate", None) or ""
    name = getattr(error, "sqlite_errorname", "") or ""
    if state in _CONFLICTS or name in ("SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"):
        return "conflict"
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if state.startswith(_PERMANENT) or name == "SQLITE_TOOBIG" or kinds & {"DataError", "IntegrityError"}:
        return "refused"
    if known := _known(error):
        return known[0]
    is_missing = "OperationalError" in kinds and "no such" in str(error)
    return "ours" if kinds & {"ProgrammingError", "NotSupportedError"} or is_missing else "away"


def in_words(error: BaseException) -> str:
    """Why the database failed, in words of ours; of an error that is not known its kind."""
    if known := _known(error):
        return known[1]
    state = getattr(error, "sqlstate", None) or getattr(error, "sqlite_errorname", None) or type(error).__name__
    if family(error) == "ours":
        return f"its tables are not those that this version expects ({state})"
    return f"the connection failed or was lost ({state})"


def _known(error: BaseException) -> tuple[Family, str] | None:
    state = getattr(error, "sqlstate", None) or ""
    if state:
        return _BY_STATE.get(state) or _BY_CLASS.get(state[:2])
    if name := getattr(error, "sqlite_errorname", None):
        return next(((family, words) for start, family, words in _SQLITE if name.startswith(start)), None)
    said = str(error).lower()
    if 'database "' in said and "does not exist" in said:
        return "rejects", "there is no database of that name"
    if 'role "' in said and "does not exist" in said:
        return "rejects", "it does not know the user"
    return next(((family, words) for text, family, words in _BY_TEXT if text in said), None)


def refuse_what_no_driver_takes(context: ExceptionContext) -> None:
    """A text that is no Unicode, or a number beyond the database's, fails in the driver before any SQL is sent."""
    if isinstance(context.original_exception, UnicodeEncodeError | OverflowError):
        raise refused(type(context.original_exception).__name__) from context.original_exception


_REFUSALS = Tally()


def refused(kind: str) -> DatabaseRefused:
    """The error for a value that the database cannot keep; `kind` is the driver's name of it, which is counted."""
    if count := _REFUSALS.add(kind):
        log.error("the database cannot keep a value, %s so far: %s", count, kind)
    return DatabaseRefused(f"the database cannot keep a value: {kind}")
