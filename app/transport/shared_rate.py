"""One process's access to a rate that all processes share: tokens in blocks, and what to do without the store."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol, TypeVar

from app.errors import ChannelError
from app.transport import rates
from app.transport.rates import RANK, CallKind, Grant, RatePlan, RateState, Request, sizes

T = TypeVar("T")
Row = Mapping[str, float]

GRACE_S: Final = 1.0
"""How long a store that does not answer is waited for before a process goes by its own share."""

ASK_AGAIN_S: Final = 2.0
"""How often it is tried again then: a database that hangs must not hold up every call."""

_RETRY_S: Final = 0.05
_NOBODY: Final = (0, 0, 0)

log = logging.getLogger(__name__)


class RateStore(Protocol):
    """Keeps one row of numbers for each vendor key, for all processes."""

    def update(self, name: str, decide: Callable[[Row | None, float], tuple[T, Row]]) -> T:
        """Store what `decide` makes of the row (None: there is none) and of `now`; give the rest of its answer.

        No two updates of a name overlap, and all processes have one clock.  `decide` may be called again when a
        write fails.  Raises `ChannelError` when that is not possible now.
        """
        ...

    def read(self, name: str) -> Row | None:
        """The row as it stands.  Raises `ChannelError`."""
        ...


class MemoryStore:
    """A store of this process alone.  Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rows: dict[str, Row] = {}
        self._lock = threading.Lock()

    def update(self, name: str, decide: Callable[[Row | None, float], tuple[T, Row]]) -> T:
        with self._lock:
            answer, self._rows[name] = decide(self._rows.get(name), self._clock())
        return answer

    def read(self, name: str) -> Row | None:
        return self._rows.get(name)


class Turn(NamedTuple):
    """0 seconds: a token was taken.  Otherwise when to ask again, and whether none can come before."""

    wait_s: float
    is_certain: bool = True


_NOW: Final = Turn(0.0)


class SharedRate:
    """The rate of one vendor key.  Thread-safe.

    `processes`: how many share it by configuration.  With `takes_blocks` False it takes one token at a time, as
    commands on the terminal do, which are not counted among the processes.
    """

    def __init__(
        self,
        store: RateStore,
        name: str,
        plan: RatePlan,
        *,
        processes: int = 1,
        takes_blocks: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.plan = plan
        self._store = store
        self._name = name
        self._processes = processes
        self._takes_blocks = takes_blocks
        self._clock = clock
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        self._successes = 0
        self._held = 0
        self._held_until = 0.0
        self._marks: Sequence[float] = (0.0, 0.0, 0.0)
        self._last: RateState | None = None
        self._away_since: float | None = None
        self._alone_until = 0.0
        self._alone: SharedRate | None = None

    @property
    def is_fact_due(self) -> bool:
        """True when the next token that is not for a question is for a fact, as this process last saw it."""
        if self._alone is not None:
            return self._alone.is_fact_due
        return self._last is not None and self._last.is_fact_due

    def take(self, kind: CallKind, waiting: Sequence[int] = _NOBODY) -> Turn:
        """Take one token, or say when to ask again; `waiting`: other calls of this process that wait, by rank."""
        if self.plan.per_s == 0.0:
            return _NOW
        with self._lock:
            if self._held > 0 and self._clock() < self._held_until and not any(waiting[: RANK[kind]]):
                self._held -= 1
                return _NOW
            return self._take(kind, waiting)

    def succeeded(self) -> None:
        """The vendor has answered a call without throttling it; counted until the store is read next."""
        if self.plan.per_s:
            with self._counting:
                self._successes += 1

    def throttled(self) -> None:
        """The vendor says that it is too much: the rate is cut for all processes."""
        if self.plan.per_s == 0.0:
            return
        with self._lock:
            self._held = 0
            if self._alone is not None:
                self._alone.throttled()
            try:
                self._store.update(self._name, self._cut)
            except ChannelError as error:
                log.warning("a vendor's throttling could not be recorded for the other processes: %s", error)

    def seen(self) -> RateState | None:
        """What all processes have learned; None when nobody has called yet.  Raises `ChannelError`."""
        row = self._store.read(self._name)
        return None if row is None else RateState.read(row)

    def _cut(self, row: Row | None, now: float) -> tuple[None, Row]:
        return None, rates.cut(self._current(row, now), self.plan, now).stored()

    def _current(self, row: Row | None, now: float) -> RateState:
        return rates.current(None if row is None else RateState.read(row), self.plan, self._processes, now)

    def _take(self, kind: CallKind, waiting: Sequence[int]) -> Turn:
        begun = self._clock()
        if begun < self._alone_until and self._alone is not None:
            return self._alone.take(kind, waiting)
        # What is left of a block after its time goes back, so that others may have it.
        returned = self._held if begun >= self._held_until else 0
        with self._counting:
            successes = self._successes

        def decide(row: Row | None, now: float) -> tuple[Grant, Row]:
            state = rates.grown(self._current(row, now), self.plan, successes, now)
            state = rates.give_back(state, returned, self._processes)
            most = sizes(state.rate, self._processes)[1] if self._takes_blocks else 1
            grant = rates.ask(state, Request(kind, most, waiting, self._marks), now)
            return grant, grant.state.stored()

        try:
            grant = self._store.update(self._name, decide)
        except ChannelError as error:
            return self._take_alone(kind, waiting, begun, error)
        self._away_since = self._alone = None
        self._held -= returned
        self._marks = grant.state.marks
        self._last = grant.state
        with self._counting:
            self._successes -= successes
        if grant.tokens > 1:
            self._held += grant.tokens - 1
            self._held_until = self._clock() + rates.BLOCK_S
        return Turn(grant.wait_s, grant.is_certain)

    def _take_alone(self, kind: CallKind, waiting: Sequence[int], begun: float, error: ChannelError) -> Turn:
        """A store that is only busy is tried again at once; one that is away leaves each process its equal share."""
        if self._away_since is None or self._alone is None:
            self._away_since = begun
            self._alone = self._own_share()
        now = self._clock()
        if now - self._away_since < GRACE_S:
            return Turn(_RETRY_S, is_certain=False)
        if self._alone_until <= self._away_since:
            log.warning("a vendor's rate is kept by each process alone while the database is away: %s", error)
        self._alone_until = now + ASK_AGAIN_S
        return self._alone.take(kind, waiting)

    def _own_share(self) -> SharedRate:
        """Begins with nothing saved up: this process may just have used the last of the common tokens."""
        plan = self.plan.share_of(self._processes)
        store = MemoryStore(self._clock)
        rate = plan.per_s if self._last is None else self._last.rate / self._processes
        now = self._clock()
        empty = RateState(plan.per_s, rate, 0.0, now, grown_at=now)
        store.update(self._name, lambda row, at: (None, empty.stored()))
        return SharedRate(store, self._name, plan, takes_blocks=False, clock=self._clock)


def local_rate(plan: RatePlan, clock: Callable[[], float] = time.monotonic) -> SharedRate:
    """A rate of this process alone."""
    return SharedRate(MemoryStore(clock), "", plan, takes_blocks=False, clock=clock)
