"""RetailOps' catalogue at Pipe17: what its products hold after a push, and how few calls that takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from sqlalchemy import update

from app.domain.catalogue import Item, Product, ProductChange, ProductSent, Refusal
from app.errors import BrokenReply, Misconfigured, Unavailable
from app.gateways.vendors.pipe17 import Pipe17Gateway
from app.gateways.vendors.pipe17.products import catalogue, channel_skus
from app.records import sync_state
from app.records.tables.stock import sync_states
from app.sandbox.server import serve
from app.sandbox.vendors.pipe17 import (
    BASE_PATH,
    FOREIGN_INTEGRATION_ID,
    INTEGRATION_ID,
    INTEGRATION_KEY,
    LEGACY_KEY,
)
from tests.channels import channel_table
from tests.gateways.vendors.pipe17.stage import Clock, Start, call, connect, grant, held, own, set_field, tick
from tests.retailops import Caller, codes
from tests.sandboxes import Sandbox
from tests.waiting import eventually


def product(*skus: str, number: int = 7, **more: Any) -> Product:
    """A simple product, or one with variants; its object id is `number`, a variant's the next ones."""
    fields = {"title": "Something", **more}
    if len(skus) == 1:
        return Product(Item(sku=skus[0], product_id=str(number), key=f"Product:{number}", **fields))
    variants = [Item(sku=sku, product_id=str(number + place)) for place, sku in enumerate(skus, 1)]
    return Product(Item(product_id=str(number), key=f"Product:{number}", **fields), tuple(variants))


def push(gateway: Pipe17Gateway, *products: Product, notes: Mapping[str, bytes] | None = None) -> list[ProductSent]:
    changes = [ProductChange(item.item.key, item, (notes or {}).get(item.item.key)) for item in products]
    return gateway.catalogue.push(changes, call("fact"))


def noted(results: list[ProductSent]) -> dict[str, bytes]:
    return {item.key: item.sent for item in results}


def writes(sandbox: Sandbox) -> int:
    return sandbox.calls("PUT /products/{id}") + sandbox.calls("POST /products")


def test_each_sku_of_a_product_is_noted_at_its_pipe17_product_and_only_where_it_differs(empty: Sandbox) -> None:
    gateway = connect(empty)
    [sent] = push(gateway, product("BULB", "JAM", "MUG-RED"))
    assert sent.refusals == ()
    assert own(empty, "BULB") == {"extProductId": "8", "status": "published"}
    assert own(empty, "JAM") == {"extProductId": "9", "status": "published"}
    assert held(empty, "BULB")["name"] == "Bulb", "the product's own fields are not ours to write"
    assert (empty.calls("GET /products"), empty.calls("PUT /products/{id}")) == (1, 3)

    push(gateway, product("BULB", "JAM", "MUG-RED"), notes=noted([sent]))
    push(connect(empty), product("BULB", "JAM", "MUG-RED", title="Renamed"))
    assert empty.calls("PUT /products/{id}") == 3
    push(gateway, product("BULB", number=90), notes=noted([sent]))
    assert empty.calls("PUT /products/{id}") == 4 and own(empty, "BULB")["extProductId"] == "90"


def test_many_skus_cost_a_list_call_for_each_hundred_and_nothing_where_all_is_so(empty: Sandbox) -> None:
    skus = empty.tell("products", {"count": 250})["skus"]
    gateway = connect(empty)
    products = [product(sku, number=1000 + place) for place, sku in enumerate(skus)]
    results = push(gateway, *products)
    assert len(results) == 250 and not any(item.refusals for item in results)
    assert (empty.calls("GET /products"), writes(empty)) == (3, 250)
    push(gateway, *products, notes=noted(results))
    assert (empty.calls("GET /products"), writes(empty)) == (6, 250)


def test_what_pipe17s_people_want_of_a_product_is_honoured(empty: Sandbox) -> None:
    gateway = connect(empty)
    tick(empty, "BULB", status="tobepublished")
    tick(empty, "BOWL", status="tobeunpublished")
    tick(empty, "LAMP", status="disabled", extProductId="old")
    results = push(gateway, product("BULB", number=1), product("BOWL", number=2), product("LAMP", number=3))
    assert not any(item.refusals for item in results)
    assert own(empty, "BULB") == {"extProductId": "1", "status": "published"}
    assert own(empty, "BOWL")["status"] == "unpublished"
    assert own(empty, "LAMP") == {"extProductId": "old", "status": "disabled"}

    # It stays as they want it when RetailOps states the product again, until they ask for it.
    notes = noted(results)
    push(gateway, product("BOWL", number=2, title="New"), notes=notes)
    assert own(empty, "BOWL")["status"] == "unpublished"
    tick(empty, "BOWL", status="tobepublished")
    push(gateway, product("BOWL", number=2, title="Newer"), notes=notes)
    assert own(empty, "BOWL") == {"extProductId": "2", "status": "published"}


def test_a_product_retailops_switches_off_is_unpublished_and_comes_back(empty: Sandbox) -> None:
    gateway = connect(empty)
    notes = noted(push(gateway, product("BULB", "JAM")))
    notes = noted(push(gateway, product("BULB", "JAM", is_enabled=False), notes=notes))
    assert own(empty, "BULB")["status"] == own(empty, "JAM")["status"] == "unpublished"
    notes = noted(push(gateway, product("BULB", "JAM"), notes=notes))
    assert own(empty, "BULB")["status"] == own(empty, "JAM")["status"] == "published"

    # A variant that is gone, and then the whole product.
    notes = noted(push(gateway, product("JAM", number=7), notes=notes))
    assert (own(empty, "BULB")["status"], own(empty, "JAM")["status"]) == ("unpublished", "published")
    [gone] = gateway.catalogue.push([ProductChange("Product:7", None, notes["Product:7"])], call("fact"))
    assert own(empty, "JAM")["status"] == "unpublished"
    notes = noted(push(gateway, product("BULB", "JAM"), notes={gone.key: gone.sent}))
    assert own(empty, "BULB")["status"] == own(empty, "JAM")["status"] == "published", "it was our doing"

    # What Pipe17 never knew is nothing to take back.
    [unknown] = push(gateway, product("NO-SUCH", is_enabled=False))
    assert unknown.refusals == ()


def test_a_sku_that_moves_to_another_product_stays_published(empty: Sandbox) -> None:
    gateway = connect(empty)
    notes = noted(push(gateway, product("BULB", "JAM", number=20), product("LAMP", number=30)))
    moved = (product("BULB", number=20), product("LAMP", "JAM", number=30))
    together = noted(push(gateway, *moved, notes=notes))
    assert own(empty, "JAM") == {"extProductId": "32", "status": "published"}

    # In two batches, whichever comes first.
    back = (product("BULB", "JAM", number=20), product("LAMP", number=30))
    for item in reversed(back):
        together |= noted(push(gateway, item, notes=together))
    assert own(empty, "JAM") == {"extProductId": "22", "status": "published"}
    for item in reversed(moved):
        push(gateway, item, notes=together)
    assert own(empty, "JAM") == {"extProductId": "32", "status": "published"}


def test_an_unknown_sku_is_refused_by_its_names_unless_it_may_be_created(empty: Sandbox) -> None:
    gateway = connect(empty)
    [sent] = push(gateway, product("BULB", "NEW-1", "NEW-2"))
    assert [(item.sku, item.product_id) for item in sent.refusals] == [("NEW-1", "9"), ("NEW-2", "10")]
    assert own(empty, "BULB")["status"] == "published" and empty.calls("POST /products") == 0

    set_field(empty, "catalog.create_products", True)
    gateway.api.outdate()
    pictures = ("https://pictures.example/1.jpg", "kept/elsewhere.jpg")
    more = {"price": Decimal("9.50"), "currency": "USD", "images": pictures, "description": "Nice"}
    wanted = product("BULB", "NEW-1", "NEW-2", **more)
    [sent] = push(gateway, wanted, notes=noted([sent]))
    assert sent.refusals == () and empty.calls("POST /products") == 1
    made = held(empty, "NEW-1")
    assert own(empty, "NEW-1") == {"extProductId": "9", "status": "published"}
    assert (made["name"], made["extProductId"], made["parentExtProductId"]) == ("Something", "9", "7")
    assert made["prices"] == [{"name": "base", "value": 9.5, "currency": "USD"}] and made["imageURLs"] == [pictures[0]]

    # One we made is kept up to date; the others keep the names their owners gave them.
    before = writes(empty)
    [sent] = push(gateway, wanted, notes=noted([sent]))
    assert writes(empty) == before
    push(gateway, product("BULB", "NEW-1", "NEW-2", title="Renamed"), notes=noted([sent]))
    assert held(empty, "NEW-1")["name"] == "Renamed" and held(empty, "BULB")["name"] == "Bulb"


@pytest.mark.parametrize("bulk_post", ["array", "single"])
def test_a_product_somebody_else_owns_takes_our_row_alone_and_is_no_error(start_pipe17: Start, bulk_post: str) -> None:
    sandbox = start_pipe17(shipments=0)
    set_field(sandbox, "catalog.create_products", True)
    gateway = connect(sandbox, bulk_post=bulk_post)
    notes = noted(push(gateway, product("NEW-1", number=1), product("NEW-2", number=2)))
    assert own(sandbox, "NEW-1")["status"] == "published"

    # It shows as ours, but Pipe17 refuses the fields: then only our row is written.
    sandbox.fault(kind="status", code=409, times=1, match={"method": "PUT", "path_prefix": f"{BASE_PATH}/products/"})
    [sent] = push(gateway, product("NEW-1", number=11, title="Renamed"), notes=notes)
    assert sent.refusals == () and own(sandbox, "NEW-1")["extProductId"] == "11"
    assert held(sandbox, "NEW-1")["name"] == "Something"

    # Made by another between our look and our create.
    sandbox.fault(kind="status", code=409, works=True, times=1, match={"method": "POST", "path_prefix": BASE_PATH})
    [sent] = push(gateway, product("NEW-3", number=3))
    assert sent.refusals == () and own(sandbox, "NEW-3") == {"extProductId": "3", "status": "published"}


def test_one_refused_product_costs_no_other(empty: Sandbox) -> None:
    gateway = connect(empty)
    empty.fault(kind="status", code=400, times=1, match={"method": "PUT", "path_prefix": BASE_PATH})
    results = push(gateway, product("BULB", number=1), product("JAM", number=2))
    assert [[item.sku for item in result.refusals] for result in results] == [["BULB"], []]
    assert own(empty, "JAM")["extProductId"] == "2" and "extProductId" not in own(empty, "BULB")


def test_p27_products_without_an_answer_stay_owed_and_are_told_once(empty: Sandbox) -> None:
    gateway = connect(empty)
    place = {"match": {"method": "PUT", "path_prefix": BASE_PATH}}
    empty.fault(kind="slow", delay_s=0.0, times=1, **place)
    empty.fault(kind="reset_after", times=1, **place)
    products = [product("BULB", number=1), product("JAM", number=2), product("HONEY", number=3)]
    assert [item.key for item in push(gateway, *products)] == ["Product:1"]
    assert [item.key for item in push(gateway, *products[1:])] == ["Product:2", "Product:3"]
    assert [own(empty, sku)["extProductId"] for sku in ("BULB", "JAM", "HONEY")] == ["1", "2", "3"]
    assert empty.calls("PUT /products/{id}") == 3, "what was done shows, and is not done again"

    empty.fault(kind="reset_before", **place)
    with pytest.raises(Unavailable):
        push(gateway, product("TRAY", number=4))


def test_skus_have_other_names_by_the_setting_and_by_the_products_own_row(empty: Sandbox) -> None:
    set_field(empty, "sku_mapping", "PLATE-S:RO-PLATE")
    gateway = connect(empty)
    [sent] = push(gateway, product("RO-PLATE", "RO-MUG-BLUE", "MUG-BLUE", "PLATE-S"))
    assert own(empty, "PLATE-S") == {"extProductId": "8", "sku": "RO-PLATE", "status": "published"}
    assert {"extProductId": "9", "sku": "RO-MUG-BLUE", "status": "published"}.items() <= own(empty, "MUG-BLUE").items()
    assert [item.sku for item in sent.refusals] == ["MUG-BLUE", "PLATE-S"], "those are other products' names there"


def test_channel_skus_of_many_products_are_searched_a_part_at_a_time_and_then_only_the_changed(
    empty: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_skus, "LOOK_PAGES", 2)
    monkeypatch.setattr(channel_skus, "WALK_PAGE", 100)
    skus = empty.tell("products", {"count": 450})["skus"]
    tick(empty, skus[-1], status="published", sku="RO-LAST")
    gateway = connect(empty)
    with pytest.raises(Unavailable, match="OUT_OF_TIME"):
        push(gateway, product("RO-LAST", number=1))
    results = push(gateway, product("RO-LAST", number=1), product("BULB", number=2))
    assert [item.key for item in results] == ["Product:2"]
    [sent] = push(gateway, product("RO-LAST", number=1))
    assert sent.refusals == () and own(empty, skus[-1])["extProductId"] == "1"
    pages = empty.calls("GET /products")
    [sent] = push(gateway, product("NOWHERE", number=3))
    assert sent.refusals and empty.calls("GET /products") == pages + 1


def test_a_key_without_an_integration_takes_no_catalogue_and_says_so(
    empty: Sandbox, build_app: Callable[..., Any], contract: Any
) -> None:
    assert connect(empty, api_key=LEGACY_KEY, integration_id="").catalogue is None
    assert connect(empty, catalog=False, integration_refresh_s=0).catalogue is None
    assert connect(empty).catalogue is not None
    answer = Caller(build_app(channel_table(empty.url)), contract).ask("catalog_push", template_output=_output("BULB"))
    assert codes(answer) == ["CATALOG_NOT_PASSED_ON"]


def test_a_403_switches_the_catalogue_off_and_nothing_else(empty: Sandbox) -> None:
    grant(empty, products="")
    gateway = connect(empty)
    with pytest.raises(Misconfigured):
        push(gateway, product("BULB"))
    with pytest.raises(Unavailable, match="SWITCHED_OFF"):
        push(gateway, product("BULB"))
    assert empty.calls("GET /products") == 1
    assert gateway.permissions()["catalog"] and not gateway.permissions()["inventory"]


def test_a_list_that_does_not_heed_the_skus_is_no_proof_that_there_are_none(empty: Sandbox) -> None:
    asked: list[str] = []

    def deaf(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        asked.append(environ["REQUEST_METHOD"] + environ["PATH_INFO"])
        rows = [{"productId": "p1", "sku": "SOMETHING-ELSE", "published": []}]
        start("200 OK", [("Content-Type", "application/json")])
        return [msgspec.json.encode({"success": True, "code": 200, "products": rows, "integration": {}})]

    with serve(deaf) as server:  # type: ignore[arg-type]
        gateway = connect(empty, base_url=server.url, create_products=True)
        with pytest.raises(BrokenReply):
            push(gateway, product("BULB"))
    assert asked[-1] == "GET/products" and not any(call.startswith("POST") for call in asked)


# From RetailOps to Pipe17


def _output(*skus: str, number: int = 500, **general: Any) -> dict[str, Any]:
    records = [
        {
            "feed_data": {"General": {"SKU": sku, "Title": sku.title(), **general}},
            "object_data": {"id": number + place, "source_type": "Product"},
        }
        for place, sku in enumerate(skus)
    ]
    return {"data": {"Product": records}}


def test_a_pushed_catalogue_reaches_pipe17_and_what_it_refuses_is_told_later(
    empty: Sandbox, build_app: Callable[..., Any], contract: Any
) -> None:
    table = channel_table(empty.url, api_key=INTEGRATION_KEY, more=f'integration_id = "{INTEGRATION_ID}"')
    retailops = Caller(build_app(table), contract)
    assert retailops.ask("catalog_push", template_output=_output("BULB", "UNHEARD-OF"))["events"] == []
    eventually(lambda: own(empty, "BULB") == {"extProductId": "500", "status": "published"})
    answer = eventually(lambda: _news(retailops))
    [late] = [event for event in answer["events"] if event["code"] == "LATE_PRODUCT_REFUSED"]
    named = {item["identifier_type"]: item["identifier"] for item in late["associations"]}
    assert named == {"product_id": "501", "sku_number": "UNHEARD-OF"}

    before = dict(empty.state()["calls"])
    retailops.ask("catalog_push", template_output=_output("BULB", "UNHEARD-OF"))
    retailops.ask("catalog_push", template_output=_output("JAM", number=600))
    eventually(lambda: own(empty, "JAM")["extProductId"] == "600")
    changed = {name: count - before.get(name, 0) for name, count in empty.state()["calls"].items()}
    assert changed["PUT /products/{id}"] == 1 and "POST /products" not in changed, "the repeated push wrote nothing"
    assert changed["GET /products"] in (1, 2), "what was refused is looked for again, with the other product or alone"


def _news(retailops: Caller) -> dict[str, Any] | None:
    answer = retailops.ask("inventory_push", inventory_updates=[])
    return answer if answer["events"] else None


def test_while_the_catalogue_is_switched_off_stock_goes_on_and_the_catalogue_follows(
    empty: Sandbox, build_app: Callable[..., Any], contract: Any
) -> None:
    set_field(empty, "enabled_flows.catalog", False)
    more = f'integration_id = "{INTEGRATION_ID}"\nintegration_refresh_s = 0.2'
    retailops = Caller(build_app(channel_table(empty.url, api_key=INTEGRATION_KEY, more=more)), contract)
    assert retailops.ask("catalog_push", template_output=_output("BULB"))["events"] == []
    details = [{"quantity_type": "internal", "facility_name": "Dallas DC", "available_quantity": 3,
                "total_quantity": 3}]  # fmt: skip
    rows = [{"sku": "BOWL", "quantity_available": 3, "quantity_detail": details}]
    retailops.ask("inventory_push", inventory_updates=rows)
    eventually(lambda: 3 in {row["onHand"] for row in empty.state()["inventory"] if row["sku"] == "BOWL"})
    assert own(empty, "BULB") == {} and empty.calls("PUT /products/{id}") == 0
    set_field(empty, "enabled_flows.catalog", True)
    eventually(lambda: own(empty, "BULB").get("status") == "published")


def test_refusals_name_no_word_of_pipe17s(empty: Sandbox) -> None:
    gateway = connect(empty)
    empty.fault(kind="status", code=400, match={"method": "PUT", "path_prefix": BASE_PATH})
    [sent] = push(gateway, product("BULB"))
    assert sent.refusals == (Refusal("Pipe17 refused to note that RetailOps has it (HTTP_400)", "BULB", "7"),)
    assert FOREIGN_INTEGRATION_ID not in sent.refusals[0].reason


def test_one_product_pipe17_always_fails_on_costs_no_other(empty: Sandbox) -> None:
    gateway = connect(empty)
    poison = f"{BASE_PATH}/products/{held(empty, 'BULB')['productId']}"
    empty.fault(kind="status", code=500, match={"method": "PUT", "path_prefix": poison})
    goods = [product("BULB", number=1), product("JAM", number=2), product("HONEY", number=3)]
    assert [item.key for item in push(gateway, *goods)] == ["Product:2", "Product:3"]
    with pytest.raises(Unavailable):
        push(gateway, goods[0])
    empty.heal()
    assert [item.key for item in push(gateway, goods[0])] == ["Product:1"]


def test_p14_a_pipe17_that_fails_on_every_product_is_not_asked_for_all_of_them(empty: Sandbox) -> None:
    skus = empty.tell("products", {"count": 20})["skus"]
    times = 100
    empty.fault(kind="status", code=500, times=times, match={"method": "PUT", "path_prefix": BASE_PATH})
    with pytest.raises(Unavailable):
        push(connect(empty), *(product(sku, number=place) for place, sku in enumerate(skus, 1)))
    [rule] = empty.state()["faults"]
    assert times - rule["times"] == catalogue.MOST_FAILURES


def _owed(retailops: Caller) -> list[sync_state.Owed]:
    """What is owed and was tried."""
    with retailops.database.read() as connection:
        return [item for item in sync_state.owed(connection) if item.last_error]


def test_r13_a_catalogue_that_cannot_be_told_holds_up_no_stock_and_the_operator_sees_why(
    empty: Sandbox, build_app: Callable[..., Any], contract: Any
) -> None:
    empty.fault(kind="status", code=500, match={"method": "PUT", "path_prefix": f"{BASE_PATH}/products"})
    table = channel_table(empty.url, api_key=INTEGRATION_KEY, more=f'integration_id = "{INTEGRATION_ID}"')
    retailops = Caller(build_app(table), contract)
    retailops.ask("catalog_push", template_output=_output("BULB"))
    eventually(lambda: _owed(retailops))
    details = [{"quantity_type": "internal", "facility_name": "Dallas DC", "available_quantity": 3,
                "total_quantity": 3}]  # fmt: skip
    rows = [{"sku": "BOWL", "quantity_available": 3, "quantity_detail": details}]
    retailops.ask("inventory_push", inventory_updates=rows)
    eventually(lambda: 3 in {row["onHand"] for row in empty.state()["inventory"] if row["sku"] == "BOWL"})
    [owed] = _owed(retailops)
    assert (owed.kind, owed.count) == ("catalogue", 1) and owed.last_error.startswith("HTTP_500: ")
    empty.heal()
    with retailops.database.write() as connection:
        connection.execute(update(sync_states).values(catalogue_next_try_at=None))
    eventually(lambda: own(empty, "BULB").get("status") == "published")


def test_what_pipe17s_people_click_is_honoured_without_waiting_for_a_change_in_retailops(
    empty: Sandbox, build_app: Callable[..., Any], contract: Any
) -> None:
    more = f'integration_id = "{INTEGRATION_ID}"\nproduct_poll_minutes = 0.005'
    retailops = Caller(build_app(channel_table(empty.url, api_key=INTEGRATION_KEY, more=more)), contract)
    set_field(empty, "sku_mapping", "MUG-BLUE:RO-MUG")
    retailops.ask("catalog_push", template_output=_output("BULB", "JAM", "RO-MUG"))
    eventually(lambda: all(own(empty, sku).get("status") == "published" for sku in ("BULB", "JAM", "MUG-BLUE")))
    tick(empty, "BULB", status="tobeunpublished")
    tick(empty, "MUG-BLUE", status="tobeunpublished")
    tick(empty, "HONEY", status="tobepublished")
    eventually(lambda: {own(empty, sku)["status"] for sku in ("BULB", "MUG-BLUE")} == {"unpublished"})
    tick(empty, "BULB", status="tobepublished")
    eventually(lambda: own(empty, "BULB")["status"] == "published")
    assert own(empty, "MUG-BLUE")["status"] == "unpublished"
    assert own(empty, "HONEY")["status"] == "tobepublished", "RetailOps never said that it has this one"


def test_the_wishes_of_many_products_are_read_from_where_the_last_look_ended(start_pipe17: Start) -> None:
    clock = Clock()
    sandbox = start_pipe17(shipments=0, clock=clock)
    skus = sandbox.tell("products", {"count": 150})["skus"]
    gateway = connect(sandbox, poll_overlap_minutes=0)
    everything = gateway.poll.since(None, clock.ms, {}, call("fact"))
    assert everything.is_all and set(skus).isdisjoint(everything.skus)
    clock.now += timedelta(seconds=60)
    for sku in skus:
        tick(sandbox, sku, status="tobepublished")
    place = {"match": {"method": "GET", "path_prefix": f"{BASE_PATH}/products"}, "times": 1}
    sandbox.fault(kind="slow", delay_s=0.0, **place)
    sandbox.fault(kind="status", code=500, **place)
    first = gateway.poll.since(everything.until_ms, clock.ms, {}, call("fact"))
    assert 0 < len(first.skus) <= 100 and not first.is_all
    sandbox.heal()
    second = gateway.poll.since(first.until_ms, clock.ms, {}, call("fact"))
    assert second.is_all and {*first.skus, *second.skus} >= set(skus)
    set_field(sandbox, "enabled_flows.catalog", False)
    gateway.api.outdate()
    with pytest.raises(Unavailable, match="SWITCHED_OFF"):
        gateway.poll.since(None, clock.ms, {}, call("fact"))
