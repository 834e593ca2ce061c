"""Fixtures of every test: a sandboxed Pipe17, a channel server in front of it, and RetailOps that calls it."""

from __future__ import annotations

import gc
import logging
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask

from app import create_app, settings, terminal
from app.contract.schemas import Contract, load_contract
from app.gateways import VENDORS
from app.records.database import Database
from app.sandbox.server import RunningServer
from app.sandbox.vendors.pipe17 import serve_pipe17
from tests import ROOT, made_once, sent_codes
from tests.browser import NoBrowser, axe_source, running_browser
from tests.channels import channel_table
from tests.databases import make_template, migrated_file, open_database
from tests.passing_time import PassingTime
from tests.postgres import NoPostgres, PostgresServer, running_postgres
from tests.retailops import Caller
from tests.sandboxes import Sandbox
from tests.system.go_verifier import GoVerifier, NoGo
from tests.tiers import SLOW, is_left_out, turn

if TYPE_CHECKING:
    from playwright.sync_api import Browser


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


made_once.keep_for_the_run()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "both_databases: runs on SQLite and again on PostgreSQL")
    config.addinivalue_line("markers", "unmigrated: begins with an empty database, before the first migration")
    config.addinivalue_line("markers", "slow: takes seconds or processes; `-m 'not slow'` runs the rest while you edit")
    config.addinivalue_line("markers", "postgresql: needs a PostgreSQL server; `-m 'not postgresql'` leaves them out")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database_url" in metafunc.fixturenames and metafunc.definition.get_closest_marker("both_databases"):
        both = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]
        metafunc.parametrize("database_url", both, indirect=True)


def pytest_collection(session: pytest.Session) -> None:
    process = getattr(session.config, "workerinput", None)
    if process is not None and session.config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        marks = session.config.option.markexpr
        paths = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if not is_left_out(path, marks)]
        made_once.import_all(paths[int(process["workerid"].removeprefix("gw")) :: process["workercount"]])


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return is_left_out(collection_path, config.option.markexpr) or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {path: path.relative_to(ROOT / "tests").as_posix() for path in {item.path for item in items}}
    for item in items:
        place = f"{places[item.path]}::{item.name}"
        uses = getattr(item, "fixturenames", ())
        if place.startswith(SLOW) or "browser" in uses or item.get_closest_marker("postgresql"):
            item.add_marker(pytest.mark.slow)
    # So that at the end of a parallel run no process works on a long file while the others are idle.
    items.sort(key=lambda item: turn(places[item.path]))


def pytest_collection_finish() -> None:
    """Let the collector pass over what has been loaded for good, as a server does once it has started."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


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
def postgres_template(postgres: PostgresServer) -> Iterator[str]:
    """The name of a PostgreSQL database in the newest form without rows."""
    with postgres.database() as url:
        make_template(url)
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
            (tmp_path / "channel.db").write_bytes(migrated_file())
        yield f"sqlite:///{tmp_path}/channel.db"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """The test's database, opened by a process of its own."""
    opened = open_database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def shown_at_80(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[], list[str]]:
    """The lines printed until it is called, for a window of 80 columns, which none of them exceeds."""
    monkeypatch.setattr(terminal, "PIPED_WIDTH", 80)

    def lines() -> list[str]:
        printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
        assert all(len(line) <= 80 for line in printed)
        return printed

    return lines


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
