"""Stock is state, not a queue: accepted whole, sent by one sender at a time, and the newest value wins (R13)."""

from __future__ import annotations

import random
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from app.domain.orders import HeldBack
from app.domain.stock import StockDetail, StockLevel, StockSent
from app.records import catalogue, held_orders, pulls, stock, stock_batches, stock_sync
from app.records.database import Database
from app.records.tables.stock import stock as stock_table
from app.records.tables.stock import sync_states
from tests.databases import open_database, owed_levels

pytestmark = pytest.mark.both_databases

START = datetime(2026, 2, 3, 12, tzinfo=UTC)
STREAM = ("first", "pipe17")


def level(quantity: int) -> bytes:
    return msgspec.json.encode(StockLevel(quantity, ()))


def accept(database: Database, **quantities: int) -> None:
    with database.write() as connection:
        stock.accept(connection, *STREAM, {sku: level(quantity) for sku, quantity in quantities.items()})


def claim(database: Database, token: str, now: datetime = START, limit: int = 500) -> stock_batches.Batch | None:
    with database.write() as connection:
        return stock_batches.claim(connection, *STREAM, token=token, limit=limit, now=now, lease_s=30)


def record(database: Database, batch: stock_batches.Batch) -> bool:
    with database.write() as connection:
        sent = [StockSent(change.sku, level(change.level.quantity_available), "") for change in batch.changes]
        return stock_batches.record(connection, batch, sent)


def owed(database: Database) -> int:
    with database.read() as connection:
        return owed_levels(connection)


def test_p33_what_is_stated_again_is_owed_again_and_what_changed_goes_first(database: Database) -> None:
    accept(database, A=1, B=2)
    batch = claim(database, "t1")
    assert batch and {item.sku: item.level.quantity_available for item in batch.changes} == {"A": 1, "B": 2}
    assert record(database, batch) and owed(database) == 0
    accept(database, A=1, B=3, C=0)
    batch = claim(database, "t2")
    found = [(item.sku, item.level.quantity_available) for item in batch.changes] if batch else []
    assert found == [("B", 3), ("C", 0), ("A", 1)]


def test_p27_a_value_that_changed_while_it_was_sent_is_sent_again(database: Database) -> None:
    accept(database, A=1)
    batch = claim(database, "t1")
    accept(database, A=2)
    assert batch and claim(database, "t2") is None, "one sender at a time"
    assert record(database, batch) and owed(database) == 1
    again = claim(database, "t3")
    assert again and again.changes[0].level.quantity_available == 2 and record(database, again) and owed(database) == 0


def test_p27_a_sender_that_died_is_followed_and_can_record_nothing(database: Database) -> None:
    accept(database, A=1)
    dead = claim(database, "dead")
    accept(database, A=2)
    alive = claim(database, "alive", START + timedelta(seconds=31))
    assert dead and alive and alive.changes[0].level.quantity_available == 2
    assert not record(database, dead) and record(database, alive) and owed(database) == 0


def test_p27_p26_what_a_sender_that_died_may_have_told_is_known_to_the_next(database: Database) -> None:
    def state(place: str, quantity: int) -> None:
        stated = msgspec.json.encode(StockLevel(quantity, (StockDetail("internal", place, quantity, quantity),)))
        with database.write() as connection:
            stock.accept(connection, *STREAM, {"A": stated})

    state("Dallas", 500)
    assert claim(database, "dead")
    state("Reno", 5)
    for number in (1, 2):
        alive = claim(database, f"alive{number}", START + timedelta(seconds=31 * number))
        assert alive and alive.changes[0].sent is None
        named = [source.place for source in alive.changes[0].uncertain or ()]
        assert named == ["Dallas", "Reno"][:number], "the one before died as well"
    assert alive and record(database, alive)
    with database.read() as connection:
        assert stock.notes_of(connection, *STREAM, ["A"]) == {"A": level(5)}
    state("Reno", 6)
    later = claim(database, "later", START + timedelta(hours=1))
    assert later and later.changes[0].uncertain is None and later.changes[0].sent == level(5)
    with database.read() as connection:
        assert stock.notes_of(connection, *STREAM, ["A"]) == {"A": level(5)}


def test_p33_what_is_stated_while_it_is_sent_is_owed_again(database: Database) -> None:
    """The vendor may have moved it between our call and the statement."""
    accept(database, A=1, B=2, C=3)
    batch = claim(database, "t1")
    sent = [StockSent("A", b"{}", is_skipped=True), StockSent("B", b"{}", "no such SKU"), StockSent("C", b"{}")]
    with database.write() as connection:
        assert batch and stock_batches.record(connection, batch, sent)
    assert owed(database) == 0
    accept(database, A=1, B=2, C=3)
    batch = claim(database, "t2")
    assert batch and [(change.sku, change.was_refused) for change in batch.changes] == [
        ("A", True), ("B", True), ("C", False),
    ]  # fmt: skip
    accept(database, A=1, C=4)
    assert record(database, batch) and owed(database) == 2
    batch = claim(database, "t3")
    assert batch and [change.sku for change in batch.changes] == ["C", "A"]


def test_p27_a_stream_with_nothing_owed_is_left_free(database: Database) -> None:
    accept(database, A=1)
    batch = claim(database, "t1")
    assert batch and record(database, batch)
    assert claim(database, "t2") is None
    accept(database, A=9)
    assert claim(database, "t3") is not None


def test_p27_p26_with_many_senders_and_pushes_the_vendor_never_goes_back_in_time(database_url: str, seed: int) -> None:
    databases = [open_database(database_url) for _ in range(4)]
    vendor: dict[str, int] = {}
    steps_back: list[str] = []
    is_over = threading.Event()
    roll = random.Random(seed)

    def push(own: Database) -> None:
        for quantity in range(1, 40):
            accept(own, **{f"SKU{number}": quantity for number in range(roll.randint(1, 30))})
        is_over.set()

    def send(own: Database, name: str) -> None:
        turn = 0
        while not is_over.is_set() or owed(own):
            turn += 1
            batch = claim(own, f"{name}{turn}", limit=7)
            if batch is None:
                time.sleep(0.001)
                continue
            for change in batch.changes:
                if change.level.quantity_available < vendor.get(change.sku, 0):
                    steps_back.append(change.sku)
                vendor[change.sku] = change.level.quantity_available
                time.sleep(roll.random() * 0.0005)
            record(own, batch)

    threads = [threading.Thread(target=push, args=(databases[0],), daemon=True)]
    threads += [
        threading.Thread(target=send, args=(own, f"s{number}"), daemon=True) for number, own in enumerate(databases[1:])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert steps_back == []
    with databases[0].read() as connection:
        kept = {
            row.sku: msgspec.json.decode(row.level, type=StockLevel).quantity_available
            for row in connection.execute(sa.select(stock_table))
        }
        assert connection.execute(sa.select(sync_states.c.lease_token)).scalar() is None
    assert vendor == kept
    for own in databases:
        own.close()


def test_p27_ten_thousand_levels_are_accepted_in_one_go(database: Database) -> None:
    levels = {f"SKU-{number:06d}": level(number) for number in range(10_000)}
    for round_number in range(3):
        with database.write() as connection:
            stock.accept(connection, *STREAM, levels)
        levels = {sku: level(round_number * 7 + number) for number, sku in enumerate(levels)}
    assert owed(database) == 10_000


def _kept(database: Database) -> list[sa.Row[Any]]:
    """All that decides what is sent next; numbers of statements only where the order of sending hangs on them."""
    rows = stock_table.c
    columns = (rows.sku, rows.level, rows.sent, rows.seq > rows.sent_seq, rows.refusal, rows.is_changed, rows.turn,
               rows.is_uncertain, rows.uncertain, rows.stated_at, rows.sent_at, rows.moved_at)  # fmt: skip
    with database.read() as connection:
        return list(connection.execute(sa.select(*columns).order_by(rows.sku)))


@pytest.mark.parametrize("most", [1, 5])
def test_p27_p33_pushes_are_kept_on_every_database_as_one_after_another_on_sqlite(
    database: Database, tmp_path: Path, seed: int, most: int
) -> None:
    """PostgreSQL writes them by other statements, and several at once: the same pushes, batches, answers and losses."""
    apart = open_database(f"sqlite:///{tmp_path}/apart.db")
    apart.upgrade()
    batches: dict[Database, stock_batches.Batch] = {}
    dice, now = random.Random(seed), START
    for step in range(60):
        now += timedelta(seconds=dice.choice([1, 20, 3600]))
        act, chosen = dice.choice(["push", "push", "claim", "record", "lose", "move"]), dice.sample("ABCDEFGH", 5)
        pushes = [
            {sku: level(dice.randrange(3)) for sku in dice.sample(chosen, dice.randint(1, 5))}
            for _ in range(dice.randint(1, most))
        ]
        restate_after_s = dice.choice([0.0, None, 3600.0])
        refusals = {sku: dice.choice(["", "", "no such SKU"]) for sku in "ABCDEFGH"}
        for own in (apart, database):
            with own.write() as connection:
                if act == "push":
                    for some in [[push] for push in pushes] if own is apart else [pushes]:
                        stock.accept(connection, *STREAM, *some, now=now, restate_after_s=restate_after_s)
                elif act == "claim" and own not in batches:
                    if batch := stock_batches.claim(
                        connection, *STREAM, token=f"t{step}", limit=3, now=now, lease_s=30
                    ):
                        batches[own] = batch
                elif act == "record" and own in batches:
                    batch = batches.pop(own)
                    sent = [
                        StockSent(change.sku, level(change.level.quantity_available), refusals[change.sku])
                        for change in batch.changes
                    ]
                    stock_batches.record(connection, batch, sent, now=now)
                elif act == "lose":
                    batches.pop(own, None)
                elif act == "move":
                    stock_sync.note_moved(connection, STREAM[0], set(chosen), now, gateways=[STREAM[1]])
        assert _kept(database) == _kept(apart), f"seed {seed}, step {step}: {act}"
    apart.close()


def test_p27_p33_a_figure_that_came_back_within_a_group_has_changed(database: Database) -> None:
    accept(database, A=1, B=1)
    batch = claim(database, "t1")
    assert batch and record(database, batch)
    with database.write() as connection:
        pushes = [{"A": level(1), "B": level(1)}, {"A": level(2)}, {"A": level(1)}]
        stock.accept(connection, *STREAM, *pushes, restate_after_s=None)
    batch = claim(database, "t2")
    assert batch and [(change.sku, change.level.quantity_available) for change in batch.changes] == [("A", 1)]


ODD = {'a"b', "c\\d", "{e,f}", "NULL", "", " g ", "h\ni", "ü√", "'", '\\"'}
"""Keys that a list in a parameter could spoil."""


def test_p27_skus_of_any_characters_are_kept_and_looked_for_as_they_are(database: Database) -> None:
    pushes = [{sku: level(quantity) for quantity, sku in enumerate(sorted(ODD), first)} for first in (1, 2)]
    with database.write() as connection:
        assert catalogue.unknown_skus(connection, STREAM[0], ODD) == ODD
        for push in pushes:
            stock.accept(connection, *STREAM, push)
            kept = stock.levels_of(connection, *STREAM, ODD)
            assert {sku: msgspec.json.encode(found) for sku, found in kept.items()} == push


def test_p27_keys_of_any_characters_are_found_as_one_parameter(database: Database) -> None:
    with database.write(serial=ODD) as connection:
        held_orders.hold(connection, "first", [HeldBack(refnum, "") for refnum in ODD], START)
        assert pulls.kept(connection, "first", ODD).held_back == ODD
        held_orders.let_go(connection, "first", ODD - {"NULL"})
        assert pulls.kept(connection, "first", ODD).held_back == {"NULL"}
        assert pulls.kept(connection, "first", ()).held_back == set()
