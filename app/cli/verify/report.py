"""What a run found, as data: what --json prints and tables and JUnit files are made of."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from app.contract.problems import Problem


class Check(msgspec.Struct, frozen=True):
    """One request and what came of it.  `status` is None when no whole answer came."""

    name: str
    method: str
    path: str
    expected: str
    status: int | None
    ms: int
    problems: list[Problem]


class Said(msgspec.Struct, frozen=True, order=True):
    """Something the server reported to RetailOps in a valid answer: an event, or the status of a credit."""

    event_type: str
    code: str
    message: str


class Result(msgspec.Struct, frozen=True):
    """What became of one fixture.

    `status` is that of the good key's answer, None when there was none; `ms` all its requests together;
    `untried` how many requests were not sent because the first got no answer.
    """

    callback: str
    fixture: str
    ok: bool
    status: int | None
    ms: int
    problems: list[Problem]
    checks: list[Check]
    said: list[Said]
    untried: int = 0


class ServerEvent(Said, frozen=True):
    """The same words of the server, and in how many tests they came."""

    tests: int


class Group(StrEnum):
    """How bad a cause is, the worst first."""

    FAILED = "failed"
    """Status 5xx, or no whole answer."""
    THROWN_AWAY = "thrown_away"
    """An answer to the right key that RetailOps does not read, or throws away as a whole."""
    KEYS = "keys"
    """A key that is not refused with 401, or that comes back."""
    REST = "rest"


class Cause(msgspec.Struct, frozen=True):
    """One thing to mend.

    `requests` are the names of the requests it shows in, `places` pointers in which * is any index, `callbacks` how
    often each is hit, `times` all of them together; `text` is the message of the first.
    """

    group: Group
    requests: list[str]
    places: list[str]
    rule: str
    text: str
    callbacks: dict[str, int]
    times: int


class Totals(msgspec.Struct, frozen=True):
    """Sums of a run; `tests` counts those that ran, `slowest_ms` one request."""

    tests: int
    passed: int
    failed: int
    requests: int
    slowest_ms: int
    ms: int


class Report(msgspec.Struct, frozen=True):
    """What --json prints."""

    ok: bool
    causes: list[Cause]
    results: list[Result]
    totals: Totals
    without_fixture: list[str]
    events: list[ServerEvent] = msgspec.field(name="told")
    notes: list[str]


SLOW_MS = 10_000
"""A callback that takes longer is worth a word: the SDK's tool gives up after 15 s."""

_MOST_EVENTS = 10


def new_report(
    results: list[Result], causes: list[Cause], without_fixture: list[str], ms: int, doubts: Iterable[str] = ()
) -> Report:
    """Sum up the results of a run that took `ms` in all; `doubts` are further notes."""
    checks = [check for result in results for check in result.checks]
    failed = sum(not result.ok for result in results)
    slowest_ms = max((check.ms for check in checks), default=0)
    totals = Totals(len(results), len(results) - failed, failed, len(checks), slowest_ms, ms)
    times: dict[tuple[str, str], list[Said]] = {}
    for result in results:
        for said in {(said.event_type, said.code): said for said in result.said}.values():
            times.setdefault((said.event_type, said.code), []).append(said)
    events = [ServerEvent(kind, code, words[0].message, len(words)) for (kind, code), words in times.items()]
    notes = list(doubts)
    if without_fixture:
        notes.append(f"not tested, no fixture: {', '.join(without_fixture)}")
    if any(said.code == "CHANNEL_NOT_CONFIGURED" for said in events):
        notes.append(
            "the server has no channel for the client_id and channel_info.id of the fixtures, so it did nothing; "
            "this run shows that its answers have the right form, not that a channel works"
        )
    if slowest_ms > SLOW_MS:
        notes.append(f"the slowest answer took {slowest_ms / 1000:.1f} s; the SDK's own tool gives up after 15 s")
    return Report(failed == 0, causes, results, totals, without_fixture, events[:_MOST_EVENTS], notes)
