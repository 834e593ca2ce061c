"""The page for people of a vendor's sandbox."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from app.sandbox import vendors
from app.sandbox.host import Options
from app.sandbox.server import RunningServer
from app.sandbox.vendors import example_shop
from app.sandbox.vendors.pipe17 import BASE_PATH, INTEGRATION_KEY
from tests.sandbox.people import BROWSER, held, page, submit


@pytest.mark.parametrize("name", [*vendors.names(), vendors.EXAMPLE])
def test_every_sandbox_has_a_page_for_people_and_the_same_as_json_for_programs(name: str) -> None:
    with vendors.vendor(name).start(0, Options()) as server:
        home = requests.get(f"{server.url}/", headers=BROWSER, timeout=10)
        assert (home.status_code, home.url) == (200, f"{server.url}/sandbox/")
        assert f"<h1>{vendors.vendor(name).title} sandbox</h1>" in home.text
        state = requests.get(f"{server.url}/sandbox/", timeout=10).json()
        assert state == held(server)
        assert requests.get(f"{server.url}/sandbox/journal", timeout=10).json()["calls"] == []


def test_a_fault_is_switched_on_and_off_on_the_page(pipe17: RunningServer) -> None:
    def status() -> int:
        address = f"{pipe17.url}{BASE_PATH}/shipments"
        return requests.get(address, headers={"X-Pipe17-Key": INTEGRATION_KEY}, timeout=10).status_code

    done = submit(pipe17, "fault", kind="status", code="429", times="5", method="GET")
    assert (done.status_code, done.url) == (200, f"{pipe17.url}/sandbox/#fault")
    assert status() == 429
    assert "4 more times" in page(pipe17)
    assert submit(pipe17, "fault-off", place="0", kind="hang").status_code == 409, "another fault stood there"
    assert submit(pipe17, "fault-off", place="0", kind="status").status_code == 200
    assert status() == 200
    for wrong, named in ({"kind": "sulk"}, "kind"), ({"kind": "status", "times": "often"}, "times"):
        refused = submit(pipe17, "fault", **wrong)
        assert (refused.status_code, named in refused.text.partition('role="alert"')[2]) == (400, True)
    assert pipe17.faults.as_json() == []


def test_settings_and_reset_of_the_page_are_those_of_the_control_api(pipe17: RunningServer) -> None:
    given = {
        "rate_per_s": "2.5",
        "create_status": "202",
        "post_accepts": "both",
        "id_suffix": "",
        "webhooks_twice": "on",
    }
    assert submit(pipe17, "settings", visible_after_s="0", **given).status_code == 200
    settings = requests.get(f"{pipe17.url}/sandbox/settings", timeout=10).json()
    assert (settings["rate_per_s"], settings["create_status"], settings["webhooks_twice"]) == (2.5, 202, True)
    assert settings["org_wide_access"] is False, "a box that is not ticked is not sent"
    assert submit(pipe17, "settings", rate_per_s="fast").status_code == 400
    assert submit(pipe17, "reset").status_code == 200
    assert requests.get(f"{pipe17.url}/sandbox/settings", timeout=10).json()["create_status"] == 200


def test_shipping_requests_are_made_and_cancelled_on_the_page(pipe17: RunningServer) -> None:
    before = held(pipe17)["shipments"]
    made = submit(pipe17, "play", name="shipments", count="3")
    assert "3 shipping requests wait in the queue" in made.text
    after = held(pipe17)["shipments"]
    assert len(after) == len(before) + 3
    submit(pipe17, "play", name="cancel", shipment=after[-1]["shipmentId"])
    last = held(pipe17)["shipments"][-1]
    assert last["status"] == "canceledRestock"
    assert submit(pipe17, "play", name="shipments", count="1e9").status_code == 400


def test_p41_the_page_reads_what_is_held_under_the_lock() -> None:
    """A row that another request changes meanwhile would be a 500 of the page."""
    seen: list[bool] = []

    def look() -> None:
        seen.append(state.lock.acquire(blocking=False))
        if seen[-1]:
            state.lock.release()

    class Row(dict[str, str]):
        def items(self) -> Any:
            with ThreadPoolExecutor(1) as another:
                another.submit(look).result()
            return super().items()

    server, state = example_shop.serve_example_shop()
    with server:
        state.products["MUG-RED"] = Row(sku="MUG-RED", title="Mug")
        assert "Mug" in page(server)
    assert seen == [False]


def test_the_page_shows_requests_without_secrets_and_only_its_own_forms_work(pipe17: RunningServer) -> None:
    requests.get(f"{pipe17.url}{BASE_PATH}/shipments?count=1", headers={"X-Pipe17-Key": "canary-key"}, timeout=10)
    hook = {"url": "http://127.0.0.1:9/", "apikey": INTEGRATION_KEY, "topics": ["shipments"]}
    address, key = f"{pipe17.url}{BASE_PATH}/webhooks", {"X-Pipe17-Key": INTEGRATION_KEY}
    assert requests.post(address, json=hook, headers=key, timeout=10).status_code == 200
    shown = page(pipe17)
    assert "GET /api/v3/shipments?count=1" in shown and "http://127.0.0.1:9/" in shown
    assert "canary" not in shown and INTEGRATION_KEY not in shown.partition('id="keys"')[0]
    elsewhere = {"Origin": "http://shop.example", **BROWSER}
    assert requests.post(f"{pipe17.url}/sandbox/page/reset", headers=elsewhere, timeout=10).status_code == 403
    own = {"Origin": pipe17.url, **BROWSER}
    assert requests.post(f"{pipe17.url}/sandbox/page/reset", headers=own, timeout=10).status_code == 200
