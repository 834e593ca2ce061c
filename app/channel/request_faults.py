"""The events about what of a request could not be read, each about the narrowest object it stands in (R6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from app.contract.problems import Problem, parts_of
from app.contract.reading import Envelope, mapping, shown
from app.contract.schemas import Callback, Reading
from app.domain.body_problems import BodyProblem, BodyProblems, Effect
from app.domain.events import Association, Event, IdentifierType, about

ENTRY_NAMES: Mapping[str, tuple[IdentifierType, str]] = {
    "inventory_push": ("sku_number", "sku"),
    "order_acknowledge": ("order_refnum", "channel_order_refnum"),
}
"""What an entry of a list callback is called by, so that its events name it."""


def fault_events(
    callback: Callback, body: Mapping[str, Any], reading: Reading, envelope: Envelope
) -> tuple[list[Event], list[Event]]:
    """Every schema fault, and every field that was ignored, as events about what they are in."""

    def named(problem: Problem) -> tuple[Association, ...]:
        return _named(callback, body, envelope, problem)

    faults = [problem_event(problem, named(problem)) for problem in (*reading.problems, *reading.lost)]
    for problems in reading.bad_entries.values():
        faults.extend(problem_event(problem, named(problem)) for problem in problems)
    ignored = [ignored_event(problem, named(problem)) for problem in reading.ignored]
    if reading.hidden:
        faults.append(more_problems_event(reading.hidden + reading.hidden_ignored))
    elif reading.hidden_ignored:
        ignored.append(more_ignored_event(reading.hidden_ignored))
    return faults, ignored


def _named(
    callback: Callback, body: Mapping[str, Any], envelope: Envelope, problem: Problem
) -> tuple[Association, ...]:
    """The row, the shipment or the order a fault is in, as far as it has a number that can be shown."""
    place = parts_of(problem.pointer)
    if callback.entries and len(place) > 1 and place[0] == callback.entries and callback.name in ENTRY_NAMES:
        identifier_type, name = ENTRY_NAMES[callback.name]
        return about(identifier_type, shown(mapping(body[callback.entries][int(place[1])]).get(name)))
    return about("order_refnum", envelope.order_refnum)


def problem_event(problem: Problem, associations: tuple[Association, ...] = ()) -> Event:
    """A schema fault as an event: the rule in the code, pointer and rule in the message, no value."""
    return Event("error", f"INVALID_{problem.rule.upper()}", problem.message, associations)


def ignored_event(problem: Problem, associations: tuple[Association, ...] = ()) -> Event:
    """A field that decides nothing and could not be read (R6)."""
    return Event("warning", "FIELD_IGNORED", problem.message, associations)


def more_problems_event(hidden: int) -> Event:
    """The event that counts what the first twenty leave out (R6)."""
    return Event("error", "INVALID_MORE", f"{hidden} further faults are not listed")


def more_ignored_event(hidden: int) -> Event:
    """The same where nothing but ignored fields is left out."""
    return Event("warning", "FIELD_IGNORED", f"{hidden} further fields were ignored and are not listed")


def body_problems(reading: Reading) -> BodyProblems:
    """The faults of a request by place and rule, to be kept with the call; as many as are answered, and no more."""
    listed = [
        *_kept((*reading.envelope, *reading.problems), "refused"),
        *(problem for problems in reading.bad_entries.values() for problem in _kept(problems, "entry_refused")),
        *_kept(reading.lost, "part_dropped"),
        *_kept(reading.ignored, "field_ignored"),
    ]
    return BodyProblems(tuple(listed), reading.hidden + reading.hidden_ignored)


def answer_problems(problems: Iterable[Problem]) -> BodyProblems:
    """The faults of an answer of ours that is not sent."""
    return BodyProblems(tuple(_kept(problems, "answer_withheld")))


def _kept(problems: Iterable[Problem], effect: Effect) -> list[BodyProblem]:
    return [BodyProblem(problem.pointer, problem.rule, effect) for problem in problems]
