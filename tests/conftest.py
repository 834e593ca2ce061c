"""What every test may lean on: a sandboxed Pipe17, a channel server in front of it, and RetailOps' judgement."""

from __future__ import annotations

import gc
import json
import logging
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from playwright.sync_api import Browser
from sqlalchemy import Connection, update
from werkzeug.routing import Rule

from app import create_app, settings
from app.contract.schemas import Contract, load_contract
from app.gateways import VENDORS
from app.records import engines, purge
from app.records.database import Database
from app.records.tables.server import periodic_work
from app.sandbox.server import RunningServer
from app.sandbox.vendors.pipe17 import BASE_PATH, LEGACY_KEY, serve_pipe17
from tests import sent_codes
from tests.browser import NoBrowser, axe_source, running_browser
from tests.databases import migrate, open_database
from tests.passing_time import PassingTime
from tests.postgres import NoPostgres, PostgresServer, running_postgres
from tests.system.go_verifier import GoVerifier, NoGo

ROOT = Path(__file__).resolve().parents[1]
KEY = "key+of+the+first+channel+0000001"
OTHER_KEY = "key+of+the+other+channel+0000002"
PAIR = (1201, 32)

CHANNEL = """
[[channel]]
name = "{name}"
client_id = {client_id}
channel_id = {channel_id}
auth_keys = ["{key}"]
gateways = ["pipe17"]

[channel.pipe17]
base_url = "{base_url}"
api_key = "{api_key}"
requests_per_s = 0
parallel_calls = 0
settle_seconds = 1
{more}
"""


def channel_table(
    sandbox_url: str,
    *,
    name: str = "first",
    pair: tuple[int, int] = PAIR,
    key: str = KEY,
    api_key: str = LEGACY_KEY,
    more: str = "",
) -> str:
    """One [[channel]] of channels.toml that points at a sandbox."""
    return CHANNEL.format(
        name=name,
        client_id=pair[0],
        channel_id=pair[1],
        key=key,
        base_url=sandbox_url + BASE_PATH,
        api_key=api_key,
        more=more,
    )


def owed_levels(connection: Connection) -> int:
    """How many (gateway, SKU) levels have not been received yet."""
    return int(connection.exec_driver_sql("select count(*) from stock where seq > sent_seq").scalar_one())


@pytest.fixture(scope="session")
def contract() -> Contract:
    return load_contract()


@pytest.fixture(scope="session")
def go_verifier(tmp_path_factory: pytest.TempPathFactory) -> GoVerifier:
    """Built once: without Go's own cache that takes as long as all its tests."""
    try:
        return GoVerifier.build(tmp_path_factory.mktemp("go"))
    except NoGo as reason:
        pytest.skip(str(reason))


@pytest.fixture
def seed() -> int:
    """The seed of a randomised test, printed so that a failure can be repeated with SEED=n."""
    value = int(os.environ.get("SEED", random.SystemRandom().randrange(10**6)))
    print(f"seed {value}")
    return value


@dataclass
class Sandbox:
    """A running vendor stand-in, asked what it holds."""

    server: RunningServer

    @property
    def url(self) -> str:
        return self.server.url

    def state(self) -> dict[str, Any]:
        held: dict[str, Any] = requests.get(f"{self.url}/sandbox/state", timeout=10).json()
        return held

    def tell(self, path: str, body: Any, method: str = "POST") -> Any:
        reply = requests.request(method, f"{self.url}/sandbox/{path}", json=body, timeout=10)
        assert reply.status_code < 300, (reply.status_code, reply.text)
        return reply.json()

    def fault(self, **rule: Any) -> None:
        self.tell("faults", rule)

    def heal(self) -> None:
        assert requests.delete(f"{self.url}/sandbox/faults", timeout=10).status_code < 300

    def shipment(self, refnum: str) -> dict[str, Any]:
        return next(item for item in self.state()["shipments"] if item["shipmentId"] == refnum)

    def fulfilments(self, refnum: str) -> list[dict[str, Any]]:
        return [item for item in self.state()["fulfillments"] if item["shipmentId"] == refnum]

    def calls(self, template: str) -> int:
        return int(self.state()["calls"].get(template, 0))


@pytest.fixture
def start_pipe17() -> Iterator[Callable[..., Sandbox]]:
    """Start sandboxes that end with the test."""
    running: list[RunningServer] = []

    def start(**options: Any) -> Sandbox:
        running.append(serve_pipe17(**options))
        return Sandbox(running[-1])

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def pipe17(start_pipe17: Callable[..., Sandbox]) -> Sandbox:
    return start_pipe17()


@pytest.fixture
def empty(start_pipe17: Callable[..., Sandbox]) -> Sandbox:
    """Pipe17's sandbox of an organisation with goods and locations and no requests."""
    return start_pipe17(shipments=0)


@pytest.fixture(autouse=True)
def _only_registered_codes() -> Iterator[None]:
    """No test makes the server use a code that the registry does not explain (P43)."""
    with sent_codes.watch() as unknown:
        yield
    assert unknown == []


class Caller:
    """RetailOps calling one channel of an application, every 200 judged as its production caller would (P4)."""

    def __init__(self, app: Flask, contract: Contract, key: str = KEY, pair: tuple[int, int] = PAIR) -> None:
        self.app = app
        self.contract = contract
        self.key = key
        self.pair = pair

    def post(self, callback: str, **fields: Any) -> Any:
        body = {
            "integration_auth_token": self.key,
            "action": "SDK.anything",
            "version": 1,
            "client_id": self.pair[0],
            "channel_info": {"id": self.pair[1]},
            **fields,
        }
        return self.send(callback, json.dumps(body).encode())

    def send(self, callback: str, raw: bytes, headers: dict[str, str] | None = None) -> Any:
        reply = self.app.test_client().post(
            f"/api/channel/{callback}_v1", data=raw, content_type="application/json", headers=headers
        )
        assert reply.content_type == "application/json"
        events = reply.get_json().get("events", [])
        assert [event["code"] for event in events if not sent_codes.is_registered(event["code"])] == []
        if reply.status_code == 200:
            self.judge(callback, reply.get_json())
        return reply

    def judge(self, callback: str, answer: dict[str, Any]) -> None:
        assert self.contract.callbacks[callback].check_answer(answer) == ()

    def ask(self, callback: str, **fields: Any) -> dict[str, Any]:
        reply = self.post(callback, **fields)
        assert reply.status_code == 200, reply.get_data(as_text=True)
        answer: dict[str, Any] = reply.get_json()
        return answer

    def pull(self, **fields: Any) -> list[dict[str, Any]]:
        orders: list[dict[str, Any]] = self.ask("order_pull", **fields)["orders"]
        return orders

    def pull_all(self) -> list[list[dict[str, Any]]]:
        pages, token = [], ""
        while True:
            answer = self.ask("order_pull", page_token=token)
            pages.append(answer["orders"])
            token = answer["next_page_token"]
            if not token:
                return pages

    def acknowledge(self, *refnums: str) -> dict[str, Any]:
        entries = [{"channel_order_refnum": refnum, "retailops_order_id": 70 + n} for n, refnum in enumerate(refnums)]
        return self.ask("order_acknowledge", orders=entries)

    def ship(self, order: dict[str, Any], shipment_id: Any = 501, packages: int = 1, **package: Any) -> dict[str, Any]:
        return self.ask(
            "order_shipment_submit",
            channel_order_refnum=order["channel_order_refnum"],
            shipment=shipment_of(order, shipment_id, packages, **package),
        )

    def cancel(self, refnum: str) -> dict[str, Any]:
        return self.ask("order_cancel", order={"channel_order_refnum": refnum})

    @property
    def database(self) -> Database:
        database: Database = self.app.extensions["works"].database
        return database


def shipment_of(order: dict[str, Any], shipment_id: Any, packages: int = 1, **package: Any) -> dict[str, Any]:
    """All units of an order in one package, or one unit of its first line in each of several."""
    lines = order["order_items"]
    contents = [
        {"sku": line["sku"], "channel_item_refnum": line["channel_item_refnum"], "quantity": line["quantity"]}
        for line in lines
    ]
    if packages > 1:
        contents = [{**contents[0], "quantity": 1}]
    return {
        "retailops_shipment_id": shipment_id,
        "packages": [
            {
                "retailops_package_id": number,
                "carrier_name": "UPS",
                "carrier_class_name": "Ground",
                "tracking_number": f"1Z{shipment_id}{number}",
                "weight_kg": 1.5,
                "date_shipped": "2026-02-03T15:00:00Z",
                "package_items": contents,
                **package,
            }
            for number in range(1, packages + 1)
        ],
    }


def codes(answer: dict[str, Any], event_type: str | None = None) -> list[str]:
    """The codes of an answer's events."""
    return [event["code"] for event in answer["events"] if event_type in (None, event["event_type"])]


def eventually(look: Callable[[], Any], patience_s: float = 45.0, found: Callable[[], Any] = lambda: "") -> Any:
    """Wait for the background to get there, also on a machine that is busy with other things.

    `found` is what there is instead, for the report of a test that fails.
    """
    give_up_at = time.monotonic() + patience_s
    while not (seen := look()):
        assert time.monotonic() < give_up_at, f"it did not happen in time; there is {found()}"
        time.sleep(0.05)
    return seen


class _CompiledStatements(dict[tuple[Any, ...], Any]):
    """SQLAlchemy's cache of compiled statements, shared by all engines of a kind: a server has one, tests thousands.

    Its keys begin with the dialect object, of which each engine has its own.
    """

    def get(self, key: tuple[Any, ...], default: Any = None) -> Any:
        return super().get((key[0].name, *key[1:]), default)

    def __setitem__(self, key: tuple[Any, ...], compiled: Any) -> None:
        super().__setitem__((key[0].name, *key[1:]), compiled)


def _builders_made_once(compile_builder: Callable[..., Any]) -> Callable[..., Any]:
    """werkzeug compiles a function per URL rule that writes its addresses: made once a run, not once an application.

    The function takes the rule itself as its first argument; only defaults would become part of it.
    """
    made: dict[tuple[Any, ...], Any] = {}

    def compiled(rule: Rule, append_unknown: bool = True) -> Any:
        if rule.defaults:
            return compile_builder(rule, append_unknown)
        key = (rule.rule, *rule._trace, append_unknown)
        if key not in made:
            made[key] = compile_builder(rule, append_unknown)
        return made[key]

    return compiled


Rule._compile_builder = _builders_made_once(Rule._compile_builder)  # type: ignore[method-assign]
engines.create_engine = partial(engines.create_engine, execution_options={"compiled_cache": _CompiledStatements()})  # type: ignore[attr-defined]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "both_databases: runs on SQLite and again on PostgreSQL")
    config.addinivalue_line("markers", "unmigrated: begins with an empty database, before the first migration")
    config.addinivalue_line("markers", "slow: takes seconds or processes; `-m 'not slow'` runs the rest while you edit")
    config.addinivalue_line("markers", "postgresql: needs a PostgreSQL server; `-m 'not postgresql'` leaves them out")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database_url" in metafunc.fixturenames and metafunc.definition.get_closest_marker("both_databases"):
        both = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]
        metafunc.parametrize("database_url", both, indirect=True)


SLOW = (
    "callbacks/test_large_bodies.py",
    "callbacks/test_openapi_fuzz.py",
    "callbacks/test_routes.py::test_p15_a_large_callback_at_an_ill_vendor",
    "callbacks/test_routes.py::test_p5_twenty_thousand_mutated_bodies_never_make_a_5xx",
    "callbacks/test_served.py",
    "callbacks/test_worker.py",
    "channel/test_known_outcomes.py",
    "channel/test_lane_waiting.py",
    "channel/test_late_events.py",
    "channel/test_order_histories.py",
    "channel/test_refunds.py",
    "channel/test_reservations.py",
    "channel/test_shops_that_change.py",
    "channel/test_texts_and_entries.py::test_p34_a_key_of_any_length",
    "cli/test_begin.py",
    "cli/test_new_gateway.py",
    "cli/test_operator.py",
    "cli/test_processes.py",
    "cli/test_verify.py",
    "cli/test_zoo.py",
    "console/test_browser.py",
    "console/test_pages.py::test_p40_every_link_leads",
    "contract/test_openapi.py",
    "docs/test_browser.py",
    "docs/test_start_pages.py",
    "domain/test_json_bodies.py::test_p34_a_hostile_body",
    "domain/test_json_bodies.py::test_p34_what_lies_across_windows",
    "gateways/",
    "operations/test_erasure.py",
    "operations/test_reconcile.py",
    "records/test_rates.py",
    "records/test_trouble.py",
    "sandbox/test_shop.py",
    "storefront/test_addresses.py::test_the_formats_are_not_read_at_start",
    "system/",
    "test_house.py",
    "transport/test_client.py",
    "transport/test_limits.py",
    "transport/test_rates.py",
)
"""What starts processes or a browser, walks every vendor, or takes seconds to wait; so are all tests of PostgreSQL."""


LONGEST = (
    "system/test_chaos.py", "system/test_install.py", "system/test_rolling.py", "system/test_postgres.py",
    "docs/test_start_pages.py", "cli/test_begin.py", "cli/test_new_gateway.py", "system/test_memory.py",
    "channel/test_refunds.py", "channel/test_order_life.py", "gateways/test_conformance.py",
    "gateways/vendors/rally/test_gateway.py", "callbacks/test_routes.py", "console/test_browser.py",
)  # fmt: skip
"""Files that take more than a minute, the longest first; xdist keeps this order (pyproject.toml)."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {path: path.relative_to(ROOT / "tests").as_posix() for path in {item.path for item in items}}
    for item in items:
        place = f"{places[item.path]}::{item.name}"
        uses = getattr(item, "fixturenames", ())
        if place.startswith(SLOW) or "browser" in uses or item.get_closest_marker("postgresql"):
            item.add_marker(pytest.mark.slow)
    # So that at the end of a parallel run no process works on a long file while the others are idle.
    items.sort(key=lambda item: _turn(places[item.path]))


def pytest_collection_finish() -> None:
    """Let the collector pass over what has been loaded for good, as a server does once it has started."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _turn(place: str) -> int:
    return LONGEST.index(place) if place in LONGEST else len(LONGEST) + (not place.startswith("system/"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server of this run's own.  Where none is installed tests are skipped, but never under CI=true."""
    try:
        with running_postgres() as server:
            yield server
    except NoPostgres as reason:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One for all tests of pages: Playwright runs once a process.  Skipped where there is none, never under CI=true."""
    try:
        with running_browser() as browser:
            yield browser
    except NoBrowser as reason:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe-core.  Skipped where it cannot be installed, never under CI=true."""
    try:
        return axe_source(tmp_path_factory.mktemp("npm"))
    except NoBrowser as reason:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(reason))


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """The address of an empty PostgreSQL database."""
    with postgres.database() as url:
        yield url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file in the newest form without rows; copying it is much quicker than the migrations."""
    path = tmp_path_factory.mktemp("template") / "channel.db"
    _make_template(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresServer) -> Iterator[str]:
    """The name of a PostgreSQL database in the newest form without rows."""
    with postgres.database() as url:
        _make_template(url)
        yield url.rpartition("/")[2]


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The database of the test's applications, without rows: SQLite unless the test runs on both.

    It is migrated unless the test is marked `unmigrated`.
    """
    is_empty = request.node.get_closest_marker("unmigrated") is not None
    if getattr(request, "param", "sqlite") == "postgresql":
        template = "template1" if is_empty else request.getfixturevalue("postgres_template")
        with request.getfixturevalue("postgres").database(template) as url:
            yield url
    else:
        if not is_empty:
            shutil.copyfile(request.getfixturevalue("sqlite_template"), tmp_path / "channel.db")
        yield f"sqlite:///{tmp_path}/channel.db"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """The test's database, opened by a process of its own."""
    opened = open_database(database_url)
    yield opened
    opened.close()


def _make_template(url: str) -> None:
    """The same, with the purge done a moment ago: else it is the first that each test's application does."""
    migrate(url)
    database = open_database(url)
    set_purge_due(database, datetime.now(UTC) + purge.EVERY)
    database.close()


def set_purge_due(database: Database, at: datetime) -> None:
    """From when on whichever process has time purges again."""
    with database.write() as connection:
        connection.execute(update(periodic_work).values(due_at=at))


@pytest.fixture
def time_passes(monkeypatch: pytest.MonkeyPatch) -> PassingTime:
    """Lets seconds pass at once, instead of a sleep that shows that nothing happens."""
    return PassingTime(monkeypatch)


@pytest.fixture
def build_app(database_url: str) -> Iterator[Callable[..., Flask]]:
    """Build applications that end with the test; `channels` is the text of channels.toml."""
    built: list[Flask] = []
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level

    def build(channels: str = "", **environment: str) -> Flask:
        configured = settings.load(
            {
                "APP_ENV": "development",
                "DATABASE_URL": database_url,
                "CHANNELS": channels or "# none",
                **environment,
            },
            vendors=VENDORS,
        )
        before = logging.getLogger().handlers[:]
        app = create_app(configured)
        logging.getLogger().handlers[:] = before  # pytest's own capture stays in place
        built.append(app)
        return app

    yield build
    for app in built:
        app.extensions["works"].stop()
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)


@pytest.fixture
def retailops(build_app: Callable[..., Flask], pipe17: Sandbox, contract: Contract) -> Caller:
    """RetailOps in front of a channel whose orders come from the sandbox of Pipe17."""
    return Caller(build_app(channel_table(pipe17.url)), contract)


@pytest.fixture
def hasty(build_app: Callable[..., Flask], pipe17: Sandbox, contract: Contract) -> Caller:
    """The same channel, served by a process that waits for Pipe17 for 1.5 s and not for 5."""
    return Caller(build_app(channel_table(pipe17.url, more="patience_s = 1.5")), contract)


@pytest.fixture
def app(build_app: Callable[..., Flask]) -> Flask:
    """pytest-flask's application: no channel, test key accepted."""
    return build_app()
