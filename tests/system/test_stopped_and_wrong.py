"""A worker that stood still, and one whose clock is wrong, beside a server that is well (P44, P45)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from flask import Flask

from app.contract.schemas import Contract
from tests import ROOT
from tests.command_line import without_ours
from tests.gateways.vendors.rally.shop import TEE, Shop, channel_text, opened
from tests.waiting import eventually

pytestmark = pytest.mark.both_databases

DAY_S = 86_400


@contextmanager
def worker(
    shop: Shop, folder: Path, database_url: str, command: list[str], **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """`channel deliveries work` beside the shop's server, once it has begun; it ends with the block."""
    log = folder / "worker.log"
    inherited = without_ours()
    own = {
        "APP_ENV": "development", "DATABASE_URL": database_url, "DELIVERIES": "worker", "PUBLIC_URL": shop.server.url,
        "CHANNELS": channel_text(shop.rally.url),
    }  # fmt: skip
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", *command, "deliveries", "work"],
            cwd=ROOT, env=inherited | own | environment, stdout=said, stderr=said,
        )  # fmt: skip
    try:
        eventually(lambda: process.poll() is not None or b"Delivering for" in log.read_bytes(), 60)
        assert process.poll() is None, log.read_text()[-2000:]
        yield process
    finally:
        process.kill()
        process.wait()


def told(shop: Shop) -> list[int]:
    """The figures Rally was sent, in the order of their arrival."""
    return [row["value"] for call in shop.told("product-inventory-update") for row in figures(call["body"])]


def figures(body: Any) -> list[Any]:
    """Every object with a figure of stock in a call's body."""
    if isinstance(body, dict):
        return ([body] if "value" in body else []) + [item for part in body.values() for item in figures(part)]
    return [item for part in body for item in figures(part)] if isinstance(body, list) else []


def test_p27_p44_an_older_figure_of_a_worker_that_stood_still_is_sent_over_again(
    build_app: Callable[..., Flask], contract: Contract, database_url: str, tmp_path: Path
) -> None:
    with opened(build_app, contract) as shop:
        works = shop.retailops.app.extensions["works"]
        shop.offer(TEE=50)
        works.dispatcher.stop()
        shop.forget()
        command = ["tests.system.stands_still", "product-inventory-update"]
        with worker(shop, tmp_path, database_url, command) as stopped:
            shop.set_stock(TEE=5)
            eventually(lambda: psutil.Process(stopped.pid).status() == psutil.STATUS_STOPPED)
            shop.set_stock(TEE=7)
            again = build_app(channel_text(shop.rally.url), PUBLIC_URL=shop.server.url)
            eventually(lambda: told(shop)[-1:] == [7])
            before = len(told(shop))
            stopped.send_signal(signal.SIGCONT)
            eventually(lambda: told(shop)[before:][-1:] == [7])
            assert {row["sku"]: row["value"] for row in shop.view("stock")} == {TEE: 7}
            again.extensions["works"].dispatcher.stop()


def test_p45_a_worker_whose_clock_is_wrong_parks_nothing_and_sends_nothing_twice(
    build_app: Callable[..., Flask], contract: Contract, database_url: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Two minutes ahead and behind, and a day and back, while the server gives money back; then a credit again."""
    offset = tmp_path / "offset"

    def set_clock(seconds: float) -> None:
        (tmp_path / "new").write_text(str(seconds))
        os.replace(tmp_path / "new", offset)

    set_clock(120)
    skewed = {"CLOCK_OFFSET_FILE": str(offset), "PYTHONPATH": f"{ROOT}/tests/system/wrong_clock:{ROOT}"}
    with opened(build_app, contract) as shop:
        shop.offer(TEE=50)
        order = shop.buy_and_pull(skus={TEE: 5})
        refnum = order["channel_order_refnum"]
        shop.fault("slow", times=None, path="webhooks/order-refund-create", delay_s=1.2)
        with worker(shop, tmp_path, database_url, ["app.cli"], **skewed):
            for number, seconds in enumerate((120, -120, DAY_S, 0)):
                set_clock(seconds)
                time.sleep(0.2)
                answer = shop.give_back(number + 1, 1, refnum)
                assert (len(answer["payment_transactions"]), answer["events"]) == (1, []), answer
            assert shop.deliveries("owed", "checking", "parked") == []
        assert [refund["amount"] for refund in shop.view("refunds")] == [1] * 4
        paid = order["payment_transactions"][0]["refnum"]
        first = shop.credit(3, paid)
        own_s = time.time
        monkeypatch.setattr(time, "time", lambda: own_s() + 2 * DAY_S)
        again = shop.credit(3, paid)
        assert (first["refnum"], again["message"]) == (
            again["refnum"],
            f"same as {first['refnum']}, nothing paid again",
        )
        assert len(shop.view("refunds")) == 5
