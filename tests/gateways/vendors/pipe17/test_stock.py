"""What Pipe17 is told of the shelves: under its own SKUs, only where it wants to hear, and within the rate."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import requests

from app.domain.stock import StockChange, StockDetail, StockLevel
from app.domain.stock_levels import facility_key
from app.errors import Misconfigured
from app.sandbox.server import serve
from app.sandbox.vendors.pipe17 import BASE_PATH, INTEGRATION_ID, INTEGRATION_KEY, LEGACY_KEY
from app.sandbox.vendors.pipe17.samples import DALLAS, FOREIGN, RENO
from tests.channels import channel_table
from tests.gateways.vendors.pipe17.merchant import Merchant
from tests.gateways.vendors.pipe17.stage import call, connect, grant, level, places, push_stock, set_field, stock_of
from tests.retailops import Caller
from tests.sandboxes import Sandbox
from tests.stopwatch import Stopwatch
from tests.waiting import eventually

MANY = int(os.environ.get("STOCK_SKUS", "1000"))
"""SKUs of the large push; 10,000 is what the promise is about."""


def record(sandbox: Sandbox, sku: str, name: str) -> dict[str, Any]:
    place = places(sandbox)[name]
    rows = sandbox.state()["inventory"]
    found: dict[str, Any] = next(row for row in rows if (row["sku"], row["locationId"]) == (sku, place))
    return found


def test_a_sku_is_told_under_pipe17s_name_and_a_pair_of_the_setting_goes_before_the_products_row(
    empty: Sandbox,
) -> None:
    gateway = connect(empty)
    before = stock_of(empty, "MUG-BLUE")
    found = push_stock(
        gateway, StockChange("RO-MUG-BLUE", level(dallas=(7, 9))), StockChange("MUG-BLUE", level(reno=(1, 1)))
    )
    assert found["RO-MUG-BLUE"].refusal == "" and "another SKU" in found["MUG-BLUE"].refusal
    held = stock_of(empty, "MUG-BLUE")
    assert (held[DALLAS], held[RENO]) == ((9, 2), before[RENO])
    assert record(empty, "MUG-BLUE", DALLAS)["vendorSKU"] == "RO-MUG-BLUE"

    set_field(empty, "sku_mapping", "BOWL:RO-MUG-BLUE,LAMP:RO-LAMP")
    gateway.api.outdate()
    found = push_stock(
        gateway,
        StockChange("RO-MUG-BLUE", level(dallas=(5, 5))),
        StockChange("RO-LAMP", level(dallas=(4, 4))),
        StockChange("LAMP", level(dallas=(3, 3))),
    )
    assert [found[sku].refusal == "" for sku in ("RO-MUG-BLUE", "RO-LAMP", "LAMP")] == [True, True, False]
    assert [stock_of(empty, sku)[DALLAS][0] for sku in ("BOWL", "LAMP", "MUG-BLUE")] == [5, 4, 9]


def test_the_buffer_is_never_subtracted_from_what_a_warehouse_reports(empty: Sandbox) -> None:
    set_field(empty, "inventory.apply_buffer", True)
    push_stock(connect(empty), StockChange("RO-MUG-BLUE", level(dallas=(7, 9))))
    [row] = [row for row in _product(empty, "MUG-BLUE")["published"] if row["integrationId"] == INTEGRATION_ID]
    assert row["bufferInventory"] == 5 and stock_of(empty, "MUG-BLUE")[DALLAS] == (9, 2)


def test_p27_a_pair_of_the_setting_leaves_the_products_own_row_nothing_to_say(empty: Sandbox) -> None:
    set_field(empty, "sku_mapping", "MUG-BLUE:NEW-BLUE")
    found = push_stock(
        connect(empty),
        StockChange("NEW-BLUE", level(dallas=(10, 10))),
        StockChange("RO-MUG-BLUE", level(dallas=(99, 99))),
    )
    assert found["NEW-BLUE"].refusal == "" and "unknown" in found["RO-MUG-BLUE"].refusal
    assert stock_of(empty, "MUG-BLUE")[DALLAS] == (10, 0)


def _product(sandbox: Sandbox, sku: str) -> dict[str, Any]:
    found: dict[str, Any] = next(item for item in sandbox.state()["products"] if item["sku"] == sku)
    return found


def test_what_nobody_tracks_or_has_locked_is_skipped_without_a_word(empty: Sandbox) -> None:
    empty.tell("products/BOWL", {"locationId": places(empty)[RENO], "inventoryNotTracked": True}, "PUT")
    gateway = connect(empty)
    before = {sku: stock_of(empty, sku) for sku in ("PLUG-UK", "BOWL")}
    changes = [StockChange(sku, level(dallas=(3, 3), reno=(4, 4))) for sku in ("CABLE-PER-METRE", "PLUG-UK", "BOWL")]
    found = push_stock(gateway, *changes)
    assert all(item.is_skipped and not item.refusal for item in found.values())
    assert found["CABLE-PER-METRE"].sent == found["PLUG-UK"].sent == b"{}"
    assert stock_of(empty, "PLUG-UK") == before["PLUG-UK"] and "CABLE-PER-METRE" not in str(empty.state()["inventory"])
    held = stock_of(empty, "BOWL")
    assert (held[DALLAS], held[RENO]) == ((3, 0), before["BOWL"][RENO])
    assert empty.calls("GET /inventory") == empty.calls("GET /products") == 1


def test_p27_no_units_at_all_are_none_at_each_own_location(empty: Sandbox) -> None:
    assert all(stock_of(empty, "BOWL")[name][0] for name in (DALLAS, RENO, FOREIGN))
    told = push_stock(connect(empty), StockChange("BOWL", StockLevel(0)))["BOWL"]
    held = stock_of(empty, "BOWL")
    assert (told.refusal, told.sent, held[DALLAS], held[RENO]) == ("", b"{}", (0, 0), (0, 0)) and held[FOREIGN][0]

    # A bare key is shown locations of others too: there only what it told before is taken back.
    lamp = stock_of(empty, "LAMP")
    bare = connect(empty, api_key=LEGACY_KEY, integration_id="")
    first = push_stock(bare, StockChange("LAMP", level(dallas=(5, 5))))["LAMP"]
    push_stock(bare, StockChange("LAMP", StockLevel(0), first.sent))
    assert stock_of(empty, "LAMP") == {**lamp, DALLAS: (0, 0)}


def test_vendors_and_purchase_orders_count_only_where_the_setting_says_so(empty: Sandbox) -> None:
    dallas = places(empty)[DALLAS]
    details = (
        StockDetail("internal", DALLAS, 3, 4),
        StockDetail("external", RENO, 5, 5),
        StockDetail("inflight", "PO-77", 20, 20),
    )
    push_stock(connect(empty), StockChange("BOWL", StockLevel(28, details)))
    assert stock_of(empty, "BOWL")[DALLAS] == (4, 1) and stock_of(empty, "BOWL")[RENO] != (5, 0)

    gateway = connect(empty, external_stock=True, inflight_location=dallas)
    first = push_stock(gateway, StockChange("BOWL", StockLevel(28, details)))["BOWL"]
    assert first.refusal == ""
    assert stock_of(empty, "BOWL")[RENO] == (5, 0)
    row = record(empty, "BOWL", DALLAS)
    assert (row["onHand"], row["future"], row["availableToPromise"]) == (4, 20, 24)
    assert msgspec.json.decode(first.sent)[dallas] == [4, 1, 20, [facility_key(DALLAS)]]
    arrived = StockLevel(3, (StockDetail("internal", DALLAS, 24, 24),))
    push_stock(gateway, StockChange("BOWL", arrived, first.sent))
    assert record(empty, "BOWL", DALLAS)["future"] == 0 and stock_of(empty, "BOWL")[RENO] == (0, 0)


def test_only_served_locations_are_told_and_the_filter_leaves_others_out_silently(empty: Sandbox) -> None:
    set_field(empty, "location_filter", places(empty)[DALLAS])
    before = stock_of(empty, "BOWL")
    found = push_stock(connect(empty), StockChange("BOWL", level(dallas=(6, 6), reno=(8, 8), foreign=(9, 9))))["BOWL"]
    assert "Rotterdam" in found.refusal and RENO not in found.refusal
    assert stock_of(empty, "BOWL") == {**before, DALLAS: (6, 0)}


def test_in_the_mode_delta_only_figures_that_changed_are_told(empty: Sandbox) -> None:
    set_field(empty, "inventory.mode", "delta")
    gateway = connect(empty, bulk_post="single")
    first = push_stock(gateway, StockChange("BOWL", level(dallas=(6, 6), reno=(8, 8))))["BOWL"]
    second = push_stock(gateway, StockChange("BOWL", level(dallas=(6, 6), reno=(7, 7)), first.sent))["BOWL"]
    assert empty.calls("POST /inventory") == 3
    assert msgspec.json.decode(second.sent) == {
        places(empty)[DALLAS]: [6, 0, None, [facility_key(DALLAS)]],
        places(empty)[RENO]: [7, 0, None, [facility_key(RENO)]],
    }
    again = push_stock(gateway, StockChange("BOWL", level(dallas=(6, 6), reno=(7, 7)), second.sent))["BOWL"]
    assert again.sent == second.sent and empty.calls("POST /inventory") == 3
    without = {place: figures[:2] for place, figures in msgspec.json.decode(second.sent).items()}
    noted = StockChange("BOWL", level(dallas=(6, 6), reno=(7, 7)), msgspec.json.encode(without))
    learned = push_stock(gateway, noted)["BOWL"]
    assert msgspec.json.decode(learned.sent) == msgspec.json.decode(second.sent), "whose units they are is noted"
    assert empty.calls("POST /inventory") == 3


def test_a_key_that_may_not_read_products_tells_stock_all_the_same(empty: Sandbox) -> None:
    grant(empty, products="", inventory="c")
    gateway = connect(empty)
    assert push_stock(gateway, StockChange("BOWL", level(dallas=(3, 3))))["BOWL"].refusal == ""
    assert stock_of(empty, "BOWL")[DALLAS] == (3, 0) and not gateway.permissions()["inventory"]


def test_a_403_on_ingest_switches_stock_off(empty: Sandbox) -> None:
    grant(empty, inventory="rl")
    gateway = connect(empty)
    with pytest.raises(Misconfigured):
        push_stock(gateway, StockChange("BOWL", level(dallas=(3, 3))))
    assert gateway.permissions()["inventory"]


def test_skus_no_list_can_be_asked_for_are_told_all_the_same(empty: Sandbox) -> None:
    skus = ["A,B", "naïve 緑茶", "x" * 900, "y" * 900]
    requests_body = {"sku": skus[1], "name": "Tea"}
    _post_product(empty, requests_body)
    found = push_stock(connect(empty), *(StockChange(sku, level(dallas=(3, 3))) for sku in skus))
    assert [found[sku].refusal == "" for sku in skus] == [False, True, False, False]
    assert stock_of(empty, skus[1])[DALLAS] == (3, 0)


def _post_product(sandbox: Sandbox, body: dict[str, Any]) -> None:
    headers = {"X-Pipe17-Key": LEGACY_KEY}
    assert requests.post(f"{sandbox.url}{BASE_PATH}/products", json=body, headers=headers, timeout=5).ok


# Through the records


@pytest.mark.parametrize("mode", ["snapshot", "delta"])
def test_p27_p26_what_a_lost_attempt_left_is_taken_back_by_whichever_process_tells_next(
    empty: Sandbox, merchant: Merchant, mode: str
) -> None:
    set_field(empty, "inventory.mode", mode)
    merchant.accept(BOWL=level(reno=(5, 5)))
    merchant.send_anew()
    empty.fault(kind="reset_after", times=1, match={"method": "POST", "path_prefix": f"{BASE_PATH}/inventory"})
    merchant.accept(BOWL=level(dallas=(500, 500), reno=(6, 6)))
    merchant.send_anew()
    held = stock_of(empty, "BOWL")
    assert (held[DALLAS], held[RENO], merchant.owed()) == ((500, 0), (6, 0), 1)

    merchant.accept(BOWL=level(reno=(5, 5)))
    merchant.send_anew()
    held = stock_of(empty, "BOWL")
    assert (held[DALLAS], held[RENO], merchant.owed()) == ((0, 0), (5, 0), 0)


def test_p27_the_half_of_a_sku_that_was_taken_before_the_other_was_put_off_is_taken_back(
    empty: Sandbox, merchant: Merchant
) -> None:
    ids = places(empty)
    first, last = sorted((DALLAS, RENO), key=lambda name: ids[name])
    posts = {"method": "POST", "path_prefix": f"{BASE_PATH}/inventory"}
    empty.fault(kind="slow", delay_s=0, times=1, match=posts)
    empty.fault(kind="status", code=429, match=posts)
    merchant.accept(BOWL=level(dallas=(500, 500), reno=(500, 500)))
    merchant.send_anew(ingest_batch=1)
    empty.heal()
    assert stock_of(empty, "BOWL")[first] == (500, 0) != stock_of(empty, "BOWL")[last]

    merchant.accept(BOWL=StockLevel(5, (StockDetail("internal", last, 5, 5),)))
    merchant.send_anew()
    held = stock_of(empty, "BOWL")
    assert (held[first], held[last], merchant.owed()) == ((0, 0), (5, 0), 0)


def test_p33_whatever_is_stated_again_is_sent_again_and_skipped_stock_makes_no_news(
    empty: Sandbox, merchant: Merchant, caplog: pytest.LogCaptureFixture
) -> None:
    levels = {"BOWL": level(dallas=(10, 12)), "TRAY": level(dallas=(3, 3)), "LAMP": level(moon=(7, 7))}
    before = stock_of(empty, "TRAY")
    empty.tell("products/BOWL", {"inventoryNotTracked": True}, "PUT")
    empty.tell("products/TRAY", {"locationId": places(empty)[DALLAS], "inventoryNotTracked": True}, "PUT")
    merchant.accept(JAM=level(dallas=(1, 1)), **levels)
    merchant.send_anew()
    assert (merchant.owed(), merchant.posts()) == (0, 1)
    assert "Moon DC" in caplog.text and "skipped" not in caplog.text

    empty.tell("products/BOWL", {"inventoryNotTracked": False}, "PUT")
    empty.tell("products/TRAY", {"locationId": places(empty)[DALLAS], "inventoryNotTracked": False}, "PUT")
    assert stock_of(empty, "TRAY") == before
    merchant.accept(JAM=level(dallas=(1, 1)), **levels)
    assert merchant.owed() == 4
    merchant.send_anew()
    assert (stock_of(empty, "BOWL")[DALLAS], stock_of(empty, "TRAY")[DALLAS]) == ((12, 2), (3, 0))
    merchant.accept(JAM=level(dallas=(1, 1)), **levels)
    merchant.send_anew()
    assert (merchant.owed(), merchant.posts()) == (0, 3)


# Many


def _rows(skus: list[str], facilities: list[str], units: int) -> list[dict[str, Any]]:
    return [
        {
            "sku": sku,
            "quantity_available": units * len(facilities),
            "quantity_detail": [
                {
                    "quantity_type": "internal",
                    "facility_name": name,
                    "available_quantity": units,
                    "total_quantity": units + 1,
                }
                for name in facilities
            ],
        }
        for sku in skus
    ]


def test_p15_many_skus_at_three_locations_go_in_the_background_while_callbacks_stay_fast(
    empty: Sandbox, build_app: Callable[..., Any], contract: Any
) -> None:
    """With STOCK_SKUS=10000 STOCK_RATE=5 this is the promise at its full size; the figures are printed."""
    rate = float(os.environ.get("STOCK_RATE", "0"))
    skus = empty.tell("products", {"count": MANY, "prefix": "BULK-"})["skus"]
    _own_third_location(empty)
    facilities = [DALLAS, RENO, "Third DC"]
    more = f'integration_id = "{INTEGRATION_ID}"'
    table = channel_table(empty.url, api_key=INTEGRATION_KEY, more=more)
    retailops = Caller(build_app(table.replace("requests_per_s = 0", f"requests_per_s = {rate}")), contract)

    began = time.monotonic()
    retailops.ask("inventory_push", inventory_updates=_rows(skus, facilities, 7))
    answered_s = time.monotonic() - began
    latencies: list[float] = []
    looked_at = 0.0
    while True:
        asked_at = time.monotonic()
        with Stopwatch() as watch:
            retailops.ask("catalog_get_config")
        latencies.append(watch.took_s)
        if asked_at - looked_at > 1.0:
            looked_at = asked_at
            if _told(empty) == 3 * MANY:
                break
        assert time.monotonic() - began < max(60.0, MANY * 0.06)
        time.sleep(0.02)
    took_s = time.monotonic() - began
    posts, gets = empty.calls("POST /inventory"), empty.calls("GET /products")
    latencies.sort()
    p99_ms = latencies[int(len(latencies) * 0.99)] * 1000
    calls = posts + gets + empty.calls("GET /inventory")
    print(
        f"{MANY} SKUs x 3 locations: push answered in {answered_s * 1000:.0f} ms, all told after {took_s:.1f} s with "
        f"{posts} POST /inventory and {gets} GET /products ({calls / took_s:.1f} calls a second); "
        f"meanwhile {len(latencies)} callbacks, median {latencies[len(latencies) // 2] * 1000:.1f} ms, "
        f"p99 {p99_ms:.1f} ms"
    )
    assert posts <= 3 * MANY / 100 + MANY / 500 + 1 and gets <= MANY / 100 + MANY / 500 + 1
    assert not rate or calls <= rate * (took_s + 1)
    assert p99_ms < 1000

    retailops.ask("inventory_push", inventory_updates=_rows(skus, facilities, 7))
    retailops.ask("inventory_push", inventory_updates=_rows(["BOWL"], [DALLAS], 3))
    eventually(lambda: stock_of(empty, "BOWL")[DALLAS] == (4, 1))
    eventually(lambda: empty.calls("POST /inventory") >= 2 * posts + 1)
    assert empty.calls("POST /inventory") <= 2 * posts + 2, "the second push sends everything once more"


def _own_third_location(sandbox: Sandbox) -> None:
    body = {"name": "Third DC", "address": {"city": "Ohio", "country": "US"}, "status": "active",
            "fulfillmentIntegrationId": INTEGRATION_ID}  # fmt: skip
    headers = {"X-Pipe17-Key": LEGACY_KEY}
    assert requests.post(f"{sandbox.url}{BASE_PATH}/locations", json=body, headers=headers, timeout=5).ok


def _told(sandbox: Sandbox) -> int:
    """Stock records of the many SKUs, asked for page by page as anybody may."""
    params: dict[str, str | int] = {"event": "ingest", "sku_gt": "BULK-", "sku_lt": "BULK-~", "count": 1}
    answer = requests.get(
        f"{sandbox.url}{BASE_PATH}/inventory", params=params, headers={"X-Pipe17-Key": LEGACY_KEY}, timeout=30
    ).json()
    return int(answer["pagination"]["count"])


def test_the_levels_of_a_call_that_ran_out_of_time_are_told_by_the_next(empty: Sandbox) -> None:
    skus = empty.tell("products", {"count": 30})["skus"]
    gateway = connect(empty, ingest_batch=1)
    changes = [StockChange(sku, level(dallas=(3, 3))) for sku in skus]
    empty.fault(kind="slow", delay_s=0.15, match={"method": "POST", "path_prefix": BASE_PATH})
    settled = gateway.stock.push(changes, call("fact", 3.0))
    empty.heal()
    assert 0 < len(settled) < 30
    rest = [change for change in changes if change.sku not in {item.sku for item in settled}]
    gateway.stock.push(rest, call("fact"))
    assert all(stock_of(empty, sku)[DALLAS] == (3, 0) for sku in (skus[0], skus[-1]))


def test_an_answer_that_spells_a_sku_otherwise_is_taken_by_its_place(empty: Sandbox) -> None:
    dallas = places(empty)[DALLAS]
    answers = [
        {"status": "created", "inventory": {"sku": "bulb", "locationId": dallas}},
        {"status": "failed", "message": "no", "inventory": {"sku": "JAM", "locationId": dallas}},
    ]
    location = {"locationId": dallas, "name": DALLAS, "status": "active", "fulfillmentIntegrationId": INTEGRATION_ID}
    lists = {"locations": [location], "products": [], "inventory": [], "integration": {}}

    def spelling(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        start("200 OK", [("Content-Type", "application/json")])
        more = {"inventory": answers} if environ["REQUEST_METHOD"] == "POST" else {}
        return [msgspec.json.encode({"success": True, "code": 200, **lists, **more})]

    with serve(spelling) as server:  # type: ignore[arg-type]
        gateway = connect(empty, base_url=server.url)
        changes = [StockChange(sku, level(dallas=(3, 3)), None) for sku in ("BULB", "JAM")]
        refusals = {item.sku: item.refusal for item in gateway.stock.push(changes, call("fact"))}
    assert refusals == {"BULB": "", "JAM": "pipe17 refused it: no"}
