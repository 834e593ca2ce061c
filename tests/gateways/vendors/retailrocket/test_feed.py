"""The feed Retail Rocket fetches: complete, valid whatever RetailOps sends, built once, served from what was built."""

from __future__ import annotations

import gzip
import random
import xml.etree.ElementTree as ET
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.contract.schemas import Contract
from app.deadline import Deadline
from app.domain.catalogue import Item, Product
from app.domain.stock import StockDetail, StockLevel
from app.gateways.calls import Call
from app.gateways.vendors.retailrocket.feed import yml
from app.gateways.vendors.retailrocket.feed.builder import FeedBuilder
from app.gateways.vendors.retailrocket.offers import Availability, Offer, Offers
from app.gateways.vendors.retailrocket.options import RetailRocketOptions
from app.gateways.vendors.retailrocket.store import Store
from app.records import cataloguing, due_facts, stock
from app.records.cataloguing import Statement
from app.records.database import Database
from app.records.feeds import BuildLost
from app.records.listed_numbers import Numbers
from app.sandbox.server import serve
from app.sandbox.vendors.rally import serve_rally
from app.storefront import reservations
from tests.gateways.vendors.rally.shop import TEE, channel_text
from tests.gateways.vendors.rally.shop import Shop as RallyShop
from tests.gateways.vendors.rally.shop import record as rally_record
from tests.gateways.vendors.retailrocket.stage import FEED, PATHS, Shop, channel, item, record
from tests.passing_time import PassingTime
from tests.retailops import Caller
from tests.waiting import eventually


@pytest.fixture
def shop(build_app: Callable[..., Flask], contract: Contract) -> Shop:
    return Shop(build_app(channel() + PATHS), contract)


def test_goods_variants_categories_and_stock_come_out_as_the_vendor_wants_them(shop: Shop) -> None:
    assert shop.get().status_code == 503
    shop.push(
        record("HOSE", Sale="10", Vendor="Aqua & Sons"),
        record("SHIRT", Title="Shirt", Categories=["Clothes/Men", "New"]),
        record(
            "SHIRT-M",
            Parent="SHIRT",
            Title=None,
            Options={"Size": "M", "Colour": 'dark "blue"'},
            URL=None,
            Categories=None,
        ),
        record("SHIRT-L", Parent="SHIRT", Title="Shirt L", Options={"Size": "L"}, Categories=None),
    )
    shop.stock(HOSE=3, **{"SHIRT-M": 0, "SHIRT-L": 1})
    offers = shop.await_offers(
        lambda found: found.get("Shirt L") is not None and found["Shirt L"].get("available") == "true"
    )
    assert set(offers) == {"Title of HOSE", "Shirt", "Shirt L"}
    hose, medium, large = offers["Title of HOSE"], offers["Shirt"], offers["Shirt L"]
    assert [hose.get("available"), medium.get("available"), large.get("available")] == ["true", "false", "true"]
    assert (hose.findtext("price"), hose.findtext("oldprice"), hose.findtext("vendor")) == (
        "10",
        "12.50",
        "Aqua & Sons",
    )
    assert (
        hose.findtext("url") == "https://shop.example/p/HOSE"
        and medium.findtext("url") == "https://shop.example/p/SHIRT"
    )
    assert [len(offer.findall("picture")) for offer in offers.values()] == [1, 1, 1]
    assert hose.get("group_id") is None and medium.get("group_id") == large.get("group_id") is not None
    assert {param.get("name"): param.text for param in medium.findall("param")} == {
        "Size": "M",
        "Colour": 'dark "blue"',
    }
    root = ET.fromstring(shop.get().data)
    categories = {item.text: item for item in root.iter("category")}
    assert set(categories) == {"Garden", "Hoses", "Clothes", "Men", "New"}
    assert categories["Hoses"].get("parentId") == categories["Garden"].get("id") != categories["Hoses"].get("id")
    assert [item.text for item in hose.findall("categoryId")] == [categories["Hoses"].get("id")]
    assert all((offer.get("id") or "").isdigit() for offer in root.iter("offer"))
    assert datetime.strptime(root.get("date") or "", "%Y-%m-%d %H:%M")


def test_p35_stock_reaches_an_offer_whose_sku_has_a_blank_that_retailops_dropped(shop: Shop) -> None:
    assert shop.push(record("SPOON "), record("FORK")) == []
    shop.stock(SPOON=3, FORK=0)
    wanted = {"Title of SPOON": "true", "Title of FORK": "false"}
    shop.await_offers(lambda offers: {name: offer.get("available") for name, offer in offers.items()} == wanted)


def test_regional_stocks_say_where_each_thing_is(build_app: Callable[..., Flask], contract: Contract) -> None:
    regional = channel('[channel.retailrocket.stock_ids]\nDallas = "north"\nReno = "west"\n"Reno 2" = "west"')
    shop = Shop(build_app(regional + PATHS), contract)
    shop.push(record("HOSE"))
    detail = [
        {"quantity_type": "internal", "facility_name": name, "available_quantity": units, "total_quantity": units}
        for name, units in (("Dallas", 0), ("Reno", 0), ("Reno 2", 4), ("Elsewhere", 9))
    ]
    rows = [{"sku": "HOSE", "quantity_available": 13, "quantity_detail": detail}]
    shop.caller.ask("inventory_push", inventory_updates=rows)

    def stocks(found: dict[str, ET.Element]) -> dict[str | None, str | None]:
        return {item.get("id"): item.findtext("available") for offer in found.values() for item in offer.iter("stock")}

    offers = shop.await_offers(lambda found: stocks(found) == {"north": "false", "west": "true"})
    assert offers["Title of HOSE"].get("available") == "false", "with stocks the truth is in each of them"


def test_what_lacks_a_required_element_is_left_out_and_named_to_the_operator(shop: Shop) -> None:
    shop.push(
        record("GOOD"),
        record("NO-PRICE", Price=None),
        record("ZERO", Price="0"),
        record("NO-PICTURE", Images=[]),
        record("LONG", URL="https://shop.example/" + "x" * 600),
        record("EUROS", Currency="EUR"),
    )
    shop.await_offers(lambda found: set(found) == {"Title of GOOD"})
    gateway = shop.caller.app.extensions["works"].gateways[("shop", "retailrocket")]
    report, _, _ = gateway.feed.report()
    assert report.left_out_count == 5
    assert {item.sku: item.reason for item in report.left_out} == {
        "NO-PRICE": "without price",
        "ZERO": "its price is 0, which is no price: nothing is sold for nothing",
        "NO-PICTURE": "without picture",
        "LONG": "its url has more than 512 characters",
        "EUROS": "priced in another currency than the store's",
    }
    health = gateway.check(Call(Deadline.in_s(2), "r", "question"))
    assert {finding.name: finding.state for finding in health.findings}["left out"] == "attention"
    shop.stock(GOOD=1)  # and RetailOps hears nothing of it (R17)


def test_what_is_unchanged_is_answered_with_304_and_what_changed_with_the_new_feed(
    shop: Shop, time_passes: PassingTime
) -> None:
    shop.push(record("HOSE"))
    shop.await_offers(bool)
    whole = shop.get()
    packed = shop.get(Accept_Encoding="gzip")
    assert gzip.decompress(packed.data) == whole.data
    assert packed.headers["Content-Encoding"] == "gzip" and packed.headers["Vary"] == "Accept-Encoding"
    assert int(whole.headers["Content-Length"]) == len(whole.data) and len(packed.data) == int(
        packed.headers["Content-Length"]
    )
    etags = {whole.headers["ETag"], packed.headers["ETag"]}
    assert len(etags) == 2
    for known in ({"If_None_Match": etag} for etag in etags):
        again = shop.get(**known)
        assert (again.status_code, again.data) == (304, b"")
    assert shop.get(If_Modified_Since=whole.headers["Last-Modified"]).status_code == 304
    assert shop.get(If_None_Match='"other"', If_Modified_Since=whole.headers["Last-Modified"]).status_code == 200
    shop.push(record("HOSE"))  # said again, nothing is new
    time_passes(shop.caller.app, 1.5)
    assert shop.get(If_None_Match=whole.headers["ETag"]).status_code == 304
    shop.push(record("HOSE", Title="Another"))
    shop.await_offers(lambda found: "Another" in found)
    assert shop.get(If_None_Match=whole.headers["ETag"]).status_code == 200


def test_only_a_coming_or_going_of_stock_makes_a_new_feed(shop: Shop, time_passes: PassingTime) -> None:
    shop.push(record("HOSE"))
    shop.stock(HOSE=5)
    shop.await_offers(lambda found: found != {} and found["Title of HOSE"].get("available") == "true")
    works = shop.caller.app.extensions["works"]
    store = works.gateways[("shop", "retailrocket")].feed

    def is_owed() -> bool:
        with works.database.read() as connection:
            return due_facts.due(connection, "shop", "retailrocket", datetime.now(UTC)).stock

    eventually(lambda: not is_owed())
    eventually(lambda: not store.report()[2])
    before = store.report()[1]
    shop.stock(HOSE=4)
    eventually(lambda: not is_owed())
    time_passes(shop.caller.app, 1.2)
    assert store.report()[1:] == (before, False)
    shop.stock(HOSE=0)
    shop.await_offers(lambda found: found["Title of HOSE"].get("available") == "false")


def test_there_is_no_feed_of_an_unknown_channel_nor_of_one_in_product_api_mode(
    build_app: Callable[..., Flask], contract: Contract
) -> None:
    shop = Shop(build_app(channel('mode = "product_api"') + PATHS), contract)
    assert shop.get().status_code == 404
    shop = Shop(build_app(channel() + PATHS), contract)
    reply = shop.caller.app.test_client().get("/feeds/retailrocket/other.xml")
    assert (reply.status_code, reply.content_type) == (404, "application/json")
    assert shop.caller.app.test_client().post(FEED).status_code == 405


# The builder by itself, with a clock to move


class Yard:
    """A builder on a database of its own."""

    def __init__(self, database: Database, **options: Any) -> None:
        self.database = database
        self.now = datetime(2026, 3, 4, 9, 30, tzinfo=UTC)
        self.options = RetailRocketOptions(partner_id="p", shop_url="https://shop.example", **options)
        self.builder = self.another()

    def another(self) -> FeedBuilder:
        """What another process has."""
        return FeedBuilder(Store(self.options, self.database, "shop", lambda: self.now))

    def keep(self, *items: dict[str, Any]) -> None:
        statements = [Statement(item.pop("identity", ""), item) for item in items]
        with self.database.write() as connection:
            cataloguing.accept(connection, "shop", ["retailrocket"], statements, self.now)
        self.builder.feed.mark(self.now)

    def build(self, builder: FeedBuilder | None = None) -> bool:
        return (builder or self.builder).build_if_due(lambda: False)

    def text(self) -> bytes:
        current = self.builder.feed.current()
        return b"".join(self.builder.feed.text(current)) if current else b""

    def offers(self) -> dict[str, str]:
        found = ET.fromstring(self.text()).iter("offer")
        return {offer.findtext("name") or "": offer.get("available") or "" for offer in found}


@pytest.mark.both_databases
def test_goods_that_are_gone_stay_unavailable_for_their_days_and_then_leave(database: Database) -> None:
    yard = Yard(database, feed_delay_s=0, available_when_unstated=True)
    yard.keep(item("KEPT"), item("GOES"), item("NEVER", is_enabled=False))
    assert yard.build() and yard.offers() == {"KEPT": "true", "GOES": "true"}
    yard.keep(item("GOES", is_enabled=False))
    assert yard.build() and yard.offers() == {"KEPT": "true", "GOES": "false"}
    yard.now += timedelta(days=29)
    assert yard.build() and yard.offers() == {"KEPT": "true", "GOES": "false"}
    yard.now += timedelta(days=1)
    assert yard.build() and yard.offers() == {"KEPT": "true"}
    yard.keep(item("GOES", is_enabled=True))
    assert yard.build() and yard.offers() == {"KEPT": "true", "GOES": "true"}


def test_a_sku_keeps_its_number_in_the_feed_and_a_number_that_is_left_is_gone(database: Database) -> None:
    yard = Yard(database, feed_delay_s=0, available_when_unstated=True)

    def listed() -> dict[str, tuple[str, str]]:
        assert yard.build()
        offers = ET.fromstring(yard.text()).iter("offer")
        return {offer.get("id", ""): (offer.findtext("name", ""), offer.get("available", "")) for offer in offers}

    yard.keep(item("CAP", identity="product:12"))
    (cap,) = listed()
    yard.keep(item("CAP", identity="product:77", title="Another"))
    assert listed() == {cap: ("Another", "true")}
    yard.keep(item("CAP-2", identity="product:77"))
    assert listed()[cap] == ("CAP", "true"), "who had it comes back by itself"
    yard.keep(item("CAP-2", identity="product:12"))
    found = listed()
    assert found.pop(cap) == ("CAP-2", "false") and list(found.values()) == [("CAP-2", "true")]
    yard.keep(item("CAP", identity="product:78"))
    assert listed() == {**found, cap: ("CAP", "true")}


@pytest.mark.both_databases
def test_p26_many_changes_make_one_build_by_one_process_and_all_serve_it(database: Database) -> None:
    yard = Yard(database, feed_delay_s=600)
    other = yard.another()
    yard.keep(item("FIRST"))
    assert yard.build() and not yard.build(other), "a new shop's first feed waits for nothing"
    yard.keep(item("A"))
    yard.now += timedelta(seconds=599)
    assert not yard.build() and not yard.build(other)
    yard.keep(item("B"))
    yard.now += timedelta(seconds=1)
    turn = other.feed.take(yard.now)
    assert turn is not None
    assert not yard.build(), "somebody builds already"
    yard.now += timedelta(seconds=121)
    assert yard.build(), "whoever dies while building is followed by another"
    with pytest.raises(BuildLost):
        other.feed.leave(turn, yard.now, "", b"", other.feed.report()[0])
    assert set(yard.offers()) == {"FIRST", "A", "B"}
    assert not yard.build() and not yard.build(other)
    current = other.feed.current()
    assert current and b"".join(other.feed.text(current)) == yard.text()


def test_a_reader_of_the_build_before_ends_what_it_began(database: Database) -> None:
    yard = Yard(database, feed_delay_s=0)
    yard.keep(*(item(f"S{number}", description="x" * 3000 + str(number)) for number in range(300)))
    assert yard.build()
    before = yard.builder.feed.current()
    assert before is not None
    reading = yard.builder.feed.pieces(before)
    first = next(reading)
    yard.keep(item("NEW"))
    assert yard.build()
    text = gzip.decompress(first + b"".join(reading))
    assert len(text) == before.size and b"<name>NEW" not in text
    assert len(ET.fromstring(text).findall("shop/offers/offer")) == 300


def test_a_build_that_is_to_stop_leaves_the_feed_and_the_turn(database: Database) -> None:
    yard = Yard(database, feed_delay_s=0)
    yard.keep(item("A"))
    assert not yard.builder.build_if_due(lambda: True)
    assert yard.builder.feed.current() is None
    assert yard.build()


def test_the_feed_is_built_for_a_catalogue_that_was_there_first_and_again_for_other_options(
    database: Database,
) -> None:
    yard = Yard(database, feed_delay_s=0)
    with database.write() as connection:
        cataloguing.accept(connection, "shop", [], [Statement("", item("A", url="/a"))], yard.now)
    assert yard.build() and b"https://shop.example/a<" in yard.text()
    yard.options = RetailRocketOptions(partner_id="p", shop_url="https://moved.example", feed_delay_s=0)
    yard.builder = yard.another()
    assert yard.build() and b"https://moved.example/a<" in yard.text()


def test_two_releases_side_by_side_do_not_build_by_turns(database: Database) -> None:
    yard = Yard(database, feed_delay_s=600)
    yard.keep(item("A"))
    yard.now += timedelta(seconds=600)
    assert yard.build()
    yard.options = RetailRocketOptions(partner_id="p", shop_url="https://moved.example", feed_delay_s=600)
    newer = yard.another()
    assert not yard.build(newer)
    yard.now += timedelta(seconds=600)
    assert yard.build(newer) and not yard.build(), "a build of one is no reason for the other to build at once"


def test_units_that_orders_hold_are_not_available(database: Database) -> None:
    yard = Yard(database, feed_delay_s=0)
    yard.keep(item("A"), item("B"))
    levels = {"A": b"[3,[]]", "B": b"[3,[]]"}
    with database.write() as connection:
        stock.accept(connection, "shop", "retailrocket", levels)
        reservations.reserve(connection, "shop", "O-1", {"A": 3, "B": 2})
    assert yard.build() and yard.offers() == {"A": "false", "B": "true"}


def test_with_regional_stocks_all_are_empty_once_orders_hold_every_unit() -> None:
    available = Availability(RetailRocketOptions(partner_id="p", stock_ids={"Dallas": "north", "Reno": "west"}))
    level = StockLevel(5, (StockDetail("internal", "Dallas", 5, 5), StockDetail("internal", "Reno", 0, 0)))
    assert available.of(level, 4) == {"north": True, "west": False}
    assert available.of(level, 5) == {"north": False, "west": False}
    spelled = StockLevel(5, (StockDetail("internal", " DALLAS", 5, 5),))
    assert available.of(spelled, 0) == {"north": True, "west": False}, "a facility has one name for every vendor"


def test_what_an_order_takes_and_gives_back_shows_in_the_feed(
    build_app: Callable[..., Flask], contract: Contract
) -> None:
    holder: list[Flask] = []
    with serve(lambda environ, start: holder[0](environ, start)) as server, serve_rally() as rally:
        own = channel_text(rally.url).replace('gateways = ["rally"]', 'gateways = ["rally", "retailrocket"]')
        table = channel().partition("[channel.retailrocket]")[2]
        holder.append(build_app(f"{own}\n[channel.retailrocket]{table}", PUBLIC_URL=server.url))
        merchant = RallyShop(Caller(holder[0], contract), rally, server)
        merchant.register_hooks()
        shop = Shop(holder[0], contract)
        goods = rally_record(100, TEE, "20.00", URL="/p/tee")
        goods["feed_data"] |= {"Images": ["https://shop.example/tee.jpg"], "Categories": ["Clothes"]}
        merchant.push([goods])
        merchant.set_stock(TEE=3)
        merchant.settle()

        def await_flag(word: str) -> None:
            shop.await_offers(lambda found: [offer.get("available") for offer in found.values()] == [word])

        await_flag("true")
        refnum = merchant.buy(skus={TEE: 3})
        await_flag("false")
        merchant.retailops.pull()
        merchant.retailops.acknowledge(refnum)
        merchant.set_stock(TEE=3)  # RetailOps counts the order by now, and has three more
        await_flag("true")


TEXTS = st.text(st.characters(codec=None), max_size=60)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    title=TEXTS, description=TEXTS, vendor=TEXTS, category=TEXTS, option=TEXTS, value=TEXTS, stock_id=TEXTS, shop=TEXTS
)
def test_whatever_text_retailops_sends_the_feed_is_valid_xml(
    title: str, description: str, vendor: str, category: str, option: str, value: str, stock_id: str, shop: str
) -> None:
    options = RetailRocketOptions(partner_id="p", stock_ids={"Dallas": stock_id} if stock_id else {})
    offers = Offers(options)
    stated = Item(
        sku="A", title=f"T {title}", description=description, vendor=vendor, price=Decimal("1.0"), number=7,
        url=f"https://shop.example/?q={'a&b<c>'}", images=("https://shop.example/ü.jpg",),
        categories=(f"Top/{category}",), options=((f"o{option}", f"v{value}"),),
    )  # fmt: skip
    flags = Availability(options).of(StockLevel(1, (StockDetail("internal", "Dallas", 1, 1),)), 0)
    offer = offers.of(Product(stated), stated, flags, "")
    assert isinstance(offer, Offer)
    numbers = {path: number for number, path in enumerate(offer.categories, 1)}
    tree = [(number, 0, offers.levels(path)[-1]) for path, number in numbers.items()]
    when = datetime(2026, 3, 4, 9, 30, tzinfo=UTC)
    document = yml.head(when) + yml.shop(shop, "https://a.example/?a&b", tree) + yml.offer(offer, numbers) + yml.TAIL
    root = ET.fromstring(document)
    read = root.find("shop/offers/offer")
    assert read is not None and read.findtext("name") == offer.name
    assert (read.findtext("description") or "") == offer.description
    assert [(param.get("name"), param.text) for param in read.findall("param")] == list(offer.params)


def test_the_set_of_numbers_is_a_set(seed: int) -> None:
    roll = random.Random(seed)
    ours, theirs = {roll.randrange(1, 9000) for _ in range(500)}, {roll.randrange(1, 20000) for _ in range(900)}
    first, second = Numbers(), Numbers()
    assert all(first.add(number) for number in ours) and all(second.add(number) for number in theirs)
    assert not any(first.add(number) for number in ours)
    assert list(Numbers(first.packed()).without(second)) == sorted(ours - theirs)
