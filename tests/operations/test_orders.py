"""The list of orders with one order's facts, and what vendors called here, for readers of all channels or of some."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
import requests
from flask import Flask

from app.contract.schemas import Contract
from app.gateways.vendors.rally.signing import HEADER, sign
from app.operations import hooks
from app.operations.hooks import HookChoice
from app.operations.order_facts import facts
from app.operations.orders import STATES, OrderFilter, OrderRow, Sources, listing
from app.operations.paging import Page, UnknownPlace
from app.operations.scope import Scope
from app.operations.timeline import of_order
from app.records.database import Database
from tests.gateways.vendors.rally.shop import MUG, TEE, Shop, opened
from tests.retailops import Caller
from tests.sandboxes import Sandbox

pytestmark = pytest.mark.both_databases

ALL, NONE = Scope(), Scope(frozenset(("other",)))
SOURCES = Sources({"first": "pipe17"})


def every_page(database: Database, wanted: OrderFilter, limit: int) -> list[OrderRow]:
    found: list[OrderRow] = []
    page: Page[OrderRow] | None = None
    while page is None or page.after:
        page = listing(database, ALL, SOURCES, wanted, after=page.after if page else "", limit=limit)
        assert len(page.rows) <= limit
        found += page.rows
    return found


def test_p38_orders_are_listed_by_state_channel_and_vendor_each_once_on_pages_that_go_on_where_one_ended(
    retailops: Caller, pipe17: Sandbox
) -> None:
    orders = [item["channel_order_refnum"] for item in retailops.pull()]
    retailops.acknowledge(*orders[:3])
    assert retailops.cancel(orders[0])["status"] == "success"
    all_rows = every_page(retailops.database, OrderFilter(), 4)
    assert len({row.refnum for row in all_rows}) == len(all_rows)
    states = {row.refnum: row.state for row in all_rows}
    assert [states[refnum] for refnum in orders[:4]] == ["cancelled", "acknowledged", "acknowledged", "handed out"]
    held = {refnum for refnum, state in states.items() if state == "held back"}
    assert held and held.isdisjoint(orders), "the sandbox has orders that cannot be sent"
    for state in STATES:
        found = every_page(retailops.database, OrderFilter(state=state), 2)
        assert {row.refnum for row in found} == {refnum for refnum, is_in in states.items() if is_in == state}, state
    assert [row.known_at for row in all_rows] == sorted((row.known_at for row in all_rows), reverse=True)
    assert {row.vendor for row in all_rows} == {"pipe17"}
    assert len(every_page(retailops.database, OrderFilter(vendor="pipe17"), 50)) == len(all_rows)
    for nothing in (OrderFilter(vendor="rally"), OrderFilter(channel="other")):
        assert every_page(retailops.database, nothing, 50) == []
    assert listing(retailops.database, NONE, SOURCES, OrderFilter()).rows == ()
    with pytest.raises(UnknownPlace):
        listing(retailops.database, ALL, SOURCES, OrderFilter(), after="no cursor!", limit=4)


def test_p38_an_order_s_facts_say_what_became_of_each_unit_and_nothing_of_a_person(
    retailops: Caller, pipe17: Sandbox
) -> None:
    order = next(item for item in retailops.pull() if len(item["order_items"]) == 1)
    refnum, [line] = order["channel_order_refnum"], order["order_items"]
    retailops.acknowledge(refnum)
    pipe17.fault(kind="status", code=503, match={"method": "POST", "path_prefix": "/api/v3/fulfillments"})
    retailops.ship(order, 7700501)
    found = facts(retailops.database, ALL, SOURCES, "first", refnum)
    assert found is not None and found.row.state == "acknowledged" and found.row.retailops_order_id == "70"
    [shown] = found.lines
    assert (shown.sku, shown.ordered, shown.shipped, shown.returned) == (
        line["sku"],
        line["quantity"],
        line["quantity"],
        0,
    )
    assert [(call.verb, call.state) for call in found.open_calls] == [("submit_shipment", "owed")]
    assert ("shipment", "7700501") in found.numbers and ("retailops_order", "70") in found.numbers
    assert [item.units for item in found.packages] == [{line["channel_item_refnum"]: line["quantity"]}]
    told = of_order(retailops.database, ALL, "first", refnum)
    assert told is not None and any(sentence.startswith("Owed: delivery") for sentence in told.now)
    for secret in filter(None, (order["shipping_address"].get("address1"), order["shipping_address"].get("last_name"))):
        assert secret not in repr(found)
    assert facts(retailops.database, NONE, SOURCES, "first", refnum) is None
    assert facts(retailops.database, ALL, SOURCES, "first", "unknown") is None


def test_p38_p46_a_checkout_s_order_has_facts_before_retailops_knows_it_and_its_hooks_are_kept_with_our_reason(
    build_app: Callable[..., Flask], contract: Contract
) -> None:
    with opened(build_app, contract) as shop:
        shop.offer(**{TEE: 5, MUG: 5})
        refnum = shop.buy()
        found = facts(shop.database, ALL, Sources({"shop": "rally"}), "shop", refnum)
        assert found is not None and found.row.state == "waiting" and found.row.vendor == "rally"
        told = of_order(shop.database, ALL, "shop", refnum)
        assert told is not None and told.now == ("RetailOps gets it with its next order_pull.",)
        assert {line.sku for line in found.lines} <= {TEE, MUG} and sum(item.amount for item in found.payments) > 0

        ask_without_right(shop)
        flush(shop)
        made = hooks.listing(shop.database, ALL, HookChoice(topic="order/create")).rows
        assert [(row.vendor, row.refnum, row.status, row.code) for row in made] == [("rally", refnum, 200, "success")]
        assert made[0].ms >= 0 and made[0].request_id
        refused = hooks.listing(shop.database, ALL, HookChoice(is_refused=True)).rows
        assert [(row.topic, row.status, row.code) for row in refused] == [("cart/fetch", 422, "cart_not_found")]
        pages = hooks.listing(shop.database, ALL, HookChoice(vendor="rally"), limit=2)
        rest = hooks.listing(shop.database, ALL, HookChoice(vendor="rally"), after=pages.after)
        every = hooks.listing(shop.database, ALL, HookChoice(vendor="rally")).rows
        assert [*pages.rows, *rest.rows] == list(every) and len(pages.rows) == 2
        assert hooks.listing(shop.database, NONE, HookChoice()).rows == ()

        # What nobody vouches for is counted, and its path shortened.
        unsure = {(item.path, item.status): item.count for item in hooks.unverified(shop.database, ALL)}
        assert unsure[("/api/channel/order_pull_v1", 401)] == 2
        assert ("/rally/merchants/nobody/carts/c1", 404) in unsure
        assert all(len(path) <= 60 for path, _ in unsure)
        assert len(unsure) <= 100, "200 others were sent"
        assert hooks.unverified(shop.database, NONE) == []


def test_p46_p20_a_webhook_s_key_that_was_only_tried_is_counted_and_not_kept(retailops: Caller) -> None:
    for number in range(3):
        assert retailops.app.test_client().post(f"/pipe17/hooks/cAnArY{number}").status_code == 404
    retailops.app.extensions["works"].journal.flush()
    [kind] = hooks.unverified(retailops.database, ALL)
    assert (kind.path, kind.status, kind.count) == ("/pipe17/hooks/", 404, 3)
    assert hooks.listing(retailops.database, ALL, HookChoice()).rows == ()


def ask_without_right(shop: Shop) -> None:
    """A cart that does not exist, signed; and requests without a right to ask."""
    options = shop.gateway.shop.options
    hooks_at = f"{shop.server.url}/rally/merchants"
    headers = {HEADER: sign(options.hmac_secrets[0], b"{}")}
    requests.post(f"{hooks_at}/{shop.organization_id}/carts/unknown", data=b"{}", headers=headers, timeout=10)
    for number in range(200):
        requests.post(f"{hooks_at}/{hashlib.md5(b'%d' % number).hexdigest()}/carts/c1", timeout=10)
    for _ in range(2):
        body: dict[str, Any] = {"integration_auth_token": "wrong", "action": "x", "version": 1, "client_id": 1,
                                "channel_info": {"id": 1}}  # fmt: skip
        requests.post(f"{shop.server.url}/api/channel/order_pull_v1", json=body, timeout=10)
    requests.post(f"{hooks_at}/nobody/carts/c1", timeout=10)


def flush(shop: Shop) -> None:
    shop.retailops.app.extensions["works"].journal.flush()
