"""A catalogue push is read as its account shaped it; what cannot be read costs only its own record (R26)."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app.channel import catalogue
from app.contract.schemas import Contract
from app.records import catalogue as records
from app.records.cataloguing import Statement
from tests.channels import KEY, PAIR
from tests.retailops import Caller, codes

SHELF = """
[[channel]]
name = "shelf"
client_id = {pair[0]}
channel_id = {pair[1]}
auth_keys = ["{key}"]
gateways = ["pipe17"]

[channel.pipe17]
base_url = "http://127.0.0.1:9/api/v3"
api_key = "irrelevant-key"
"""
"""A channel that keeps no catalogue."""

FEED_CHANNEL = """
[[channel]]
name = "shop"
client_id = {pair[0]}
channel_id = {pair[1]}
auth_keys = ["{key}"]
gateways = ["retailrocket"]

[channel.retailrocket]
partner_id = "5a5b5c5d5e5f5a5b5c5d5e5f"
api_url = "http://127.0.0.1:9/api"
"""

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
    assert [statement.fields.get("sku") for statement in statements] == ["A", None, "B", "C"], "an id may be known"
    assert not {"price", "is_enabled"} & (statements[0].fields.keys() | statements[2].fields.keys())
    assert [(code, ids) for code, _, ids in told] == [
        ("FIELD_IGNORED", ["1", "A"]), ("RECORD_UNREADABLE", []),
        ("FIELD_IGNORED", ["3", "B"]), ("FIELD_IGNORED", ["3", "B"]),
    ]  # fmt: skip
    assert told[0][1] == "template_output.data.Product[0]: General.Price must be a number such as 12.50"
    assert told[1][1].startswith("template_output.data.Product[2] must be an object")
    assert "secret-word" not in str(told)


def test_every_shape_of_output_without_records_is_an_empty_push() -> None:
    for output in ({}, {"data": None}, {"data": {}}, {"data": {"Product": None}}, {"data": {"Product": []}}, {"x": 1}):
        statements, told = read(output)
        assert statements == [], output
        assert {code for code, _, _ in told} <= {"RECORD_UNREADABLE"}, output


def fields_of(**general: Any) -> tuple[dict[str, Any], list[tuple[str, str, list[str]]]]:
    """One record with these fields, as it is kept, and the events."""
    images = {"Images": general.pop("Images")} if "Images" in general else {}
    options = {"Options": general.pop("Options")} if "Options" in general else {}
    categories = {"Categories": general.pop("Categories")} if "Categories" in general else {}
    feed = {"General": {"SKU": "A", **general}, **images, **options, **categories}
    statements, told = read({"data": {"Product": [record(7, feed)]}})
    return (dict(statements[0].fields) if statements else {}), told


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"Price": "12,50"}, "price"), ({"Price": "$ 80.00"}, "price"), ({"Price": "NaN"}, "price"),
        ({"Price": "-1"}, "price"), ({"Price": "1_000"}, "price"), ({"Price": "１２"}, "price"),
        ({"Price": True}, "price"), ({"Price": ["1"]}, "price"), ({"Price": "1" * 13}, "price"),
        ({"SalePrice": "free"}, "sale_price"),
        ({"Currency": "$"}, "currency"), ({"Currency": {"code": "USD"}}, "currency"),
        ({"Weight": "2 lb"}, "weight"), ({"Weight": "-2"}, "weight"),
        ({"Taxable": "perhaps"}, "taxable"), ({"Enabled": ["yes"]}, "is_enabled"),
        ({"RequiresShipping": "sometimes"}, "requires_shipping"),
        ({"Title": {"en": "Mug"}}, "title"), ({"URL": "ftp://shop.example/a"}, "url"), ({"URL": []}, "url"),
        ({"Images": ["C:\\a.jpg"]}, "images"), ({"Images": "data:image/png;base64,AA"}, "images"),
        ({"Images": False}, "images"), ({"Images": '<img src="/a.jpg">'}, "images"), ({"URL": True}, "url"),
        ({"Options": [{"option": "Size", "choices": ["M"], "id": 3}]}, "options"),
        ({"Categories": ["x" * 256]}, "categories"), ({"Options": "red"}, "options"),
        ({"ParentSKU": "x" * 256}, "parent_sku"), ({"ParentSKU": 1.5}, "parent_sku"),
    ],
)  # fmt: skip
def test_p34_a_field_that_cannot_be_read_keeps_its_value_and_is_named(given: dict[str, Any], name: str) -> None:
    fields, told = fields_of(Title="Mug") if name != "title" else fields_of()
    assert told == []
    fields, told = fields_of(**{"Title": "Mug", "Description": "d"} | given)
    assert [(code, ids) for code, _, ids in told] == [("FIELD_IGNORED", ["7", "A"])]
    assert name not in fields and list(fields["ignored"]) == [name] and fields["description"] == "d"
    assert told[0][1].startswith("template_output.data.Product[0]: ") and len(told[0][1]) < 200


def test_p36_a_sale_price_below_zero_ends_the_sale_and_is_named() -> None:
    fields, told = fields_of(Price="80", SalePrice=" -5 ")
    assert fields["sale_price"] == 0 and "ignored" not in fields
    assert [(code, ids) for code, _, ids in told] == [("NO_SALE_PRICE", ["7", "A"])]


def test_p34_one_bad_picture_category_or_option_costs_no_other() -> None:
    fields, told = fields_of(
        Images=["https://shop.example/a b.jpg", "ftp://x", {"src": "https://shop.example/é.jpg"}, {"src": 7}],
        Categories=["Garden", ["yes"], "x" * 300],
        Options=[{"name": "Size", "value": "M"}, {"name": "Fit", "value": {}}, {"value": "x"}, 5],
    )
    assert fields["images"] == ("https://shop.example/a%20b.jpg", "https://shop.example/%C3%A9.jpg", "7")
    assert fields["categories"] == ("Garden", "yes") and fields["options"] == (("Size", "M"),)
    assert [message.split(": ")[1].split(" ")[0] for _, message, _ in told] == [
        "Images[1]", "Categories[2]", "Options[1]", "Options[2]", "Options[3]"
    ]  # fmt: skip
    assert {code for code, _, _ in told} == {"FIELD_IGNORED"} and "ignored" not in fields


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ({"Colour": "red", "Size": "M"}, "Colour=red Size=M"),
        ([{"Colour": "red"}, {"Size": "M"}], "Colour=red Size=M"),
        ([{"name": "Size", "values": ["S", "M"]}], "Size=S Size=M"),
        ({"name": "Size", "values": ["M"]}, "Size=M"),
        ({"names": ["Colour", "Size"], "values": ["red", "M"]}, "Colour=red Size=M"),
        ({"Size": {"value": "M"}, "Colour": {"main": "red"}}, "Size=M Colour=red"),
        ([["Colour", "red"], ["Size", "M"]], "Colour=red Size=M"),
        ({"Options": [{"Name": "Size", "Value": "M"}]}, "Size=M"),
        ("Colour: red, Size: M", "Colour=red Size=M"),
        (["Colour: red", "Size=M"], "Colour=red Size=M"),
        ({"0": {"label": "Size", "value": "M"}}, "Size=M"),
    ],
)
def test_p34_options_are_read_in_every_plain_shape(shape: Any, expected: str) -> None:
    fields, told = fields_of(Options=shape)
    assert told == [] and " ".join(f"{name}={value}" for name, value in fields["options"]) == expected


A, B = "https://shop.example/a.jpg", "https://shop.example/b.jpg"


@pytest.mark.parametrize(
    "shape",
    [
        f"{A} {B}", f"{A} | {B};",
        [A, B], f"{A}, {B}", f"{A};{B}", {"gallery": [B], "main": A}, [{"href": A}, {"uri": B}], [[A], [B]],
        {"1": A, "2": B}, [{"image": {"url": A, "alt": "a mug"}}, {"link": B}],
        {"main": {"src": A}, "other": {"src": B}},
    ],
)  # fmt: skip
def test_p34_pictures_are_read_in_every_plain_shape(shape: Any) -> None:
    fields, told = fields_of(Images=shape)
    assert told == [] and fields["images"] == (A, B)


@pytest.mark.parametrize(
    "shape",
    [
        ["Mugs", "Gifts > Cheap"], "Mugs, Gifts > Cheap", {"main": "Mugs", "more": ["Gifts > Cheap"]},
        "Mugs; Gifts > Cheap;",
        [["Mugs"], ["Gifts > Cheap"]], [{"name": "Mugs", "url": "/c/1"}, {"path": "Gifts > Cheap", "id": 7}],
        {"Mugs": True, "Gifts > Cheap": True, "Tea": False}, {"name": "Mugs", "children": [{"name": "Gifts > Cheap"}]},
    ],
)  # fmt: skip
def test_p34_categories_are_read_in_every_plain_shape(shape: Any) -> None:
    fields, told = fields_of(Categories=shape)
    assert told == [] and fields["categories"] == ("Mugs", "Gifts > Cheap")


def test_p34_an_address_may_hold_commas_or_blanks_and_a_list_may_end_in_one() -> None:
    def pictures(text: str) -> tuple[str, ...]:
        fields, told = fields_of(Images=text)
        assert told == []
        return tuple(fields["images"])

    sized = "https://img.example/w_100,h_200/a.jpg"
    assert pictures(f"{sized},{sized}?v=2 {B}") == (sized, f"{sized}?v=2", B)
    assert pictures("https://img.example/a b.jpg") == ("https://img.example/a%20b.jpg",)
    assert pictures(f" {A}, ") == (A,) and pictures("www.shop.example/a.jpg") == ("https://www.shop.example/a.jpg",)
    assert pictures(" , ") == () and fields_of(Categories=" ; ")[0]["categories"] == ()
    assert fields_of(Categories="Mugs,")[0]["categories"] == ("Mugs",)
    assert fields_of(Options=[{"name": "Size", "id": 3, "value": None}])[0]["options"] == (), "it states no value"


def test_r7_an_object_has_one_number_however_it_is_spelled() -> None:
    rows = [record(number, {"General": {"SKU": "A"}}) for number in (7, "7", 7.0, "7.0", "007", " 7")]
    statements, told = read({"data": rows})
    assert told == [] and {(one.identity, one.fields["product_id"]) for one in statements} == {("product:7", "7")}
    assert [one.spelled for one in statements] == ["", "", "", "product:7.0", "product:007", ""], "as it was kept once"
    statements, _ = read({"data": [record(number, {"General": {"SKU": "A"}}) for number in (0, "0.0", "", None)]})
    assert {one.identity for one in statements} == {""}


def test_p34_a_blank_switches_nothing_on_that_was_switched_off() -> None:
    for blank in ("", "  ", None):
        fields, told = fields_of(Title="Mug", Enabled=blank)
        assert told == [] and fields["title"] == "Mug" and "is_enabled" not in fields


def test_p34_words_for_not_sold_are_a_setting_and_others_are_an_error(
    build_app: Callable[..., Flask], contract: Contract
) -> None:
    for word in ("Discontinued", "ARCHIVED", "off", "end  of life"):
        assert fields_of(Enabled=word)[0]["is_enabled"] is False
    channel = FEED_CHANNEL.replace("[channel.retail", 'not_sold_words = ["Weg", "Active"]\n[channel.retail', 1)
    caller = Caller(build_app(channel.format(key=KEY, pair=PAIR)), contract)

    def state(word: Any) -> tuple[list[str], bool | None]:
        answer = caller.ask(
            "catalog_push", template_output={"data": [record(1, {"General": {"SKU": "A", "Enabled": word}})]}
        )
        with caller.database.read() as connection:
            [product] = records.walk(connection, "shop")
        return codes(answer, "error"), product.item.is_enabled

    assert [state(word) for word in ("yes", "weg", "perhaps", "Discontinued", "active", ["yes"])] == [
        ([], True), ([], False), (["FIELD_IGNORED"], False), (["FIELD_IGNORED"], False), ([], False),
        (["FIELD_IGNORED"], False),
    ]  # fmt: skip


def test_p34_a_push_without_a_place_that_is_known_is_an_error_and_an_empty_one_is_not(
    build_app: Callable[..., Flask], contract: Contract
) -> None:
    caller = Caller(build_app(FEED_CHANNEL.format(key=KEY, pair=PAIR)), contract)
    good = {"data": [record(1, {"General": {"SKU": "A"}})]}
    for name in ("templateOutput", "data", "output"):
        assert codes(caller.ask("catalog_push", **{name: good}), "error") == ["TEMPLATE_OUTPUT_MISSING"]
    for empty in ({}, None, {"data": {}}):
        assert caller.ask("catalog_push", template_output=empty)["events"] == []


def test_p36_codes_flags_and_numbers_are_read_in_every_spelling() -> None:
    fields, told = fields_of(Currency="usd", Price=80, SalePrice=" 60.00 ", Enabled="YES", Taxable="off",
                             RequiresShipping=1, Weight="0.350")  # fmt: skip
    assert told == [] and fields["currency"] == "USD" and fields["price"] == 80 and fields["sale_price"] == 60
    assert (fields["is_enabled"], fields["taxable"], fields["requires_shipping"]) == (True, False, True)
    for price, expected, warned in [
        (79.98999786376953, "79.99", []), ("12.345", "12.35", ["PRICE_ROUNDED"]), ("0.00", "0", ["PRICE_ZERO"]),
        ("1e2", "100", []), (None, None, []), ("", None, []),
    ]:  # fmt: skip
        fields, told = fields_of(Price=price)
        assert fields["price"] == (None if expected is None else Decimal(expected))
        assert [code for code, _, _ in told] == warned
    fields, told = fields_of(Currency="JPY", Price="1200.4")
    assert fields["price"] == 1200 and [code for code, _, _ in told] == ["PRICE_ROUNDED"]


def test_p34_what_no_document_can_carry_leaves_free_text_and_costs_no_record() -> None:
    fields, told = fields_of(Title="Mug\x0bblue\x00 \ud83d", Description=" line\none ")
    assert told == [] and fields["title"] == "Mug blue\ufffd \ufffd" and fields["description"] == "line\none"


@pytest.mark.parametrize(
    ("sku", "rule"),
    [
        ({"code": "A"}, "must be text or a whole number"), (True, "must be text or a whole number"),
        (1.5, "a whole number that can be read exactly"), (2.0**60, "a whole number that can be read exactly"),
        ("x" * 256, "at most 255 characters"), ("A\x00B", "without NUL"), ("\ud83d", "without half a character"),
    ],
)  # fmt: skip
def test_p34_a_sku_that_cannot_be_a_key_refuses_its_record_and_says_why(sku: Any, rule: str) -> None:
    good = record(8, {"General": {"SKU": "B"}})
    statements, told = read({"data": [record(7, {"General": {"SKU": sku}}), good]})
    assert [statement.fields["sku"] for statement in statements] == ["B"]
    assert [(code, ids) for code, _, ids in told] == [("INVALID_SKU", ["7"])] and rule in told[0][1]


def test_p34_records_too_deep_to_be_read_are_named() -> None:
    feed: dict[str, Any] = {"General": {"SKU": "S9"}}
    for depth in range(8, -1, -1):
        feed = {"General": {"SKU": f"S{depth}"}, "Variants": [record(depth + 1, feed)]}
    statements, told = read({"data": {"Product": [record(0, feed)]}})
    assert [statement.fields["sku"] for statement in statements] == ["S0", "S1", "S2", "S3", "S4"]
    assert [code for code, _, _ in told] == ["RECORD_TOO_DEEP"] and "nothing of it was kept" in told[0][1]


PLACES = [
    ({"data": "text"}, "template_output.data must be"),
    ({"data": 7}, "template_output.data must be"),
    ({"data": {"Product": ["text"]}}, "template_output.data.Product[0] must be"),
    ({"data": {"Product": "text"}}, "template_output.data.Product must be"),
    ({"data": {"Product": [{"feed_data": "text"}]}}, "template_output.data.Product[0].feed_data must be"),
    ({"data": [None]}, "template_output.data[0] must be"),
    ({"Product": ["text"]}, "template_output.Product[0] must be"),
    (
        {"data": [record(1, {"General": {"SKU": "A"}, "V": [{"feed_data": 5}]})]},
        "template_output.data[0].feed_data.V[0].feed_data must be",
    ),
]


@pytest.mark.parametrize("key", [KEY, "RETAILOPS_SDK"], ids=["the channel's key", "the test key"])
@pytest.mark.parametrize(("output", "place"), PLACES)
def test_p34_what_is_no_record_is_an_error_that_names_its_place_on_a_channel_without_catalogue_too(
    output: Any, place: str, key: str, build_app: Callable[..., Flask], contract: Contract
) -> None:
    caller = Caller(build_app(SHELF.format(key=KEY, pair=PAIR)), contract, key=key)
    for name in ("template_output", "TemplateOutput"):
        answer = caller.ask("catalog_push", **{name: output})
        errors = [event["message"] for event in answer["events"] if event["event_type"] == "error"]
        assert len(errors) == 1 and errors[0].startswith(place.replace("template_output", name))
        assert "text" not in errors[0].replace("template_output", "")
    good = {"data": [record(1, {"General": {"SKU": "A"}})]}
    assert codes(caller.ask("catalog_push", template_output=good), "error") == []


def test_p34_of_many_faults_twenty_are_named_errors_first_and_the_rest_is_counted(
    build_app: Callable[..., Flask], contract: Contract
) -> None:
    caller = Caller(build_app(FEED_CHANNEL.format(key=KEY, pair=PAIR)), contract)
    rows: list[Any] = [record(n, {"General": {"SKU": f"S{n}", "Price": "12,50"}}) for n in range(30)]
    answer = caller.ask("catalog_push", template_output={"data": [*rows, *["text"] * 5]})
    assert codes(answer, "error") == ["RECORD_UNREADABLE"] * 5
    assert codes(answer, "warning") == ["FIELD_IGNORED"] * 15 + ["INVALID_MORE"]
    assert answer["events"][-1]["message"] == "15 further warnings are not listed"
