"""What Retail Rocket's codes mean, when a shop's first feed is there, and who may fetch it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from flask import Flask

from app.cli import cli
from app.contract.schemas import Contract
from app.deadline import Deadline
from app.domain.purchases import Purchase, PurchaseLine
from app.errors import BrokenReply, Refused
from app.gateways.calls import Call
from app.records.database import Database
from app.records.feeds import FeedStore
from app.sandbox.server import serve
from app.sandbox.vendors.retailrocket import API_PATH, CDN_PATH, TRACKING_PATH
from tests.gateways.vendors.retailrocket.stage import FEED, PATHS, Desk, Shop, channel, record
from tests.retailops import codes
from tests.sandboxes import Sandbox
from tests.stopwatch import Stopwatch
from tests.waiting import eventually

TOKEN = "canary-of-the-feeds-address-0001"


def purchase() -> Purchase:
    return Purchase(
        "WEB-1", "ab" * 16, datetime.now(UTC), "USD", (PurchaseLine("1", "MUG", 1, Decimal(5)),), "", "pat@shop.example"
    )


@pytest.mark.parametrize("route", ["events", "csv"])
def test_p10_a_purchase_answered_204_is_not_taken_and_an_operator_hears_it(
    route: str, database: Database, rocket: Sandbox
) -> None:
    """204 says that nothing was found for the call: of an event or an upload nothing is stored."""
    desk = Desk(database, rocket, purchase_route=route, consent=True)
    desk.keep("MUG")
    rocket.fault(
        kind="status", code=204, times=1, match={"path_prefix": TRACKING_PATH if route == "events" else API_PATH}
    )
    call = Call(Deadline.in_s(5), "r", "command")
    with pytest.raises(Refused, match="not taken") as caught:
        desk.gateway.commands.report_purchase(purchase(), call)
    assert caught.value.code == "NOT_TAKEN" and not caught.value.outcome_unknown
    desk.gateway.commands.report_purchase(purchase(), call)
    held = rocket.state()
    kept = held["purchases"] if route == "events" else held["csv_orders"]
    assert len(kept) == 1, "sent again it is counted, and once"


@pytest.mark.parametrize("code", [201, 202, 206])
def test_p9_of_any_other_success_nobody_knows_what_was_stored(code: int, database: Database, rocket: Sandbox) -> None:
    desk = Desk(database, rocket)
    desk.keep("MUG")
    rocket.fault(kind="status", code=code, times=1)
    with pytest.raises(BrokenReply) as caught:
        desk.gateway.commands.report_purchase(purchase(), Call(Deadline.in_s(5), "r", "command"))
    assert caught.value.outcome_unknown
    rocket.fault(kind="status", code=code, times=1)
    health = desk.gateway.check(Call(Deadline.in_s(5), "r", "question"))
    assert (health.state, str(code) in health.detail) == ("unreachable", True), "nor of a read"


def test_p33_a_product_answered_204_is_refused_and_shown_to_the_operator(database: Database, rocket: Sandbox) -> None:
    desk = Desk(database, rocket, mode="product_api")
    rocket.fault(kind="status", code=204, match={"path_prefix": CDN_PATH})
    desk.keep("MUG", "TEA")
    desk.tell()
    health = desk.gateway.check(Call(Deadline.in_s(5), "r", "question"))
    found = {item.name: item for item in health.findings}
    assert found["refused"].state == "attention" and "2 products" in found["refused"].sentence
    assert desk.there() == {}
    rocket.heal()
    desk.keep("MUG")
    desk.state()
    rocket.fault(kind="status", code=204, match={"path_prefix": API_PATH})
    assert desk.gateway.check(Call(Deadline.in_s(5), "r", "question")).state == "connected", "a read may find nothing"


def test_the_first_feed_of_a_shop_waits_for_nothing_and_check_says_what_is_so(
    build_app: Callable[..., Flask], contract: Contract
) -> None:
    app = build_app(channel().replace("feed_delay_s = 0", "feed_delay_s = 600") + PATHS)
    shop = Shop(app, contract)
    gateway = app.extensions["works"].gateways[("shop", "retailrocket")]

    def said() -> str:
        findings = {item.name: item for item in gateway.check(Call(Deadline.in_s(2), "r", "question")).findings}
        return str(findings["feed"].sentence)

    assert shop.get().status_code == 503 and "the catalogue is empty" in said()
    shop.push(record("FIRST"))
    with Stopwatch() as watch:
        shop.await_offers(lambda found: set(found) == {"Title of FIRST"})
    assert watch.took_s < 10, "ten minutes of 503 were no feed at all"
    shop.push(record("SECOND"))
    eventually(lambda: "later changes are built 600 s after the first of them" in said())
    assert set(shop.offers()) == {"Title of FIRST"}, "any later change waits, so that many share a build"


def test_a_feed_with_a_token_is_at_the_address_that_holds_it_and_nowhere_else(
    build_app: Callable[..., Flask], contract: Contract
) -> None:
    app = build_app(channel(f'feed_token = "{TOKEN}"') + PATHS)
    shop = Shop(app, contract)
    shop.push(record("MUG"))
    address = f"/feeds/retailrocket/{TOKEN}/shop.xml"
    client = app.test_client()
    eventually(lambda: client.head(address).status_code == 200)
    wrong = (FEED, f"/feeds/retailrocket/{TOKEN[:-1]}/shop.xml", "/feeds/retailrocket/ü/shop.xml", f"{address}/x")
    replies = [client.get(path) for path in wrong]
    assert [reply.status_code for reply in replies] == [404, 404, 404, 404]
    unknown = client.get("/feeds/retailrocket/other.xml")
    assert replies[0].get_data() == replies[1].get_data() == unknown.get_data(), "nobody learns that there is a feed"


def test_a_feed_without_a_token_has_no_second_address(build_app: Callable[..., Flask], contract: Contract) -> None:
    client = build_app(channel() + PATHS).test_client()
    assert client.get(f"/feeds/retailrocket/{TOKEN}/shop.xml").status_code == 404


def test_p20_the_token_of_a_feed_is_shown_by_no_command_and_no_log(
    build_app: Callable[..., Flask],
    contract: Contract,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    text = channel(f'feed_token = "{TOKEN}"') + PATHS
    holder: list[Flask] = []
    with serve(lambda environ, start_response: holder[0](environ, start_response)) as server:
        holder.append(build_app(text, PUBLIC_URL=server.url))
        shop = Shop(holder[0], contract)
        shop.push(record("MUG"))
        address = f"/feeds/retailrocket/{TOKEN}/shop.xml"
        eventually(lambda: holder[0].test_client().head(address).status_code == 200)
        assert TOKEN in holder[0].extensions["works"].gateways[("shop", "retailrocket")].feed_token
        for name, value in {
            "APP_ENV": "development", "DATABASE_URL": database_url, "CHANNELS": text, "PUBLIC_URL": server.url,
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        shown = [
            CliRunner().invoke(cli, command)
            for command in (
                ["check", "--json"], ["check"], ["retailrocket", "feed"], ["retailrocket", "feed", "--json"],
                ["settings"], ["settings", "--json"],
            )
        ]  # fmt: skip
    checked: dict[str, Any] = msgspec.json.decode(shown[0].stdout)
    (feed,) = (item for item in checked["channels"][0]["gateways"][0]["findings"] if item["name"] == "feed")
    assert feed["state"] == "ok" and "it can be fetched from here" in feed["sentence"], "the true address was tried"
    assert all("feed_token" in done.output for done in shown[:1] + shown[2:])
    assert all(TOKEN not in done.output for done in shown) and TOKEN not in caplog.text


@pytest.mark.parametrize("token", ["short", "with/slash-and-more-of-it", "blank in the middle of it"])
def test_p23_a_token_that_could_be_guessed_or_is_no_part_of_an_address_is_a_fault(
    token: str, build_app: Callable[..., Flask]
) -> None:
    from app.errors import SettingsFault

    with pytest.raises(SettingsFault, match="feed_token: must be 16 to 128"):
        build_app(channel(f'feed_token = "{token}"'))


def test_p34_names_longer_than_retail_rocket_takes_end_in_an_ellipsis_and_are_counted(
    build_app: Callable[..., Flask], contract: Contract
) -> None:
    app = build_app(channel() + PATHS)
    shop = Shop(app, contract)
    shop.push(record("LONG", Title="n" * 121), record("FITS", Title="m" * 120))
    found = shop.await_offers(lambda found: len(found) == 2)
    assert set(found) == {"n" * 119 + "…", "m" * 120}
    store: FeedStore = app.extensions["works"].gateways[("shop", "retailrocket")].feed
    assert store.report()[0].shortened_count == 1


@pytest.mark.parametrize(
    ("images", "url", "reason"),
    [
        (["https://shop.example/my mug.jpg"], "/p/größe 5", ""),
        (["ftp://shop.example/a.jpg"], "/p", "its picture must begin with https:// or http://"),
        (["https://shop.example/a.jpg"], "C:\\p", "its url must begin with https:// or http://"),
        ([], "/p", "without picture"),
        ([], "mailto:me", "without picture, and its url must begin with https:// or http://"),
    ],
)
def test_p36_a_reason_says_what_is_wrong_and_never_missing_for_what_cannot_be_used(
    images: list[str], url: str, reason: str, build_app: Callable[..., Flask], contract: Contract
) -> None:
    app = build_app(channel() + PATHS)
    shop = Shop(app, contract)
    answer = shop.caller.ask(
        "catalog_push",
        template_output={"data": {"products": [record("MUG", Images=images, URL=url), record("GOOD")]}},
    )
    assert set(codes(answer)) <= {"FIELD_IGNORED"}
    shop.await_offers(lambda found: "Title of GOOD" in found)
    report = app.extensions["works"].gateways[("shop", "retailrocket")].feed.report()[0]
    assert [item.reason for item in report.left_out] == ([reason] if reason else [])
    if not reason:
        offer = shop.offers()["Title of MUG"]
        assert offer.findtext("picture") == "https://shop.example/my%20mug.jpg"
        assert offer.findtext("url") == "https://shop.example/p/gr%C3%B6%C3%9Fe%205"
