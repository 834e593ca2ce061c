"""Keeps SQLite's files readable by their owner alone: they hold orders, addresses and what is to be paid."""

from __future__ import annotations

import errno
import logging
import os
import stat
from pathlib import Path
from typing import Any, TextIO

from app.errors import SettingsFault

BESIDE = ("", "-wal", "-shm", "-journal", ".migrating")
"""Endings of the files that belong to a database; SQLite makes them with the rights of the database itself."""

log = logging.getLogger(__name__)


def is_path(database: str | None) -> bool:
    """False for a database in memory and for an address of SQLite's own (`file:`)."""
    return bool(database) and database != ":memory:" and not str(database).startswith("file:")


def make_folder(folder: Path) -> None:
    """Make the folder, and those above it, for this user alone; one that is there stays as it is.

    Raises `OSError`.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "a file is in the way of the folder", str(folder))


def make_private(path: Path) -> None:
    """Make the file for this user alone, before SQLite would make it for all; take others' rights on one that is there.

    What cannot be done is logged, or reported by SQLite when it opens the file.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        for ending in BESIDE:
            _tighten(Path(f"{path}{ending}"))
    except OSError:
        return


def open_lock(path: str) -> TextIO:
    """A file to lock, for this user alone.  Raises `OSError`."""
    return os.fdopen(os.open(path, os.O_CREAT | os.O_RDWR, 0o600), "w")


def _tighten(path: Path) -> None:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            path.chmod(mode & 0o700)
    except FileNotFoundError:
        return
    except OSError as error:
        log.warning("%s can be read by others, and its rights cannot be changed: %s", path.name, error.strerror)


def posix_locks() -> Any:
    """The module `fcntl`.  It is loaded when a server or its database begins, for commands run on other systems."""
    try:
        import fcntl
    except ImportError as error:
        raise SettingsFault(
            [
                "the server and its database need a POSIX system (Linux, macOS, WSL); "
                "verify, send, certify and auth-key run on this one"
            ]
        ) from error
    return fcntl
