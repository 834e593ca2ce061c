"""What is wrong with a value and where, stated without repeating the value, in bounded time and memory.

jsonschema-rs collects every error before it hands out the first one, which for a body with a million
bad rows is fifteen seconds and a million objects.  A `Shape` therefore cuts a schema at its lists: the
part above a list is explained at once, the elements one by one, and only until enough is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jsonschema_rs

from app.contract.formats import OUTGOING, Formats

Schema = dict[str, Any]

KEPT = 20
"""How many problems are listed one by one (rule R6); the rest is only counted."""

_KINDS = {
    "object": "an object",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One fault: `pointer` (RFC 6901) says where, `rule` is the schema keyword, `message` a sentence.

    For the rule `required` the pointer names the missing property itself.  The message is made from
    the schema alone, so no value that somebody sent can stand in it.
    """

    pointer: str
    rule: str
    message: str

    @classmethod
    def at(cls, pointer: str, rule: str, text: str) -> Problem:
        """A problem whose message leads with its place."""
        return cls(pointer, rule, f"{pointer or 'body'}: {text}")

    def below(self, prefix: str) -> Problem:
        """The same problem seen from the value that `prefix` points at."""
        text = self.message.partition(": ")[2]
        return Problem.at(self.pointer.removeprefix(prefix), self.rule, text)


def pointer_to(parts: list[str | int], base: str = "") -> str:
    """JSON pointer of a path, appended to `base`."""
    return base + "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def parts_of(pointer: str) -> list[str]:
    """The path a JSON pointer names, every part as text."""
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def compiled(schema: Schema, formats: Formats = OUTGOING) -> jsonschema_rs.Draft4Validator:
    """A draft-4 validator that opens no address, names no value, and knows our formats beside its own."""
    return jsonschema_rs.Draft4Validator(
        schema, formats=dict(formats), validate_formats=True, offline=True, mask="value"
    )


class Shape:
    """A schema, compiled whole for the verdict and cut at its lists for the explanation."""

    def __init__(self, schema: Schema) -> None:
        self._shallow_schema, lists = _cut(schema)
        self.is_valid: Callable[[object], bool] = compiled(schema).is_valid
        self._shallow = compiled(self._shallow_schema)
        self._lists = tuple((path, Shape(items)) for path, items in lists)

    def problems(self, value: object, pointer: str = "", limit: int = KEPT) -> tuple[list[Problem], int]:
        """At most `limit` problems, outermost first, and how many more there are at least.

        An element of a list that is bad but no longer looked into counts as one.
        """
        kept = self.surface(value, pointer)
        hidden = max(0, len(kept) - limit)
        del kept[limit:]
        for path, element in self._lists:
            listed = _found(value, path)
            if not isinstance(listed, list):
                continue
            place = pointer_to(list(path), pointer)
            for index, entry in enumerate(listed):
                if element.is_valid(entry):
                    continue
                if len(kept) >= limit:
                    hidden += 1
                    continue
                more, rest = element.problems(entry, f"{place}/{index}", limit - len(kept))
                kept += more
                hidden += rest
        return kept, hidden

    def surface(self, value: object, pointer: str = "") -> list[Problem]:
        """The problems that lie in no list: as many as the schema has properties, never more."""
        return sorted(set(self._explained(value, pointer)))

    def _explained(self, value: object, pointer: str) -> Iterator[Problem]:
        for error in self._shallow.iter_errors(_outline(self._shallow_schema, value)):
            rule = error.kind.name
            detail = error.kind.as_dict()
            place = list(error.instance_path)
            if rule == "required":
                place.append(detail["property"])
            elif (missing := self._owner(error).get("x-missing")) and rule == "anyOf":
                # One of several properties has to be given: the fault is named after the one that should be.
                place.append(missing)
                text = sentence(rule, detail, self._owner(error))
                yield Problem.at(pointer_to(place, pointer), "required", text)
                continue
            yield Problem.at(pointer_to(place, pointer), rule, sentence(rule, detail, self._owner(error)))

    def _owner(self, error: jsonschema_rs.ValidationError) -> Schema:
        """The part of the schema that holds the keyword which was broken."""
        node: Any = self._shallow_schema
        for part in error.schema_path[:-1]:
            node = node[part]
        return node if isinstance(node, dict) else {}


def _cut(schema: Schema) -> tuple[Schema, list[tuple[tuple[str, ...], Schema]]]:
    """The schema without the elements of its lists, and those elements with the way to each list."""
    lists: list[tuple[tuple[str, ...], Schema]] = []
    shallow = dict(schema)
    if "items" in shallow:
        lists.append(((), shallow.pop("items")))
    if "properties" in shallow:
        shallow["properties"] = {}
        for name, inner in schema["properties"].items():
            shallow["properties"][name], below = _cut(inner)
            lists += [((name, *path), items) for path, items in below]
    return shallow, lists


def _outline(schema: Schema, value: object) -> object:
    """The value without what the schema does not look at.

    An error carries a copy of the value it is about, and a value nested deeper than 255 cannot be
    copied; so unknown properties, and the inside of lists, are left out before errors are collected.
    """
    if isinstance(value, dict):
        known = schema.get("properties", {})
        return {key: _outline(part, value[key]) for key, part in known.items() if key in value}
    if isinstance(value, list):
        return [None] * min(len(value), 1 + max(schema.get("maxItems", 0), schema.get("minItems", 0)))
    return value


def _found(value: object, path: tuple[str, ...]) -> object:
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def sentence(rule: str, detail: dict[str, Any], owner: Schema) -> str:
    """What the rule wants, in words; `x-form` in the schema says it for rules that read badly."""
    form = owner.get("x-form")
    match rule:
        case "required":
            return "is missing"
        case "type":
            kinds = [_KINDS[kind] for kind in _KINDS if kind in detail["types"]]
            return "must be " + _either(kinds)
        case "enum":
            return "must be " + _either([_word(option) for option in detail["options"]])
        case "format":
            return "must be a date and time with offset as in RFC 3339"
        case "minimum":
            return f"must be at least {detail['limit']}"
        case "maximum":
            return f"must be at most {detail['limit']}"
        case "minLength":
            return f"must have at least {detail['limit']} characters"
        case "maxLength":
            return f"must have at most {detail['limit']} characters"
        case "minItems":
            return f"must have at least {detail['limit']} elements"
        case "maxItems":
            return f"must have at most {detail['limit']} elements"
        case "multipleOf" if detail["multiple_of"] == 1:
            return "must be a whole number"
        case _ if form:
            return f"must be {form}"
        case _:
            return f"breaks the rule {rule}"


def _either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _word(option: object) -> str:
    match option:
        case None:
            return "null"
        case True:
            return "true"
        case False:
            return "false"
        case "":
            return "empty text"
        case str():
            return f'"{option}"' if option in ("0", "1", "true", "false") else option
        case _:
            return str(option)
