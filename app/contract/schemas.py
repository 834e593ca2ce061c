"""The folder `schemas/` is the list of callbacks; here it is read and compiled once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jsonschema_rs
import msgspec

from app.contract.caller import Caller
from app.contract.files import SCHEMAS
from app.contract.problems import Problem, Schema, Shape
from app.contract.requests import Reading as Reading  # what an action is given beside the body
from app.contract.requests import Request
from app.errors import ChannelError


class BrokenSchema(ChannelError):
    """A file of the schema folder cannot be used; the message names the file and what is wrong."""


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
    read: Callable[[dict[str, Any]], Reading] = field(repr=False)
    """Judges a request body, which stays as it is (see `Request.read`)."""
    _answer: Shape = field(repr=False)
    _caller: Caller = field(repr=False)

    def check_answer(self, answer: dict[str, Any]) -> tuple[Problem, ...]:
        """What is wrong with an answer: first by our own narrow schema, then for RetailOps' caller.

        At most 40 problems are listed.  Nothing means RetailOps takes it (SDK contract 1.6 and 2.14).
        """
        if self._caller.takes(answer):
            return ()
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


@functools.cache
def load_contract(folder: Path = SCHEMAS) -> Contract:
    """Read and compile every `<callback>_v1.json` in `folder`, once a process.

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
    answered = answer["properties"]
    try:
        return Callback(
            name=name,
            title=link["title"],
            description=link["description"],
            request_schema=request,
            answer_schema=answer,
            entries=entries,
            answer_has_events="events" in answered,
            answer_has_status="status" in answered,
            read=Request(name, request, entries, has_events="events" in answered or "status" in answered).read,
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
    expected = {"href": f"/{file.stem}", "method": "post", "rel": "instances"}
    for key, value in expected.items():
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
