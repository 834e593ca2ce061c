"""What Pipe17's people set for our integration is obeyed: its toggle, ticks, grants, settings and mappings."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from flask import Flask
from sqlalchemy import insert, select, update

from app.contract.schemas import Contract
from app.domain.commands import Acknowledgement, Cancellation, CommandBody, Completion, ReturnedGoods
from app.domain.stock import StockChange
from app.errors import SWITCHED_OFF, GatewayError, Misconfigured, Unavailable
from app.gateways.vendor import Tools
from app.gateways.vendors.pipe17 import VENDOR, Pipe17Gateway
from app.gateways.vendors.pipe17.connection.connector_settings import FIELDS, definition, merged
from app.gateways.vendors.pipe17.connection.integration_record import TICKS
from app.options import explain
from app.records import due_facts, polls
from app.records.tables.catalogue import catalogue_sync
from app.records.tables.stock import sync_states
from app.sandbox.vendors.pipe17 import BASE_PATH, INTEGRATION_ID, INTEGRATION_KEY, LEGACY_KEY
from app.sandbox.vendors.pipe17.samples import RENO, SAMPLES
from tests.channels import channel_table
from tests.gateways.vendors.pipe17.stage import (
    OWN,
    Clock,
    administrate,
    call,
    connect,
    event_codes,
    fetch,
    grant,
    level,
    own,
    package,
    request,
    tick,
)
from tests.passing_time import PassingTime
from tests.retailops import Caller, codes
from tests.sandboxes import Sandbox
from tests.stopwatch import Stopwatch
from tests.waiting import eventually

PATH_KEY = "an-address-nobody-can-guess-1"
HOOKED = f'integration_id = "{INTEGRATION_ID}"\nwebhook_path_key = "{PATH_KEY}"\n'


def traffic(sandbox: Sandbox) -> dict[str, int]:
    """Calls by kind, but for reading the integration itself."""
    return {name: count for name, count in sandbox.state()["calls"].items() if name != "GET /integrations/{id}"}


def uses(gateway: Pipe17Gateway, made: dict[str, Any]) -> dict[str, Callable[[], object]]:
    """Every use of the gateway that somebody is owed an outcome for."""
    refnum = made["shipmentId"]
    return {
        "acknowledge": lambda: gateway.commands.acknowledge_order(Acknowledgement(refnum, "9001"), call()),
        "ship": lambda: gateway.commands.submit_shipment(package(made), call()),
        "correct": lambda: gateway.commands.correct_shipment(package(made, tracking_number="1Z2"), call()),
        "complete": lambda: gateway.commands.complete_order(Completion(refnum), call()),
        "cancel": lambda: gateway.commands.cancel_order(Cancellation(refnum), call()),
        "stock": lambda: gateway.stock.push([StockChange("BOWL", level(dallas=(5, 5)))], call("fact")),
    }


# The toggle


@pytest.mark.parametrize("status", ["disabled", "deleted"])
def test_a_switched_off_integration_stops_every_flow_without_an_error_and_resumes(empty: Sandbox, status: str) -> None:
    made = request(empty)
    gateway = connect(empty)
    assert len(fetch(gateway)) == 1
    administrate(empty, status=status)
    gateway.api.outdate()
    before = traffic(empty)
    assert fetch(gateway) == [] and gateway.orders.fetch_named([made["shipmentId"]], call("question")) == []
    assert gateway.orders.fetch_cancellations(7, 2**45, call("question")).until_ms == 7
    for use in uses(gateway, made).values():
        with pytest.raises(Unavailable, match=SWITCHED_OFF) as caught:
            use()
        assert not caught.value.outcome_unknown and status in caught.value.message
    assert traffic(empty) == before, "no reads, no writes"
    assert all(status in why for why in gateway.permissions().values())

    administrate(empty, status="connected")
    gateway.api.outdate()
    assert len(fetch(gateway)) == 1
    for name, use in uses(gateway, made).items():
        if name != "cancel":
            use()
    assert empty.shipment(made["shipmentId"])["status"] == "fulfilled"
    assert not any(gateway.permissions().values())


def test_nothing_is_looked_up_while_switched_off(empty: Sandbox) -> None:
    made = request(empty)
    refnum = made["shipmentId"]
    returned = ReturnedGoods(refnum, "600", ())
    owed: list[tuple[str, CommandBody]] = [
        ("acknowledge_order", Acknowledgement(refnum, "9001")),
        ("submit_shipment", package(made)),
        ("correct_shipment", package(made)),
        ("cancel_order", Cancellation(refnum)),
        ("complete_order", Completion(refnum)),
        ("record_return", returned),
    ]
    administrate(empty, status="disabled")
    gateway = connect(empty)
    for verb, body in owed:
        with pytest.raises(Unavailable, match=SWITCHED_OFF):
            gateway.commands.look_up(verb, body, call())
    assert traffic(empty) == {}
    # Where only returns are off, the call itself says so and holds up nothing.
    administrate(empty, status="connected", settings={"enabled_flows.returns": False, "returns.create": True})
    gateway.api.outdate()
    assert gateway.commands.look_up("record_return", returned, call()) is None
    assert event_codes(gateway.commands.record_return(returned, call()).events) == [("info", "RETURN_NOT_PASSED_ON")]
    assert "GET /returns" not in traffic(empty)


def test_the_toggle_is_noticed_within_the_refresh_and_costs_one_call_each_time(
    empty: Sandbox, time_passes: PassingTime
) -> None:
    gateway = connect(empty, integration_refresh_s=60)
    for _ in range(5):
        fetch(gateway)
    assert empty.calls("GET /integrations/{id}") == 1
    administrate(empty, status="disabled")
    assert not gateway.integration.why_off("orders", call())
    time_passes.move(61)
    assert gateway.integration.why_off("orders", call())
    administrate(empty, status="connected")
    assert gateway.integration.why_off("orders", call())
    time_passes.move(61)
    assert not gateway.integration.why_off("orders", call())
    assert empty.calls("GET /integrations/{id}") == 3


def test_what_is_owed_while_switched_off_is_delivered_after_it_is_on_again(
    empty: Sandbox, build_app: Callable[..., Flask], contract: Contract, time_passes: PassingTime
) -> None:
    retailops = Caller(build_app(channel_table(empty.url, api_key=INTEGRATION_KEY, more=OWN)), contract)
    made = [request(empty), request(empty)]
    pulled = retailops.pull()
    retailops.acknowledge(*[order["channel_order_refnum"] for order in pulled])
    administrate(empty, status="disabled")
    time_passes.move(0.3)
    assert retailops.pull() == []
    answer = retailops.ship(pulled[0])
    assert codes(answer) == ["OWED"] and SWITCHED_OFF in answer["events"][0]["message"]
    cancelled = retailops.cancel(pulled[1]["channel_order_refnum"])
    assert (cancelled["status"], codes(cancelled)) == ("fail", [SWITCHED_OFF]), "the vendor decides, so it is not owed"
    assert empty.fulfilments(made[0]["shipmentId"]) == []
    administrate(empty, status="connected")
    eventually(lambda: empty.fulfilments(pulled[0]["channel_order_refnum"]))
    assert retailops.cancel(pulled[1]["channel_order_refnum"])["status"] == "success"


def test_an_unreadable_integration_keeps_what_was_read_and_never_takes_a_callback_longer(
    empty: Sandbox, time_passes: PassingTime
) -> None:
    gateway = connect(empty, integration_refresh_s=60, patience_s=1.0)
    request(empty)
    administrate(empty, settings={"shipping_method_default": "UPSG"})
    assert [item.order.ship_service_code for item in fetch(gateway)] == ["UPSG"]  # type: ignore[union-attr]
    empty.fault(kind="hang", match={"method": "GET", "path_prefix": f"{BASE_PATH}/integrations"})
    time_passes.move(61)
    with Stopwatch() as watch:
        assert [item.order.ship_service_code for item in fetch(gateway)] == ["UPSG"]  # type: ignore[union-attr]
    assert watch.took_s < 2.0, "one patience and no more"
    empty.heal()
    # Never read at all: nothing may be sent by settings nobody has seen.
    empty.fault(kind="status", code=503, match={"method": "GET", "path_prefix": f"{BASE_PATH}/integrations"})
    with pytest.raises(Unavailable, match="HTTP_503"):
        fetch(connect(empty))
    assert traffic(empty).get("GET /shipments") == 2


# Whose word counts


@pytest.mark.parametrize("withheld", ["grant", "integration"])
def test_where_the_integration_may_not_be_read_the_local_file_counts(
    empty: Sandbox, withheld: str, caplog: pytest.LogCaptureFixture
) -> None:
    request(empty)
    administrate(empty, settings={"shipping_method_default": "THEIRS"})
    places = {item["name"]: item["locationId"] for item in empty.state()["locations"]}
    options: dict[str, Any] = {"default_ship_code": "OURS", "locations": places}
    if withheld == "grant":
        grant(empty, integrations="")
    else:
        options["integration_id"] = "ffffffffffffffff"
    gateway = connect(empty, **options)
    assert [item.order.ship_service_code for item in fetch(gateway)] == ["OURS"]  # type: ignore[union-attr]
    gateway.api.outdate()
    fetch(gateway)
    assert caplog.text.count("channels.toml alone counts") == 1 and not any(gateway.permissions().values())


def test_pipe17s_settings_go_before_ours_and_what_is_blank_or_wrong_there_does_not(
    empty: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    administrate(
        empty,
        settings={
            "shipping_method_map": "GROUND:UPSG",
            "sku_mapping": '{"MUG-RED": "RO-RED"}',
            "poll_overlap_minutes": "a while",
            "cancel_status": "gone",
            "inventory.mode": "delta",
        },
    )
    gateway = connect(empty, default_ship_code="OURS", cancel_status="canceled", poll_overlap_minutes=3)
    settings = gateway.integration.settings(call())
    assert settings.shipping_methods == {"GROUND": "UPSG"} and settings.default_ship_code == "OURS"
    assert settings.sku_mapping == {"MUG-RED": "RO-RED"}
    assert (settings.poll_overlap_s, settings.cancel_status, settings.inventory_mode) == (180, "canceled", "delta")
    assert "poll_overlap_minutes must be minutes" in caplog.text and "a while" not in caplog.text


def test_a_bare_key_reads_no_integration_and_a_missing_grant_is_its_fault(empty: Sandbox) -> None:
    gateway = connect(empty, api_key=LEGACY_KEY, integration_id="", default_ship_code="OURS")
    request(empty)
    assert [item.order.ship_service_code for item in fetch(gateway)] == ["OURS"]  # type: ignore[union-attr]
    assert empty.calls("GET /integrations/{id}") == 0
    empty.tell("keys", {"key": LEGACY_KEY, "integration": None, "methods": {"locations": "l"}}, "PUT")
    for _ in range(2):
        with pytest.raises(Misconfigured, match="HTTP_403"):
            fetch(gateway)


@pytest.mark.parametrize(
    ("written", "pairs"),
    [
        ("A:1, B:2", {"A": "1", "B": "2"}),
        ('{"A": "1", "B": "2"}', {"A": "1", "B": "2"}),
        ({"A": "1"}, {"A": "1"}),
        ("A:1,A:2,", {"A": "1"}),
        ("A:x:1", {"A": "x:1"}),
        ("A", None),
        ('{"A": 1}', None),
        ("{broken", None),
        ("[1]", None),
        (7, None),
    ],
    ids=str,
)
def test_a_sku_mapping_is_pairs_or_json_and_its_first_is_pipe17s(written: object, pairs: dict[str, str] | None) -> None:
    local = VENDOR.options(api_key="k", sku_mapping={"OLD": "O"})
    settings, problems = merged(local, {"sku_mapping": written})
    if pairs is None:
        assert settings.sku_mapping == local.sku_mapping and "sku_mapping must be" in problems[0]
        return
    assert settings.skus.to_partner == pairs and problems == []
    for first, second in pairs.items():
        assert settings.skus.partner_sku(first) == second
        assert settings.skus.pipe17_sku(second) == first
    assert settings.skus.partner_sku("other") == settings.skus.pipe17_sku("other") == "other"


def test_every_field_is_declared_once_read_here_and_known_to_the_sandbox() -> None:
    declared = definition()["settings"]["fields"]
    known = SAMPLES["integrations"][0]["settings"]["fields"]
    assert [item["path"] for item in declared] == list(FIELDS) == [field["path"] for field in known]
    assert all(item["options"]["label"] and item["options"]["description"] for item in declared)
    attributes = [attribute for attribute, _ in FIELDS.values()]
    assert attributes == [
        "orders", "inventory", "catalog", "returns", "location_filter", "sku_mapping", "inventory_mode",
        "shipping_methods", "default_ship_code", "cancel_status", "create_products", "create_returns",
        "poll_overlap_minutes",
    ]  # fmt: skip
    assert set(attributes) <= set(VENDOR.options.__dataclass_fields__)
    # The defaults an administrator sees are those of channels.toml, but for the ship code, which is ours to know.
    local = VENDOR.options(api_key="k", default_ship_code="")
    assert merged(local, {item["path"]: item["options"]["defaultValue"] for item in declared}) == (local, [])
    for path, words in {item["path"]: item["options"].get("values", ()) for item in declared}.items():
        assert [merged(local, {path: word})[1] for word in words] == [[]] * len(words)


# Ticks and grants


def test_only_ticked_flows_run_and_the_point_of_view_can_be_turned(empty: Sandbox) -> None:
    request(empty)
    administrate(empty, entities={"shipments": "out", "inventory": "in", "products": ""})
    gateway = connect(empty)
    assert fetch(gateway) == []
    off = {flow for flow, why in gateway.permissions().items() if "not ticked" in why}
    assert off == {"orders", "states", "inventory", "catalog"}
    turned = connect(empty, entity_directions="pipe17")
    assert len(fetch(turned)) == 1
    assert {flow for flow, why in turned.permissions().items() if why} == {
        "fulfillments",
        "trackings",
        "catalog",
        "receipts",
    }
    ignored = connect(empty, entity_directions="ignore")
    assert len(fetch(ignored)) == 1 and not any(ignored.permissions().values())


def test_the_settings_switch_single_flows_off(empty: Sandbox) -> None:
    made = request(empty)
    administrate(empty, settings={"enabled_flows.orders": False, "enabled_flows.inventory": False})
    gateway = connect(empty)
    assert fetch(gateway) == []
    with pytest.raises(Unavailable, match=SWITCHED_OFF):
        uses(gateway, made)["stock"]()
    assert {flow for flow, why in gateway.permissions().items() if "enabled_flows" in why} == {"orders", "inventory"}
    gateway.commands.submit_shipment(package(made), call())  # what RetailOps has already goes on


def test_a_403_switches_its_flow_off_once_told_and_tried_again_at_the_refresh(
    empty: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    made = request(empty)
    grant(empty, shipments="", inventory="")
    gateway = connect(empty)
    stock = uses(gateway, made)["stock"]
    assert fetch(gateway) == [] and fetch(gateway) == []
    with pytest.raises(Misconfigured, match="HTTP_403"):
        stock()
    with pytest.raises(Unavailable, match=SWITCHED_OFF):
        stock()
    assert (empty.calls("GET /shipments"), empty.calls("POST /inventory")) == (1, 1)
    gateway.api.outdate()
    assert fetch(gateway) == [] and empty.calls("GET /shipments") == 2
    assert caplog.text.count("the flow 'orders' is off") == 1 == caplog.text.count("the flow 'inventory' is off")
    assert {flow for flow, why in gateway.permissions().items() if "no grant" in why} == {"orders"}

    grant(empty)
    gateway.api.outdate()
    with caplog.at_level(logging.INFO):
        assert len(fetch(gateway)) == 1
        stock()
    assert not any(gateway.permissions().values())
    assert "the flow 'orders' is on again" in caplog.text


def test_every_flow_is_one_of_the_entities_the_definition_asks_for() -> None:
    assert {entity for entity, _ in TICKS.values()} <= {item["name"] for item in definition()["entities"]}


# What we tell Pipe17 of ourselves


def test_our_state_is_reported_where_it_may_be_and_the_toggle_is_never_touched(
    empty: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    def shown() -> tuple[str, str]:
        [ours] = [item for item in empty.state()["integrations"] if item["integrationId"] == INTEGRATION_ID]
        return ours["status"], ours["errorText"]

    administrate(empty, status="configured")
    gateway = connect(empty)
    fetch(gateway)
    assert shown() == ("connected", "")

    administrate(empty, settings={"location_filter": "ffffffffffffffff"})
    gateway.api.outdate()
    for _ in range(2):
        with pytest.raises(Misconfigured, match="NO_LOCATIONS"):
            fetch(gateway)
    assert shown()[0] == "error" and "no active location" in shown()[1]
    assert caplog.text.count("cannot work") == 1
    administrate(empty, settings={"location_filter": ""})
    gateway.api.outdate()
    fetch(gateway)
    assert shown() == ("connected", "")

    administrate(empty, status="disabled")
    gateway.api.outdate()
    fetch(gateway)
    assert shown()[0] == "disabled"
    writes = empty.calls("PUT /integrations/{id}")

    grant(empty, integrations="rl")
    administrate(empty, status="configured")
    with caplog.at_level(logging.INFO):
        other = connect(empty)
        assert fetch(other) == fetch(other) == []
    assert shown()[0] == "configured" and empty.calls("PUT /integrations/{id}") == writes + 1
    assert caplog.text.count("is not sent to pipe17") == 1


def test_field_mappings_are_named_to_the_operator_and_not_applied(
    empty: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        gateway = connect(empty)
        fetch(gateway)
        gateway.api.outdate()
        fetch(gateway)
    assert caplog.text.count("1 field mapping rules for shipments; this server does not apply them") == 1
    assert empty.calls("GET /mappings/{id}") == 1


# Locations


def test_the_location_filter_leaves_out_the_others_for_orders_and_stock(empty: Sandbox) -> None:
    places = {item["name"]: item["locationId"] for item in empty.state()["locations"]}
    here, there = request(empty), request(empty, locationId=places[RENO])
    administrate(empty, settings={"location_filter": places[RENO]})
    gateway = connect(empty)
    assert [item.refnum for item in fetch(gateway)] == [there["shipmentId"]]
    [sent] = gateway.stock.push([StockChange("BOWL", level(dallas=(5, 5), reno=(3, 3)))], call("fact"))
    assert msgspec.json.decode(sent.sent).keys() == {places[RENO]}
    # What RetailOps got before the filter was set is still ours.
    assert gateway.orders.find_order(here["shipmentId"], call()) is not None


def test_p33_a_location_is_made_once_however_often_and_in_whatever_spelling_its_facility_is_named(
    empty: Sandbox,
) -> None:
    """Two locations of one name would stand for no facility at all."""
    gateway = connect(empty, facilities={"North": "Main", "South": "Main"})
    named = ("Z\u00fcrich", "ZU\u0308RICH ", "North", "South")
    steps = gateway.facilities.sync(named, {"country": "CH"}, call(), is_dry=False, takes_over=False)
    assert [step.done for step in steps] == ["created", "ready", "created", "ready"]
    places = [item["name"] for item in empty.state()["locations"]]
    assert places.count("Z\u00fcrich") == places.count("Main") == 1
    served = gateway.locations.served(call())
    assert served.find("z\u00fcrich") == steps[0].location_id and served.find("South") == steps[2].location_id


def test_a_facility_is_the_location_of_its_name_else_the_configured_one_both_ways(empty: Sandbox) -> None:
    places = {item["name"]: item["locationId"] for item in empty.state()["locations"]}
    request(empty, locationId=places[RENO])
    gateway = connect(empty, facilities={"Nevada": RENO, "Dallas DC": RENO})
    served = gateway.locations.served(call())
    assert served.find("nevada") == served.find(RENO) == places[RENO]
    assert served.find("Dallas DC") == places["Dallas DC"], "the same name goes first"
    [order] = [item.order for item in fetch(gateway)]
    assert {"facility_name": "Nevada"}.items() <= {item.handle: item.value for item in order.attributes}.items()  # type: ignore[union-attr]


# Webhooks


def test_a_webhook_makes_the_next_read_a_fresh_one_and_its_body_is_never_believed(
    empty: Sandbox, build_app: Callable[..., Flask], contract: Contract
) -> None:
    key = PATH_KEY
    app = build_app(channel_table(empty.url, api_key=INTEGRATION_KEY, more=HOOKED))
    retailops = Caller(app, contract)
    retailops.pull()
    administrate(empty, status="disabled")
    request(empty)
    assert len(retailops.pull()) == 1, "what was read is believed for ten minutes"
    client = app.test_client()
    assert client.post(f"/pipe17/hooks/{key[:-1]}2", json={}).status_code == 404
    assert client.post("/pipe17/hooks/", json={}).status_code == 404
    assert len(retailops.pull()) == 1
    lie = {"entity": "integrations", "action": "update", "status": "connected"}
    reply = client.post(f"/pipe17/hooks/{key}", json=lie)
    assert (reply.status_code, reply.data) == (204, b"")
    assert retailops.pull() == []
    assert client.post(f"/pipe17/hooks/{key}", data=b"\xff{", content_type="text/x").status_code == 204
    assert build_app(channel_table(empty.url)).test_client().post(f"/pipe17/hooks/{key}").status_code == 404
    retailops.database.close()
    assert client.post(f"/pipe17/hooks/{key}").status_code == 503, "the other processes would not hear of it"


@pytest.mark.both_databases
def test_p26_a_webhook_that_comes_to_one_process_is_heeded_by_all(
    empty: Sandbox, build_app: Callable[..., Flask], contract: Contract
) -> None:
    table = channel_table(empty.url, api_key=INTEGRATION_KEY, more=HOOKED)
    processes = [Caller(build_app(table), contract) for _ in range(2)]
    request(empty)
    for status, orders in (("connected", 1), ("disabled", 1)):
        administrate(empty, status=status)
        assert [len(process.pull()) for process in processes] == [orders, orders]
    assert processes[0].app.test_client().post(f"/pipe17/hooks/{PATH_KEY}").status_code == 204
    assert [process.pull() for process in processes] == [[], []]


def test_a_flood_of_webhooks_is_no_flood_of_calls_and_the_last_one_counts(empty: Sandbox, retailops: Caller) -> None:
    clock = Clock()
    gateway = connect(empty, Tools("first", 16, database=retailops.database, clock=clock), webhook_path_key=PATH_KEY)
    fetch(gateway)
    for _ in range(20):
        gateway.hints.give()
        fetch(gateway)
    reads = {f"GET /{name}": empty.calls(f"GET /{name}") for name in ("integrations/{id}", "locations")}
    assert set(reads.values()) == {2}
    clock.now += polls.HINTS_APART
    for _ in range(5):
        fetch(gateway)
    assert {name: empty.calls(name) for name in reads} == {name: 3 for name in reads}


def test_what_is_clicked_is_seen_at_once_where_a_webhook_comes(
    empty: Sandbox, build_app: Callable[..., Flask], contract: Contract
) -> None:
    retailops = Caller(build_app(channel_table(empty.url, api_key=INTEGRATION_KEY, more=HOOKED)), contract)

    def next_look() -> object:
        with retailops.database.read() as connection:
            return connection.execute(select(sync_states.c.poll_due_at)).scalar()

    record = {"object_data": {"id": 1, "source_type": "product"}, "feed_data": {"General": {"SKU": "BULB"}}}
    retailops.ask("catalog_push", template_output={"data": {"Product": [record]}})
    eventually(lambda: own(empty, "BULB").get("status") == "published" and next_look())
    tick(empty, "BULB", status="tobeunpublished")
    assert retailops.app.test_client().post(f"/pipe17/hooks/{PATH_KEY}").status_code == 204
    eventually(lambda: own(empty, "BULB").get("status") == "unpublished")


def test_a_look_for_clicks_that_is_under_way_swallows_no_webhook(empty: Sandbox, retailops: Caller) -> None:
    clock = Clock()
    tools = Tools("other", 16, database=retailops.database, clock=clock)
    gateway = connect(empty, tools, webhook_path_key=PATH_KEY)
    begun_at = clock.now - timedelta(seconds=1)
    after = {"poll_due_at": begun_at + timedelta(seconds=gateway.poll.every_s)}
    look = {"channel": "other", "gateway": "pipe17", "lease_until": clock.now + timedelta(seconds=30), **after}

    def is_due() -> bool:
        with retailops.database.read() as connection:
            return due_facts.due(connection, "other", "pipe17", clock.now, poll_every_s=gateway.poll.every_s).poll

    def is_taken() -> bool:
        own = {"token": "t", "every_s": gateway.poll.every_s, "now": clock.now, "lease_s": 30.0}
        with retailops.database.write() as connection:
            return polls.take(connection, "other", "pipe17", **own) is not None

    with retailops.database.write() as connection:
        connection.execute(insert(sync_states), look)
        connection.execute(insert(catalogue_sync), {"channel": "other", "gateway": "pipe17", "root_key": "A", "seq": 1})
    assert not is_due()
    gateway.hints.give()
    assert is_due() and not is_taken()
    with retailops.database.write() as connection:
        connection.execute(update(sync_states).values(lease_until=None))
    assert is_due() and is_taken()


def test_p20_the_path_key_is_shown_nowhere(empty: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    key = PATH_KEY
    options = VENDOR.options(api_key="k", webhook_path_key=key)
    gateway = connect(empty, webhook_path_key=key)
    with caplog.at_level(logging.DEBUG):
        fetch(gateway)
    assert key not in caplog.text + repr(vars(gateway)) + repr(options)
    assert {item.value for item in explain(VENDOR.options, options) if item.name == "webhook_path_key"} == {"set"}


def test_nothing_but_gateway_errors_leaves_the_integration_whatever_pipe17_answers(empty: Sandbox) -> None:
    for kind in ("html", "empty", "truncated_json", "wrong_type", "half_body", "reset_before"):
        empty.heal()
        empty.fault(kind=kind, match={"method": "GET", "path_prefix": f"{BASE_PATH}/integrations"})
        with pytest.raises(GatewayError):
            fetch(connect(empty))
