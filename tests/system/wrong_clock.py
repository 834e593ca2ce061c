"""A wall clock that is wrong in one process, by what a file says: another machine with a clock of its own (P45).

Whatever reads the wall clock in `app` is off: `time.time()` and `datetime.now()`.  CLOCK_BOOTTIME, CLOCK_MONOTONIC
and the clock of PostgreSQL are not, as on a machine whose time somebody sets.
"""

from __future__ import annotations

import importlib
import time
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import app

READ_EVERY_S = 0.1


class WrongClock:
    """Reads the file again every tenth of a second; no file means that the clock is right."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read_at_s = 0.0
        self._wrong_s = 0.0

    def wrong_s(self) -> float:
        """By how much it is wrong now, in seconds."""
        now_s = time.monotonic()
        if now_s - self._read_at_s > READ_EVERY_S:
            self._read_at_s = now_s
            self._wrong_s = float(self._file.read_text()) if self._file.exists() else 0.0
        return self._wrong_s

    def install(self) -> None:
        """From now on this process lives by it.  Raises `LookupError` if nothing in `app` reads a wall clock."""
        clock, right_time = self, time.time

        class Datetime(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
                return datetime.now(tz) + timedelta(seconds=clock.wrong_s())

        readers = _readers()
        if not readers:
            raise LookupError("nothing in app calls datetime.now(); correct this module")
        for name in readers:
            importlib.import_module(name).datetime = Datetime  # type: ignore[attr-defined]
        time.time = lambda: right_time() + clock.wrong_s()


def _readers() -> list[str]:
    """The modules of `app` that ask for the time of day."""
    folder = Path(app.__file__).parent
    found = []
    for path in folder.rglob("*.py"):
        inside = path.relative_to(folder)
        if inside.parts[0] not in ("sandbox", "cli") and "datetime.now(" in path.read_text():
            found.append(".".join(("app", *inside.with_suffix("").parts)).removesuffix(".__init__"))
    return found
