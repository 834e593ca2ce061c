"""One catalogue value means one thing to every vendor: what each is sent of one SKU is compared (P36)."""

from __future__ import annotations

import random
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import requests
from flask import Flask

from app.channel import catalogue as reader
from app.channel.actions import inventory_push
from app.contract.schemas import Contract
from app.domain.catalogue import Item, Product
from app.gateways.vendors.pipe17.products.product_rows import fields_of
from app.gateways.vendors.rally.options import RallyOptions
from app.gateways.vendors.rally.products import product_json, search_products
from app.gateways.vendors.retailrocket.feed import yml
from app.gateways.vendors.retailrocket.offers import Offer
from app.gateways.vendors.retailrocket.options import RetailRocketOptions
from app.gateways.vendors.retailrocket.product_api import ProductApi
from app.gateways.vendors.retailrocket.store import Store
from app.records import catalogue, cataloguing, stock
from app.records.database import Database
from app.sandbox.server import serve
from app.sandbox.vendors.pipe17 import INTEGRATION_ID, INTEGRATION_KEY
from app.sandbox.vendors.rally import serve_rally
from app.storefront.goods import Unit, line_of
from app.storefront.reservations import sellable
from tests.channel import product_pushes
from tests.channels import channel_table
from tests.gateways.vendors.pipe17.stage import own, set_field
from tests.gateways.vendors.rally.shop import Shop as RallyShop
from tests.gateways.vendors.rally.shop import channel_text
from tests.gateways.vendors.rally.shop import record as rally_record
from tests.gateways.vendors.retailrocket.stage import FEED, channel
from tests.retailops import Caller, codes
from tests.sandboxes import Sandbox
from tests.waiting import eventually

PRICES = ["80.00", "80", 80, 79.98999786376953, "12.345", "0.00", 0, "-1", "12,50", "$ 80.00", "1e2", "", None]
SALES = ["0.00", "0", 0, "60.00", "80.00", "81", "79.999", "79.994", "-5", "sale", "0.004", 60, None]
CURRENCIES = ["USD", "usd", " Usd ", "EUR", "eur", "$", None, ""]
FLAGS = ["Yes", "TRUE", 1, True, "on", "No", "FALSE", 0, "off", "disabled", "perhaps", None]
PAGES = ["https://shop.example/p/a b", "/p/ü", "p/1", "https://bücher.example/é?x=1 2", "ftp://x/y", "", None]
PICTURES = [
    "https://shop.example/i/a b.jpg", "//cdn.example/ü.jpg", "/i/1.jpg", "C:\\1.jpg", "https://u:p@x.example/1.jpg", ""
]  # fmt: skip
TITLES = ["Mug", " Mug ", "Größe 5", "Mug\x0bblue", "Mug & <Co>", "\ud83d mug", "x" * 130, "", None, 4711]
STOCK = [0, 1, -2, 7, "3", None]

SHOP_URL = "https://shop.example/eu/"


@dataclass
class Said:
    """What one vendor is sent of one SKU; None where it is not sent that at all."""

    is_offered: bool | None = None
    why: str = ""
    title: str | None = None
    price: Decimal | None = None
    full_price: Decimal | None = None
    currency: str | None = None
    pictures: tuple[str, ...] | None = None
    url: str | None = None
    is_available: bool | None = None
    taxable: bool | None = None


def feed(dice: random.Random, sku: str, **more: Any) -> dict[str, Any]:
    general = {
        "SKU": sku,
        "Title": dice.choice(TITLES),
        "Price": dice.choice(PRICES),
        "SalePrice": dice.choice(SALES),
        "Currency": dice.choice(CURRENCIES),
        "URL": dice.choice(PAGES),
        "Enabled": dice.choice(FLAGS),
        "Taxable": dice.choice(FLAGS),
        "RequiresShipping": dice.choice(FLAGS),
    }
    for name in dice.sample(sorted(general), dice.randint(0, 4)):
        if name != "SKU":
            del general[name]
    if dice.random() < 0.6:  # most goods shall be such that every vendor takes them
        general |= {"Price": "80.00", "Title": f"Title of {sku}", "URL": f"/p/{sku}", "Enabled": "yes"}
    pictures = dice.choices(PICTURES, k=dice.randint(0, 3)) + (["https://x.example/1.jpg"] * (dice.random() < 0.7))
    return {"General": general, "Images": pictures, "Categories": ["Garden/Hoses"], **more}


def record(number: int, data: dict[str, Any]) -> dict[str, Any]:
    return {"object_data": {"id": number, "source_type": "product"}, "feed_data": data}


def push(dice: random.Random) -> list[dict[str, Any]]:
    records = []
    for number in range(dice.randint(1, 5)):
        variants = [
            record(100 * number + at, feed(dice, f"V{number}-{at}", Options={"Size": str(at)}))
            for at in range(dice.choice([0, 0, 0, 1, 3]))
        ]
        records.append(
            record(100 * number + 50, feed(dice, f"P{number}", **({"Variants": variants} if variants else {})))
        )
    return records


@dataclass
class Shelf:
    """One channel's records, and what each vendor makes of them."""

    database: Database
    name: str
    rally: RallyOptions = field(default_factory=lambda: RallyOptions(api_key="k", organization_id="o"))
    rocket: RetailRocketOptions = field(default_factory=lambda: RetailRocketOptions(partner_id="p", currency="USD"))

    def state(self, records: list[dict[str, Any]]) -> None:
        body = {"template_output": {"data": {"Product": records}}}
        for found in reader.read(body, {}, SHOP_URL):
            with self.database.write() as connection:
                cataloguing.accept(connection, self.name, ["rally"], found.statements, datetime.now(UTC))

    def stock(self, rows: list[dict[str, Any]], contract: Contract) -> None:
        body = {"client_id": 1, "channel_info": {"id": 1}, "inventory_updates": rows}
        levels = inventory_push.read(body, contract.callbacks["inventory_push"].read(body))
        with self.database.write() as connection:
            for vendor in ("rally", "retailrocket"):
                stock.accept(connection, self.name, vendor, levels.by_sku)

    def products(self) -> list[Product]:
        with self.database.read() as connection:
            return list(catalogue.walk(connection, self.name))

    def by_rally(self, product: Product) -> dict[str, Said]:
        skus = {unit.sku for unit in product.units}
        with self.database.read() as connection:
            units = sellable(connection, self.name, "rally", skus)
            told = product_json(product, units, self.rally)
            searched = search_products(connection, self.name, product.item.key, None, self.rally)
        assert searched == ([told] if told else []), "the webhook and the search hook say the same"
        said = {sku: Said(is_offered=False) for sku in skus}
        for variant in told["variants"] if told else ():
            price = variant["prices"][0]
            unit = next(unit for unit in product.units if unit.sku == variant["external_sku"])
            line = line_of(Unit(product, unit, 1), None)
            assert round(line.discounted_price, 2) == price["discounted_price"] and line.taxable == variant["taxable"]
            said[unit.sku] = Said(
                True, "", told["title"] if not product.variants else None, price["discounted_price"], price["price"],
                price["currency"], tuple(image["src"] for image in variant["images"]), None,
                variant["inventory_quantity"] > 0, variant["taxable"],
            )  # fmt: skip
        return said

    def by_rocket(self, product: Product) -> dict[str, tuple[Said, Said]]:
        """By the feed and by the Product API."""
        store = Store(self.rocket, self.database, self.name, lambda: datetime.now(UTC))
        api = ProductApi(store, None)  # type: ignore[arg-type]
        with self.database.read() as connection:
            flags = store.flags_of(connection, {unit.sku for unit in product.units})
        telling = api._to_send(product, {})
        body = api._body(telling, "") if telling.offers else {}
        told = body.get("products") or {str(body.get("id")): body}
        said = {}
        for unit in product.units:
            offer = store.offers.of(product, unit, flags[unit.sku], "USD")
            if not isinstance(offer, Offer) or unit.is_enabled is False:
                why = offer if isinstance(offer, str) else "switched off"
                said[unit.sku] = (Said(is_offered=False, why=why), Said(is_offered=False, why=why))
                continue
            made = ET.fromstring(yml.offer(offer, {path: 1 for path in offer.categories}))
            full = made.findtext("oldprice") or made.findtext("price")
            shown = told[str(offer.number)]
            said[unit.sku] = (
                Said(True, "", made.findtext("name"), _amount(made.findtext("price")), _amount(full), "USD",
                     (made.findtext("picture") or "",), made.findtext("url"), made.get("available") == "true"),
                Said(True, "", shown["name"], shown["price"], shown["oldPrice"] or shown["price"], "USD",
                     (shown["pictureUrl"],), shown["url"], shown["isAvailable"]),
            )  # fmt: skip
        return said

    def by_pipe17(self, product: Product) -> dict[str, Said]:
        said = {}
        for unit in product.units:
            told = fields_of(unit, product.item.product_id)
            price = told["prices"][0] if "prices" in told else {}
            said[unit.sku] = Said(
                unit.is_enabled is not False, "", told["name"], None, price.get("value"), price.get("currency"),
                tuple(told.get("imageURLs", ())), None, None, told.get("taxable"),
            )  # fmt: skip
        return said


def _amount(text: str | None) -> Decimal:
    return Decimal(text or "0")


def agree(sku: str, unit: Item, rally: Said, feed: Said, api: Said, pipe17: Said) -> None:
    """Whatever two vendors are both told of the SKU is one and the same."""
    assert (feed.is_offered, feed.title, feed.price, feed.full_price, feed.pictures, feed.url, feed.is_available) == (
        api.is_offered, api.title, api.price, api.full_price, api.pictures, api.url, api.is_available
    ), sku  # fmt: skip
    is_foreign = unit.currency not in (None, "USD")
    if pipe17.currency is not None:
        assert pipe17.currency == unit.currency and pipe17.currency.isupper() and len(pipe17.currency) == 3
    assert all(address.startswith("https://") and address.isascii() for address in pipe17.pictures or ())
    if rally.is_offered:
        assert pipe17.is_offered and not is_foreign
        assert rally.full_price == pipe17.full_price and rally.pictures == pipe17.pictures
        assert rally.price is not None and rally.full_price is not None and 0 < rally.price <= rally.full_price
        assert rally.taxable == (pipe17.taxable is not False)
        if rally.title is not None:
            assert rally.title == pipe17.title
    if feed.is_offered:
        assert rally.is_offered, f"{sku}: the feed offers what cannot be bought"
        assert (feed.price, feed.full_price) == (rally.price, rally.full_price)
        assert feed.pictures and rally.pictures and feed.pictures[0] == rally.pictures[0]
        assert feed.is_available == rally.is_available
        assert feed.title == pipe17.title or (len(pipe17.title or "") > 120 and (feed.title or "").endswith("…"))
        assert feed.url and feed.url.startswith("https://") and feed.url.isascii()
    elif rally.is_offered:
        assert not {"price", "currency", "off"} & set(feed.why.replace(",", "").split()), (sku, feed.why)


def test_p36_what_every_vendor_is_told_of_a_sku_agrees(database: Database, contract: Contract, seed: int) -> None:
    dice = random.Random(seed)
    offered = 0
    for turn in range(60):
        shelf = Shelf(database, f"c{turn}")
        records = push(dice)
        shelf.state(records)
        if dice.random() < 0.4:  # some of it is stated again, with other values
            shelf.state(push(dice))
        skus = [unit.sku for product in shelf.products() for unit in product.units if unit.sku]
        shelf.stock([{"sku": sku, "quantity_available": dice.choice(STOCK)} for sku in skus], contract)
        for product in shelf.products():
            rally, rocket, pipe17 = shelf.by_rally(product), shelf.by_rocket(product), shelf.by_pipe17(product)
            for unit in product.units:
                agree(unit.sku, unit, rally[unit.sku], *rocket[unit.sku], pipe17[unit.sku])
                offered += bool(rocket[unit.sku][0].is_offered)
    assert offered > 40, "most of what is compared must be something"


@pytest.mark.parametrize(
    ("product", "variant", "price"),
    [
        ({"SalePrice": "60.00", "Price": "80.00"}, {}, "60.00"),
        ({"SalePrice": "60.00", "Price": "80.00"}, {"Price": "50.00"}, "50.00"),
        ({"SalePrice": "60.00"}, {"Price": "80.00"}, "60.00"),
        ({"Price": "80.00"}, {"SalePrice": "80.00"}, "80.00"),
        ({"Price": "80.00", "SalePrice": "0"}, {"SalePrice": "70"}, "70"),
        ({"Price": "80.00", "SalePrice": "70"}, {"SalePrice": "0.00"}, "80.00"),
    ],
)
def test_p36_a_sale_price_counts_against_the_price_of_its_variant(
    product: dict[str, Any], variant: dict[str, Any], price: str, database: Database
) -> None:
    shelf = Shelf(database, "one")
    own = record(2, {"General": {"SKU": "V", **variant}})
    common = {"Title": "Lamp", "URL": "/p", **product}
    shelf.state([record(1, {"General": {"SKU": "P", **common}, "Images": ["/i"], "Categories": ["L"], "V": [own]})])
    (found,) = shelf.products()
    assert shelf.by_rally(found)["V"].price == Decimal(price) == shelf.by_rocket(found)["V"][0].price


def test_p36_a_lamp_with_a_sale_price_of_nothing_is_sold_for_nothing_nowhere(
    build_app: Callable[..., Flask], contract: Contract
) -> None:
    """From end to end: Rally's sandbox and the feed that is fetched."""
    holder: list[Flask] = []
    with (
        serve_rally() as rally,
        serve(lambda environ, start_response: holder[0](environ, start_response)) as server,
    ):
        own = channel_text(rally.url, channel='shop_url = "https://shop.example"').replace(
            'gateways = ["rally"]', 'gateways = ["rally", "retailrocket"]'
        )
        table = channel().partition("[channel.retailrocket]")[2]
        holder.append(build_app(f"{own}\n[channel.retailrocket]{table}", PUBLIC_URL=server.url))
        merchant = RallyShop(Caller(holder[0], contract), rally, server)
        merchant.register_hooks()
        lamp = rally_record(100, "LAMP", "80.00", SalePrice="0.00", Currency="usd", Enabled="YES", URL="/p/my lamp")
        lamp["feed_data"] |= {"Images": ["/i/lämp 1.jpg"], "Categories": ["Lamps"]}
        assert merchant.push([lamp])["events"] == []
        merchant.set_stock(LAMP=3)
        merchant.settle()
        # A sale of 60, and then one below zero, which is none as well.
        for stated, warned in (("60", []), ("-5", ["NO_SALE_PRICE"])):
            lamp["feed_data"]["General"]["SalePrice"] = stated
            assert codes(merchant.push([lamp]), "warning") == warned
        merchant.settle()
        (told,) = (item for item in _rally_products(rally.url) if item["variants"][0]["external_sku"] == "LAMP")
        price = told["variants"][0]["prices"][0]
        assert (Decimal(str(price["price"])), Decimal(str(price["discounted_price"]))) == (80, 80)
        assert told["img_src"] == "https://shop.example/i/l%C3%A4mp%201.jpg"

        def fetched() -> Any:
            with holder[0].test_client().get(FEED) as reply:
                text = reply.get_data()
            offers = ET.fromstring(text).findall("shop/offers/offer") if reply.status_code == 200 else []
            return offers if offers and offers[0].get("available") == "true" else None

        (offer,) = eventually(fetched)
        assert (offer.findtext("price"), offer.findtext("oldprice")) == ("80.00", None)
        assert offer.findtext("picture") == told["img_src"]
        assert offer.findtext("url") == "https://shop.example/p/my%20lamp"


def _rally_products(url: str) -> list[dict[str, Any]]:
    held = requests.get(f"{url}/sandbox/state", timeout=10).json()
    return [product for copies in held["merchants"].values() for product in copies["products"].values()]


def test_p36_after_random_pushes_each_vendor_has_on_sale_what_follows_from_all_that_was_stated(
    build_app: Callable[..., Flask], contract: Contract, start_pipe17: Callable[..., Sandbox], seed: int
) -> None:
    """From end to end: Rally's sandbox, Pipe17's and the feed that is fetched, after each few pushes."""
    dice, model, turn = random.Random(seed), product_pushes.Model(), 0
    pipe17 = start_pipe17(shipments=0)
    set_field(pipe17, "catalog.create_products", True)
    holder: list[Flask] = []
    with (
        serve_rally() as rally,
        serve(lambda environ, start_response: holder[0](environ, start_response)) as server,
    ):
        own_table = channel_text(rally.url, channel='shop_url = "https://shop.example"').replace(
            'gateways = ["rally"]', 'gateways = ["rally", "pipe17", "retailrocket"]'
        )
        more = f'integration_id = "{INTEGRATION_ID}"\norders = false'
        pipe17_table = channel_table(pipe17.url, api_key=INTEGRATION_KEY, more=more).partition("[channel.pipe17]")[2]
        rocket_table = channel("available_when_unstated = true").partition("[channel.retailrocket]")[2]
        tables = f"{own_table}\n[channel.pipe17]{pipe17_table}\n[channel.retailrocket]{rocket_table}"
        holder.append(build_app(tables, PUBLIC_URL=server.url))
        merchant = RallyShop(Caller(holder[0], contract), rally, server)
        merchant.register_hooks()
        for _ in range(3):
            for _ in range(3):
                after, records = product_pushes.changed(dice, model, turn := turn + 1)
                while after.has_cycle():
                    after, records = product_pushes.changed(dice, model, turn)
                _complete(after, records)
                model = after
                merchant.push(records)
            merchant.settle()
            expected = set(model.sold())

            def on_sale() -> list[set[str]]:
                at_rally = {one["external_sku"] for item in _rally_products(rally.url) for one in item["variants"]}
                at_pipe17 = {
                    item["sku"] for item in pipe17.state()["products"] if own(pipe17, item["sku"]) and
                    own(pipe17, item["sku"])["status"] == "published" and item["sku"] in product_pushes.SKUS
                }  # fmt: skip
                return [at_rally, at_pipe17, _in_the_feed(holder[0], merchant.database)]

            try:
                eventually(lambda: on_sale() == [expected] * 3)  # noqa: B023
            except AssertionError:
                assert on_sale() == [expected] * 3, (seed, turn)


def _complete(model: product_pushes.Model, records: list[dict[str, Any]]) -> None:
    """Everything an offer needs, so that nothing but the whole decides what is on sale."""
    for one in records:
        number, data = one["object_data"]["id"], one["feed_data"]
        model.told[number].title = data["General"]["Title"] = f"Title {number}"
        data["General"] |= {"Price": "5.00", "Currency": "USD", "URL": f"/p/{number}"}
        data |= {"Images": [f"/i/{number}.jpg"], "Categories": ["Garden"]}
        _complete(model, data.get("Variants", []))


def _in_the_feed(app: Flask, database: Database) -> set[str]:
    """The SKUs of the offers that can be bought; none where two builds at once replaced what was being read."""
    try:
        with app.test_client().get(FEED) as reply:
            text = reply.get_data()
    except LookupError:  # a peer sees the download broken off; builds that follow each other at once are this test's
        return set()
    offers = ET.fromstring(text).findall("shop/offers/offer") if reply.status_code == 200 else []
    with database.read() as connection:
        skus = {
            str(unit.number): unit.sku for item in catalogue.walk(connection, "shop") for unit in item.units if unit.sku
        }
    return {skus.get(offer.get("id", ""), "?") for offer in offers if offer.get("available") == "true"}
