"""Small pushes that share a commit leave what they would leave one after another, and are answered so (R8, R13)."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import timedelta
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from flask import Flask

from app import caller
from app.channel.actions import inventory_push
from app.contract.schemas import Contract
from app.domain.stock import StockSent
from app.records import stock_batches
from app.records.tables.stock import stock, stock_disagreements
from app.records.tables.storefront import reservations as held
from app.storefront import reservations
from tests.channels import KEY, OTHER_KEY
from tests.gateways.vendors.rally.shop import channel_text, record
from tests.retailops import Caller
from tests.waiting import eventually

APART, TOGETHER = "apart", "together"

Rows = list[dict[str, Any]]


class Merchant:
    """RetailOps' calls for one of two merchants that state the same."""

    def __init__(self, app: Flask, contract: Contract, name: str, key: str, pair: tuple[int, int]) -> None:
        self.name = name
        self.retailops = Caller(app, contract, key, pair)
        self.database = self.retailops.database
        self.claims = 0

    def push(self, rows: Rows) -> dict[str, Any]:
        return self.retailops.ask("inventory_push", inventory_updates=rows)

    def push_together(self, pushes: Sequence[Rows]) -> list[dict[str, Any]]:
        """All of them while another commit is under way, in this order."""
        begun, go = threading.Event(), threading.Event()

        def hold(_: sa.Connection, names: Sequence[str]) -> Sequence[str]:
            begun.set()
            assert go.wait(30)
            return names

        commits = self.database.group_commits[self.name]
        with ThreadPoolExecutor(len(pushes) + 1) as threads:
            first = threads.submit(commits.run, hold, "first", 10.0)
            assert begun.wait(10)
            answers = []
            for number, rows in enumerate(pushes, 1):
                answers.append(threads.submit(self.push, rows))
                eventually(lambda number=number: commits.waiting == number)  # type: ignore[misc]
            go.set()
            first.result(30)
            return [answer.result(30) for answer in answers]

    def reserve(self, order: str, sku: str) -> None:
        """An order that RetailOps has acknowledged long ago."""
        with self.database.write() as connection:
            reservations.reserve(connection, self.name, order, {sku: 1})
            at = self.database.now() - timedelta(days=1)
            reservations.note_acknowledged(connection, self.name, order, at)

    def send(self, refused: set[str]) -> None:
        """All that is owed is sent; the vendor refuses these."""
        self.claims += 1
        with self.database.write() as connection:
            batch = stock_batches.claim(
                connection, self.name, "rally", token=f"t{self.claims}", limit=99, now=self.database.now(), lease_s=30
            )
            if batch is not None:
                sent = [StockSent(item.sku, b"{}", "no" if item.sku in refused else "") for item in batch.changes]
                stock_batches.record(connection, batch, sent)

    def kept(self) -> list[Any]:
        of = stock.c
        columns = (of.sku, of.level, of.seq > of.sent_seq, of.is_changed, of.is_uncertain, of.refusal)
        found: list[Any] = []
        with self.database.read() as connection:
            for statement in (
                sa.select(*columns).where(of.channel == self.name).order_by(of.sku),
                sa.select(held.c.order_refnum, held.c.sku).where(held.c.channel == self.name).order_by(held.c.sku),
                sa.select(stock_disagreements).where(stock_disagreements.c.channel == self.name),
            ):
                rows = connection.execute(statement).mappings()
                found.append([{**row, "channel": "", "last_at": ""} for row in rows])
        return found


def row(dice: random.Random, sku: str) -> dict[str, Any]:
    units = dice.randrange(3)
    detail = {"quantity_type": "internal", "facility_name": "Dallas", "available_quantity": dice.choice([units, 2])}
    return {"sku": sku, "quantity_available": units, "quantity_detail": [detail] if dice.random() < 0.5 else []}


@pytest.mark.both_databases
def test_p27_p33_pushes_that_share_a_commit_leave_and_answer_what_they_would_one_after_another(
    build_app: Callable[..., Flask], contract: Contract, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where blanks at the ends make two SKUs of one, which the later half of the pushes has."""
    channels_seen_with_blanks: set[str] = set()
    monkeypatch.setattr("app.records.stock._LOOKED_AT", channels_seen_with_blanks)
    tables = [
        channel_text(
            "http://127.0.0.1:9", name=name, pair=pair, key=key, organization_id=organization, api_key=f"key+of+{name}"
        )
        for name, pair, key, organization in (
            (APART, (1201, 61), KEY, "00000000-0000-4000-8000-000000000061"),
            (TOGETHER, (1201, 62), OTHER_KEY, "00000000-0000-4000-8000-000000000062"),
        )
    ]
    app = build_app("".join(tables), DELIVERIES="worker")
    apart = Merchant(app, contract, APART, KEY, (1201, 61))
    together = Merchant(app, contract, TOGETHER, OTHER_KEY, (1201, 62))
    dice = random.Random(seed)
    plain, blanked = list("ABCDE"), [f"{blank}{sku}" for sku in "ABCDE" for blank in (" ", "\t")]
    offered = [record(at, sku, "20.00") for at, sku in enumerate([*dice.sample(plain, 3), *dice.sample(blanked, 2)], 1)]
    for merchant in (apart, together):
        merchant.retailops.ask("catalog_push", template_output={"data": {"Product": offered}})
    for step in range(6):
        skus = plain if step < 3 else plain + blanked
        pushes = [[row(dice, sku) for sku in dice.sample(skus, 3)] for _ in range(dice.randint(2, 6))]
        if step == 3:
            for merchant in (apart, together):
                merchant.push([row(random.Random(seed), " G")])
            channels_seen_with_blanks.clear()  # as in a process that has just begun
            again = row(dice, "G")  # the same twice, for those that fail together have no order any more
            pushes = [[again], [row(dice, "H")], [again]]
        for merchant in (apart, together):
            merchant.reserve(f"order {step}", skus[step % len(skus)])
        answers = [apart.push(rows) for rows in pushes]
        assert together.push_together(pushes) == answers, f"seed {seed}"
        assert together.kept() == apart.kept(), f"seed {seed}, step {step}"
        refused = set(dice.sample(skus, 2))
        for merchant in (apart, together) if dice.random() < 0.7 else ():
            merchant.send(refused)


@pytest.mark.both_databases
def test_p27_a_longer_push_that_is_begun_while_another_waits_is_written_after_it(
    build_app: Callable[..., Flask], contract: Contract
) -> None:
    text = channel_text("http://127.0.0.1:9", name=TOGETHER, pair=(1201, 62), key=KEY)
    merchant = Merchant(build_app(text, DELIVERIES="worker"), contract, TOGETHER, KEY, (1201, 62))

    def push(units: int, others: int) -> None:
        skus = ["MUG", *(f"S{number}" for number in range(others))]
        merchant.push([{"sku": sku, "quantity_available": units} for sku in skus])

    def meanwhile() -> None:
        caller.meanwhile.set(lambda: None)
        copy_context().run(push, 3, inventory_push.SHORT)

    def write() -> None:
        caller.meanwhile.set(meanwhile)
        push(5, 0)

    with ThreadPoolExecutor(1) as threads:
        threads.submit(write).result(30)
    assert [msgspec.json.decode(row["level"])[0] for row in merchant.kept()[0] if row["sku"] == "MUG"] == [3]
