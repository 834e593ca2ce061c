"""The life of an order through the server: each callback, repeated, out of order, and when something is wrong."""

from __future__ import annotations

import random
import threading
from collections import Counter
from typing import Any

import pytest

from app.channel import commands
from app.channel.actions import order_pull
from app.records import outbox
from app.records.database import DatabaseUnavailable
from tests.retailops import Caller, codes, shipment_of
from tests.sandboxes import Sandbox
from tests.waiting import eventually

pytestmark = pytest.mark.both_databases


@pytest.fixture
def orders(retailops: Caller) -> list[dict[str, Any]]:
    """Pulled and acknowledged orders with at least two units each."""
    pulled = [order for page in retailops.pull_all() for order in page]
    retailops.acknowledge(*[order["channel_order_refnum"] for order in pulled])
    return [order for order in pulled if sum(line["quantity"] for line in order["order_items"]) >= 2]


def test_p17_an_order_is_handed_out_until_acknowledged_and_never_after(retailops: Caller, pipe17: Sandbox) -> None:
    first = [order["channel_order_refnum"] for order in retailops.pull()]
    assert len(first) >= 6
    assert [order["channel_order_refnum"] for order in retailops.pull()] == first
    half = first[::2]
    assert codes(retailops.acknowledge(*half)) == []
    rest = [order["channel_order_refnum"] for order in retailops.pull()]
    assert rest == [refnum for refnum in first if refnum not in half]
    assert all(pipe17.shipment(refnum)["status"] == "sentToFulfillment" for refnum in half)


def test_p17_many_acknowledgements_are_kept_in_portions_so_that_asking_again_gets_on(
    retailops: Caller, pipe17: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One transaction for all of them would be cut off by a slow database, each time they are sent."""
    pipe17.tell("shipments", {"count": 50})
    refnums = [order["channel_order_refnum"] for order in retailops.pull()]
    assert len(refnums) > commands.PORTION + 10
    own_owe, owed = outbox.owe, 0

    def goes_away(*given: Any, **named: Any) -> Any:
        nonlocal owed
        owed += 1
        if owed == commands.PORTION + 10:
            raise DatabaseUnavailable("away")
        return own_owe(*given, **named)

    monkeypatch.setattr(outbox, "owe", goes_away)
    entries = [{"channel_order_refnum": refnum, "retailops_order_id": 7 + n} for n, refnum in enumerate(refnums)]
    assert retailops.post("order_acknowledge", orders=entries).status_code == 503
    left = [order["channel_order_refnum"] for order in retailops.pull()]
    assert left == refnums[commands.PORTION :]
    assert all(pipe17.shipment(refnum)["status"] == "sentToFulfillment" for refnum in refnums[: commands.PORTION])
    assert codes(retailops.ask("order_acknowledge", orders=entries)) == []
    assert retailops.pull() == []
    assert owed == len(refnums) + 10, "what was kept is not owed again"


def test_p17_an_acknowledged_order_stays_away_although_the_vendor_does_not_know_yet(
    retailops: Caller, pipe17: Sandbox
) -> None:
    refnum = retailops.pull()[0]["channel_order_refnum"]
    pipe17.fault(kind="status", code=503, times=1, match={"method": "PUT"})
    assert codes(retailops.acknowledge(refnum)) == ["OWED"]
    assert pipe17.shipment(refnum)["status"] == "readyForFulfillment"
    assert refnum not in [order["channel_order_refnum"] for order in retailops.pull()]
    eventually(lambda: pipe17.shipment(refnum)["status"] == "sentToFulfillment")


def test_named_orders_come_whatever_their_state_in_the_order_asked_for(retailops: Caller) -> None:
    refnums = [order["channel_order_refnum"] for order in retailops.pull()]
    retailops.acknowledge(refnums[0])
    wanted = [refnums[1], "no such / order?", refnums[0], refnums[1], ""]
    answer = retailops.ask("order_pull", specific_orders=[{"channel_refnum": item} for item in wanted])
    assert [order["channel_order_refnum"] for order in answer["orders"]] == [refnums[1], refnums[0]]
    assert answer["next_page_token"] == ""


def test_p18_every_order_is_reached_once_while_others_arrive_and_are_acknowledged(
    retailops: Caller, pipe17: Sandbox, seed: int
) -> None:
    roll = random.Random(seed)
    pipe17.tell("shipments", {"count": 330})
    waiting = {item["shipmentId"] for item in pipe17.state()["shipments"] if item["status"] == "readyForFulfillment"}
    seen: Counter[str] = Counter()
    token, pages = "", 0
    while True:
        answer = retailops.ask("order_pull", page_token=token)
        refnums = [order["channel_order_refnum"] for order in answer["orders"]]
        assert len(refnums) <= 100
        seen.update(refnums)
        if refnums and roll.random() < 0.8:
            retailops.acknowledge(*roll.sample(refnums, roll.randint(1, len(refnums))))
        if pages < 2:
            pipe17.tell("shipments", {"count": roll.randint(1, 20)})
        pages += 1
        token = answer["next_page_token"]
        assert len(token) <= 35
        if not token:
            break
    assert set(seen.values()) == {1}
    assert pages >= 4
    missed = waiting - set(seen)
    with retailops.database.read() as connection:
        held = set(connection.exec_driver_sql("select refnum from held_back").scalars())
    assert all(pipe17.shipment(refnum).get("orderType") == "transfer" for refnum in missed - held)


def test_p18_orders_never_acknowledged_do_not_hide_the_others(retailops: Caller, pipe17: Sandbox) -> None:
    pipe17.tell("reset", {"shipments": 0, "seed": 3})
    pipe17.tell("shipments", {"count": 110})
    for _ in range(5):
        stubborn = [order["channel_order_refnum"] for order in retailops.pull()]
        assert len(stubborn) == 100
    page = [order["channel_order_refnum"] for order in retailops.pull()]
    fresh = [refnum for refnum in page if refnum not in stubborn]
    assert fresh and page[: len(fresh)] == fresh, "fresh ones go first"
    pages = retailops.pull_all()
    reached = [order["channel_order_refnum"] for page in pages for order in page]
    assert set(reached) >= set(stubborn) and len(reached) == len(set(reached))


@pytest.mark.parametrize("token", ["string", "x" * 35, "AA", "é" * 35, "../../etc/passwd", "1" * 400, None, 5])
def test_a_foreign_page_token_starts_the_walk_again(retailops: Caller, token: Any) -> None:
    assert retailops.pull(page_token=token) == retailops.pull(page_token="")


def test_an_order_that_cannot_be_sent_is_held_back_and_blocks_nothing(retailops: Caller) -> None:
    assert len(retailops.pull()) >= 6
    with retailops.database.read() as connection:
        reasons = connection.exec_driver_sql("select reason from held_back").scalars().all()
    assert any("currency" in reason for reason in reasons)
    assert any("fraction" in reason or "whole" in reason for reason in reasons)


def test_p18_the_operator_sees_what_is_held_back_a_page_with_each_pull(
    retailops: Caller, pipe17: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is locked while it is noted, and PostgreSQL has room for some thousand locks."""
    pipe17.tell("reset", {"shipments": 0, "seed": 3})
    pipe17.tell("shipments", {"count": 30})
    monkeypatch.setattr(order_pull, "PAGE", 10)
    monkeypatch.setattr(order_pull, "unfit", lambda order: "it has no lines")

    def count() -> int:
        with retailops.database.read() as connection:
            return int(connection.exec_driver_sql("select count(*) from held_back").scalar_one())

    assert retailops.pull() == [] and count() == 10
    assert retailops.pull() == [] and count() == 20
    for _ in range(3):
        assert retailops.pull() == []
    assert count() >= 30
    monkeypatch.undo()
    assert len(retailops.pull()) >= 20 and count() < 30


def test_acknowledging_judges_each_entry_by_itself(retailops: Caller) -> None:
    refnum = retailops.pull()[0]["channel_order_refnum"]
    entries = [
        {"channel_order_refnum": "ffffffffffffffff", "retailops_order_id": 5},
        {"channel_order_refnum": refnum, "retailops_order_id": 0},
        {"retailops_order_id": 9},
    ]
    answer = retailops.ask("order_acknowledge", orders=entries)
    assert sorted(codes(answer)) == ["INVALID_REQUIRED", "ORDER_UNKNOWN"]
    entries = [{"channel_order_refnum": refnum, "retailops_order_id": number} for number in (71,)]
    assert codes(retailops.ask("order_acknowledge", orders=entries)) == ["RETAILOPS_ID_ADDED"]
    assert codes(retailops.ask("order_acknowledge", orders=entries), "warning") == []
    entries[0]["retailops_order_id"] = 72
    changed = retailops.ask("order_acknowledge", orders=entries)
    assert codes(changed) == ["RETAILOPS_ID_CHANGED"]
    assert changed["events"][0]["associations"] == [{"identifier_type": "order_id", "identifier": "72"}]


def test_p10_a_shipment_ten_times_at_once_is_one_fulfilment_per_package(
    retailops: Caller, pipe17: Sandbox, orders: list[dict[str, Any]]
) -> None:
    order = orders[0]
    answers: list[dict[str, Any]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(retailops.ship(order, 501, packages=2))) for _ in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 10 and all(codes(answer, "error") == [] for answer in answers)
    held = pipe17.fulfilments(order["channel_order_refnum"])
    refnum = order["channel_order_refnum"]
    assert sorted(item["extFulfillmentId"] for item in held) == [f"{refnum}-501-1", f"{refnum}-501-2"]


def test_p10_more_packages_of_a_known_shipment_are_added(
    retailops: Caller, pipe17: Sandbox, orders: list[dict[str, Any]]
) -> None:
    order = orders[0]
    retailops.ship(order, 501, packages=1, package_items=[{**_first_line(order), "quantity": 1}])
    both = shipment_of(order, 501, 2)
    both["packages"][0]["package_items"] = [{**_first_line(order), "quantity": 1}]
    answer = retailops.ask("order_shipment_submit", channel_order_refnum=order["channel_order_refnum"], shipment=both)
    assert codes(answer, "error") == []
    assert len(pipe17.fulfilments(order["channel_order_refnum"])) == 2


def _first_line(order: dict[str, Any]) -> dict[str, Any]:
    line = order["order_items"][0]
    return {"sku": line["sku"], "channel_item_refnum": line["channel_item_refnum"]}


def test_p11_a_package_told_again_with_other_tracking_is_never_swallowed(
    retailops: Caller, pipe17: Sandbox, orders: list[dict[str, Any]]
) -> None:
    retailops.ship(orders[0], 501)
    for spelled in ("501", 501.0, "501.0", "00501"):
        assert codes(retailops.ship(orders[0], spelled, tracking_number="1Z5011", retailops_package_id="01")) == []
    mended = retailops.ship(orders[0], 501, tracking_number="1ZOTHER")
    assert codes(mended) == codes(mended, "info") == ["SHIPMENT_CORRECTED"]
    assert len(pipe17.fulfilments(orders[0]["channel_order_refnum"])) == 1
    assert [item["trackingNumber"] for item in pipe17.state()["trackings"]] == ["1ZOTHER"]
    # What stands beside a fulfilment can be mended again; its contents and weight cannot.
    assert codes(retailops.ship(orders[0], 501, tracking_number="1ZTHIRD")) == ["SHIPMENT_CORRECTED"]
    assert [item["trackingNumber"] for item in pipe17.state()["trackings"]] == ["1ZTHIRD"]
    same = {"tracking_number": "1ZTHIRD"}
    assert codes(retailops.ship(orders[0], 501, weight_kg=9, **same)) == ["CANNOT_CORRECT"]
    # Of two changes at once each has its result, and a repeat says the same.
    both = retailops.ship(orders[0], 501, weight_kg=8, tracking_number="1ZFOURTH")
    assert codes(both, "info") == ["SHIPMENT_CORRECTED"] and codes(both, "warning") == ["CANNOT_CORRECT"]
    assert [item["trackingNumber"] for item in pipe17.state()["trackings"]] == ["1ZFOURTH"]
    assert retailops.ship(orders[0], 501, weight_kg=8, tracking_number="1ZFOURTH") == both


def test_packages_without_numbers_are_known_by_tracking_and_contents(
    retailops: Caller, pipe17: Sandbox, orders: list[dict[str, Any]]
) -> None:
    items = [{**_first_line(orders[0]), "quantity": 1}]
    for tracking in ("A1", "A1", "A2"):
        retailops.ship(orders[0], 0, retailops_package_id=0, tracking_number=tracking, package_items=items)
    assert len(pipe17.fulfilments(orders[0]["channel_order_refnum"])) == 2


def test_units_beyond_the_order_are_cut_and_unknown_lines_told(
    retailops: Caller, pipe17: Sandbox, orders: list[dict[str, Any]]
) -> None:
    order = orders[0]
    line = order["order_items"][0]
    items = [
        {"sku": line["sku"], "channel_item_refnum": line["channel_item_refnum"], "quantity": line["quantity"] + 5},
        {"sku": "NO-SUCH-SKU", "channel_item_refnum": "77", "quantity": 1},
    ]
    answer = retailops.ship(order, 501, package_items=items)
    assert sorted(codes(answer)) == ["LINE_UNKNOWN", "MORE_THAN_ORDERED"]
    [fulfilment] = pipe17.fulfilments(order["channel_order_refnum"])
    assert [item["quantity"] for item in fulfilment["lineItems"]] == [line["quantity"]]


def test_p12_an_order_cancelled_already_is_success(
    retailops: Caller, pipe17: Sandbox, orders: list[dict[str, Any]]
) -> None:
    refnum = orders[0]["channel_order_refnum"]
    pipe17.tell(f"shipments/{refnum}/cancel", {})
    answer = retailops.cancel(refnum)
    assert answer["status"] == "success"
    assert codes(answer) == ["ALREADY_CANCELLED"]
    assert retailops.cancel(refnum) == answer


def test_p12_an_order_acknowledged_twice_is_success(retailops: Caller, pipe17: Sandbox) -> None:
    refnum = retailops.pull()[0]["channel_order_refnum"]
    assert codes(retailops.acknowledge(refnum)) == codes(retailops.acknowledge(refnum)) == []
    assert pipe17.calls("PUT /shipments/{id}") == 1


def test_r21_an_order_that_shipped_is_not_cancelled(
    retailops: Caller, pipe17: Sandbox, orders: list[dict[str, Any]]
) -> None:
    order = orders[0]
    retailops.ship(order, 501)
    answer = retailops.cancel(order["channel_order_refnum"])
    assert answer["status"] == "fail"
    assert answer["events"][0]["associations"] == [{"identifier_type": "shipment_id", "identifier": "501"}]
    assert pipe17.shipment(order["channel_order_refnum"])["status"] == "fulfilled"


def test_a_cancelled_order_cannot_ship(retailops: Caller, pipe17: Sandbox, orders: list[dict[str, Any]]) -> None:
    order = orders[0]
    assert retailops.cancel(order["channel_order_refnum"])["status"] == "success"
    assert codes(retailops.ship(order)) == ["ORDER_CANCELLED"]
    assert pipe17.fulfilments(order["channel_order_refnum"]) == []


def test_r10_a_cancellation_that_surely_failed_leaves_nothing_behind(
    retailops: Caller, pipe17: Sandbox, orders: list[dict[str, Any]]
) -> None:
    refnum = orders[0]["channel_order_refnum"]
    pipe17.fault(kind="status", code=429, times=1, match={"method": "PUT"})
    assert retailops.cancel(refnum)["status"] == "fail"
    assert pipe17.shipment(refnum)["status"] == "sentToFulfillment"
    assert retailops.cancel(refnum)["status"] == "success"


def test_r10_a_cancellation_of_unknown_outcome_is_found_out_in_the_background(
    retailops: Caller, hasty: Caller, pipe17: Sandbox, orders: list[dict[str, Any]]
) -> None:
    done, undone = orders[0]["channel_order_refnum"], orders[1]["channel_order_refnum"]
    pipe17.fault(kind="reset_after", times=1, match={"method": "PUT"})
    answer = retailops.cancel(done)
    assert (answer["status"], codes(answer)) == ("fail", ["OUTCOME_UNKNOWN"])
    eventually(lambda: retailops.cancel(done)["status"] == "success")
    pipe17.fault(kind="hang", times=1, match={"method": "PUT"})
    assert hasty.cancel(undone)["status"] == "fail"
    puts = pipe17.calls("PUT /shipments/{id}")
    eventually(lambda: _open_deliveries(retailops) == 0)
    assert pipe17.calls("PUT /shipments/{id}") == puts, "a held decision is looked up, never sent again"
    assert retailops.cancel(undone)["status"] == "success"


def _open_deliveries(retailops: Caller) -> int:
    with retailops.database.read() as connection:
        query = "select count(*) from deliveries where state in ('owed', 'checking', 'parked')"
        return int(connection.exec_driver_sql(query).scalar_one())


def test_p9_a_fulfilment_of_unknown_outcome_exists_once(
    retailops: Caller, pipe17: Sandbox, orders: list[dict[str, Any]]
) -> None:
    """The vendor did the work, reset the connection, and shows it late: looked up, never made twice (R11)."""
    refnum = orders[0]["channel_order_refnum"]
    pipe17.tell("settings", {"visible_after_s": 0.6}, "PUT")
    pipe17.fault(kind="reset_after", times=1, match={"method": "POST", "path_prefix": "/api/v3/fulfillments"})
    assert codes(retailops.ship(orders[0])) == ["OWED"]
    eventually(lambda: _open_deliveries(retailops) == 0)
    assert len(pipe17.fulfilments(refnum)) == 1
    assert pipe17.calls("POST /fulfillments") == 1
    assert codes(retailops.ship(orders[0]), "error") == []


def test_p9_a_fulfilment_that_was_not_done_is_made_after_the_vendor_had_its_time(
    retailops: Caller, pipe17: Sandbox, orders: list[dict[str, Any]]
) -> None:
    pipe17.fault(kind="reset_before", times=1, match={"method": "POST", "path_prefix": "/api/v3/fulfillments"})
    assert codes(retailops.ship(orders[0])) == ["OWED"]
    eventually(lambda: len(pipe17.fulfilments(orders[0]["channel_order_refnum"])) == 1)


def test_r12_calls_for_one_order_keep_their_order(
    retailops: Caller, pipe17: Sandbox, orders: list[dict[str, Any]]
) -> None:
    """A shipment behind an owed one waits for it, and a cancellation behind both is refused."""
    order = orders[0]
    one = [{**_first_line(order), "quantity": 1}]
    pipe17.fault(kind="status", code=429, retry_after=2, times=1, match={"method": "POST"})
    assert codes(retailops.ship(order, 501, package_items=one)) == ["OWED"]
    assert codes(retailops.ship(order, 502, package_items=[{**_last_line(order), "quantity": 1}])) == ["QUEUED"]
    assert retailops.cancel(order["channel_order_refnum"])["status"] == "fail"
    eventually(lambda: len(pipe17.fulfilments(order["channel_order_refnum"])) == 2)
    held = pipe17.fulfilments(order["channel_order_refnum"])
    refnum = order["channel_order_refnum"]
    assert [item["extFulfillmentId"] for item in held] == [f"{refnum}-501-1", f"{refnum}-502-1"]


def _last_line(order: dict[str, Any]) -> dict[str, Any]:
    line = order["order_items"][-1]
    return {"sku": line["sku"], "channel_item_refnum": line["channel_item_refnum"]}


def _complete(retailops: Caller, order: dict[str, Any], **content: Any) -> dict[str, Any]:
    return retailops.ask("order_complete", order={"channel_order_refnum": order["channel_order_refnum"], **content})


def test_r22_completing_registers_missing_shipments_and_rejects_only_named_units(
    retailops: Caller, pipe17: Sandbox, orders: list[dict[str, Any]]
) -> None:
    order = orders[0]
    refnum = order["channel_order_refnum"]
    shipped = shipment_of(order, 601)
    shipped["packages"][0]["package_items"] = [{**_first_line(order), "quantity": 1}]
    unshipped = [
        {**_unit(line), "unshipped_quantity": line["quantity"] - (1 if line is order["order_items"][0] else 0)}
        for line in order["order_items"]
    ]
    answer = _complete(retailops, order, shipments=[shipped], unshipped_items=unshipped)
    assert (answer["status"], codes(answer)) == ("success", [])
    held = pipe17.fulfilments(refnum)
    assert len(held) == 2
    [rejected] = [item for item in held if item.get("fulfillmentType") == "rejected"]
    ordered = sum(line["quantity"] for line in order["order_items"])
    assert sum(item["quantity"] for item in rejected["lineItems"]) == ordered - 1
    assert _complete(retailops, order, shipments=[shipped], unshipped_items=unshipped) == answer
    assert retailops.ask("order_shipment_submit", channel_order_refnum=refnum, shipment=shipped)["events"] == []
    assert len(pipe17.fulfilments(refnum)) == 2
    fewer = _complete(
        retailops, order, shipments=[shipped], unshipped_items=[{**unshipped[0], "unshipped_quantity": 0}]
    )
    assert fewer["status"] == "success" and len(pipe17.fulfilments(refnum)) == 2, "what was rejected stays rejected"


def _unit(line: dict[str, Any]) -> dict[str, Any]:
    return {
        "sku": line["sku"],
        "channel_item_refnum": line["channel_item_refnum"],
        "ordered_quantity": line["quantity"],
    }


def test_r22_shipped_units_stay_shipped_whatever_unshipped_items_says(
    retailops: Caller, pipe17: Sandbox, orders: list[dict[str, Any]]
) -> None:
    order = orders[0]
    retailops.ship(order, 501)
    everything = [{**_unit(line), "unshipped_quantity": line["quantity"]} for line in order["order_items"]]
    answer = _complete(retailops, order, unshipped_items=everything)
    assert answer["status"] == "success" and set(codes(answer)) == {"SHIPPED_ALREADY"}
    [fulfilment] = pipe17.fulfilments(order["channel_order_refnum"])
    assert fulfilment.get("fulfillmentType") != "rejected"


def test_r22_completing_with_open_units_and_no_word_about_them_fails(
    retailops: Caller, pipe17: Sandbox, orders: list[dict[str, Any]]
) -> None:
    answer = _complete(retailops, orders[0], shipments=None, unshipped_items=[])
    assert (answer["status"], codes(answer)) == ("fail", ["UNITS_UNACCOUNTED"])
    assert pipe17.fulfilments(orders[0]["channel_order_refnum"]) == []
    retailops.ship(orders[0], 501)
    assert _complete(retailops, orders[0])["status"] == "success"


@pytest.mark.parametrize("refnum", ["496", "string", "0123456789abcdef", "a/b?c#d", "😀", "x" * 200])
def test_unknown_orders_are_answered_with_a_valid_200(retailops: Caller, refnum: str) -> None:
    assert codes(retailops.acknowledge(refnum)) == ["ORDER_UNKNOWN"]
    assert retailops.cancel(refnum)["status"] == "fail"
    assert codes(retailops.ask("order_shipment_submit", channel_order_refnum=refnum)) == ["ORDER_UNKNOWN"]
    assert codes(retailops.ask("order_complete", order={"channel_order_refnum": refnum})) == ["ORDER_UNKNOWN"]


def test_r24_money_is_answered_honestly(retailops: Caller, orders: list[dict[str, Any]]) -> None:
    order = {"channel_order_refnum": orders[0]["channel_order_refnum"]}
    settled = retailops.ask("order_settle_payment", order=order, payment={"currency_code": "USD"})
    assert (codes(settled, "info"), codes(settled, "error")) == (["NOT_APPLICABLE"], [])
    returned = retailops.ask("order_returned", order=order, **{"return": {"retailops_return_id": 9, "refund_amt": 5}})
    assert codes(returned) == ["NO_MONEY_MOVED"]
    assert (returned["payment_transactions"], returned["return"]["channel_store_credit_amount"]) == ([], 0)
    parents = [{"payment_type": "Visa", "refnum": "p1", "amount": 9}]
    credit = retailops.ask("payment_credit", credit={"amount": 5, "parent_payment_transactions": parents})
    assert (credit["status"], credit["amount"]) == ("fail", 0)
    assert "selling channel" in credit["message"]


def test_r13_stock_stated_again_is_sent_again_and_a_facility_no_longer_named_becomes_zero(
    retailops: Caller, pipe17: Sandbox
) -> None:
    sku = pipe17.state()["inventory"][0]["sku"]

    def push(**facilities: int) -> None:
        details = [
            {"quantity_type": "internal", "facility_name": f"{name} DC", "available_quantity": units - 1,
             "total_quantity": units} for name, units in facilities.items()
        ]  # fmt: skip
        rows = [{"sku": sku, "quantity_available": sum(facilities.values()), "quantity_detail": details}]
        assert retailops.ask("inventory_push", inventory_updates=rows)["events"] == []
        eventually(lambda: _unheard(retailops) == 0)

    push(Dallas=11, Reno=12)
    assert sorted(_on_hand(pipe17, sku)) == [11, 12]
    sent = pipe17.calls("POST /inventory")
    push(Dallas=11, Reno=12)
    assert pipe17.calls("POST /inventory") == sent + 1
    push(Dallas=9)
    assert sorted(_on_hand(pipe17, sku)) == [0, 9]


def _on_hand(pipe17: Sandbox, sku: str) -> list[int]:
    owned = {item["locationId"] for item in pipe17.state()["locations"] if item["name"] in ("Dallas DC", "Reno DC")}
    return [
        item["onHand"] for item in pipe17.state()["inventory"] if item["sku"] == sku and item["locationId"] in owned
    ]


def _unheard(retailops: Caller) -> int:
    with retailops.database.read() as connection:
        return int(connection.exec_driver_sql("select count(*) from stock where seq > sent_seq").scalar_one())


def test_p27_the_newest_stock_wins_after_the_vendor_was_away(retailops: Caller, pipe17: Sandbox) -> None:
    sku = pipe17.state()["inventory"][0]["sku"]
    pipe17.fault(kind="status", code=503, times=2, match={"method": "POST"})
    for units in (31, 32, 33):
        detail = {"quantity_type": "internal", "facility_name": "Dallas DC", "available_quantity": units,
                  "total_quantity": units}  # fmt: skip
        row = {"sku": sku, "quantity_available": units, "quantity_detail": [detail]}
        retailops.ask("inventory_push", inventory_updates=[row])
    eventually(lambda: _unheard(retailops) == 0)
    assert 33 in _on_hand(pipe17, sku)


def test_a_sku_named_twice_in_one_push_counts_by_its_last_row(retailops: Caller) -> None:
    rows = [{"sku": "TWICE", "quantity_available": units} for units in (1, 2)]
    assert codes(retailops.ask("inventory_push", inventory_updates=rows)) == ["DUPLICATE_SKU"]
    with retailops.database.read() as connection:
        level = connection.exec_driver_sql("select level from stock where sku = 'TWICE'").scalar_one()
    assert level == b"[2,[]]"


def test_the_server_answers_503_when_orders_cannot_be_read(retailops: Caller, pipe17: Sandbox) -> None:
    pipe17.fault(kind="status", code=500, times=50)
    reply = retailops.post("order_pull")
    assert reply.status_code == 503 and int(reply.headers["Retry-After"]) > 0


def test_r18_what_was_called_off_is_asked_for_only_while_retailops_has_open_orders(
    retailops: Caller, pipe17: Sandbox
) -> None:
    retailops.pull()
    of_the_first = pipe17.calls("GET /shipments")
    retailops.pull()
    assert pipe17.calls("GET /shipments") == 2 * of_the_first + 1
