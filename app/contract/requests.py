"""Judges a request part by part, so that what cannot be read costs only what it decides (R6, P34).

The body an action reads is mended already: fields that decide nothing are dropped where they cannot be read, and so
are the entries that one of their own fields refuses.  A good body costs one call of the validator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final

from app.contract.deciding import CLOSING_LISTS, DECIDING, NUMBERED_LISTS, REFUSING_LISTS, condition
from app.contract.problems import KEPT, Problem, Schema, Shape, parts_of, pointer_to

AT_ONCE: Final = 500
"""Entries that are judged at once.  No schema has a rule for a list of independent entries as a whole."""

_ENVELOPE = frozenset({"client_id", "channel_info"})
_JUDGED_APART = frozenset({"type", "properties", "required", "title", "description", "x-entries"})


@dataclass(frozen=True, slots=True)
class Reading:
    """What is wrong with one body.  All empty: nothing is.

    `envelope`: the body cannot be taken as this callback at all; the answer is HTTP 400 (R6).
    `problems`: the command is not done; sent as events in an answer with HTTP 200.
    `bad_entries`: index of every bad entry of the list of independent entries, so that the others can
    go on; the details are empty where enough has been said.
    `lost`: entries inside a command or row that were dropped; the rest goes on.
    `ignored`: fields that decide nothing and were dropped.
    `hidden`, `hidden_ignored`: how many faults and ignored fields are not listed; at least one for each entry.
    `closes_nothing`: the part of an order_complete that decides money cannot be read; only its shipments go on.
    `mended`: the body to read instead; None where it is as it came.
    """

    envelope: tuple[Problem, ...] = ()
    problems: tuple[Problem, ...] = ()
    bad_entries: Mapping[int, tuple[Problem, ...]] = field(default_factory=dict)
    hidden: int = 0
    lost: tuple[Problem, ...] = ()
    ignored: tuple[Problem, ...] = ()
    hidden_ignored: int = 0
    closes_nothing: bool = False
    mended: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def is_clean(self) -> bool:
        return not (self.envelope or self.problems or self.bad_entries or self.lost or self.ignored)


_CLEAN = Reading()


class Request:
    """The request schema of one callback, compiled, with what each part of it decides.

    `entries` names the list whose entries each stand alone.  `has_events`: a fault can be sent inside an answer of
    HTTP 200; where it cannot, every fault is a fault of the envelope.
    """

    def __init__(self, callback: str, schema: Schema, entries: str | None, *, has_events: bool) -> None:
        self._shape = Shape(schema)
        self._schema = schema
        self._root = _Part(callback, schema, "")
        self._entries = entries
        self._has_events = has_events

    def read(self, body: dict[str, Any]) -> Reading:
        """Judge a body, which stays as it is.

        A fault of the envelope is a required envelope field that is missing or cannot be read, or a list or object
        of the callback that is neither that, nor null, nor absent.  Inside an element of a list, and for every
        single value, it is a fault of the entry or the command, or a field that decides nothing.
        """
        if self._is_clean(body):
            return _CLEAN
        if not self._has_events:
            found, hidden = self._shape.problems(body)
            return Reading(envelope=tuple(found), hidden=hidden)
        # All faults outside lists are looked at before any is cut off, so that the twenty-first
        # cannot turn a 400 into a 200.
        envelope = [found for found in self._shape.surface(body) if self._is_of_envelope(found, body)]
        if envelope:
            found, hidden = self._shape.problems(body, limit=KEPT + len(envelope))
            others = [problem for problem in found if problem not in envelope]
            hidden += max(0, len(envelope) - KEPT) + max(0, len(others) - KEPT)
            return Reading(tuple(envelope[:KEPT]), tuple(others[:KEPT]), hidden=hidden)
        return self._judged(body)

    def _is_clean(self, body: dict[str, Any]) -> bool:
        """Of many entries so many at once: while a verdict is found, no other thread has its turn."""
        rows = body.get(self._entries) if self._entries else None
        if self._entries is None or not isinstance(rows, list) or len(rows) <= AT_ONCE:
            return self._shape.is_valid(body)
        judge = self._root.fields[self._entries].shape.is_valid
        pieces = (rows[at : at + AT_ONCE] for at in range(0, len(rows), AT_ONCE))
        return self._shape.is_valid({**body, self._entries: []}) and all(map(judge, pieces))

    def _judged(self, body: dict[str, Any]) -> Reading:
        judge = _Judge(self._entries)
        mended, faults, is_refused = judge.object(self._root, body, "", skip=_ENVELOPE)
        if is_refused:
            return Reading(problems=tuple(faults), hidden=judge.hidden)
        room = KEPT - judge.count
        return Reading(
            bad_entries=MappingProxyType(judge.bad_entries) if judge.bad_entries else {},
            hidden=judge.hidden,
            lost=tuple(judge.lost),
            ignored=tuple(judge.ignored[:room]),
            hidden_ignored=judge.hidden_ignored + max(0, len(judge.ignored) - room),
            closes_nothing=judge.closes_nothing,
            mended=mended,
        )

    def _is_of_envelope(self, problem: Problem, body: dict[str, Any]) -> bool:
        place = parts_of(problem.pointer)
        if place and place[0] in _ENVELOPE:
            return True
        if problem.rule != "type":
            return False
        schema: Any = self._schema
        value: Any = body
        for part in place:
            schema = schema["properties"][part]
            value = value[part]
        return value is not None and bool({"object", "array"} & set(_types(schema)))


class _Part:
    """One place of a request schema and what it decides."""

    def __init__(self, callback: str, schema: Schema, place: str) -> None:
        self.schema = schema
        self.place = place
        key = (callback, place)
        self.is_refusing, self.is_closing, self.is_numbered = (
            key in lists for lists in (REFUSING_LISTS, CLOSING_LISTS, NUMBERED_LISTS)
        )
        below = (f"{place}.", f"{place}[")
        deciding = DECIDING.get(callback)
        self.decides = (
            not place or deciding is None or any(item == place or item.startswith(below) for item in deciding)
        )
        self.decides_beside = condition(callback, place)
        self.required: tuple[str, ...] = tuple(schema.get("required", ()))
        self.fields = {
            name: _Part(callback, part, f"{place}.{name}" if place else name)
            for name, part in schema.get("properties", {}).items()
        }
        self.element = _Part(callback, schema["items"], f"{place}[]") if "items" in schema else None

    @cached_property
    def shape(self) -> Shape:
        return Shape(self.schema)

    @cached_property
    def frame(self) -> Shape | None:
        """Rules of an object beside its kind and its fields; None for the many that have none."""
        rules = {key: part for key, part in self.schema.items() if key not in _JUDGED_APART}
        return Shape(rules) if any(not key.startswith("x-") for key in rules) else None

    @cached_property
    def core(self) -> Shape:
        """Rules of an object that refuse it for certain: its kind, what it must have, and its own deciding values."""
        deciding = {
            name: part.schema
            for name, part in self.fields.items()
            if part.decides and not part.decides_beside and not part.fields and not part.element
        }
        return Shape({**self.schema, "properties": deciding})


class _Judge:
    """One body being judged; at most `KEPT` faults are explained, for an explanation costs a hundred verdicts."""

    def __init__(self, entries: str | None) -> None:
        self._entries = entries
        self.count = 0
        self.hidden = 0
        self.lost: list[Problem] = []
        self.ignored: list[Problem] = []
        self.hidden_ignored = 0
        self.bad_entries: dict[int, tuple[Problem, ...]] = {}
        self.closes_nothing = False

    def object(
        self, part: _Part, value: Any, pointer: str, skip: frozenset[str] = frozenset()
    ) -> tuple[Any, list[Problem], bool]:
        """The object without what could not be read, the faults that refuse it, and whether it is refused.

        Once enough has been explained, the first fault that refuses it ends the look at it.
        """
        if not isinstance(value, dict):
            return value, self._explained(part.shape, value, pointer), True
        before = (len(self.ignored), self.hidden_ignored)
        found: list[Problem] = []
        mended = value
        is_refused = False
        lists = []
        missing = [name for name in part.required if name not in value and name not in skip]
        if missing:
            if self.count >= KEPT:
                self.hidden += 1
                return value, [], True
            found += self._kept([Problem.at(pointer_to([name], pointer), "required", "is missing") for name in missing])
            is_refused = True
        if part.frame is not None and not part.frame.is_valid(value):
            found += self._explained(part.frame, value, pointer)
            is_refused = True
        for name, inner in part.fields.items():
            if name not in value or name in skip or inner.shape.is_valid(value[name]):
                continue
            held, here = value[name], pointer_to([name], pointer)
            if inner.element is not None and isinstance(held, list):
                lists.append((name, inner, inner.element, held, here))
            elif inner.fields and isinstance(held, dict):
                changed, faults, is_bad = self.object(inner, held, here)
                found += faults
                is_refused |= is_bad
                mended = {**mended, name: changed}
            elif inner.decides and (inner.decides_beside is None or inner.decides_beside(value)):
                found += self._explained(inner.shape, held, here)
                is_refused = True
            else:
                self._ignore(inner, held, here)
                mended = {key: kept for key, kept in mended.items() if key != name}
            if is_refused and self.count >= KEPT:
                return value, sorted(found), True
        found.sort()
        for name, inner, element, held, here in lists:
            if name == self._entries and not pointer:
                changed = self._rows(element, held, here)
            else:
                changed, faults, is_bad = self._list(inner, element, held, here)
                found += faults
                is_refused |= is_bad
            mended = {**mended, name: changed}
        if is_refused:
            del self.ignored[before[0] :]
            self.hidden_ignored = before[1]
        return mended, found, is_refused

    def _rows(self, element: _Part, rows: list[Any], pointer: str) -> list[Any]:
        """The independent entries: a bad one keeps its place and is named by it."""
        mended = list(rows)
        for index, row in enumerate(rows):
            if element.shape.is_valid(row):
                continue
            if self.count >= KEPT and not element.core.is_valid(row):
                self.hidden += 1
                self.bad_entries[index] = ()
                continue
            mended[index], faults, is_bad = self.object(element, row, f"{pointer}/{index}")
            if is_bad:
                mended[index] = row
                self.bad_entries[index] = tuple(faults)
        return mended

    def _list(
        self, part: _Part, element: _Part, entries: list[Any], pointer: str
    ) -> tuple[list[Any], list[Problem], bool]:
        """The entries that can be read; the faults that refuse what the list is part of, and whether any does."""
        kept: list[Any] = []
        found: list[Problem] = []
        is_refused = False
        for index, entry in enumerate(entries):
            if element.shape.is_valid(entry):
                kept.append(entry)
                continue
            if self.count >= KEPT and element.decides and not part.is_refusing and not element.core.is_valid(entry):
                self.hidden += 1
                self.closes_nothing |= part.is_closing
                if part.is_numbered:
                    kept.append(None)
                continue
            here = f"{pointer}/{index}"
            if not element.decides and not isinstance(entry, dict):
                self._ignore(element, entry, here)
                continue
            mended, faults, is_bad = self.object(element, entry, here)
            if not is_bad:
                kept.append(mended)
            elif not element.decides:
                self._ignore(element, entry, here)
            elif part.is_refusing:
                found += faults
                is_refused = True
            else:
                self.lost += faults
                self.closes_nothing |= part.is_closing
                if part.is_numbered:
                    kept.append(None)
        return kept, found, is_refused

    def _explained(self, shape: Shape, value: Any, pointer: str) -> list[Problem]:
        if self.count >= KEPT:
            self.hidden += 1
            return []
        return self._kept(shape.surface(value, pointer))

    def _kept(self, problems: list[Problem]) -> list[Problem]:
        room = max(0, KEPT - self.count)
        self.count += min(room, len(problems))
        self.hidden += max(0, len(problems) - room)
        return problems[:room]

    def _ignore(self, part: _Part, value: Any, pointer: str) -> None:
        if len(self.ignored) >= KEPT:
            self.hidden_ignored += 1
            return
        self.ignored += [
            replace(problem, message=f"{problem.message}; the field was ignored")
            for problem in part.shape.surface(value, pointer)[:1]
        ]


def _types(schema: Schema) -> list[str]:
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else list(types)
