"""What a run found, by cause: the same fault in many callbacks and requests is one thing to mend, worst first."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from app.cli.verify.probes import ONCE_PER_CALLBACK, WITH_A_WRONG_KEY
from app.cli.verify.report import Cause, Check, Group, Result
from app.cli.verify.trial import DOUBLE_SLASH, RIGHT_KEY, THROWN_AWAY
from app.contract.problems import Problem

_NO_ANSWER = ("timeout", "connection", "size")

_INDEX = re.compile(r"/[0-9]+(?=/|$)")

_ALL_KEYS = {probe.name for probe in (WITH_A_WRONG_KEY, *ONCE_PER_CALLBACK) if probe.expected == "401"}

_HINTS = 2
"""Reasons that are given where they differ from one request or callback to the next."""

_NAMED = 2
"""Callbacks and places that are named where there is little room."""

_THE_FIXTURE = Check("the fixture", "", "", "", None, 0, [])


@dataclass(eq=False)
class _Found:
    """One fault while it is counted."""

    group: Group
    rule: str
    text: str
    hints: dict[str, None] = field(default_factory=dict)
    requests: dict[str, None] = field(default_factory=dict)
    callbacks: Counter[str] = field(default_factory=Counter)


def causes_of(results: Sequence[Result]) -> list[Cause]:
    """Every problem of a run, in as few causes as there are faults; groups in their order, the frequent first."""
    found: dict[tuple[Group, str, str, str, str], _Found] = {}
    for callback, check, problem in _problems(results):
        group, place = _group(check, problem), _INDEX.sub("/*", problem.pointer)
        text, _, hint = _text(check, problem).partition("; ")
        # The expected status distinguishes requests with the right key, with wrong keys and broken ones.
        key = (group, check.expected, place, problem.rule, text)
        fault = found.setdefault(key, _Found(group, problem.rule, text))
        fault.hints[hint] = None
        fault.requests[check.name] = None
        fault.callbacks[callback] += 1
    alike: dict[tuple[object, ...], list[tuple[str, _Found]]] = {}
    for (group, expected, place, rule, text), fault in found.items():
        same = (group, expected, rule, text, tuple(fault.requests), tuple(fault.callbacks.items()))
        alike.setdefault(same, []).append((place, fault))
    causes = [_cause([place for place, _ in faults if place], faults[0][1]) for faults in alike.values()]
    order = list(Group)
    return sorted(causes, key=lambda cause: (order.index(cause.group), -cause.times))


def _cause(places: list[str], fault: _Found) -> Cause:
    text = "; ".join(filter(None, [fault.text, *list(fault.hints)[:_HINTS]]))
    times = fault.callbacks.total()
    return Cause(fault.group, list(fault.requests), places, fault.rule, text, dict(fault.callbacks), times)


def _problems(results: Sequence[Result]) -> Iterator[tuple[str, Check, Problem]]:
    for result in results:
        for check in result.checks:
            yield from ((result.callback, check, problem) for problem in check.problems)
        if not result.checks:
            yield from ((result.callback, _THE_FIXTURE, problem) for problem in result.problems)


def _group(check: Check, problem: Problem) -> Group:
    if problem.rule in _NO_ANSWER or (problem.rule == "status" and (check.status or 0) >= 500):
        return Group.FAILED
    if problem.rule == "leak" or check.expected == "401":
        return Group.KEYS
    if THROWN_AWAY in problem.message:
        return Group.THROWN_AWAY
    is_unread = problem.rule in ("status", "body", "minProperties") and check.expected.startswith("200")
    return Group.THROWN_AWAY if is_unread and check.name != DOUBLE_SLASH else Group.REST


def _text(check: Check, problem: Problem) -> str:
    """The message without what a cause says elsewhere: the request, the place, and what RetailOps makes of it."""
    text = re.sub(rf"^for {re.escape(check.name)}[,:] ", "", problem.message)
    text = text.removeprefix(f"{problem.pointer}: ") if problem.pointer else text
    if problem.rule == "leak":  # whose key it is stands with the request
        text = text.replace(f" for {check.name}", "", 1)
    return text.replace(f"; {THROWN_AWAY}", "", 1)


def in_words(cause: Cause, callbacks: int) -> str:
    """A cause in one line, with every callback it hits; `callbacks` is how many were tried."""
    return _sentence(cause, len(cause.places), cause.text, _where(cause, callbacks))


def in_brief(cause: Cause, callbacks: int) -> str:
    """The same where there is little room: without reasons, and many callbacks only counted."""
    where = _where(cause, callbacks)
    if len(cause.callbacks) > _NAMED:
        where = f"in {len(cause.callbacks)} callbacks, {cause.times} times"
    return _sentence(cause, _NAMED, cause.text.partition("; ")[0], where)


def in_short(cause: Cause) -> str:
    """A cause by the fewest words that distinguish it from others."""
    if cause.places:
        return _listed(cause.places, _NAMED)
    requests = "" if _is_usual(cause) else f" for {_listed(cause.requests, _NAMED)}"
    return f"{cause.text.partition('; ')[0]}{requests}"


def _sentence(cause: Cause, most: int, text: str, where: str) -> str:
    about = ""
    if set(cause.requests) >= _ALL_KEYS:
        about = "for every key but the right one, none at all too, "
    elif not _is_usual(cause):
        about = f"for {_listed(cause.requests, len(cause.requests))}, "
    text = re.sub("^is ", "are ", text) if len(cause.places) > 1 else text
    places = f"{_listed(cause.places, most)}: " if cause.places else ""
    return f"{about}{places}{text} - {where}"


def _is_usual(cause: Cause) -> bool:
    """Whether the request need not be named."""
    return cause.requests in ([RIGHT_KEY], [_THE_FIXTURE.name])


def _where(cause: Cause, callbacks: int) -> str:
    if len(cause.callbacks) == callbacks > 2:
        return f"in all {callbacks} callbacks, {cause.times} times"
    often = set(cause.callbacks.values())
    if len(often) == 1 and len(cause.callbacks) > 1:
        each = "" if often == {1} else f", {cause.times} times"
        return f"in {_listed(list(cause.callbacks), len(cause.callbacks))}{each}"
    return "in " + ", ".join(f"{name} x{times}" if times > 1 else name for name, times in cause.callbacks.items())


def _listed(words: Sequence[str], most: int) -> str:
    """As a list in a sentence, of which the end is counted."""
    if len(words) > most + 1:
        words = [*words[:most], f"{len(words) - most} more"]
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
