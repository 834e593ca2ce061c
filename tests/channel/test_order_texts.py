"""No text of an order is cut or dropped on its way to RetailOps; what it cannot carry holds the order back (P34)."""

from __future__ import annotations

import string
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from app.channel.dry_run import SYNTHETIC_ORDER
from app.channel.order_json import order_json, unfit
from app.domain.orders import Attribute, Payment
from tests.retailops import Caller

WHOLE = msgspec.structs.replace(SYNTHETIC_ORDER, attributes=())


def test_p34_an_attribute_too_long_or_too_short_for_one_goes_over_several() -> None:
    note = " ".join([string.ascii_letters] * 3)
    given = (Attribute("note", note), Attribute("flag", "y"), Attribute("code", "ab", "select"), Attribute("none", ""))
    shown = order_json(msgspec.structs.replace(WHOLE, attributes=given))["attributes"]
    parts = {item["handle"]: item["value"] for item in shown}
    assert "".join(parts[handle] for handle in ("note", "note_2", "note_3")) == note
    assert all(2 <= len(value) <= 100 for value in parts.values())
    assert parts["flag"] == "flag: y"
    assert {item["handle"]: item["attribute_type"] for item in shown}["code"] == "select"
    assert set(parts) == {"note", "note_2", "note_3", "flag", "code"}


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"refnum": "R" * 256}, "its number must have at most 255 characters"),
        ({"refnum": "R\x00"}, "its number must be text without NUL and without half a character"),
        ({"line": {"refnum": "L" * 3000}}, "a line's number must have"),
        ({"line": {"sku": "S" * 256}}, "a line's SKU must have"),
        ({"line": {"source_sku": "S\ud83d"}}, "a line's SKU must be"),
        ({"tags": tuple(map(str, range(101)))}, "it has more than 100 tags"),
    ],
)
def test_p34_an_order_that_cannot_be_named_is_held_back(change: dict[str, Any], what: str) -> None:
    assert unfit(WHOLE) == ""
    line = msgspec.structs.replace(WHOLE.lines[0], **change.pop("line", {}))
    assert unfit(msgspec.structs.replace(WHOLE, lines=(line,), **change)).startswith(what)


@pytest.mark.parametrize(("currency", "most"), [("JPY", 1), ("USD", Decimal("0.01"))])
def test_p19_sums_may_differ_by_a_minor_unit_for_each_line(currency: str, most: Decimal) -> None:
    for units_off, is_right in ((1, True), (-1, True), (2, False), (-2, False)):
        payment = Payment("ch_1", "card", WHOLE.lines[0].unit_price + units_off * most)
        order = msgspec.structs.replace(WHOLE, currency_code=currency, carries_money=True, payments=(payment,))
        assert (unfit(order) == "") is is_right, units_off


def test_p34_an_order_that_cannot_exist_is_none_and_not_all(retailops: Caller) -> None:
    everything = retailops.pull()
    assert len(everything) > 1
    first = everything[0]["channel_order_refnum"]
    for impossible in ("R" * 256, "R" * 200_000, "a\x00b"):
        assert retailops.pull(specific_orders=[{"channel_refnum": impossible}]) == []
        both = retailops.pull(specific_orders=[{"channel_refnum": impossible}, {"channel_refnum": first}])
        assert [order["channel_order_refnum"] for order in both] == [first]
