"""A catalogue push is read as its account shaped it; what cannot be read costs only its own record (R26)."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from app.channel import catalogue
from app.records.cataloguing import Statement

FIXTURE = Path(__file__).resolve().parents[2] / "verifier_fixtures" / "catalog_push_v1_ex_2.json"


def read(output: Any, **paths: str) -> tuple[list[Statement], list[tuple[str, str, list[str]]]]:
    """Every record, and the events as (code, message, identifiers)."""
    found = list(catalogue.read({"template_output": output}, paths))
    events = [event for one in found for event in one.events]
    told = [(item.code, item.message, [ref.identifier for ref in item.associations]) for item in events]
    return [statement for one in found for statement in one.statements], told


def record(product_id: object, feed: Any, source_type: str = "product") -> dict[str, Any]:
    return {"object_data": {"id": product_id, "source_type": source_type}, "feed_data": feed}


def test_a_feed_of_products_with_nested_variants_is_read_record_by_record() -> None:
    statements, told = read(json.loads(FIXTURE.read_text())["template_output"])
    assert told == []
    mug, small, large, tea = statements
    assert (mug.identity, mug.parent, small.parent, large.parent, tea.parent) == ("product:30017", None, 0, 0, None)
    assert mug.fields["images"] == ("https://img.example/mug-1.jpg", "https://img.example/mug-2.jpg")
    assert mug.fields["categories"] == ("Küche", "Küche > Tassen") and mug.fields["price"] == Decimal("12.5")
    assert large.fields["price"] == Decimal("14.90") and large.fields["options"][1] == ("Größe", "500 ml")
    assert large.fields["weight"] is None and "title" not in large.fields, "null clears; absent says nothing"
    assert tea.fields["is_enabled"] is False


def test_paths_are_the_channels_own_and_a_key_may_hold_dots() -> None:
    feed = {
        "web": {"naam": "Kop"},
        "Product.Code": 4711,
        "state": "inactive",
        "opts": [{"name": "kleur", "value": "rood"}],
    }
    statements, told = read(
        {"data": [record(0, feed)]}, sku="Product.Code", title="web.naam", enabled="state", options="opts"
    )
    assert told == [] and statements[0].identity == ""
    assert statements[0].fields == {
        "sku": "4711", "title": "Kop", "is_enabled": False, "options": (("kleur", "rood"),)
    }  # fmt: skip


def test_a_record_that_cannot_be_read_is_named_by_place_product_and_sku_and_costs_no_other() -> None:
    rows = [
        record(1, {"General": {"SKU": "A", "Price": "secret-word"}}),
        record(2, {"General": {"Title": "no sku"}}),
        "not a record",
        record(3, {"General": {"SKU": "B", "Price": "-1", "Enabled": "perhaps"}}),
        record(4, {"General": {"SKU": "C", "Price": "1.00"}}),
    ]
    statements, told = read({"data": {"Product": rows}})
    # A field that cannot be read keeps its value, and costs its record nothing (R6).
    assert [statement.fields["sku"] for statement in statements] == ["A", "B", "C"]
    assert not {"price", "is_enabled"} & (statements[0].fields.keys() | statements[1].fields.keys())
    assert [(code, ids) for code, _, ids in told] == [
        ("FIELD_IGNORED", ["1", "A"]), ("SKU_MISSING", ["2"]), ("RECORD_UNREADABLE", []),
        ("FIELD_IGNORED", ["3", "B"]), ("FIELD_IGNORED", ["3", "B"]),
    ]  # fmt: skip
    assert told[0][1] == "template_output.data.Product[0]: General.Price must be a number such as 12.50"
    assert told[2][1].startswith("template_output.data.Product[2] must be an object")
    assert "secret-word" not in str(told)


def test_every_shape_of_output_without_records_is_an_empty_push() -> None:
    for output in ({}, {"data": None}, {"data": {}}, {"data": {"Product": None}}, {"data": {"Product": []}}, {"x": 1}):
        statements, told = read(output)
        assert statements == [], output
        assert {code for code, _, _ in told} <= {"RECORD_UNREADABLE"}, output
