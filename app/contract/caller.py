"""A stand-in for RetailOps' production caller, for what passes the verifier may be thrown away.

The caller parses an answer into fixed fields, encodes those again, and only then validates
(SDK contract 1.6): what the channel left out arrives at the rules as empty text, 0, false or null.  So an
omitted `item_type` breaks its enum although no schema requires it, and `{}` breaks more than it seems.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from app.contract.formats import CERTAIN_MOMENT, NATIVE, is_date_time
from app.contract.problems import KEPT, Problem, Schema, Shape, compiled, pointer_to

_ZERO: Mapping[str, Any] = {"string": "", "number": 0, "integer": 0, "boolean": False, "array": None}
_LEFT_OUT = object()

_KEPT_RULES = ("enum", "format", "minLength", "maxLength", "maxItems")
"""The rules both published contracts hold answers to.  Everything else in our schema is our own care."""


@dataclass(frozen=True, slots=True)
class Field:
    """A fixed field of the caller's structures.

    `is_filled` is False for what only the newer contract knows (`x-newer`): its absence means
    something there, so it is not replaced by a zero.
    """

    kind: str
    fields: Mapping[str, Field]
    element: Field | None
    is_moment: bool
    is_filled: bool


class Caller:
    """Judges the answers to one callback the way the production caller does."""

    def __init__(self, name: str, answer_schema: Schema) -> None:
        self._root = _field(answer_schema)
        rules = _relaxed(answer_schema)
        if name == "catalog_push":
            # The one list that must not be null, neither in the master schema nor in its caller.
            rules["properties"]["events"]["type"] = "array"
        self._rules = Shape(rules)
        self._certain = compiled({**_certain(self._root, rules, answer_schema), "minProperties": 1}, NATIVE)

    def takes(self, answer: dict[str, Any]) -> bool:
        """True where the answer keeps its schema and `judge` would find nothing; False where both have to look.

        Decided in one pass, because a page of orders takes as long to look through as to encode.
        For an answer of ours: a `Decimal` in a field for whole numbers, which only others' decoders give, passes here.
        """
        try:
            return self._certain.is_valid(answer)
        except ValueError:  # a value that is none of JSON's
            return False

    def judge(self, answer: object) -> tuple[Problem, ...]:
        """At most 20 problems; none means the caller would take the answer.

        Takes whatever a server sent, already decoded; numbers may be `Decimal`.
        """
        if not isinstance(answer, dict):
            return (Problem.at("", "type", "must be an object"),)
        if not answer:
            return (Problem.at("", "minProperties", "is empty, which tells RetailOps nothing"),)
        problems: list[Problem] = []
        encoded = _encoded(self._root, answer, "", problems)
        if not self._rules.is_valid(encoded):
            problems += self._rules.problems(encoded)[0]
        return tuple(problems[:KEPT])


def _field(schema: Schema) -> Field:
    return Field(
        kind=schema["type"],
        fields=MappingProxyType({key: _field(part) for key, part in schema.get("properties", {}).items()}),
        element=_field(schema["items"]) if "items" in schema else None,
        is_moment=schema.get("format") == "date-time",
        is_filled=not schema.get("x-newer"),
    )


def _relaxed(schema: Schema) -> Schema:
    """Our answer schema with only the rules RetailOps itself applies."""
    own = set(schema.get("x-stricter", ()))
    relaxed: Schema = {key: schema[key] for key in _KEPT_RULES if key in schema and key not in own}
    if "enum" in relaxed:
        relaxed["enum"] = [*schema["enum"], *schema.get("x-accepted", ())]
    relaxed["type"] = ["array", "null"] if schema["type"] == "array" else schema["type"]
    if "items" in schema:
        relaxed["items"] = _relaxed(schema["items"])
    if "properties" in schema:
        relaxed["properties"] = {key: _relaxed(part) for key, part in schema["properties"].items()}
    return relaxed


def _certain(field: Field, rules: Schema, own: Schema) -> Schema:
    """Our schema, narrowed to values that parse as they are and keep the rules, with all that must not be left out."""
    certain = {**own, "type": field.kind}
    if field.is_moment:
        certain["allOf"] = [*own.get("allOf", ()), {"pattern": CERTAIN_MOMENT}]
    if field.kind == "integer":
        certain["minimum"] = max(own.get("minimum", -(2**63)), -(2**63))
        certain["maximum"] = min(own.get("maximum", 2**63 - 1), 2**63 - 1)
    if field.element is not None:
        certain["items"] = _certain(field.element, rules["items"], own["items"])
    if field.kind == "object":
        parts = rules.get("properties", {})
        certain["properties"] = {
            key: _certain(inner, parts[key], own["properties"][key]) for key, inner in field.fields.items()
        }
        needed = {key for key, inner in field.fields.items() if not _may_be_absent(inner, parts[key])}
        if needed := needed.union(own.get("required", ())):
            certain["required"] = sorted(needed)
    return certain


def _may_be_absent(field: Field, rules: Schema) -> bool:
    if not field.is_filled:
        return True
    problems: list[Problem] = []
    filled = _encoded(field, None, "", problems)
    return not problems and Shape(rules).is_valid(filled)


def _encoded(field: Field, value: Any, pointer: str, problems: list[Problem]) -> Any:
    """The value as the caller has it after parsing and encoding again.

    What cannot be parsed is a problem here and left out, so that it is not reported a second time.
    """
    if value is None and field.kind != "object":
        value = _ZERO[field.kind]
    elif field.kind == "object":
        value = {} if value is None else value
    if field.is_moment and isinstance(value, str) and not is_date_time(value):
        return _refused(pointer, "format", "must be a date and time with offset as in RFC 3339", problems)
    if not _is_of_kind(value, field.kind):
        bits = ", of 64 bits" if field.kind == "integer" else ""
        return _refused(pointer, "type", f"must be of type {field.kind}{bits}", problems)
    if field.kind == "object":
        encoded = {}
        for key, inner in field.fields.items():
            if key not in value and not inner.is_filled:
                continue
            part = _encoded(inner, value.get(key), pointer_to([key], pointer), problems)
            if part is not _LEFT_OUT:
                encoded[key] = part
        return encoded
    if field.element is not None and value is not None:
        # An element that cannot be parsed keeps its place: the problems of the others name an index.
        parts = [_encoded(field.element, part, f"{pointer}/{i}", problems) for i, part in enumerate(value)]
        return [part if part is not _LEFT_OUT else _zero(field.element) for part in parts]
    return value


def _zero(field: Field) -> Any:
    return {} if field.kind == "object" else _ZERO[field.kind]


def _refused(pointer: str, rule: str, text: str, problems: list[Problem]) -> object:
    if len(problems) < KEPT:
        problems.append(Problem.at(pointer, rule, text))
    return _LEFT_OUT


def _is_of_kind(value: object, kind: str) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            # Neither 1.0 nor a number beyond 64 bits parses into the caller's integer fields.
            return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
        case "number":
            return isinstance(value, int | float | Decimal) and not isinstance(value, bool)
        case "array":
            return value is None or isinstance(value, list)
        case _:
            return isinstance(value, dict)
