"""RetailOps' ids have one form however a callback spells them, so that it stays the same callback (R7, P10, P19)."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.contract.schemas import Contract
from app.records.tables.orders import packages
from tests import ROOT
from tests.gateways.vendors.rally.shop import MUG, TEE, Shop, opened
from tests.retailops import codes

pytestmark = pytest.mark.both_databases

SCHEMAS = ROOT / "schemas"

SPELLINGS: tuple[Any, ...] = (7, 7.0, "7", "7.0", "007", "+7", " 7 ", "+07.00")
"""One number; the first is what is posted first."""


@pytest.fixture
def shop(build_app: Callable[..., Flask], contract: Contract) -> Iterator[Shop]:
    with ExitStack() as stack:
        shop = stack.enter_context(opened(build_app, contract))
        shop.offer(TEE=99, MUG=99)
        yield shop


def ids_of(schema: dict[str, Any], place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where a request has ids of RetailOps; "*" stands for the elements of a list."""
    for name, part in schema.get("properties", {}).items():
        is_id = (name.startswith("retailops_") and name.endswith("_id")) or name == "order_item_id"
        if is_id or name == "payment_series_id":
            yield (*place, name)
        yield from ids_of(part, (*place, name))
    if isinstance(schema.get("items"), dict):
        yield from ids_of(schema["items"], (*place, "*"))


def spelled(body: dict[str, Any], places: set[tuple[str, ...]], number: Any) -> dict[str, Any]:
    """The body with every id of RetailOps that it has spelled like this; each of `places` is in it."""
    found: set[tuple[str, ...]] = set()

    def walk(value: Any, place: tuple[str, ...]) -> Any:
        if isinstance(value, dict):
            return {name: walk(part, (*place, name)) for name, part in value.items()}
        if isinstance(value, list):
            return [walk(part, (*place, "*")) for part in value]
        if place in places:
            found.add(place)
            return number
        return value

    changed: dict[str, Any] = walk(body, ())
    assert found == places, f"the body lacks {places - found}: state every id the schema knows"
    return changed


def body_of(callback: str, order: dict[str, Any]) -> dict[str, Any]:
    """A request about the order that holds every id its schema knows, each 0."""
    refnum = order["channel_order_refnum"]
    tee, mug = (line["channel_item_refnum"] for line in order["order_items"])
    contents = {"retailops_order_item_id": 0, "retailops_shipment_item_id": 0, "channel_item_refnum": mug,
                "sku": MUG, "quantity": 1}  # fmt: skip
    package = {"retailops_package_id": 0, "tracking_number": "1Z1", "package_items": [contents]}
    shipment = {"retailops_shipment_id": 0, "packages": [package]}
    line = {"order_item_id": 0, "channel_item_refnum": tee, "sku": TEE, "quantity": 1, "unit_price": 20}
    whole = {"channel_order_refnum": refnum, "retailops_order_id": 0, "order_items": [line], "shipments": [shipment]}
    item = {"retailops_item_id": 0, "channel_item_refnum": mug, "sku": MUG, "quantity": 1, "subtotal_amt": 20}
    returned = {"retailops_return_id": 0, "retailops_rma_id": 0, "items": [item]}
    payment = {"payment_series_id": 0, "currency_code": "USD",
               "payment_transactions": [{"transaction_type": "charge", "amount": 3, "status": "success"}]}  # fmt: skip
    bodies: dict[str, dict[str, Any]] = {
        "order_acknowledge": {"orders": [{"channel_order_refnum": refnum, "retailops_order_id": 0}]},
        "order_cancel": {"order": {"retailops_order_id": 0}},
        "order_complete": {
            "order": {**whole, "unshipped_items": [{"channel_item_refnum": tee, "unshipped_quantity": 1}]}
        },
        "order_returned": {"order": whole, "return": {**returned, "refund_amt": 7.5, "refund_action": "refund"}},
        "order_settle_payment": {"order": whole, "payment": payment},
        "order_shipment_submit": {"channel_order_refnum": refnum, "retailops_order_id": 0, "shipment": shipment},
        "order_update": {"order": whole, "rmas": [returned]},
    }
    return bodies[callback]


def orders_told(shop: Shop) -> list[str]:
    """Calls Rally got about orders since `forget`."""
    return [call["path"] for call in shop.told() if "order" in call["path"]]


CALLBACKS = sorted(
    path.stem.removesuffix("_v1")
    for path in SCHEMAS.glob("*.json")
    if any(ids_of(json.loads(path.read_text())["links"][0]["schema"]))
)


def test_p10_a_callback_is_the_same_however_it_spells_retailops_ids(shop: Shop) -> None:
    assert len(CALLBACKS) == 7
    for callback in CALLBACKS:
        schema = json.loads((SCHEMAS / f"{callback}_v1.json").read_text())["links"][0]["schema"]
        places = set(ids_of(schema))
        order = shop.buy_and_pull(skus={TEE: 2, MUG: 1})
        refnum = order["channel_order_refnum"]
        shop.retailops.ask("order_acknowledge", orders=[{"channel_order_refnum": refnum, "retailops_order_id": "07"}])
        first, *others = SPELLINGS
        body = body_of(callback, order)
        assert codes(shop.retailops.ask(callback, **spelled(body, places, first)), "error") == [], callback
        answer = shop.retailops.ask(callback, **spelled(body, places, first))
        held = shop.at_rally(refnum)
        shop.forget()
        for number in others:
            assert shop.retailops.ask(callback, **spelled(body, places, number)) == answer, f"{callback}: {number!r}"
        assert shop.at_rally(refnum) == held and not orders_told(shop), callback
        # The next order is acknowledged under the same number, which has to be its alone.
        shop.retailops.ask("order_acknowledge", orders=[{"channel_order_refnum": refnum, "retailops_order_id": 8}])


def test_p34_zero_in_any_spelling_is_no_number(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 1})
    for number, severity in (*((zero, "info") for zero in (0, "00", "0.0", -0.0, "null", None, "")), (5, "warning")):
        shipment = {"retailops_shipment_id": number, "packages": []}
        refnum = order["channel_order_refnum"]
        answer = shop.retailops.ask("order_shipment_submit", channel_order_refnum=refnum, shipment=shipment)
        assert codes(answer) == codes(answer, severity) == ["NO_PACKAGES"], number


def test_p19_a_credit_does_not_change_with_parents_nobody_knows(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 2})
    payment = order["payment_transactions"][0]["refnum"]
    refnum = order["channel_order_refnum"]
    first = shop.credit(5, payment)
    assert first["status"] == "success"
    for parents in ((payment, "X"), ("X", payment), ("Y", "X", payment, payment), (f" {payment}", payment), ("7", "A")):
        again = shop.credit(5, *parents)
        is_known = payment in parents
        assert again["status"] == ("success" if is_known else "fail"), parents
        assert again["refnum"] == (first["refnum"] if is_known else ""), parents
    assert len(shop.at_rally(refnum)["refunds"]) == 1


def test_p10_p19_a_return_is_the_same_however_its_goods_and_money_are_stated(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 3, MUG: 3})
    refnum, tee = order["channel_order_refnum"], order["order_items"][0]["channel_item_refnum"]
    item = {"channel_item_refnum": tee, "sku": TEE, "quantity": 2, "subtotal_amt": 14.2}
    half = {**item, "quantity": 1, "subtotal_amt": 7.1}
    as_32_bits = struct.unpack("f", struct.pack("f", 14.2))[0]

    def give_back(number: int, items: list[dict[str, Any]], amount: Any = 14.2) -> dict[str, Any]:
        returned = {"retailops_return_id": number, "refund_amt": amount, "refund_action": "refund", "items": items}
        order = {"channel_order_refnum": refnum}
        answer: dict[str, Any] = shop.retailops.ask("order_returned", **{"order": order, "return": returned})
        return answer

    for count, number in enumerate((0, 7), 1):
        first = give_back(number, [{"sku": TEE, "quantity": 2, "subtotal_amt": 14.2}])
        for items, amount in (
            ([item], "14.20"),
            ([{**item, "subtotal_amt": as_32_bits}], as_32_bits),
            ([{**item, "sku": ""}], 14.2),
            ([{**item, "channel_item_refnum": f" {tee} ", "sku": f"{TEE} "}], 14.2),
            ([half, half], 14.2),
            ([{}, item, {"sku": MUG, "quantity": 0, "subtotal_amt": 0}], 14.2),
        ):
            assert give_back(number, items, amount) == first, (number, items)
        assert len(shop.at_rally(refnum)["refunds"]) == count
    assert len(first["payment_transactions"]) == 1
    other = give_back(0, [{**item, "sku": "", "channel_item_refnum": order["order_items"][1]["channel_item_refnum"]}])
    assert other["payment_transactions"] != first["payment_transactions"], "other goods"
    assert codes(give_back(7, [half]), "error") == ["REFUND_ALTERED"]


def test_p10_a_package_without_numbers_is_the_same_however_its_contents_are_stated(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 9, MUG: 3})
    refnum, tee = order["channel_order_refnum"], order["order_items"][0]["channel_item_refnum"]
    item = {"channel_item_refnum": tee, "sku": TEE, "quantity": 2}

    def submit(items: list[dict[str, Any]], tracking_number: str = "1Z1") -> dict[str, Any]:
        packages = [{"tracking_number": tracking_number, "package_items": items}]
        answer: dict[str, Any] = shop.retailops.ask(
            "order_shipment_submit", channel_order_refnum=refnum, shipment={"packages": packages}
        )
        return answer

    def kept() -> list[tuple[str, bytes]]:
        with shop.database.read() as connection:
            rows = connection.execute(select(packages.c.key, packages.c.lines).where(packages.c.order_refnum == refnum))
            return [(row.key, row.lines) for row in rows]

    assert submit([{"sku": TEE, "quantity": 2}])["events"] == []
    first = kept()
    spelled = (
        [item], [{**item, "sku": ""}], [{**item, "quantity": 1}] * 2,
        [{}, {**item, "channel_item_refnum": f" {tee}", "sku": f"{TEE} "}, {"sku": MUG, "quantity": 0}],
    )  # fmt: skip
    for items in spelled:
        assert submit(items)["events"] == [] and kept() == first, items
    submit([item], "1Z2")
    assert len(kept()) == 2, "another box"
