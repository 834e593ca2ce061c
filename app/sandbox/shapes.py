"""What a vendor takes, as JSON Schema in `shapes.json` of its folder: every fault of a body, by place and rule.

`$defs` of the file holds one shape per name (draft 2020-12).  The sentence of a fault is the one `sentences.json` has
for the keyword that was broken, or written as `errorMessage`: a text beside the keywords of a shape stands for every
fault of the value and of what it holds; an object has the sentences of single keywords, and at the top of the file
those of all shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import jsonschema_rs

from app.sandbox.bodies import Json, decode, encode

MOST_DEPTH = 255
"""Levels of nesting that the validator reads."""

_SENTENCES: Json = decode(Path(__file__).with_name("sentences.json").read_bytes())


def moment(text: str) -> datetime:
    """An ISO-8601 time that names its offset, in UTC.  Raises `ValueError` otherwise."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None or "T" not in text:
        raise ValueError("a time needs a date, a time of day and an offset")
    try:
        return found.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("a time needs a year from 1 to 9999 in UTC") from error


def _is_moment(text: str) -> bool:
    try:
        moment(text)
    except ValueError:
        return False
    return True


FORMATS: dict[str, Callable[[str], bool]] = {"moment": _is_moment, "filled": lambda text: bool(text.strip())}
"""Formats of a string besides those of JSON Schema: what `moment` reads, and what is not blank."""


class DigitsOnly:
    """The keyword `digitsOnly`: a number without a point or an exponent, for not every vendor takes 1.0 as integer."""

    def __init__(self, parent_schema: Json, value: bool, schema_path: Sequence[str | int]) -> None:
        self._is_on = value

    def validate(self, instance: object) -> None:
        """Raises `ValueError` for a number that is no `int`."""
        if self._is_on and not isinstance(instance, int | str | dict | list | None):
            raise ValueError


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault: the way from the body down to the value, and a sentence that names the rule and never the value."""

    path: tuple[str | int, ...]
    rule: str
    is_unknown: bool = False
    """True of a field that the shape does not have, which some vendors let pass."""

    @property
    def place(self) -> str:
        """The way with dots between, "" for the body itself."""
        return ".".join(map(str, self.path))

    def __str__(self) -> str:
        return f"{self.place} {self.rule}".lstrip()


class Shapes:
    """The shapes of one vendor; each is compiled when it is first used."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "shapes.json"
        self._compiled: dict[str, _Shape] = {}

    @cached_property
    def _document(self) -> Json:
        document: Json = decode(self._file.read_bytes())
        return document

    def __contains__(self, name: str) -> bool:
        return name in self._document["$defs"]

    def problems(self, name: str, body: object) -> list[Problem]:
        """Every fault of a body: at each level first what is missing, then in the body's own order.

        Raises `KeyError` for a shape that the file does not have.
        """
        if name not in self._compiled:
            if name not in self:
                raise KeyError(f"{self._file}: no shape is named {name}")
            self._compiled[name] = _Shape({**self._document, "$ref": f"#/$defs/{name}"})
        return self._compiled[name].problems(body)


class _Shape:
    def __init__(self, schema: Json) -> None:
        self._schema = schema
        self._validator = jsonschema_rs.Draft202012Validator(
            schema,
            formats=FORMATS,
            validate_formats=True,
            ignore_unknown_formats=False,
            keywords={"digitsOnly": DigitsOnly},
            mask="value",
            offline=True,
        )

    def problems(self, body: object) -> list[Problem]:
        try:
            errors = list(self._validator.iter_errors(body))
        except ValueError as fault:  # What it cannot take over from Python: too deep, or half of a character.
            is_deep = "Recursion limit" in str(fault)
            return [Problem((), f"must be nested at most {MOST_DEPTH} levels deep" if is_deep else "cannot be read")]
        found = dict.fromkeys(problem for error in errors for problem in self._read(error))
        unknown = {problem.path for problem in found if problem.is_unknown}
        kept = [problem for problem in found if not _is_moot(problem, unknown)]
        return sorted(kept, key=lambda problem: _rank(problem.path, body))

    def _read(self, error: jsonschema_rs.ValidationError) -> Iterator[Problem]:
        keyword, detail, path = error.kind.name, error.kind.as_dict(), tuple(error.instance_path)
        own: Any = {}
        for node, level in self._passed(error.evaluation_path, len(path)):
            own = node.get("errorMessage", {})
            if isinstance(own, str):
                yield Problem(path[:level], own)
                return
        rule = {**self._schema.get("errorMessage", {}), **own}.get(keyword) or _sentence(keyword, detail)
        match keyword:
            case "required":
                yield Problem((*path, detail["property"]), rule)
            case "additionalProperties" | "unevaluatedProperties":
                yield from (Problem((*path, name), rule, True) for name in detail["unexpected"])
            case "falseSchema":
                yield Problem(path, rule, True)
            case "anyOf":  # Null, or one shape: what that one says.
                branches = (branch for branch in detail["context"] if not _needs_null(branch))
                yield from (problem for branch in branches for inner in branch for problem in self._read(inner))
            case _:
                yield Problem(path, rule)

    def _passed(self, way: Sequence[str | int], depth: int) -> list[tuple[Json, int]]:
        """The schemas on the way to a keyword, each with the level of the body, from 0, that it is for."""
        node: Any = self._schema
        found: list[tuple[Json, int]] = []
        level, is_name = 0, False
        for part in way:
            if isinstance(node, dict) and not is_name:
                found.append((node, level))
            level += not is_name and part in ("properties", "items")
            is_name = not is_name and part in ("properties", "$defs")
            node = self._schema["$defs"][node[part].rpartition("/")[2]] if part == "$ref" else node[part]
        # Of a keyword of our own the validator tells only where it is written, which is the value's own shape.
        return [(found[-1][0], depth)] if way[0] == "$defs" else found


def _sentence(keyword: str, detail: Json) -> str:
    match keyword:
        case "type":
            return "must be " + " or ".join(
                text for kind, text in _SENTENCES["types"].items() if kind in detail["types"]
            )
        case "enum":
            words = (word if isinstance(word, str) else encode(word).decode() for word in detail["options"])
            return "must be one of " + ", ".join(words)
    sentence: str = _SENTENCES["keywords"].get(keyword, "breaks the rule " + keyword)
    return sentence.format(**detail)


def _needs_null(branch: Sequence[jsonschema_rs.ValidationError]) -> bool:
    return all(error.kind.name == "type" and error.kind.as_dict()["types"] == ["null"] for error in branch)


def _is_moot(problem: Problem, unknown: set[tuple[str | int, ...]]) -> bool:
    """True of what is wrong with an unknown field, or inside one."""
    levels = len(problem.path) + (not problem.is_unknown)
    return any(problem.path[:level] in unknown for level in range(levels))


def _rank(path: tuple[str | int, ...], body: Any) -> list[int]:
    """Where a place stands in the body, level by level; what is missing stands first."""
    ranks = []
    for part in path:
        if isinstance(body, dict):
            ranks.append(list(body).index(part) if part in body else -1)
            body = body.get(part)
        else:
            ranks.append(int(part))
            body = body[int(part)]
    return ranks
