"""`channel sandbox` serves a vendor's stand-in, and prints what a server needs to reach it."""

from __future__ import annotations

import signal
from pathlib import Path

import psutil
import pytest
import requests
from dotenv import dotenv_values

from app.contract.schemas import load_contract
from app.sandbox.vendors.retailops import RetailOps
from tests.cli.processes import answered, channel, closed_terminal, first_line, running
from tests.real_server import free_port
from tests.waiting import eventually


def test_p41_from_nothing_to_an_order_of_a_checkout_played_on_the_page(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path, "app.cli", "sandbox", "rally", "--port", "0", "--json") as sandbox:
        shown = first_line(sandbox)
        (rally,) = shown["sandboxes"]
        (tmp_path / "channels.toml").write_text(shown["channels_toml"])
        (tmp_path / ".env").write_text(f"{shown['env']}\nPUBLIC_URL=http://127.0.0.1:{port}\nPORT={port}\n")
        with running(tmp_path, "app.cli", "serve", WEB_CONCURRENCY="1"):
            answered(f"http://127.0.0.1:{port}/readyz", {"status": "ready"})
            for command in (["rally", "hooks", "register"], ["send", "catalog_push"]):
                done = channel(tmp_path, *command, APP_ENV="development")
                assert done.returncode == 0, done.stdout + done.stderr
            key = dotenv_values(tmp_path / ".env")["RALLY_SHOP_KEY"] or ""
            retailops = RetailOps(f"http://127.0.0.1:{port}/api/channel", key, 1201, 31, load_contract())
            stock = {"sku": "SAMPLE-MUG-RED", "quantity_available": 5, "quantity_detail": []}
            assert retailops.call("inventory_push", inventory_updates=[stock]).is_accepted
            at_rally = f"{rally['admin_url']}merchants/org-demo-1"
            # Goods are sent in the background: until some are there, nothing can be bought on the page.
            eventually(lambda: requests.get(f"{at_rally}/products", timeout=5).json()["products"])
            form = {"name": "checkout-org-demo-1", "quantity of SAMPLE-MUG-RED": "2", "is_paid": "on"}
            played = requests.post(f"{rally['admin_url']}page/play", form, headers={"Accept": "text/html"}, timeout=30)
            assert "is placed, charged " in played.text
            (order,) = requests.get(f"{at_rally}/orders", timeout=5).json()["orders"]
            assert [pulled["channel_order_refnum"] for pulled in retailops.pull_all()] == [order]
            retailops.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_sandbox_tells_address_and_keys_serves_and_ends_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path, "app.cli", "sandbox", "pipe17", "--port", "0", "--shipments", "30", "--json") as process:
        shown = first_line(process)
        (pipe17,) = shown["sandboxes"]
        account = next(account for account in pipe17["accounts"] if account["integration_id"])
        reply = requests.get(f"{pipe17['base_url']}/shipments", headers={"X-Pipe17-Key": account["key"]}, timeout=5)
        assert reply.status_code == 200
        assert len(reply.json()["shipments"]) >= 30
        process.send_signal(number)
        assert process.wait(5) == 0


def test_a_demo_that_is_ended_while_it_starts_leaves_nothing_behind(tmp_path: Path) -> None:
    with running(tmp_path, "app.cli", "demo", "--once", TMPDIR=str(tmp_path)) as process:
        eventually(lambda: list(tmp_path.glob("channel-demo-*/*.log")))
        for number in (closed_terminal(), signal.SIGTERM):  # the second comes while it ends
            process.send_signal(number)
        assert process.wait(30) == 1
    assert list(tmp_path.iterdir()) == [], "its folder goes after its processes"
    left = [
        found for found in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(found.info["cmdline"] or ())
    ]
    for found in left:
        found.kill()
    assert left == []
