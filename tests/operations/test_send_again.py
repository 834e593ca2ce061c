"""`channel stock send` and `channel catalogue send`: what RetailOps stated last is sent once more (P33, P39)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.clock import utc_now
from app.records import operations, stock, stock_sync
from app.sandbox.vendors.pipe17.samples import DALLAS
from tests.operations.reconcile_shop import Shop
from tests.waiting import eventually

pytestmark = pytest.mark.both_databases


def test_p33_stock_sent_by_hand_reaches_the_vendor_and_is_kept_with_who_and_why(shop: Shop) -> None:
    shop.state(BOWL=(3, 1), LAMP=(4, 0))
    shop.count("BOWL", DALLAS, 99)
    shop.count("LAMP", DALLAS, 99)
    writes = shop.writes()
    dry = shop.channel("stock", "send", "first", "BOWL", "--dry-run")
    assert dry.exit_code == 0 and "BOWL" in dry.stdout and "Dallas DC 3" in dry.stdout and "LAMP" not in dry.stdout
    unasked = shop.channel("stock", "send", "first", "BOWL")
    assert unasked.exit_code == 1 and "no terminal" in unasked.stderr
    assert shop.writes() == writes and not shop.is_pending()

    done = shop.channel.json("stock", "send", "first", "BOWL", "NEVER-STATED", "--yes", "--by", "Ada", exit_code=1)
    assert done["gateways"] == [{"vendor": "pipe17", "pending": ["BOWL"], "moved": [], "unknown": ["NEVER-STATED"]}]
    eventually(lambda: shop.held("BOWL") == (3, 1))
    assert shop.held("LAMP") == (99, 0)
    assert shop.channel("stock", "send", "first", "--all", "--yes", "--reason", "all counted").exit_code == 0
    eventually(lambda: shop.held("LAMP") == (4, 0))
    with shop.retailops.database.read() as connection:
        every, one = operations.listing(connection)
    assert (one.act, one.who, one.count) == ("stock.send", "Ada", 1)
    assert [(target.kind, target.id) for target in one.targets] == [("sku", "BOWL")]
    assert (every.detail, every.reason, every.count, every.targets) == ("--all", "all counted", 2, ())


def test_p33_moved_figures_are_named_and_left_whoever_sends_them(shop: Shop) -> None:
    shop.state(BOWL=(3, 1), LAMP=(4, 0))
    with shop.retailops.database.write() as connection:
        stock_sync.note_moved(connection, "first", ["BOWL"], utc_now() + timedelta(seconds=1))
    shop.count("BOWL", DALLAS, 2)
    assert not shop.stale()
    for choice in (["BOWL"], ["--all"]):
        left = shop.channel("stock", "send", "first", *choice, "--yes")
        assert left.exit_code == 1 and "STOCK_STALE" in left.stderr and "BOWL" in left.stderr
        assert shop.stale(), "what waits for the next statement is shown to the operator"
    eventually(lambda: not shop.is_pending())
    assert shop.held("BOWL") == (2, 1)
    assert shop.channel("stock", "send", "first", "BOWL", "--even-if-moved", "--yes").exit_code == 0
    eventually(lambda: shop.held("BOWL") == (3, 1))


def test_a_wrong_command_line_ends_with_2_and_sends_nothing(shop: Shop) -> None:
    for wrong in (
        ["stock", "send", "first"],
        ["stock", "send", "first", "A", "--all"],
        ["stock", "send", "nowhere", "A"],
        ["stock", "send", "first", "A", "--gateway", "rally"],
        ["stock", "send", "first", "A", "--json"],
        ["catalogue", "send", "first"],
    ):
        assert shop.channel(*wrong).exit_code == 2, wrong
    missing = shop.channel("catalogue", "send", "first", "A", "--yes")
    assert missing.exit_code == 1 and "never stated by RetailOps: A" in missing.stderr
    with shop.retailops.database.read() as connection:
        assert operations.listing(connection) == []


def test_p39_a_send_of_many_skus_is_one_act_that_names_them_all(shop: Shop) -> None:
    skus = [f"S-{number:04d}" for number in range(1203)]
    levels = {sku: b"[1, []]" for sku in skus}
    with shop.retailops.database.write() as connection:
        stock.accept(connection, "first", "pipe17", levels)
    assert shop.channel("stock", "send", "first", *skus, "--yes").exit_code == 0
    with shop.retailops.database.read() as connection:
        [kept] = operations.listing(connection, named=2000)
    assert (kept.count, [target.id for target in kept.targets]) == (1203, skus)
    assert len(shop.channel.json("operations", "list")["operations"][0]["objects"]) == 100
    assert "and 1200 more" in shop.channel("operations", "list").output
