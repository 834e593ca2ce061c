"""What the pages show, what an act on them does, and what they never do (P20, P39, P40)."""

from __future__ import annotations

import csv
import io
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from sqlalchemy import insert

from app import caller
from app.clock import utc_now
from app.console import choosing, csv_rows
from app.console.csv_rows import harmless
from app.console.meanings import meanings
from app.console.pages import refunds
from app.console.rendering import NAVIGATION
from app.contract.schemas import Contract
from app.deadline import Deadline
from app.domain.body_problems import EFFECTS
from app.operations import orders
from app.records import attention, search_keys
from app.records.breakers import OwnBreakers
from app.records.database import DatabaseBusy, DatabaseUnavailable
from app.records.search_keys import Number
from app.records.tables.gateways import rates
from app.records.tables.operations import journal
from app.records.tables.stock import stock
from app.transport.rates import RateState
from tests.channels import channel_table
from tests.command_line import CommandLine
from tests.console.stage import (
    CHANNEL_TOKEN,
    READ_TOKEN,
    TOKEN,
    TOKENS,
    Person,
    acts,
    form_token,
    held_refund,
    hidden,
    parked_call,
    person,
    refused_shipment,
    state_of,
)
from tests.retailops import Caller
from tests.sandboxes import Sandbox
from tests.waiting import eventually

PLACES = [place for group in NAVIGATION for _, place in group]

Build = Callable[..., Flask]


@pytest.fixture
def retailops(build_app: Build, pipe17: Sandbox, contract: Contract) -> Caller:
    channels = channel_table(pipe17.url).replace(
        "[channel.pipe17]", f'console_read_token = "{CHANNEL_TOKEN}"\n[channel.pipe17]'
    )
    return Caller(build_app(channels, **TOKENS), contract)


@pytest.fixture
def ada(retailops: Caller) -> Person:
    return person(retailops.app)


def walked(visitor: Person) -> dict[str, str]:
    """Every page that links lead to, by its address."""
    to_do, found = ["/console/"], dict[str, str]()
    while to_do:
        address = to_do.pop()
        reply = visitor.browser.get(address)
        if reply.status_code == 303:
            found[address] = ""
            to_do.append(reply.location)
            continue
        assert reply.status_code == 200, (address, reply.status_code)
        found[address] = reply.text
        links = [unescape(link) for link in re.findall(r'href="(/console[^"]*)"', reply.text)]
        to_do += [link for link in links if link not in found and link not in to_do and "/static/" not in link]
    return found


def filled(retailops: Caller, pipe17: Sandbox) -> list[dict[str, Any]]:
    """A channel in which something of every kind has happened; the orders that were pulled."""
    details = [
        {"quantity_type": "internal", "facility_name": "Dallas DC", "available_quantity": 3, "total_quantity": 3}
    ]
    rows = [{"sku": "MUG-RED", "quantity_available": 3, "quantity_detail": details}]
    retailops.ask("inventory_push", inventory_updates=rows)
    pulled = retailops.pull()
    retailops.acknowledge(*[order["channel_order_refnum"] for order in pulled])
    refused_shipment(retailops, pipe17, pulled[0])
    retailops.cancel(pulled[1]["channel_order_refnum"])
    parked_call(retailops, "a/b c")
    held_refund(retailops, pulled[0]["channel_order_refnum"])
    retailops.app.extensions["works"].journal.flush()
    return pulled


def test_p40_every_link_leads_to_a_page_at_each_role_and_a_reader_is_shown_no_act(
    retailops: Caller, pipe17: Sandbox
) -> None:
    filled(retailops, pipe17)
    seen = {token: walked(person(retailops.app, token)) for token in (TOKEN, READ_TOKEN, CHANNEL_TOKEN)}
    for token, pages in seen.items():
        assert {f"/console/{place}".rstrip("/") for place in PLACES} <= {address.rstrip("/") for address in pages}
        text = "\n".join(pages.values())
        forms = set(
            re.findall(r'action="/console/([^"]*)" method="post"|method="post" action="/console/([^"]*)"', text)
        )
        places = {one or other for one, other in forms}
        if token == TOKEN:
            assert len(pages) > 30 and len(places) > 5
        else:
            assert places == {"logout", "check"}, "nothing else is a form of theirs"
            assert not re.search(r">\s*(Retry|Drop|Release|Send again|Pause|It was done)\b", text)
    before = acts(retailops)
    walked(person(retailops.app))
    assert acts(retailops) == before == [], "a GET changes nothing"


def test_p40_an_empty_server_has_all_pages_and_each_says_what_will_be_there(build_app: Build) -> None:
    visitor = person(build_app(**TOKENS))
    pages = walked(visitor)
    assert len(pages) >= len(PLACES)
    for place in ("orders", "callbacks", "hooks", "deliveries", "refunds", "stock", "catalogue", "operations", "check"):
        assert 'class="empty"' in visitor.page(place), place


def test_r35_what_is_open_of_a_channel_that_is_gone_waits_on_the_first_page(
    retailops: Caller, pipe17: Sandbox, build_app: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    parked_call(retailops, "A-1")
    theirs = {"key": "key+of+the+second+channel+000009", "api_key": "another-account"}
    other = channel_table(pipe17.url, name="second", pair=(1201, 99), **theirs)
    own = f'console_read_token = "{CHANNEL_TOKEN}"\n[channel.pipe17]'
    app = build_app(other.replace("[channel.pipe17]", own), **TOKENS)
    page = unescape(person(app).page(""))
    assert "1 thing waits for you" in page and "Channel 'first' is not configured any more and has " in page
    assert "<code>channel forget first --yes --reason TEXT</code>" in page
    assert "first" not in person(app, CHANNEL_TOKEN).page(""), "nor is it any business of another channel's reader"

    def too_long(*_: Any) -> None:
        raise DatabaseBusy("it took too long")

    monkeypatch.setattr("app.operations.overview.registration.unserved", too_long)
    page = unescape(person(app).page(""))
    assert "Nothing waits for you" in page and "could not be counted in time. <code>channel check</code>" in page


def test_p40_no_page_shows_a_customer(retailops: Caller, pipe17: Sandbox) -> None:
    customer = {"Alma", "Canary", "alma.canary@example.com", "Canary Lane", "+15550142"}
    pulled = filled(retailops, pipe17)
    names = {str(value) for order in pulled for value in leaves(order["shipping_address"])}
    names = {value for value in names | customer if len(value) > 6}
    for address, page in walked(person(retailops.app)).items():
        found = [value for value in names if value in page]
        assert not found, (address, found)


def test_p40_what_was_wrong_with_a_body_is_shown_by_place_and_rule_wherever_its_call_is(
    retailops: Caller, pipe17: Sandbox, ada: Person, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    [order, *_] = retailops.pull()
    refnum, customer = order["channel_order_refnum"], "Canary Lane 7"
    payment = {"payment_transactions": [{"message": {customer: customer}}]}
    settled = {"order": {"channel_order_refnum": refnum}, "payment": payment}
    cancelled = {"order": {"channel_order_refnum": {customer: customer}, "retailops_order_id": 1}}
    replies = [retailops.post("order_settle_payment", **settled), retailops.post("order_cancel", **cancelled)]
    retailops.app.extensions["works"].journal.flush()
    channel = CommandLine(monkeypatch, database_url, channel_table(pipe17.url))
    places = ("/payment/payment_transactions/0/message", "/order/channel_order_refnum")
    effects = ("field_ignored", "refused")
    for reply, place, effect in zip(replies, places, effects, strict=True):
        request = reply.headers["X-Request-Id"]
        [story] = channel.json("callbacks", "show", request)["stories"]
        assert [moment["problems"] for moment in story["moments"] if "problems" in moment] == [
            [{"pointer": place, "rule": "type", "effect": effect}]
        ]
        shown = channel("callbacks", "show", request).stdout
        assert f"{place} breaks type: {EFFECTS[effect]}" in " ".join(shown.split())
        reply = ada.get(f"requests/{request}")
        page = ada.browser.get(reply.location).text if reply.status_code == 303 else reply.text
        assert f"<code>{place}</code></td><td><code>type</code></td>" in page and EFFECTS[effect] in page
        assert "Canary" not in f"{story}{shown}{page}"
        assert f'<p class="lead"><span class="chip {"failed" if effect == "refused" else "unsure"}">' in page
    listed = re.findall(r"<td>(order_\w+)</td>.*?<span class=\"chip (\w+)\">", ada.page("callbacks"))
    assert listed == [("order_cancel", "failed"), ("order_settle_payment", "unsure"), ("order_pull", "done")]
    timeline = ada.page(f"orders/first/{refnum}")
    assert f"<code>{places[0]}</code> breaks <code>type</code>" in timeline and places[1] not in timeline


def test_p40_a_moment_of_the_timeline_says_nothing_twice(retailops: Caller, ada: Person) -> None:
    [order, *_] = retailops.pull()
    refnum = order["channel_order_refnum"]
    retailops.ask("order_acknowledge", orders=[{"channel_order_refnum": refnum, "retailops_order_id": 7}])
    for number in ("1Z1", "1Z2"):
        retailops.ship(order, tracking_number=number)
    retailops.app.extensions["works"].journal.flush()
    events = b'[{"event_type":"error","code":"SAID_WITHOUT_WORDS","message":"","associations":[]}]'
    answered = {"at": utc_now(), "channel": "first", "kind": "callback", "name": "order_update", "status": 200,
                "order_refnum": refnum, "outcome": "success", "duration_ms": 1, "request_id": "r1",
                "events": events}  # fmt: skip
    with retailops.database.write() as connection:
        connection.execute(insert(journal), answered)
    moments = re.findall(r"<li>.*?</li>", ada.page(f"orders/first/{refnum}"), re.DOTALL)
    said = [re.findall(r"[A-Z_]{10,}|[a-z][\w ]{30,}", re.sub(r"<[^>]+>", "", moment)) for moment in moments]
    assert {"SHIPMENT_CORRECTED", "SAID_WITHOUT_WORDS"} <= {words for each in said for words in each}
    assert [words for each in said for words in set(each) if each.count(words) > 1] == []


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in leaves(item)]
    return [value] if isinstance(value, str) else []


def test_p40_a_token_of_one_channel_finds_nothing_of_another(
    build_app: Build, pipe17: Sandbox, contract: Contract
) -> None:
    other = channel_table(
        pipe17.url, name="elsewhere", pair=(1201, 33), key="key+of+the+second+channel+000002", api_key="another-key"
    )
    first = channel_table(pipe17.url)
    own = f'console_read_token = "{CHANNEL_TOKEN}"\n[channel.pipe17]'
    app = build_app(first.replace("[channel.pipe17]", own) + other, **TOKENS)
    caller = Caller(app, contract)
    theirs, mine = parked_call(caller, "THEIRS-1", channel="elsewhere"), parked_call(caller, "MINE-1")
    refund = held_refund(caller, "MINE-1")
    visitor = person(app, CHANNEL_TOKEN)
    assert visitor.get(f"deliveries/{mine}").status_code == visitor.get(f"refunds/{refund}").status_code == 200
    for address in (f"deliveries/{theirs}", "orders/elsewhere/THEIRS-1", "stock/elsewhere/X", "callbacks/999999"):
        assert visitor.get(address).status_code == 404, address
    text = "".join(walked(visitor).values()) + visitor.get("find?q=THEIRS-1").text.replace('value="THEIRS-1"', "")
    assert "elsewhere" not in text and "DATABASE_URL" not in text
    assert f"/deliveries/{theirs}" not in text


def test_p40_a_number_leads_to_its_order(retailops: Caller, pipe17: Sandbox, ada: Person) -> None:
    refnum = retailops.pull()[0]["channel_order_refnum"]
    reply = ada.get(f"find?q={refnum}")
    assert reply.status_code == 303 and reply.location == f"/console/orders/first/{refnum}"
    assert refnum in ada.page(f"orders/first/{refnum}")
    assert "Nothing here has the number" in ada.page("find?q=nothing-has-this")
    assert "<b>" not in ada.page(f"find?q={quote('<b>x')}")


def test_p38_a_request_leads_to_the_call_or_the_hook_it_was_whatever_its_id(retailops: Caller, ada: Person) -> None:
    line = {"at": utc_now(), "channel": "first", "name": "pipe17 order", "order_refnum": "", "outcome": "success",
            "status": 200, "duration_ms": 1}  # fmt: skip
    with retailops.database.write() as connection:
        for request_id, kind in (
            ("one", "callback"),
            ("a/b?c&d=1", "hook"),
            ("twice", "callback"),
            ("twice", "callback"),
        ):
            connection.execute(insert(journal), line | {"kind": kind, "request_id": request_id})
    assert re.fullmatch(r"/console/callbacks/\d+", ada.get("requests/one").location)
    assert ada.get("requests/twice").location == "/console/callbacks?request=twice"
    assert ada.get("requests/nobodys").location == "/console/callbacks?request=nobodys"
    where = ada.get("requests/a%2Fb%3Fc%26d%3D1").location
    assert where == "/console/hooks?request=a%2Fb%3Fc%26d%3D1"
    assert "a/b?c&amp;d=1" in ada.page(where.removeprefix("/console/"))
    assert "No request is like this" in ada.page("hooks?request=one")


@pytest.mark.parametrize("refnum", ["a/b", "a//b", "a b?c=d#e", "ü%2Fx", "<b>&", "a/", "x" * 200])
def test_p35_an_order_has_a_page_whatever_its_number_is(refnum: str, retailops: Caller, ada: Person) -> None:
    number = parked_call(retailops, refnum)
    [address] = re.findall(r'href="/console/(orders/first/[^"]+)"', ada.page(f"deliveries/{number}"))
    assert address == f"orders/first/{quote(refnum, safe='')}"
    assert str(number) in ada.page(address)


def test_p39_a_parked_call_is_retried_with_a_reason_and_arrives(
    retailops: Caller, pipe17: Sandbox, ada: Person
) -> None:
    order = retailops.pull()[0]
    retailops.acknowledge(order["channel_order_refnum"])
    number = refused_shipment(retailops, pipe17, order)
    assert "it waits for you" in ada.page(f"deliveries/{number}")
    reply = ada.act(f"deliveries/{number}/retry", reason="Pipe17 mended it")
    assert reply.status_code == 303
    assert "It is tried now" in ada.browser.get(reply.location).text
    eventually(lambda: pipe17.fulfilments(order["channel_order_refnum"]))
    eventually(lambda: state_of(retailops, number) == "delivered")
    [kept] = acts(retailops)
    assert (kept.who, kept.act, kept.reason) == ("Ada", "deliveries.retry", "Pipe17 mended it")
    assert "Pipe17 mended it" in ada.page("operations")


def test_p39_a_form_sent_twice_acts_once(retailops: Caller, ada: Person) -> None:
    number = parked_call(retailops, "ORDER-1")
    form = {**hidden(ada.page(f"deliveries/{number}/drop")), "reason": "shipped by hand"}
    assert ada.send(f"deliveries/{number}/drop", form).status_code == 303
    assert ada.send(f"deliveries/{number}/drop", form).status_code == 409
    assert state_of(retailops, number) == "dropped" and len(acts(retailops)) == 1


def test_p39_an_act_without_its_reason_or_for_another_state_does_nothing(retailops: Caller, ada: Person) -> None:
    number, other = parked_call(retailops, "ORDER-1"), parked_call(retailops, "ORDER-2")
    for act in ("drop", "confirm"):
        reply = ada.act(f"deliveries/{number}/{act}", reason="  ")
        assert reply.status_code == 400 and "say why" in reply.text
    form = hidden(ada.page(f"deliveries/{number}/drop"))
    for wrong in (
        "",
        "x",
        f"{number}.owed.7",
        f"{number}.parked.6",
        f"{other}.parked.7",
        f"{number}.parked.7,{other}.parked.7",
    ):
        reply = ada.send(f"deliveries/{number}/drop", {**form, "expected": wrong, "reason": "why"})
        assert reply.status_code in (400, 409), wrong
    assert state_of(retailops, number) == state_of(retailops, other) == "parked"
    assert ada.act(f"deliveries/{number}/drop", reason="x" * 501).status_code == 400


def test_p39_a_call_that_was_done_is_confirmed(retailops: Caller, ada: Person) -> None:
    number = parked_call(retailops, "ORDER-1", is_possibly_done=True)
    reply = ada.act(f"deliveries/{number}/confirm", reason="seen at Pipe17", refnum="F-1")
    assert reply.status_code == 303 and state_of(retailops, number) == "delivered"


def test_p39_many_calls_are_dropped_as_previewed_when_their_number_is_typed(retailops: Caller, ada: Person) -> None:
    numbers = [parked_call(retailops, f"ORDER-{number}") for number in range(3)]
    page = ada.page("deliveries/many/drop?state=parked")
    later = parked_call(retailops, "ORDER-9")
    form = {**hidden(page), "reason": "the season is over"}
    for typed in ("", "2", "4", "three"):
        reply = ada.send("deliveries/many/drop?state=parked", {**form, "number": typed})
        assert reply.status_code == 400 and {state_of(retailops, each) for each in numbers} == {"parked"}
    reply = ada.send("deliveries/many/drop?state=parked", {**form, "number": "3"})
    assert reply.status_code == 303 and reply.location.startswith("/console/deliveries?state=parked&done=bulk&count=3")
    assert {state_of(retailops, each) for each in numbers} == {"dropped"} and state_of(retailops, later) == "parked"
    assert "Done: 3." in ada.browser.get(reply.location).text
    assert {kept.reason for kept in acts(retailops)} == {"the season is over"} and len(acts(retailops)) == 3
    [act] = re.findall("<strong>Ada</strong>.*?</li>", ada.page("orders/first/ORDER-1"), re.DOTALL)
    assert act.count("the season is over") == 1


@pytest.mark.parametrize(("currency", "amount", "shown"), [("USD", "12.5", "12.50 USD"), ("JPY", "1200", "1,200 JPY")])
def test_p39_a_release_names_the_sum_and_asks_again(
    currency: str, amount: str, shown: str, retailops: Caller, ada: Person
) -> None:
    refund = held_refund(retailops, "ORDER-1", amount, currency)
    first = ada.page(f"refunds/{refund}/release")
    assert shown in first
    assert ada.act(f"refunds/{refund}/release").status_code == 400, "a reason is needed"
    again = ada.act(f"refunds/{refund}/release", reason="not at Rally")
    assert again.status_code == 200 and f"Really release {shown}?" in again.text and acts(retailops) == []
    form = hidden(again.text)
    reply = ada.send(f"refunds/{refund}/release", form)
    assert reply.status_code == 303 and "given back again" in ada.browser.get(reply.location).text
    assert ada.send(f"refunds/{refund}/release", form).status_code == 409
    [kept] = acts(retailops)
    assert (kept.act, kept.outcome, kept.reason) == ("refunds.release", "given_free", "not at Rally")


def test_p39_the_person_of_an_order_is_erased_by_number_and_reason_and_once(
    retailops: Caller, pipe17: Sandbox, ada: Person
) -> None:
    [order, other, *_] = retailops.pull()
    refnum, tracking = order["channel_order_refnum"], "1ZCANARY0000007"
    retailops.acknowledge(refnum)
    retailops.ship(order, tracking_number=tracking)
    address, form = f"erase/first/{refnum}", {"form_token": form_token(ada.page("")), "number": refnum, "reason": "r7"}
    number = parked_call(retailops, refnum)
    eventually(lambda: f"still open: {number} (" in ada.page(address))
    assert ada.send(address, form).status_code == 409, "it has calls that are open"
    ada.act(f"deliveries/{number}/drop", reason="known")
    assert "its tracking numbers" in ada.page(address) and f'/console/{address}"' in ada.page(f"orders/first/{refnum}")
    assert ada.send(address, {**form, "reason": ""}).status_code == 400, "a reason is needed"
    assert ada.send(address, {**form, "number": refnum[:-1]}).status_code == 400, "nothing is erased by a slip"
    assert tracking in ada.page(f"orders/first/{refnum}")
    done = ada.send(address, form)
    assert done.status_code == 303 and "is erased" in ada.browser.get(done.location).text
    assert ada.send(address, form).location.endswith("done=nothing")
    assert tracking not in ada.page(f"orders/first/{refnum}") and "Nothing personal is kept" in ada.page(address)
    assert [(kept.act, kept.who, kept.reason) for kept in acts(retailops)] == [
        ("deliveries.drop", "Ada", "known"), ("orders.erase", "Ada", "r7"),
    ]  # fmt: skip

    unshipped = other["channel_order_refnum"]
    address, form = f"erase/first/{unshipped}", {**form, "number": unshipped}
    assert "Nothing personal is kept of it yet, and nothing will be" in ada.page(address)
    done = ada.send(address, form)
    assert "nothing personal was kept, and nothing will be" in ada.browser.get(done.location).text
    assert ada.send(address, form).location.endswith("done=nothing") and len(acts(retailops)) == 3
    retailops.acknowledge(unshipped)
    retailops.ship(other, tracking_number=tracking)
    assert tracking not in ada.page(f"orders/first/{unshipped}")
    assert ada.get("erase/first/nobody").status_code == ada.get(f"erase/none/{refnum}").status_code == 404


def test_p39_a_late_event_is_dismissed(retailops: Caller, pipe17: Sandbox, ada: Person) -> None:
    order = retailops.pull()[0]
    refused_shipment(retailops, pipe17, order)
    assert "LATE_" in ada.page("late") and "found after its answer" in ada.page("")
    [event] = re.findall(r"/console/late/(\d+)/dismiss", ada.page("late"))
    form = hidden(ada.page("late"))
    assert ada.send(f"late/{event}/dismiss", form).location == "/console/late?done=dismissed"
    assert ada.send(f"late/{event}/dismiss", form).location == "/console/late?done=nothing"
    assert [kept.act for kept in acts(retailops)] == ["late.dismiss"] and "LATE_" not in ada.page("late")


def test_p39_a_gateway_is_paused_and_resumed(retailops: Caller, ada: Person) -> None:
    assert ada.act("gateways/first/pipe17/pause").status_code == 400, "a reason is needed"
    for _ in range(2):
        form = {**hidden(ada.page("gateways/first/pipe17/pause")), "reason": "their warehouse moves"}
        if "form_token" in form:
            assert ada.send("gateways/first/pipe17/pause", form).status_code == 303
    assert "their warehouse moves" in ada.page("")
    assert ada.act("gateways/first/pipe17/resume", reason="").status_code == 303
    assert "their warehouse moves" not in ada.page("")
    assert [kept.act for kept in acts(retailops)] == ["pause", "resume"]
    assert ada.get("gateways/first/rally/pause").status_code == ada.get("gateways/none/pipe17/pause").status_code == 404


def test_r14_health_says_what_keeps_calls_from_a_vendor_and_what_to_do(
    build_app: Build, pipe17: Sandbox, contract: Contract
) -> None:
    table = channel_table(pipe17.url).replace("requests_per_s = 0", "requests_per_s = 8")
    caller = Caller(build_app(table, DELIVERIES="worker", **TOKENS), contract)
    ada, database, place = person(caller.app), caller.database, ("first", "pipe17")

    def said() -> str:
        table = ada.page("health").partition('<table id="limits">')[2].partition("</table>")[0]
        return " ".join(re.sub(r"<[^>]*>", " ", table.partition("<tbody>")[2]).split())

    assert said() == "pipe17 first closed 0 calls to pipe17, first 0 8 never nothing"
    parked_call(caller, "ORDER-1", state="owed", last_code="RATE_LIMITED")
    why = "No turn came in time: the rate, or a pause that pipe17 asked for"
    assert f"closed 1 calls to pipe17, first 1 8 never {why}" in said()
    with database.read() as connection:
        counted = [attention.calls_failed_with(connection, ("RATE_LIMITED",), keys) for keys in (["first"], ["other"])]
    assert [len(rows) for rows in counted] == [1, 0], "no other channel's calls are gone through"
    [limit] = caller.app.extensions["works"].limits
    state = RateState(setting=8.0, rate=2.0, tokens=0.0, at=0.0, cut_at=database.now().timestamp())
    with database.write() as connection:
        connection.execute(insert(rates), {"name": limit.key, **state.stored()})
    assert "2 of 8 just now pipe17 said that it was called too often" in said() and "lower requests_per_s" in said()
    with database.write() as connection:
        OwnBreakers(dict).write(connection, {place: 90.0}, database.now())
    assert "open in 1 process" in said() and "failed several times in a row" in said()
    ada.act("gateways/first/pipe17/pause", reason="moving")
    assert said().startswith("pipe17 first paused open") and "Paused by Ada" in said()


def test_p40_no_page_says_that_a_vendor_has_what_it_refused(retailops: Caller, ada: Person) -> None:
    rows = [{"sku": sku, "quantity_available": 3, "quantity_detail": []} for sku in ("NOWHERE", "MUG-RED")]
    retailops.ask("inventory_push", inventory_updates=rows)
    eventually(lambda: "refused by pipe17" in ada.page("stock/first/NOWHERE"))
    page = re.sub(r"<[^>]+>", "", ada.page("stock/first/NOWHERE").partition("<main")[2].partition("What the words")[0])
    assert "every vendor has it" not in page and "uncertain" not in page
    with retailops.database.write() as connection:
        connection.execute(stock.update().values(refusal="", is_uncertain=True))
    assert "whether pipe17 has it is uncertain" in ada.page("stock/first/NOWHERE")


def test_p40_a_page_says_of_stock_that_was_moved_that_it_waits_and_not_that_it_is_sent(
    retailops: Caller, ada: Person
) -> None:
    row = {"sku": "MUG-RED", "quantity_available": 3, "quantity_detail": []}
    retailops.ask("inventory_push", inventory_updates=[row])
    eventually(lambda: "refused by pipe17" in ada.page("stock/first/MUG-RED"))
    later = retailops.database.now() + timedelta(hours=1)
    with retailops.database.write() as connection:
        connection.execute(stock.update().values(again_at=later))
    assert "Sent again by itself" in ada.page("stock/first/MUG-RED")
    with retailops.database.write() as connection:
        connection.execute(stock.update().values(moved_at=later))
    page = ada.page("stock/first/MUG-RED")
    assert "STOCK_STALE" in page and "Sent again by itself" not in page


def test_p39_stock_is_sent_again(retailops: Caller, pipe17: Sandbox, ada: Person) -> None:
    filled(retailops, pipe17)
    assert "MUG-RED" in ada.page("stock?sku=mug")
    eventually(lambda: "every vendor has it" in ada.page("stock/first/MUG-RED"))
    assert "3 units" in ada.page("stock/first/MUG-RED")
    assert ada.act("send/stock/first/pipe17/MUG-RED", reason="Pipe17 lost it").status_code == 409, "shipments moved it"
    reply = ada.act("send/stock/first/pipe17/MUG-RED", reason="Pipe17 lost it", even_if_moved="yes")
    assert reply.status_code == 303 and reply.location.startswith("/console/stock/first/MUG-RED?done=sent")
    assert [(kept.act, kept.reason) for kept in acts(retailops)] == [("stock.send", "Pipe17 lost it")]


@pytest.mark.parametrize("token", [READ_TOKEN, CHANNEL_TOKEN])
def test_p40_a_reader_cannot_force_an_act(token: str, retailops: Caller) -> None:
    number, refund = parked_call(retailops, "ORDER-1"), held_refund(retailops, "ORDER-1")
    visitor, ada = person(retailops.app, token), person(retailops.app)
    expected = hidden(ada.page(f"deliveries/{number}/drop"))["expected"]
    standing = hidden(ada.page(f"refunds/{refund}/release"))["expected"]
    token_of_form = form_token(visitor.page(""))
    for address, form in (
        (f"deliveries/{number}/drop", {"expected": expected}),
        (f"deliveries/{number}/retry", {"expected": expected}),
        ("deliveries/many/drop?state=parked", {"expected": expected, "number": "1"}),
        (f"refunds/{refund}/release", {"expected": standing, "sure": "yes"}),
        ("gateways/first/pipe17/pause", {}),
        ("erase/first/ORDER-1", {"number": "ORDER-1"}),
        ("send/stock/first/pipe17/MUG-RED", {}),
    ):
        fields = {**form, "reason": "why", "form_token": token_of_form}
        assert visitor.send(address, fields).status_code == 403, address
        bearer = {"Authorization": f"Bearer {token}"}
        assert retailops.app.test_client().post(f"/console/{address}", data=fields, headers=bearer).status_code == 403
        assert visitor.get(address).status_code == 403
    assert state_of(retailops, number) == "parked" and acts(retailops) == []


def test_p39_an_act_by_bearer_is_kept_with_the_name_it_states(retailops: Caller, ada: Person) -> None:
    number = parked_call(retailops, "ORDER-1")
    form = {"expected": hidden(ada.page(f"deliveries/{number}/drop"))["expected"], "reason": "by script"}
    headers = {"Authorization": f"Bearer {TOKEN}", "X-Operator": "night shift"}
    reply = retailops.app.test_client().post(f"/console/deliveries/{number}/drop", data=form, headers=headers)
    assert reply.status_code == 303 and [kept.who for kept in acts(retailops)] == ["night shift"]


def test_a_reader_may_ask_for_a_check_once_a_minute(retailops: Caller) -> None:
    visitor = person(retailops.app, READ_TOKEN)
    done = [visitor.send("check", {"form_token": form_token(visitor.page("check"))}).location for _ in range(2)]
    assert done == ["/console/check?done=requested", "/console/check?done=too-soon"]


def test_orders_come_as_csv_and_no_cell_is_a_formula(retailops: Caller, ada: Person) -> None:
    pulled = {order["channel_order_refnum"] for order in retailops.pull()}
    reply = ada.get("orders.csv")
    assert reply.content_type.startswith("text/csv") and "attachment" in reply.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(reply.text)))
    assert pulled <= {row["order"] for row in rows} and {row["channel"] for row in rows} == {"first"}
    assert {row["state"] for row in rows if row["order"] in pulled} == {"handed out"}
    for cell in ("=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "\uff1d1+1", "\uff20x"):
        assert harmless(cell) == f"'{cell}"
    for cell in ("", "1", "a=b", " =1"):
        assert harmless(cell) == cell


def test_p35_what_nobody_would_see_of_an_id_has_a_sign_and_is_copied_as_it_is(retailops: Caller, ada: Person) -> None:
    unseen = {"\u202eRTL-4": "[U+202E]RTL-4", " A\u00a01 ": "␣A[U+00A0]1␣", "Z\u200b9": "Z[U+200B]9", "a  b": "a ␣b"}
    as_written = {"\u0645\u0631-1": "\u0645\u0631-1", "M\u00fcg-\U0001f6cd": "M\u00fcg-\U0001f6cd", "a b": "a b"}
    with retailops.database.write() as connection:
        search_keys.learn(connection, "first", [Number(it, "order", it) for it in unseen | as_written], utc_now())
    links = re.findall(r'<a class="id" href="(/console/orders/first/[^"]+)"[^>]*>([^<]*)</a>', ada.page("orders"))
    assert {text for _, text in links} == {*unseen.values(), *as_written.values()}
    for address, text in links:
        page = ada.page(address.removeprefix("/console/"))
        [(copied, title)] = re.findall(r'<h1>Order <span class="id" data-copy="([^"]*)"[^>]*>([^<]*)<', page)
        assert title == text == (unseen | as_written)[unescape(copied)]


def test_csv_ends_with_a_row_that_says_that_there_are_more(monkeypatch: pytest.MonkeyPatch) -> None:
    def lines(pages: Iterable[csv_rows.Rows]) -> list[str]:
        return b"".join(csv_rows.csv_of(["n"], pages, "orders")).decode().splitlines()

    def failing() -> Iterator[csv_rows.Rows]:
        yield [["1"]]
        raise DatabaseUnavailable("away")

    most = csv_rows.MOST_ROWS
    numbers = [[str(n)] for n in range(most + 10)]
    for many in ([numbers], [numbers[:most], numbers[most:]]):
        assert len(lines(many)) == most + 2 and lines(many)[-2] == str(most - 1)
        assert "Only the first 50000 orders" in lines(many)[-1]
    assert lines([numbers[:most]]) == ["n", *(str(n) for n in range(most))]
    assert lines([]) == ["n"]
    assert lines(failing())[:2] == ["n", "1"] and "Only the first 1 orders" in lines(failing())[2]

    def of_sender() -> Iterator[csv_rows.Rows]:
        for _ in range(3):
            yield [[caller.channel.get()]]

    caller.begin_request(Deadline.in_s(10), "sender")
    reply = csv_rows.csv_reply("n.csv", ["n"], of_sender(), "orders")
    caller.end_request()
    assert reply.get_data(as_text=True).split() == ["n", "sender", "sender", "sender"], "to the end as its sender reads"
    assert caller.channel.get() == ""
    monkeypatch.setattr(csv_rows, "MOST_S", -1.0)
    assert "Only the first 0 orders" in lines([[["1"]]])[-1]


def test_p40_one_file_is_made_at_a_time_and_none_is_begun_that_cannot_be_read(
    retailops: Caller, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = retailops.app.test_client().get(
        "/console/orders.csv", headers={"Authorization": f"Bearer {TOKEN}"}, buffered=False
    )
    refused = ada.get("orders.csv")
    assert refused.status_code == 429 and refused.headers["Retry-After"] and "one at a time" in refused.text
    assert ada.get("orders").status_code == 200
    begun.close()
    assert ada.get("orders.csv").status_code == 200

    def fail(*_: Any, **__: Any) -> None:
        raise DatabaseUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(orders, "listing", fail)
        assert ada.get("orders.csv").status_code == 503
    assert ada.get("orders.csv").status_code == 200


def test_p40_older_leads_on_whatever_the_last_number_is_and_a_place_of_no_list_is_an_error(
    retailops: Caller, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = [f"{number:03}{'x' * 252}" for number in range(120)]
    with retailops.database.write() as connection:
        for some, age in ((numbers[:100], timedelta(hours=1)), (numbers[100:], timedelta())):
            many = [Number(number, "order", number) for number in some]
            search_keys.learn(connection, "first", many, utc_now() - age)
    seen, address = set(), "orders?state=waiting"
    for _ in range(3):
        text = ada.page(address)
        seen |= {number for number in numbers if number in text}
        address = unescape("".join(re.findall(r'href="/console/([^"]+)" rel="next"', text)))
    assert seen == set(numbers) and not address
    assert "Looked back to" not in ada.page("orders?state=waiting")
    with monkeypatch.context() as patch:
        patch.setattr(orders, "SEARCHED", 30)
        text = ada.page("orders?state=waiting")
    assert numbers[119] in text and "Looked back to <time" in text
    with retailops.app.test_request_context("/?after=first/A+SKU%20"):
        assert choosing.after() == "first/A SKU "
    lists = ("orders", "callbacks", "hooks", "deliveries", "late", "refunds", "stock", "catalogue", "operations")
    for place in lists:
        reply = ada.get(f"{place}?after=nowhere")
        assert reply.status_code == 400 and "<h1>There is no such place in the list</h1>" in reply.text, place
    huge = urlsafe_b64encode(f'[{"9" * 30},"",""]'.encode()).decode().rstrip("=")
    assert ada.get(f"orders?after={huge}").status_code == 400


def test_every_state_is_defined_by_the_glossary(retailops: Caller, ada: Person) -> None:
    for state in ("owed", "checking", "delivered", "refused", "parked", "dropped", *orders.STATES, *refunds.STATES):
        assert len(meanings()[state]) > 10
    parked_call(retailops, "ORDER-1")
    assert meanings()["owed"] in unescape(ada.page("deliveries?state=all"))


def test_p40_a_page_that_reads_too_long_is_broken_off_and_says_so(
    retailops: Caller, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = (
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 30000000) select count(*) from n"
    )

    def slow(*_: Any, **__: Any) -> None:
        with retailops.database.read() as connection:
            connection.exec_driver_sql(endless)

    monkeypatch.setattr("app.console.pages.hooks.hooks.listing", slow)
    monkeypatch.setattr("app.console.guard.READ_LIMIT_S", 0.2)
    reply = ada.get("hooks")
    assert reply.status_code == 503 and "This took too long" in reply.text
    monkeypatch.undo()
    assert ada.get("hooks").status_code == 200


def test_p40_a_page_says_by_what_its_list_is_not_restricted_and_shows_what_it_is(ada: Person) -> None:
    page = ada.page("callbacks?status=9xx&since=yesterday&slow=very&channel=nobody&outcome=OWED")
    assert "what cannot be read and so leaves nothing out: status, slow, since." in page
    assert '<option value="nobody" selected>nobody</option>' in page, "a list of nothing looks like one of all channels"
    assert "cannot be read" not in ada.page("callbacks?status=4&since=2026-02-03T15:00&slow=&channel=first")


def test_p5_no_query_breaks_a_page(retailops: Caller, pipe17: Sandbox, ada: Person) -> None:
    filled(retailops, pipe17)
    strange = ["x", "-1", "0", "9" * 30, "a/b", "1-2-3", "\x00", "<b>", "'", "%", "2026-13-01T00:00", "ü" * 300, "NaN"]
    names = (
        "q", "after", "channel", "vendor", "state", "order", "outcome", "status", "slow", "since", "until", "request",
        "callback", "sku", "window", "done", "count", "topic", "refused", "doubt",
    )  # fmt: skip
    for place in [*PLACES, "find", "orders.csv", "deliveries/many/drop"]:
        for value in strange:
            reply = ada.get(f"{place}?" + "&".join(f"{name}={quote(value)}" for name in names))
            assert reply.status_code in (200, 303, 400), (place, value, reply.status_code)
            reply.close()
            assert "<b>" not in reply.text
    for address in (
        "deliveries/999999999999999999999",
        "callbacks/0",
        "refunds/12345678901234567890123",
        "requests/%00",
    ):
        assert ada.get(address).status_code in (303, 400, 404), address
