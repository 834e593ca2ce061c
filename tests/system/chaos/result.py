"""What a run came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Result:
    """What was played, what was answered, and what was found."""

    seed: int
    lives: Counter[str] = field(default_factory=Counter)
    played: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    fulfilments: int = 0
    refunds: int = 0
    saved_by_vendor: int = 0
    """Creates that only the vendor's own 409 kept from being doubled, as far as was seen."""
    older_figures: int = 0
    """Stock that reached the vendor after newer stock, and was put right again."""
    parked: list[tuple[str, str, str]] = field(default_factory=list)
    """Order, verb and code of what waits for a person at Pipe17."""
    parked_refunds: Counter[str] = field(default_factory=Counter)
    """By what became of their answers."""
    forgotten: int = 0
    """Answers that something accepted is being found out, for who could not write it down had died."""
    forgotten_orders: int = 0
    """Orders Rally lost when it was killed in the middle of their checkout; nothing about them can be compared."""
    checkouts: Counter[str] = field(default_factory=Counter)
    seconds_to_quiet: float = 0.0
    violations: list[str] = field(default_factory=list)
    log_tail: str = ""

    def lines(self) -> Iterator[str]:
        yield f"seed {self.seed}"
        yield f"lives:     {_told(self.lives)}"
        yield f"checkouts: {_told(self.checkouts)}"
        yield f"played:    {_told(self.played)}"
        yield f"answers:   {_told(self.statuses)}"
        yield f"events:    {_told(self.events)}"
        yield f"pipe17:    {self.fulfilments} fulfilments, {self.saved_by_vendor} doubled creates it refused itself"
        yield f"stock:     {self.older_figures} older figures after newer ones, put right again"
        yield f"rally:     {self.refunds} refunds; {self.forgotten_orders} orders it lost when it was killed"
        yield f"parked:    {self.parked or 'none'} at Pipe17; refunds at Rally: {_told(self.parked_refunds)}"
        yield f"unsure:    {self.forgotten} answers about what a process knew that died while the database was away"
        yield f"quiet {self.seconds_to_quiet:.1f} s after the last fault"
        for violation in self.violations:
            yield f"VIOLATION {violation}"
        if self.violations:
            yield f"last lines of the server's log:\n{self.log_tail}"
        yield "the vendors' books equal what was answered" if not self.violations else "NOT as promised"


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{times} {name}" for name, times in counts.most_common()) or "none"
