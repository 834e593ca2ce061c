"""Goods that came back: Pipe17 hears of them where it wants to, once, and no money is ever claimed to have moved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from app.domain.commands import ReturnedGoods, ReturnedLine
from app.errors import Refused
from app.sandbox.vendors.pipe17 import BASE_PATH, INTEGRATION_ID, INTEGRATION_KEY, LEGACY_KEY
from tests.channels import channel_table
from tests.gateways.vendors.pipe17.stage import Clock, Mail, Start, call, connect, event_codes, grant, request
from tests.passing_time import PassingTime
from tests.retailops import Caller, codes
from tests.sandboxes import Sandbox
from tests.waiting import eventually

REFRESH_S = 0.1


@pytest.fixture
def sandbox(start_pipe17: Start) -> Sandbox:
    """An organisation that wants to hear of returns."""
    started = start_pipe17(shipments=0)
    allow(started)
    return started


def allow(sandbox: Sandbox, value: bool = True, path: str = "returns.create") -> None:
    sandbox.tell(f"integrations/{INTEGRATION_ID}", {"settings": {path: value}}, "PUT")


def goods(made: dict[str, Any], units: int = 1, key: str = "600", **line: Any) -> ReturnedGoods:
    first = made["lineItems"][0]
    part = ReturnedLine(first["uniqueId"], first["sku"], units, reason="too red", **line)
    return ReturnedGoods(made["shipmentId"], key, (part,))


def expect(sandbox: Sandbox, made: dict[str, Any], units: int = 2) -> str:
    """The shop waits for a return of the order."""
    line = made["lineItems"][0]
    body = {"extReturnId": "SHOP-1", "extOrderId": made["extOrderId"], "status": "approved",
            "lineItems": [{"uniqueId": line["uniqueId"], "sku": line["sku"], "quantity": units}]}  # fmt: skip
    headers = {"X-Pipe17-Key": LEGACY_KEY}
    answer = requests.post(f"{sandbox.url}{BASE_PATH}/returns", json=body, headers=headers, timeout=5).json()
    return str(answer["return"]["returnId"])


def ours(sandbox: Sandbox) -> list[dict[str, Any]]:
    return [item for item in sandbox.state()["returns"] if item.get("integration") == INTEGRATION_ID]


def test_a_return_is_written_once_and_without_money(sandbox: Sandbox) -> None:
    made = request(sandbox)
    gateway = connect(sandbox)
    assert gateway.commands.records_returns(call("question"))
    assert gateway.commands.record_return(goods(made), call()).events == ()
    [held] = ours(sandbox)
    wanted = {"extReturnId": f"{made['shipmentId']}-600", "extOrderId": made["extOrderId"], "status": "received",
              "locationId": made["locationId"]}  # fmt: skip
    assert wanted.items() <= held.items()
    assert held["lineItems"] == [{"uniqueId": "1", "sku": "MUG-RED", "quantity": 1, "reason": "too red"}]
    assert not {"total", "refund", "subTotal"} & set(held)
    assert event_codes(gateway.commands.record_return(goods(made), call()).events) == [("info", "ALREADY_RECORDED")]
    assert len(ours(sandbox)) == 1

    # Other units under the same number are a correction.
    assert gateway.commands.record_return(goods(made, units=2), call()).events == ()
    assert [item["lineItems"][0]["quantity"] for item in ours(sandbox)] == [2]


def test_a_return_the_shop_waits_for_gets_a_receipt(sandbox: Sandbox) -> None:
    made = request(sandbox)
    return_id = expect(sandbox, made)
    gateway = connect(sandbox)
    assert gateway.commands.record_return(goods(made, source_sku="MUG-RED"), call()).events == ()
    [receipt] = sandbox.state()["receipts"]
    wanted = {"extReceiptId": f"{made['shipmentId']}-600", "returnId": return_id, "locationId": made["locationId"],
              "lineItems": [{"sku": "MUG-RED", "quantity": 1}]}  # fmt: skip
    assert wanted.items() <= receipt.items() and ours(sandbox) == []
    assert [item["status"] for item in sandbox.state()["returns"]] == ["received"]
    assert event_codes(gateway.commands.record_return(goods(made), call()).events) == [("info", "ALREADY_RECORDED")]
    assert event_codes(gateway.commands.record_return(goods(made, units=2), call()).events) == [
        ("warning", "CANNOT_CORRECT")
    ]
    assert len(sandbox.state()["receipts"]) == 1


def test_more_units_than_the_shop_waits_for_are_a_return_of_our_own(sandbox: Sandbox) -> None:
    made = request(sandbox)
    expect(sandbox, made, units=1)
    connect(sandbox).commands.record_return(goods(made, units=2), call())
    assert len(ours(sandbox)) == 1 and sandbox.state()["receipts"] == []


def test_the_units_go_under_pipe17s_own_sku(sandbox: Sandbox) -> None:
    sandbox.tell(f"integrations/{INTEGRATION_ID}", {"settings": {"sku_mapping": "MUG-RED:RO-MUG"}}, "PUT")
    made = request(sandbox)
    part = ReturnedLine("1", "RO-MUG", 1)
    connect(sandbox).commands.record_return(ReturnedGoods(made["shipmentId"], "600", (part,)), call())
    assert ours(sandbox)[0]["lineItems"][0]["sku"] == "MUG-RED"


def test_a_refused_return_is_told_in_our_own_words(sandbox: Sandbox) -> None:
    made = request(sandbox)
    sandbox.fault(kind="status", code=400, match={"method": "POST", "path_prefix": BASE_PATH})
    with pytest.raises(Refused, match="RETURN_REFUSED"):
        connect(sandbox).commands.record_return(goods(made), call())
    with pytest.raises(Refused, match="ORDER_UNKNOWN"):
        connect(sandbox).commands.record_return(ReturnedGoods("ffffffffffffffff", "601", ()), call())


@pytest.mark.parametrize("is_expected", [False, True], ids=["return", "receipt"])
def test_p9_a_return_whose_answer_was_lost_exists_exactly_once(start_pipe17: Start, is_expected: bool) -> None:
    clock = Clock()
    sandbox = start_pipe17(shipments=0, clock=clock)
    allow(sandbox)
    made = request(sandbox)
    if is_expected:
        expect(sandbox, made)
    sandbox.tell("settings", {"visible_after_s": 20}, "PUT")
    mail = Mail(connect(sandbox), "record_return", goods(made), made["shipmentId"], clock)
    sandbox.fault(kind="reset_after", times=1, match={"method": "POST", "path_prefix": BASE_PATH})
    settled = mail.attempt()
    assert (settled.state, settled.is_possibly_done) == ("owed", True)
    assert mail.attempt(later_s=10).state == "owed"
    assert mail.attempt(later_s=15).state == "delivered"
    collection = "receipts" if is_expected else "returns"
    assert sandbox.calls(f"POST /{collection}") == 1
    assert len([item for item in sandbox.state()[collection] if item.get("integration") == INTEGRATION_ID]) == 1


def test_a_403_switches_returns_off_and_holds_nothing_up(sandbox: Sandbox) -> None:
    grant(sandbox, returns="")
    made = request(sandbox)
    gateway = connect(sandbox)
    for _ in range(2):
        accepted = gateway.commands.record_return(goods(made), call())
        assert event_codes(accepted.events) == [("info", "RETURN_NOT_PASSED_ON")]
    assert sandbox.calls("GET /returns") == 1 and gateway.permissions()["returns"]
    assert not gateway.commands.records_returns(call("question"))


def test_a_key_that_may_make_returns_and_no_receipts_makes_returns(sandbox: Sandbox) -> None:
    grant(sandbox, receipts="")
    made = request(sandbox)
    gateway = connect(sandbox)
    assert gateway.commands.record_return(goods(made), call()).events == ()
    assert event_codes(gateway.commands.record_return(goods(made), call()).events) == [("info", "ALREADY_RECORDED")]
    assert len(ours(sandbox)) == 1 and not gateway.permissions()["returns"]

    # What the shop waits for would need a receipt; a return of our own beside it would count the goods twice.
    other = request(sandbox)
    expect(sandbox, other)
    accepted = gateway.commands.record_return(goods(other, key="601"), call())
    assert event_codes(accepted.events) == [("info", "RETURN_NOT_PASSED_ON")]
    assert len(ours(sandbox)) == 1 and not gateway.permissions()["returns"]


def test_what_nobody_wants_to_hear_costs_no_call(start_pipe17: Start) -> None:
    sandbox = start_pipe17(shipments=0)
    gateway = connect(sandbox)
    made = request(sandbox)
    assert not gateway.commands.records_returns(call("question"))
    assert event_codes(gateway.commands.record_return(goods(made), call()).events) == [("info", "RETURN_NOT_PASSED_ON")]
    allow(sandbox)
    allow(sandbox, False, "enabled_flows.returns")
    gateway.api.outdate()
    assert not gateway.commands.records_returns(call("question"))
    assert sandbox.calls("GET /returns") == sandbox.calls("GET /shipments/{id}") == 0


# From RetailOps to Pipe17


@pytest.fixture
def retailops(sandbox: Sandbox, build_app: Callable[..., Any], contract: Any) -> Caller:
    more = f'integration_id = "{INTEGRATION_ID}"\nintegration_refresh_s = {REFRESH_S}'
    return Caller(build_app(channel_table(sandbox.url, api_key=INTEGRATION_KEY, more=more)), contract)


def give_back(retailops: Caller, order: dict[str, Any], units: int = 1, number: Any = 9, **more: Any) -> dict[str, Any]:
    line = order["order_items"][0]
    item = {"channel_item_refnum": line["channel_item_refnum"], "sku": line["sku"], "quantity": units,
            "reason": "broken", "subtotal_amt": 5, **more}  # fmt: skip
    answer = retailops.ask(
        "order_returned",
        order={"channel_order_refnum": order["channel_order_refnum"]},
        **{"return": {"retailops_return_id": number, "refund_amt": 5, "refund_action": "refund", "items": [item]}},
    )
    assert (answer["payment_transactions"], answer["return"]["channel_store_credit_amount"]) == ([], 0)
    return answer


@pytest.fixture
def order(sandbox: Sandbox, retailops: Caller) -> dict[str, Any]:
    request(sandbox)
    [found] = retailops.pull()
    retailops.acknowledge(found["channel_order_refnum"])
    assert codes(retailops.ship(found)) == []
    return found


def test_r24_a_return_moves_no_money_and_is_told_to_pipe17_once(
    sandbox: Sandbox, retailops: Caller, order: dict[str, Any]
) -> None:
    for _ in range(2):
        assert codes(give_back(retailops, order)) == ["NO_MONEY_MOVED"]
    [held] = ours(sandbox)
    assert (held["extReturnId"], held["lineItems"][0]["quantity"]) == (f"{order['channel_order_refnum']}-9", 1)
    assert codes(give_back(retailops, order, units=2)) == ["NO_MONEY_MOVED", "RETURN_CORRECTED"]
    assert [item["lineItems"][0]["quantity"] for item in ours(sandbox)] == [2]
    give_back(retailops, order, number=10)
    assert len(ours(sandbox)) == 2
    for number in (11, "11", 11.0, "11.0", "0011"):
        unknown = give_back(retailops, order, number=number, sku="NOBODYS", channel_item_refnum="77")
        assert codes(unknown, "warning") == ["NO_MONEY_MOVED", "LINE_UNKNOWN"]
    assert [item["lineItems"][0]["sku"] for item in ours(sandbox)[2:]] == ["NOBODYS"], "one number is one return"


def test_p9_a_return_pipe17_does_not_take_now_is_owed_and_written_once(
    sandbox: Sandbox, retailops: Caller, order: dict[str, Any]
) -> None:
    sandbox.fault(kind="reset_before", times=1, match={"method": "POST", "path_prefix": f"{BASE_PATH}/returns"})
    answer = give_back(retailops, order)
    assert codes(answer, "error") == [] and "OWED" in codes(answer, "warning")
    eventually(lambda: len(ours(sandbox)) == 1)
    assert codes(give_back(retailops, order), "error") == []
    assert len(ours(sandbox)) == 1


def test_a_return_waits_while_the_integration_is_disabled(
    sandbox: Sandbox, retailops: Caller, order: dict[str, Any], time_passes: PassingTime
) -> None:
    sandbox.tell(f"integrations/{INTEGRATION_ID}", {"status": "disabled"}, "PUT")
    time_passes.move(REFRESH_S)
    assert codes(give_back(retailops, order)) == ["NO_MONEY_MOVED", "OWED"]
    assert ours(sandbox) == []
    sandbox.tell(f"integrations/{INTEGRATION_ID}", {"status": "connected"}, "PUT")
    eventually(lambda: len(ours(sandbox)) == 1)


def test_an_order_nobody_knows_is_named(retailops: Caller) -> None:
    unknown = {"channel_order_refnum": "ffffffffffffffff", "order_items": [{"channel_item_refnum": "1", "sku": "A"}]}
    assert codes(give_back(retailops, unknown)) == ["NO_MONEY_MOVED", "ORDER_UNKNOWN"]


def test_without_the_setting_only_the_warning_is_given(
    sandbox: Sandbox, retailops: Caller, order: dict[str, Any], time_passes: PassingTime
) -> None:
    allow(sandbox, False)
    time_passes.move(REFRESH_S)
    assert codes(give_back(retailops, order)) == ["NO_MONEY_MOVED"]
    assert ours(sandbox) == []
