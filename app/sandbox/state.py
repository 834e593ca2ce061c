"""What every sandbox remembers in the same way: settings, numbers, the journal of requests, rates, and its file."""

from __future__ import annotations

import math
import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, get_origin, get_type_hints

import msgspec

from app.sandbox.bodies import Json, decode, encode
from app.sandbox.faults import Faults

Clock = Callable[[], datetime]

JOURNAL_LENGTH = 5000
"""Calls kept whole; what is counted is exact whatever their number."""


def real_clock() -> datetime:
    """The time of this machine."""
    return datetime.now(UTC)


class NoSettings(msgspec.Struct, forbid_unknown_fields=True):
    """A sandbox without switches."""


class State:
    """One vendor's memory.  Hold `lock` while reading or changing anything, never while calling somebody else.

    What a vendor's own class declares as a list or dict begins empty, is kept in the file, and is shown as JSON and on
    the page.  `clear` may add to it; `kept`, `restore`, `view` and `held` are for what is kept or shown otherwise.  The
    host saves after every request that may have changed something.
    """

    SETTINGS: ClassVar[type[msgspec.Struct]] = NoSettings
    """Switches of the sandbox; the defaults are a vendor in good health."""
    HAS_DECIMALS: ClassVar[bool] = True
    """Whether numbers with a fraction come back from the file as `Decimal`."""

    settings: Any

    def __init__(self, *, clock: Clock = real_clock, state_file: Path | None = None) -> None:
        self.lock = threading.RLock()
        self.clock = clock
        self.state_file = state_file
        self.faults = Faults()
        self.clear()

    def clear(self) -> None:
        """As new, without anything in it."""
        self.settings = self.SETTINGS()
        self.numbers: Counter[str] = Counter()
        self._allowances: dict[str, tuple[float, float]] = {}
        for name, kind in self._declared().items():
            setattr(self, name, get_origin(kind)())
        self.clear_journal()

    @classmethod
    @cache
    def _declared(cls) -> dict[str, Any]:
        return {name: kind for name, kind in get_type_hints(cls).items() if get_origin(kind) in (dict, list)}

    def clear_journal(self) -> None:
        """Calls, and what is counted of them, begin anew."""
        self.calls: deque[Json] = deque(maxlen=JOURNAL_LENGTH)

    def stamp(self, *, shift: timedelta = timedelta()) -> str:
        """The time in UTC to the millisecond."""
        moment = (self.clock() + shift).astimezone(UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def next_number(self, kind: str) -> int:
        """1, 2, 3 and so on, for each kind."""
        self.numbers[kind] += 1
        return self.numbers[kind]

    def wait_s(self, caller: str, rate_per_s: float) -> int:
        """0 when this caller may call now (and takes one call off its allowance), else whole seconds to wait.

        A rate of 0 is no limit.
        """
        if rate_per_s <= 0:
            return 0
        now = self.clock().timestamp()
        capacity = max(1.0, rate_per_s)
        left, since = self._allowances.get(caller, (capacity, now))
        left = min(capacity, left + (now - since) * rate_per_s)
        is_free = left >= 1
        self._allowances[caller] = (left - 1 if is_free else left, now)
        return 0 if is_free else max(1, math.ceil((1 - left) / rate_per_s))

    def record_call(self, call: Json) -> None:
        """Adds a call to the journal; `call` says at least method, path and status."""
        self.calls.append({"number": self.next_number("call"), "at": self.stamp(), **call})

    def journal(self, filters: Mapping[str, str]) -> Json:
        """What `/sandbox/journal` shows: the calls whose fields read as `filters`, newest last."""
        calls = [call for call in self.calls if all(str(call.get(name)) == filters[name] for name in filters)]
        warnings = [f"{call['path']}: {warning}" for call in calls for warning in call.get("warnings", ())]
        return {"calls": calls, "warnings": warnings}

    def view(self) -> Json:
        """What `/sandbox/state` shows besides the faults."""
        return {"settings": self.settings, **{name: getattr(self, name) for name in self._declared()}}

    def held(self) -> dict[str, Sequence[Json]]:
        """Tables for the page, oldest row first."""
        return {name: _rows(getattr(self, name)) for name in self._declared()}

    def kept(self) -> Json:
        """What the file keeps besides settings and numbers."""
        return {name: getattr(self, name) for name in self._declared()}

    def restore(self, whole: Json) -> None:
        """Takes what `kept` once gave.  Raises `ValueError`, `LookupError` or `TypeError` for another's file."""
        for name, kind in self._declared().items():
            setattr(self, name, msgspec.convert(whole[name], kind))

    def save(self) -> None:
        """Writes the whole state beside the old one and swaps them: a kill leaves the one or the other."""
        if self.state_file is None:
            return
        whole = {"settings": self.settings, "numbers": dict(self.numbers), **self.kept()}
        beside = self.state_file.with_name(self.state_file.name + ".new")
        beside.write_bytes(encode(whole))
        os.replace(beside, self.state_file)

    def load(self) -> bool:
        """True when a saved state was found and taken.

        Raises `ValueError`, `LookupError` or `TypeError` for a file of another kind.
        """
        if self.state_file is None or not self.state_file.exists():
            return False
        raw = self.state_file.read_bytes()
        whole = decode(raw) if self.HAS_DECIMALS else msgspec.json.decode(raw)
        self.restore(whole)
        self.settings = msgspec.convert(whole["settings"], self.SETTINGS, strict=False)
        self.numbers = Counter(whole["numbers"])
        return True


def _rows(held: Any) -> list[Json]:
    """A table of objects, or of what stands under each name."""
    if isinstance(held, dict):
        return [row if isinstance(row, dict) else {"name": name, "value": row} for name, row in held.items()]
    return [row if isinstance(row, dict) else {"value": row} for row in held]
