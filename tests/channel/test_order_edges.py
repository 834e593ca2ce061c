"""Orders that must not stop coming, come alive again, or cost their neighbours."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from app.channel import paging, source_cancellations
from app.channel.actions import order_pull
from app.channel.actions.order_pull import TIRED_AFTER
from app.clock import utc_now
from app.domain.orders import Candidate
from app.errors import Unavailable
from app.gateways.vendors.pipe17.orders.order_source import Pipe17Orders
from app.records import handed_out as remembered
from app.records import search_keys
from app.records.tables.orders import handed_out, held_back
from tests.retailops import Caller, codes
from tests.sandboxes import Sandbox
from tests.waiting import eventually


def refnums(orders: list[dict[str, Any]]) -> list[str]:
    return [order["channel_order_refnum"] for order in orders]


def test_p17_an_order_still_comes_to_a_caller_that_never_uses_tokens(retailops: Caller) -> None:
    """SDK contract 1.6 and 4.5: the caller may only ever send a blank token; R18 puts such orders behind, not away."""
    first = refnums(retailops.pull())
    assert 0 < len(first) < 100
    for _ in range(6):
        assert sorted(refnums(retailops.pull())) == sorted(first)


def test_r18_the_operator_is_told_of_orders_handed_out_five_times(
    retailops: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        refnum = refnums(retailops.pull())[0]
        for _ in range(6):
            retailops.pull_all()
    assert refnum in str([vars(record) for record in caplog.records])


def test_r18_an_order_that_another_pull_counts_meanwhile_stands_on_a_page_once(
    retailops: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fresh ones are read first and the often handed out after them; a second pull may count one in between."""
    for _ in range(TIRED_AFTER):
        refnum, *others = refnums(retailops.pull())
    read_leg, legs = order_pull._from_place, []

    def counted_between(request: Any, source: Any, place: paging.Place, page: Any) -> Any:
        legs.append(place.is_second_leg)
        if place.is_second_leg:
            set_count(retailops, refnum, TIRED_AFTER)
        return read_leg(request, source, place, page)

    set_count(retailops, refnum, TIRED_AFTER - 1)
    monkeypatch.setattr(order_pull, "_from_place", counted_between)
    assert sorted(refnums(retailops.pull())) == sorted([refnum, *others])
    assert legs == [False, True]


def test_r18_an_order_that_others_pull_too_often_during_its_first_pull_still_comes(
    retailops: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six first pulls at once: the sixth finds an order that nobody had when it began and five have now."""
    standing = source_cancellations.standing

    def others_pull_meanwhile(*args: Any) -> Any:
        before = standing(*args)
        monkeypatch.setattr(source_cancellations, "standing", standing)
        for _ in range(TIRED_AFTER):
            retailops.pull()
        return before

    monkeypatch.setattr(source_cancellations, "standing", others_pull_meanwhile)
    assert refnums(retailops.pull()) == refnums(retailops.pull()) != []


def test_p17_an_order_acknowledged_while_a_page_is_made_is_not_on_it(
    retailops: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *others = refnums(retailops.pull())
    judge = order_pull.mend_page

    def acknowledged_meanwhile(*args: Any) -> Any:
        monkeypatch.setattr(order_pull, "mend_page", judge)
        retailops.acknowledge(first)
        return judge(*args)

    monkeypatch.setattr(order_pull, "mend_page", acknowledged_meanwhile)
    assert refnums(retailops.pull()) == others


def test_p32_an_erased_order_that_its_source_spoils_is_found_by_no_number_again(
    retailops: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    erased = refnums(retailops.pull())[0]
    with retailops.database.write() as connection:
        [channel] = connection.execute(select(handed_out.c.channel).distinct()).scalars()
        remembered.note_erased(connection, channel, [erased], utc_now())
        search_keys.forget(connection, channel, erased)
    monkeypatch.setattr(order_pull, "unfit", lambda order: "it has no lines" if order.refnum == erased else "")
    assert erased not in refnums(retailops.pull())
    with retailops.database.read() as connection:
        assert connection.execute(select(held_back.c.refnum).where(held_back.c.refnum == erased)).all()
        assert search_keys.of_order(connection, channel, erased) == []


def test_r18_an_order_often_handed_out_comes_again_after_a_long_silence_of_retailops(retailops: Caller) -> None:
    first = retailops.pull()
    for refnum in refnums(first):
        set_count(retailops, refnum, TIRED_AFTER)
    with retailops.database.write() as connection:
        connection.execute(update(handed_out).values(last_handed_at=utc_now() - timedelta(days=30)))
    assert refnums(retailops.pull()) == refnums(first)


def test_p18_a_walk_of_several_pages_has_each_order_once_after_a_silence_and_beside_other_pulls(
    retailops: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two orders that go last stand at its beginning, and of the others one goes last for walks that begin later."""
    everything = refnums(retailops.pull())
    tired, often = everything[:2], everything[2]
    for refnum, times in ((tired[0], TIRED_AFTER), (tired[1], TIRED_AFTER + 3), (often, TIRED_AFTER - 1)):
        set_count(retailops, refnum, times)
    with retailops.database.write() as connection:
        connection.execute(update(handed_out).values(last_handed_at=utc_now() - timedelta(days=30)))
    monkeypatch.setattr(order_pull, "PAGE", 2)
    reached, token = [], ""
    while True:
        answer = retailops.ask("order_pull", page_token=token)
        reached += refnums(answer["orders"])
        if not (token := answer["next_page_token"]):
            break
        retailops.pull()
    assert sorted(reached) == sorted(everything) and reached[-2:] == tired, reached


def test_p18_orders_that_came_before_the_source_failed_are_given_and_the_walk_goes_on_behind_them(
    retailops: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything, fetch = refnums(retailops.pull()), Pipe17Orders.fetch_orders

    def break_off(self: Pipe17Orders, *of: Any) -> Iterator[list[Candidate]]:
        for chunk in fetch(self, *of):
            for candidate in paging.ordered(chunk)[:3]:
                yield [candidate]
            raise Unavailable("TIMEOUT", "no answer")

    with monkeypatch.context() as patched:
        patched.setattr(Pipe17Orders, "fetch_orders", break_off)
        answer = retailops.ask("order_pull")
    given, token = refnums(answer["orders"]), answer["next_page_token"]
    assert given and given == everything[: len(given)] and token
    answer = retailops.ask("order_pull", page_token=token)
    assert refnums(answer["orders"]) == everything[len(given) :] and not answer["next_page_token"]


def set_count(retailops: Caller, refnum: str, times: int) -> None:
    with retailops.database.write() as connection:
        connection.execute(update(handed_out).where(handed_out.c.refnum == refnum).values(times=times, last_pull_ms=0))


def test_r18_an_order_cancelled_at_its_source_is_never_given_as_one_to_ship(retailops: Caller, pipe17: Sandbox) -> None:
    refnum = refnums(retailops.pull())[0]
    pipe17.tell(f"shipments/{refnum}/cancel", {})
    named = retailops.pull(specific_orders=[{"channel_refnum": refnum}])
    assert [order["cancel"] for order in named] in ([], [True])


def test_p18_one_unreadable_request_costs_no_other_named_order(retailops: Caller, pipe17: Sandbox) -> None:
    good, bad = refnums(retailops.pull())[:2]
    pipe17.fault(kind="wrong_type", match={"path_prefix": f"/api/v3/shipments/{bad}"})
    reply = retailops.post("order_pull", specific_orders=[{"channel_refnum": bad}, {"channel_refnum": good}])
    assert reply.status_code == 200
    assert refnums(reply.get_json()["orders"]) == [good]


def test_p11_a_retailops_number_told_later_reaches_the_vendor(retailops: Caller, pipe17: Sandbox) -> None:
    """The caller of SDK contract 1.6 always sent 0 at first; R9: a correction is forwarded with an info event."""
    # The larger numbers are none that a 64-bit float holds, nor the SDK's tool lets an example have.
    told = dict(zip(refnums(retailops.pull()), (4711, 2**53, 2**53 + 1, 2**63 + 1), strict=False))
    for numbers in (dict.fromkeys(told, 0), told):
        entries = [{"channel_order_refnum": refnum, "retailops_order_id": number} for refnum, number in numbers.items()]
        retailops.ask("order_acknowledge", orders=entries)
    for refnum, number in told.items():
        heard = eventually(lambda refnum=refnum: pipe17.shipment(refnum).get("extReferenceId"))
        assert heard == str(number)


def test_two_equal_boxes_without_numbers_are_two_fulfilments(retailops: Caller, pipe17: Sandbox) -> None:
    order = next(o for o in retailops.pull() if o["order_items"][0]["quantity"] >= 2)
    refnum, line = order["channel_order_refnum"], order["order_items"][0]
    retailops.acknowledge(refnum)
    box = {
        "retailops_package_id": 0,
        "carrier_name": "UPS",
        "package_items": [{"sku": line["sku"], "channel_item_refnum": line["channel_item_refnum"], "quantity": 1}],
    }
    shipment = {"retailops_shipment_id": 0, "packages": [box, box]}
    for _ in range(2):
        retailops.ask("order_shipment_submit", channel_order_refnum=refnum, shipment=shipment)
    assert len(pipe17.fulfilments(refnum)) == 2


def test_r22_unshipped_items_that_name_no_line_of_the_order_complete_nothing(
    retailops: Caller, pipe17: Sandbox
) -> None:
    order = retailops.pull()[0]
    refnum = order["channel_order_refnum"]
    retailops.acknowledge(refnum)
    wrong = retailops.ask(
        "order_complete",
        order={"channel_order_refnum": refnum, "unshipped_items": [{"sku": "NOT-ON-IT", "unshipped_quantity": 1}]},
    )
    assert wrong["status"] == "fail"


def test_p11_unshipped_items_named_in_a_second_completion_go_on(retailops: Caller, pipe17: Sandbox) -> None:
    """R9: only where money moved is a correction refused, and Pipe17 moves none."""
    order = retailops.pull()[0]
    refnum = order["channel_order_refnum"]
    retailops.acknowledge(refnum)
    lines = [
        {"sku": line["sku"], "channel_item_refnum": line["channel_item_refnum"], "unshipped_quantity": line["quantity"]}
        for line in order["order_items"]
    ]
    some = {**lines[0], "unshipped_quantity": 0}
    retailops.ask("order_complete", order={"channel_order_refnum": refnum, "unshipped_items": [some]})
    assert not pipe17.fulfilments(refnum)
    again = retailops.ask("order_complete", order={"channel_order_refnum": refnum, "unshipped_items": lines})
    assert again["status"] == "success", codes(again)
    assert pipe17.fulfilments(refnum)


def test_an_order_number_that_belongs_to_another_order_cancels_nothing(retailops: Caller, pipe17: Sandbox) -> None:
    """SDK contract 5, order_cancel: refnum and id that belong to different orders."""
    first, second = refnums(retailops.pull())[:2]
    retailops.acknowledge(first, second)  # first is RetailOps' 70, second 71
    answer = retailops.ask("order_cancel", order={"channel_order_refnum": first, "retailops_order_id": 71})
    assert answer["status"] == "fail"
    assert pipe17.shipment(first)["status"] == "sentToFulfillment"
