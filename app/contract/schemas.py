"""The folder `schemas/` is the list of callbacks; here it is read, compiled once, and asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jsonschema_rs
import msgspec

from app.contract.caller import Caller
from app.contract.problems import KEPT, Problem, Schema, Shape, parts_of
from app.errors import ChannelError

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"
"""The folder this project ships, beside the package `app`."""

_ENVELOPE = frozenset({"client_id", "channel_info"})


class BrokenSchema(ChannelError):
    """A file of the schema folder cannot be used; the message names the file and what is wrong."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What is wrong with one body.  All empty: nothing is.

    `envelope`: the body cannot be taken as this callback at all; the answer is HTTP 400 (R6).
    `problems`: the command is not done; told as events in an answer with HTTP 200.
    `bad_entries`: index of every bad entry of the list of independent entries, so that the others can
    go on; the details are empty where enough has been told.
    `hidden`: how many problems are not told one by one; at least one for each bad entry without details.
    """

    envelope: tuple[Problem, ...] = ()
    problems: tuple[Problem, ...] = ()
    bad_entries: Mapping[int, tuple[Problem, ...]] = field(default_factory=dict)
    hidden: int = 0

    @property
    def is_clean(self) -> bool:
        return not (self.envelope or self.problems or self.bad_entries)


_CLEAN = Reading()


@dataclass(frozen=True, slots=True)
class Callback:
    """One callback: its schemas as data, and the verdicts they give.

    `name` has no version.  `entries` names the list whose entries stand each for themselves (marked
    `x-entries` in the schema), or is None.
    """

    name: str
    title: str
    description: str
    request_schema: Schema
    answer_schema: Schema
    entries: str | None
    answer_has_events: bool
    answer_has_status: bool
    _request: Shape = field(repr=False)
    _entry: Shape | None = field(repr=False)
    _answer: Shape = field(repr=False)
    _caller: Caller = field(repr=False)

    def read(self, body: dict[str, Any]) -> Reading:
        """Judge a request body.  A good one costs one call of the validator.

        A fault of the envelope is a required envelope field that is missing or cannot be read, or a
        list or object of the callback that is neither that, nor null, nor absent (R6).  What stands
        inside an element of a list is a fault of the entry or the command, never of the envelope.
        A callback whose answer has neither events nor status has no other place to tell a fault, so
        there all of them are faults of the envelope.
        """
        if self._request.is_valid(body):
            return _CLEAN
        listed = body.get(self.entries) if self.entries else None
        if not isinstance(listed, list):
            return self._command(body)
        head = self._command({**body, str(self.entries): None})
        if head.envelope or head.problems:
            return head
        return self._entries(listed)

    def _command(self, body: dict[str, Any]) -> Reading:
        if not (self.answer_has_events or self.answer_has_status):
            found, hidden = self._request.problems(body)
            return Reading(envelope=tuple(found), hidden=hidden)
        # All faults outside lists are looked at before any is cut off, so that the twenty-first
        # cannot turn a 400 into a 200.
        envelope = [found for found in self._request.surface(body) if self._is_of_envelope(found, body)]
        found, hidden = self._request.problems(body, limit=KEPT + len(envelope))
        others = [problem for problem in found if problem not in envelope]
        hidden += max(0, len(envelope) - KEPT) + max(0, len(others) - KEPT)
        return Reading(tuple(envelope[:KEPT]), tuple(others[:KEPT]), hidden=hidden)

    def _entries(self, listed: list[Any]) -> Reading:
        assert self._entry is not None
        bad: dict[int, tuple[Problem, ...]] = {}
        told = hidden = 0
        for index, entry in enumerate(listed):
            if self._entry.is_valid(entry):
                continue
            if told >= KEPT:
                bad[index] = ()
                hidden += 1
                continue
            found, rest = self._entry.problems(entry, f"/{self.entries}/{index}", KEPT - told)
            bad[index] = tuple(found)
            told += len(found)
            hidden += rest
        return Reading(bad_entries=MappingProxyType(bad), hidden=hidden)

    def _is_of_envelope(self, problem: Problem, body: dict[str, Any]) -> bool:
        place = parts_of(problem.pointer)
        if place and place[0] in _ENVELOPE:
            return True
        if problem.rule != "type":
            return False
        schema: Any = self.request_schema
        value: Any = body
        for part in place:
            schema = schema["properties"][part]
            value = value[part]
        return value is not None and bool({"object", "array"} & set(_types(schema)))

    def check_answer(self, answer: dict[str, Any]) -> tuple[Problem, ...]:
        """What is wrong with an answer: first by our own narrow schema, then for RetailOps' caller.

        At most 40 problems are told.  Nothing means RetailOps takes it (contract 1.6 and 2.14).
        """
        own = [] if self._answer.is_valid(answer) else self._answer.problems(answer)[0]
        seen = {(problem.pointer, problem.rule) for problem in own}
        theirs = [found for found in self.judge(answer) if (found.pointer, found.rule) not in seen]
        return (*own, *theirs)

    def judge(self, answer: object) -> tuple[Problem, ...]:
        """What RetailOps' production caller would refuse in an answer that any server sent."""
        return self._caller.judge(answer)


@dataclass(frozen=True, slots=True)
class Contract:
    """All callbacks by name (without version), in alphabetical order."""

    callbacks: Mapping[str, Callback]


def load_contract(folder: Path = SCHEMAS) -> Contract:
    """Read and compile every `<callback>_v1.json` in `folder`.

    Raises `BrokenSchema` when there is none, or one cannot be read, compiled, or served.
    """
    files = sorted(folder.glob("*_v1.json"))
    if not files:
        raise BrokenSchema(f"{folder}: holds no <callback>_v1.json")
    return Contract(MappingProxyType({file.stem.removesuffix("_v1"): _load(file) for file in files}))


def _load(file: Path) -> Callback:
    link = _link(file)
    request, answer = link["schema"], link["targetSchema"]
    name = file.stem.removesuffix("_v1")
    marked = [key for key, part in request["properties"].items() if part.get("x-entries")]
    if len(marked) > 1:
        raise BrokenSchema(f"{file.name}: x-entries stands at {len(marked)} lists, at most one can be it")
    entries = marked[0] if marked else None
    try:
        return Callback(
            name=name,
            title=link["title"],
            description=link["description"],
            request_schema=request,
            answer_schema=answer,
            entries=entries,
            answer_has_events="events" in answer["properties"],
            answer_has_status="status" in answer["properties"],
            _request=Shape(request),
            _entry=Shape(request["properties"][entries]["items"]) if entries else None,
            _answer=Shape(answer),
            _caller=Caller(name, answer),
        )
    except (jsonschema_rs.ValidationError, ValueError, LookupError, TypeError, AttributeError) as fault:
        reason = (str(fault).splitlines() or [""])[0]
        raise BrokenSchema(f"{file.name}: cannot be compiled as draft 4: {reason}") from fault


def _link(file: Path) -> dict[str, Any]:
    """The one link of a schema file, checked for all that is needed of it."""
    try:
        document = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except (OSError, ValueError) as fault:
        raise BrokenSchema(f"{file.name}: cannot be read as a JSON object: {fault}") from fault
    links = document.get("links")
    if not isinstance(links, list) or len(links) != 1 or not isinstance(links[0], dict):
        raise BrokenSchema(f"{file.name}: links must be a list of one object")
    link: dict[str, Any] = links[0]
    wanted = {"href": f"/{file.stem}", "method": "post", "rel": "instances"}
    for key, value in wanted.items():
        if link.get(key) != value:
            raise BrokenSchema(f"{file.name}: links[0].{key} must be {value}")
    for key in ("title", "description"):
        if not isinstance(link.get(key), str):
            raise BrokenSchema(f"{file.name}: links[0].{key} must be text")
    for key in ("schema", "targetSchema"):
        part = link.get(key)
        if not isinstance(part, dict) or part.get("type") != "object":
            raise BrokenSchema(f"{file.name}: links[0].{key} must be a schema of type object")
        if not isinstance(part.get("properties"), dict):
            raise BrokenSchema(f"{file.name}: links[0].{key} must name its properties")
        if "$ref" in _keys(part):
            raise BrokenSchema(f"{file.name}: links[0].{key} must not use $ref: verifiers cut it out")
    return link


def _keys(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        for key, inner in node.items():
            yield key
            yield from _keys(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _keys(inner)


def _types(schema: Schema) -> list[str]:
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else list(types)
