"""A shop is renamed, changes hands, or is taken out: nothing of it is lost, and nobody reads another's (R35)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests
from flask import Flask
from sqlalchemy import insert, select

from app.clock import utc_now
from app.contract.schemas import Contract
from app.operations.health_checks import waiting
from app.records.database import Database
from app.records.purge import Purge
from app.records.retention import Terms
from app.records.tables import metadata
from app.records.tables.deliveries import commands, deliveries
from app.records.tables.storefront import orders
from app.sandbox.server import RunningServer, serve
from app.sandbox.vendors.rally import API_KEY, ORGANIZATION_ID, serve_rally
from app.storefront.retention import CLOCKS
from tests.channels import KEY, OTHER_KEY, PAIR, channel_table
from tests.command_line import CommandLine
from tests.gateways.vendors.rally.shop import Shop, channel_text
from tests.gateways.vendors.rally.stage import signature
from tests.retailops import Caller, codes
from tests.waiting import eventually

OTHER_PAIR = (1201, 33)
OTHER_ORGANIZATION = "org-of-another-merchant"
BY_HAND = ("--yes", "--reason", "the merchant has left")


class Street:
    """A server that is started anew with other channels, Rally's sandbox beside it, and the operator's commands."""

    def __init__(
        self, build_app: Callable[..., Flask], contract: Contract, run: CommandLine, rally: RunningServer
    ) -> None:
        self._build, self._contract, self.run, self.rally = build_app, contract, run, rally
        self._app: Flask | None = None
        self.server: RunningServer

    def __call__(self, environ: Any, start: Any) -> Any:
        assert self._app is not None
        return self._app(environ, start)

    def start(self, *channels: str) -> None:
        """Everything else ends first."""
        self.stop()
        text = "\n".join(channels)
        self.run.environment["CHANNELS"] = text or "# none"
        self._app = self._build(text, PUBLIC_URL=self.server.url)

    def stop(self) -> None:
        if self._app is not None:
            self._app.extensions["works"].stop()
            self._app = None

    @property
    def database(self) -> Database:
        assert self._app is not None
        database: Database = self._app.extensions["works"].database
        return database

    def text(self, name: str, **more: Any) -> str:
        return channel_text(self.rally.url, name=name, **more)

    def other_text(self, name: str, **more: Any) -> str:
        """The tables of the second merchant."""
        account = {"api_key": "key-of-another", "organization_id": OTHER_ORGANIZATION}
        return self.text(name, **{"pair": OTHER_PAIR, "key": OTHER_KEY, **account, **more})

    def retailops(self, key: str = KEY, pair: tuple[int, int] = PAIR) -> Caller:
        assert self._app is not None
        return Caller(self._app, self._contract, key, pair)

    def shop(self, name: str, organization_id: str = ORGANIZATION_ID, **caller: Any) -> Shop:
        return Shop(self.retailops(**caller), self.rally, self.server, name, organization_id)

    def is_aside(self, key: str = KEY, pair: tuple[int, int] = PAIR) -> bool:
        reply = self.retailops(key, pair).post("order_pull")
        return reply.status_code == 503 and reply.get_json()["events"][0]["code"] == "CHANNEL_SET_ASIDE"

    def at_hook(self, path: str, organization_id: str = ORGANIZATION_ID, key: str = API_KEY) -> requests.Response:
        address = f"{self.server.url}/rally/merchants/{organization_id}/{path}"
        return requests.get(address, headers={"X-HMAC-SHA256": signature(key, b"")}, timeout=10)

    def attention(self) -> str:
        """What `channel check` says of the whole server that needs somebody."""
        report = json.loads(self.run("check", "--json").stdout)
        return "\n".join(item["sentence"] for item in report["server"] if item["state"] == "attention")

    def aside(self) -> str:
        report = self.run.json("check", exit_code=1)
        told = [item for part in report["channels"] for item in part["findings"] if item["name"] == "set aside"]
        return "\n".join(item["sentence"] for item in told)


@pytest.fixture
def street(
    build_app: Callable[..., Flask], contract: Contract, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Street]:
    with serve_rally() as rally:
        made = Street(build_app, contract, CommandLine(monkeypatch, database_url, ""), rally)
        with serve(made) as server:
            made.server = server
            yield made
            made.stop()


@pytest.mark.both_databases
def test_r35_owed_calls_and_kept_orders_survive_a_renaming_that_is_said_and_nothing_is_served_before(
    street: Street, capfd: pytest.CaptureFixture[str]
) -> None:
    street.start(street.text("m2"))
    shop = street.shop("m2")
    shop.register_hooks()
    shop.offer(TEE=9)
    pulled = shop.buy_and_pull()
    waiting = shop.buy()
    shop.fault("status", code=503, times=None)
    assert codes(shop.ship(pulled, 1, **{pulled["order_items"][0]["sku"]: 1}), "error") == []

    street.start(street.text("m3"))
    assert street.is_aside()
    assert "channel 'm2' is not configured any more and has" in capfd.readouterr().err
    assert 'former_name = "m2"' in street.attention() and 'former_name = "m2"' in street.aside()
    assert street.at_hook(f"orders/{waiting}").status_code == 502
    assert street.shop("m3").deliveries("parked") == [], "what is owed for a channel that nobody serves waits"

    shop.rally.faults.clear()
    street.start(street.text("m3", channel='former_name = ["m1", "m2"]'))
    shop = street.shop("m3")
    assert [order["channel_order_refnum"] for order in shop.retailops.pull()] == [waiting]
    assert street.at_hook(f"orders/{waiting}").status_code == 200
    with street.database.write() as connection:
        connection.exec_driver_sql("update deliveries set next_try_at = created_at")
    shop.retailops.app.extensions["works"].dispatcher.wake()
    assert street.retailops().ask("order_pull")
    eventually(lambda: shop.deliveries("owed") == [])
    assert shop.at_rally(pulled["channel_order_refnum"])["statuses"]
    for name in ("m2", "m3"):  # what people see is the present name, whichever they ask for
        listed = street.run.json("deliveries", "list", "--channel", name, "--state", "any")["deliveries"]
        assert listed and {item["channel"] for item in listed} == {"m3"}
    assert "m2" not in street.attention()

    street.start(street.text("m2"))  # a process of before starts once more
    assert [order["channel_order_refnum"] for order in street.retailops().pull()] == [waiting]


def test_r35_another_account_under_a_kept_name_is_served_only_when_it_is_said_and_reads_nothing_of_the_former(
    street: Street,
) -> None:
    requests.post(
        f"{street.rally.url}/sandbox/merchants",
        json={"organization_id": OTHER_ORGANIZATION, "api_keys": ["key-of-another"]},
        timeout=10,
    ).raise_for_status()
    street.start(street.text("a"), street.other_text("b"))
    mine, other = street.shop("a"), street.shop("b", OTHER_ORGANIZATION, key=OTHER_KEY, pair=OTHER_PAIR)
    for shop in (mine, other):
        shop.register_hooks()
    mine.offer(TEE=9)
    other.offer(MUG=9)
    refnum = mine.buy()
    swapped = {"organization_id": ORGANIZATION_ID, "api_key": API_KEY}

    street.start(street.other_text("a", pair=PAIR, key=KEY), street.other_text("b", **swapped))
    assert street.is_aside() and street.is_aside(OTHER_KEY, OTHER_PAIR)
    assert f'former_account = "{ORGANIZATION_ID}"' in street.aside()
    assert f'former_account = "{OTHER_ORGANIZATION}"' in street.aside()
    assert street.at_hook(f"orders/{refnum}").status_code == 502

    street.start(
        street.other_text("a", pair=PAIR, key=KEY, channel=f'former_account = "{ORGANIZATION_ID}"'),
        street.other_text("b", **swapped, channel=f'former_account = "{OTHER_ORGANIZATION}"'),
    )
    assert street.retailops().pull() == street.retailops(OTHER_KEY, OTHER_PAIR).pull() == []
    assert street.at_hook(f"orders/{refnum}").status_code != 200
    assert street.at_hook(f"orders/{refnum}", OTHER_ORGANIZATION, "key-of-another").status_code != 200
    with street.database.read() as connection:
        kept = connection.execute(select(orders.c.channel, orders.c.refnum)).all()
    assert [tuple(row) for row in kept] == [("a", refnum)], "nothing is lost either"
    assert "channel 'a~2' is not configured any more and has" in street.attention()
    # What RetailOps stated is sent to the new account without being stated again.
    street.shop("a", OTHER_ORGANIZATION).settle()
    for organization_id, sku in ((OTHER_ORGANIZATION, "TEE"), (ORGANIZATION_ID, "MUG")):
        held = {item["sku"]: item["value"] for item in street.shop("a", organization_id).view("stock")}
        assert held[sku] == 9, held
    assert street.run("forget", "a~2", *BY_HAND).exit_code == 0
    assert "a~2" not in street.attention()


def test_r35_a_mistyped_organisation_is_told_and_mending_it_is_enough(street: Street) -> None:
    street.start(street.text("shop"))
    street.shop("shop").register_hooks()
    street.start(street.text("shop", organization_id="org-mistyped"))
    assert street.is_aside()
    assert "org-mistyped" not in street.attention()
    for _ in range(3):
        hook = street.at_hook("orders")
        assert (hook.status_code, "X-HMAC-SHA256" in hook.headers) == (404, False)
    for number in range(103):
        assert street.at_hook("orders", f"guess-{number}").status_code == 404
    eventually(lambda: ORGANIZATION_ID in street.attention())

    def kept(what: str) -> int:
        with street.database.read() as connection:
            return int(
                connection.exec_driver_sql(f"select {what} from inbound_requests where channel = ''").scalar_one()
            )

    eventually(lambda: kept("coalesce(sum(count), 0)") == 106)  # they are written in the background
    assert kept("count(*)") <= 101, "whoever makes up organisations fills nothing"
    street.start(street.text("shop"))
    assert street.retailops().pull() == []


@pytest.mark.both_databases
def test_r35_what_is_left_of_a_channel_is_told_until_it_is_forgotten_and_a_settled_one_goes_silently(
    street: Street, capfd: pytest.CaptureFixture[str]
) -> None:
    street.start(street.text("gone"))
    shop = street.shop("gone")
    shop.register_hooks()
    shop.offer(TEE=9)
    pulled = shop.buy_and_pull()
    refnum = pulled["channel_order_refnum"]
    shop.give_back(7, "1.00", refnum)
    shop.settle()
    ledger = [(entry.key, entry.amount) for entry in shop.ledger()]
    assert ledger
    assert "is configured and served" in street.run("forget", "gone", *BY_HAND).output

    street.start(street.other_text("stays"))
    assert "channel 'gone' is not configured any more and has 1 order unfinished" in street.attention()
    would = street.run.json("forget", "gone")
    assert (would["outcome"], would["dry_run"]) == ("would be forgotten", True)
    assert would["rows"]["orders"] == 1 and would["rows"]["stock"] and "refunds" not in would["rows"]
    assert street.run("forget", "gone", "--yes").exit_code == 2, "it wants a reason"
    assert would == street.run.json("forget", "gone"), "until then nothing was removed"
    said = street.run("forget", "gone").output
    assert "Kept of channel 'gone'" in said and "   1  orders of shoppers" in said
    street.run.environment["CHANNELS"] = "not TOML ["
    done = street.run.json("forget", "gone", *BY_HAND)
    assert (done["outcome"], done["rows"]) == ("forgotten", would["rows"])
    assert "nothing is kept but the ledgers" in street.run("forget", "gone").output
    assert street.run.json("forget", "gone", *BY_HAND)["outcome"] == "already forgotten"
    street.start(street.other_text("stays"))
    kept = {name for name in _tables_of(street.database, "gone")}
    assert kept == {"commands", "refunds", "payments", "operations", "channel_names"}
    assert [(entry.key, entry.amount) for entry in street.shop("stays").ledger()] == ledger
    acts = street.run.json("operations", "list")["operations"]
    assert [(act["act"], act["channel"], act["reason"]) for act in acts] == [("channel.forget", "gone", BY_HAND[2])]
    assert "gone" not in street.attention()

    # The name is free for another one, which begins with nothing.
    street.start(street.text("gone"))
    assert street.retailops().pull() == []
    assert street.at_hook(f"orders/{refnum}").status_code == 404
    capfd.readouterr()
    street.start(street.other_text("stays"))
    assert "not configured any more" not in capfd.readouterr().err + street.attention()


def test_r28_a_paid_order_that_retailops_does_not_have_is_held_at_its_date_and_told_after_a_week(
    street: Street,
) -> None:
    street.start(street.text("shop"))
    shop = street.shop("shop")
    shop.register_hooks()
    shop.offer(TEE=9)
    refnum, taken = shop.buy(), shop.buy_and_pull()["channel_order_refnum"]
    later = utc_now() + timedelta(days=8)
    with street.database.read() as connection:
        assert [row.paid_at is not None for row in connection.execute(select(orders.c.paid_at))] == [True, True]
    for now, is_told in ((utc_now() + timedelta(days=6), False), (later, True)):
        told = waiting.of_records(street.database, ["shop"], now)["shop"]
        assert any(refnum in item.sentence for item in told if item.name == "not handed over") is is_told
    long_after = utc_now() + timedelta(days=400)
    assert _purged(street.database, long_after) == {refnum}
    shop.retailops.acknowledge(refnum)
    assert taken and _purged(street.database, long_after + timedelta(days=2)) == set()


def _purged(database: Database, now: Any) -> set[str]:
    """The orders that are left."""
    retention = Purge(database, Terms(), lambda: now, clocks=CLOCKS)
    while retention.turn():
        pass
    with database.read() as connection:
        return set(connection.execute(select(orders.c.refnum)).scalars())


def _tables_of(database: Database, key: str) -> Iterator[str]:
    with database.read() as connection:
        for table in metadata.sorted_tables:
            if "channel" in table.c and connection.execute(select(table).where(table.c.channel == key)).first():
                yield table.name


FEED = """
[channel.retailrocket]
partner_id = "{partner}"
tracking_url = "http://localhost:1"
api_url = "http://localhost:1"
feed_delay_s = 0
"""


def test_r35_a_new_gateway_and_another_partner_of_it_leave_the_orders_alone(street: Street) -> None:
    def text(name: str, partner: str = "", more: str = "") -> str:
        own = street.text(name, channel=more)
        if not partner:
            return own
        return own.replace('gateways = ["rally"]', 'gateways = ["rally", "retailrocket"]') + FEED.format(
            partner=partner
        )

    def feed(name: str) -> requests.Response:
        return requests.get(f"{street.server.url}/feeds/retailrocket/{name}.xml", timeout=10)

    street.start(text("shop"))
    shop = street.shop("shop")
    shop.register_hooks()
    shop.offer(TEE=9)
    refnum = shop.buy()
    street.start(text("shop", "one"))
    assert not street.is_aside()
    street.shop("shop").offer(TEE=9)
    with street.database.write() as connection:
        command = {"channel": "shop", "callback": "order_pull", "natural_key": "k", "order_refnum": refnum,
                   "digest": "d", "events": b"[]", "request_id": "r", "begun_at": utc_now(), "lease_until": utc_now(),
                   "finished_at": utc_now()}  # fmt: skip
        command_id = connection.execute(insert(commands).returning(commands.c.id), command).scalar_one()
        call = {"channel": "shop", "gateway": "retailrocket", "verb": "report_purchase", "lane": refnum, "body": b"{}",
                "command_id": command_id, "about": b"[]", "state": "parked", "next_try_at": utc_now(),
                "request_id": "r", "created_at": utc_now()}  # fmt: skip
        connection.execute(insert(deliveries), call)

    street.start(text("shop", "two"))
    assert street.is_aside() and 'former_account = "one"' in street.aside()
    assert feed("shop").status_code == 503
    street.start(text("store", "two", 'former_name = "shop"\nformer_account = "one"'))
    assert [order["channel_order_refnum"] for order in street.retailops().pull()] == [refnum]
    told = street.attention()
    assert "channel 'shop~2' is not configured any more and has 1 call unfinished" in told, told
    street.shop("store").settle()
    for name in ("store", "shop"):  # whoever fetches by the former name still can
        eventually(lambda name=name: feed(name).status_code == 200)
    assert street.at_hook(f"orders/{refnum}").status_code == 200


def test_r35_a_replaced_bare_key_is_the_same_account_where_the_old_one_is_named_or_somebody_says_so(
    street: Street,
) -> None:
    def text(api_key: str, more: str = "") -> str:
        return channel_table("http://localhost:1", api_key=api_key, more=more)

    street.start(text("the-first-key"))
    street.start(text("the-second-key"))
    assert street.is_aside()
    assert "the-first-key" not in street.aside() and 'former_account = "key:' in street.aside()
    street.start(text("the-second-key", 'previous_api_key = "the-first-key"'))
    assert not street.is_aside()
    street.start(text("the-second-key"))
    assert not street.is_aside()
    street.start(text("the-third-key"))
    assert street.is_aside()
    said = ("pipe17", "key-replaced", "first", "--reason", "rotated", "--yes")
    assert street.run(*said).exit_code == 0
    assert street.run(*said).exit_code == 1, "once is enough"
    street.start(text("the-third-key"))
    assert not street.is_aside()
    [act] = street.run.json("operations", "list")["operations"]
    assert (act["act"], act["reason"], act["outcome"]) == ("account.keep", "rotated", "kept")
