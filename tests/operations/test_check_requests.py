"""A check that a page requests is run by a process that delivers, at most once a minute for all (P24)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import update

from app.contract.schemas import Contract
from app.operations import check_requests
from app.operations.scope import Scope
from app.records.tables.operations import check_requests as table
from tests.channels import channel_table
from tests.retailops import Caller
from tests.sandboxes import Sandbox
from tests.waiting import eventually

pytestmark = pytest.mark.both_databases

ALL = Scope()


def test_a_requested_check_is_run_in_the_background_and_kept_with_what_it_found(
    retailops: Caller, pipe17: Sandbox
) -> None:
    database = retailops.database
    assert check_requests.latest(database, ALL) is None
    assert check_requests.request(database, "Ada")
    assert not check_requests.request(database, "Bob"), "once a minute, whoever requests it"
    eventually(lambda: (found := check_requests.latest(database, ALL)) and found.ended_at)
    found = check_requests.latest(database, ALL)
    assert found is not None and found.report is not None and found.begun_at is not None
    assert (found.who, found.done, found.total) == ("Ada", 1, 1)
    [channel] = found.report.channels
    assert (channel.channel, channel.gateways[0].state) == ("first", "connected")
    assert found.report.server[0].name == "database"

    mine = check_requests.latest(database, Scope(frozenset({"first"})))
    assert mine is not None and mine.report is not None
    assert mine.report.server == [] and len(mine.report.channels) == 1
    others = check_requests.latest(database, Scope(frozenset({"second"})))
    assert others is not None and others.report is not None and others.report.channels == []


def test_a_check_whose_process_died_is_run_by_another_and_an_old_one_by_nobody(
    build_app: Callable[..., Flask], contract: Contract, pipe17: Sandbox
) -> None:
    web = Caller(build_app(channel_table(pipe17.url), DELIVERIES="worker"), contract)
    database = web.database
    for who in ("Ada", "Bob"):
        assert check_requests.request(database, who)
        with database.write() as connection:  # two minutes pass
            connection.execute(update(table).values(at=database.clock() - timedelta(minutes=2)))
    with database.write() as connection:  # taken by a process that was killed
        now = database.clock()
        died = {"begun_at": now - timedelta(seconds=90), "lease_until": now - timedelta(seconds=30)}
        connection.execute(update(table).where(table.c.who == "Bob").values(**died))
    shown = check_requests.latest(database, ALL)
    assert shown is not None and shown.report is None, "a process that does not deliver calls no vendor"
    works = web.app.extensions["works"]
    works.check_runner.turn()
    eventually(lambda: (found := check_requests.latest(database, ALL)) and found.report)
    works.check_runner.turn()
    found = check_requests.latest(database, ALL)
    assert found is not None and found.who == "Bob"
    with database.read() as connection:
        open_ones = connection.execute(table.select().where(table.c.ended_at.is_(None))).all()
    assert [row.who for row in open_ones] == ["Ada"]
