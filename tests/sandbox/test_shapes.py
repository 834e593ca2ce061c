"""What a sandbox refuses is data: the shapes of a vendor name each fault's place and rule, and never its value."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from app.sandbox import vendors
from app.sandbox.shapes import Shapes

DOCUMENT = {
    "errorMessage": {"const": "must be as agreed"},
    "$defs": {
        "order": {
            "type": "object",
            "required": ["number", "lines"],
            "properties": {
                "number": {"$ref": "#/$defs/name"},
                "status": {"enum": ["new", "old", None]},
                "version": {"const": 3},
                "total": {
                    "type": "number",
                    "minimum": 0,
                    "multipleOf": 0.0001,
                    "errorMessage": {"minimum": "must not be negative", "multipleOf": "must have at most 4 decimals"},
                },
                "lines": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/line"}},
                "gift": {"anyOf": [{"$ref": "#/$defs/line"}, {"type": "null"}]},
                "tags": {"type": "array", "items": {"type": "string"}, "errorMessage": "must be a list of strings"},
                "note": {"type": ["string", "null"], "maxLength": 9},
                "at": {"type": "string", "format": "moment", "errorMessage": "must be a time with an offset"},
            },
            "additionalProperties": False,
        },
        "change": {"$ref": "#/$defs/order", "properties": {"lines": False}},
        "line": {
            "type": "object",
            "required": ["sku"],
            "properties": {"sku": {"$ref": "#/$defs/name"}, "units": {"$ref": "#/$defs/units"}},
            "additionalProperties": False,
        },
        "person": {"type": "object", "properties": {"name": {"$ref": "#/$defs/name"}}},
        "guest": {
            "$ref": "#/$defs/person",
            "properties": {"seat": {"$ref": "#/$defs/units"}},
            "unevaluatedProperties": False,
        },
        "name": {"type": "string", "format": "filled", "errorMessage": "must be a string that is not empty"},
        "units": {"type": "integer", "minimum": 1, "digitsOnly": True},
    },
}
GOOD = {
    "number": "A-1", "status": None, "version": 3, "total": Decimal("1.5000"), "tags": [], "note": None, "gift": None,
    "lines": [{"sku": "MUG", "units": 2**70}], "at": "2026-02-28T10:00:00+01:00",
}  # fmt: skip


@pytest.fixture
def shapes(tmp_path: Path) -> Shapes:
    (tmp_path / "shapes.json").write_bytes(msgspec.json.encode(DOCUMENT))
    return Shapes(tmp_path)


def test_every_fault_is_named_by_place_and_rule_in_the_order_of_the_body(shapes: Shapes) -> None:
    assert shapes.problems("order", GOOD) == []
    bad = {
        "secret-1": 1,
        "total": Decimal("-1.00001"),
        "lines": [{"units": Decimal("1.0"), "secret-2": {}}, "secret", {"sku": " ", "units": 0}],
        "gift": {"sku": 5},
        "tags": ["a", 1, 2],
        "note": "secret secret",
        "status": "secret",
        "version": True,
        "at": "2026-02-30T10:00:00Z",
    }
    assert list(map(str, shapes.problems("order", bad))) == [
        "number is required",
        "secret-1 is unknown",
        "total must not be negative",
        "total must have at most 4 decimals",
        "lines.0.sku is required",
        "lines.0.units must be an integer",
        "lines.0.secret-2 is unknown",
        "lines.1 must be an object",
        "lines.2.sku must be a string that is not empty",
        "lines.2.units must be at least 1",
        "gift.sku must be a string that is not empty",
        "tags must be a list of strings",
        "note must have at most 9 characters",
        "status must be one of new, old, null",
        "version must be as agreed",
        "at must be a time with an offset",
    ]
    assert [problem.place for problem in shapes.problems("order", bad) if problem.is_unknown] == [
        "secret-1", "lines.0.secret-2",
    ]  # fmt: skip
    for at in (5, None, "2026-02-28", "2026-02-28 10:00+01:00", "2026-02-28T10:00:00", "0001-01-01T00:00:00+14:00"):
        assert [problem.place for problem in shapes.problems("order", {**GOOD, "at": at})] == ["at"]


def test_a_shape_that_leaves_out_a_field_of_another_does_not_have_it(shapes: Shapes) -> None:
    found = shapes.problems("change", {"lines": [{"sku": 1}], "note": 1})
    assert [(str(problem), problem.is_unknown) for problem in found] == [
        ("number is required", False),
        ("lines is unknown", True),
        ("note must be a string or null", False),
    ]
    assert [str(problem) for problem in shapes.problems("order", [])] == ["must be an object"]
    with pytest.raises(KeyError, match="no shape is named none"):
        shapes.problems("none", {})


def test_a_shape_that_adds_a_field_to_another_has_those_of_both(shapes: Shapes) -> None:
    assert shapes.problems("guest", {"name": "Ana", "seat": 3}) == []
    found = shapes.problems("guest", {"name": 5, "seat": 0, "age": 3})
    assert [(str(problem), problem.is_unknown) for problem in found] == [
        ("name must be a string that is not empty", False),
        ("seat must be at least 1", False),
        ("age is unknown", True),
    ]
    assert shapes.problems("person", {"age": 3}) == []


def test_a_body_nested_too_deeply_or_with_half_a_character_is_a_fault_and_no_error(shapes: Shapes) -> None:
    deep: object = {}
    for _ in range(400):
        deep = [deep]
    assert [str(problem) for problem in shapes.problems("order", {**GOOD, "gift": deep})] == [
        "must be nested at most 255 levels deep"
    ]
    assert [str(problem) for problem in shapes.problems("order", {**GOOD, "number": "\ud800"})] == ["cannot be read"]


def test_p20_every_shape_of_a_vendor_is_json_schema_and_tells_no_value() -> None:
    files = list(Path(vendors.__path__[0]).glob("*/shapes.json"))
    assert files
    for file in files:
        document = msgspec.json.decode(file.read_bytes())
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **document})
        shapes, fields = Shapes(file.parent), sorted(_fields(document))
        for name in document["$defs"]:
            for value in ("c4nary", [{"sku": "c4nary"}]):
                for body in (value, dict.fromkeys(fields, value)):
                    told = "; ".join(map(str, shapes.problems(name, body)))
                    assert "c4nary" not in told, (file, name, told)
                    assert "breaks the rule" not in told, (file, name, told)


def test_p41_every_integer_of_a_vendor_is_one_in_python_too() -> None:
    """1.0 is an integer of JSON Schema, and read as `Decimal`: it cannot count, slice or be kept as an int."""
    for file in Path(vendors.__path__[0]).glob("*/shapes.json"):
        loose = [node for node in _schemas(msgspec.json.decode(file.read_bytes())) if "integer" in node.get("type", ())]
        assert [node for node in loose if node.get("digitsOnly") is not True] == [], file


def _schemas(node: object) -> Iterator[dict[str, Any]]:
    """Every schema with a type as text or list, however deep it stands."""
    if isinstance(node, list):
        for inner in node:
            yield from _schemas(inner)
    elif isinstance(node, dict):
        if isinstance(node.get("type"), str | list):
            yield node
        for inner in node.values():
            yield from _schemas(inner)


def _fields(node: object) -> set[str]:
    """Names of all properties of a schema."""
    if isinstance(node, list):
        return set().union(*map(_fields, node))
    if not isinstance(node, dict):
        return set()
    named = node.get("properties", {})
    return set(named).union(*map(_fields, node.values()))
