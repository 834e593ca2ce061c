"""Every vendor's sandbox stands on one host: found by its folder, with a page for people on it."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner

from app.cli.sandbox import sandbox as sandbox_command
from app.docs.library import FOLDER
from app.sandbox import vendors
from app.sandbox.host import Options
from app.sandbox.server import RunningServer
from app.sandbox.vendors import example_shop
from app.sandbox.vendors.pipe17 import BASE_PATH, INTEGRATION_KEY, serve_pipe17

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}

ACME = """
from app.sandbox.host import Vendor
from app.sandbox.routes import Routes, keys_in
from app.sandbox.state import State

API = Routes("/v1", keys_in("X-Key", "the-key"))


class Orders(State):
    orders: list[dict]
    tokens: dict[str, str]

    def clear(self):
        super().clear()
        self.tokens["c4nary-name"] = "c4nary-value"


@API.route("POST", "/orders", takes="order")
def create(state, body):
    state.orders.append(body)
    return body, 201


class Acme(Vendor):
    title = "Acme <Ltd>"
    port_offset = 9
    base_path = "/v1"
    wrong_body = 422
    remembers = Orders
    routes = (API,)


VENDOR = Acme()
"""
ACME_SHAPES = (
    """{"$defs": {"order": {"type": "object", "required": ["number"], "properties": {"number": {"type": "string"}}}}}"""
)


@pytest.fixture
def pipe17() -> Iterator[RunningServer]:
    with serve_pipe17(shipments=2) as server:
        yield server


def page(server: RunningServer) -> str:
    reply = requests.get(f"{server.url}/sandbox/", headers=BROWSER, timeout=10)
    assert reply.headers["Content-Type"].startswith("text/html")
    return reply.text


def submit(server: RunningServer, form: str, **fields: str) -> requests.Response:
    return requests.post(f"{server.url}/sandbox/page/{form}", fields, headers=BROWSER, timeout=10)


def held(server: RunningServer) -> Any:
    return requests.get(f"{server.url}/sandbox/state", timeout=10).json()


@pytest.mark.parametrize("name", [*vendors.names(), vendors.EXAMPLE])
def test_every_sandbox_has_a_page_for_people_and_the_same_as_json_for_programs(name: str) -> None:
    with vendors.vendor(name).start(0, Options()) as server:
        home = requests.get(f"{server.url}/", headers=BROWSER, timeout=10)
        assert (home.status_code, home.url) == (200, f"{server.url}/sandbox/")
        assert f"<h1>{vendors.vendor(name).title} sandbox</h1>" in home.text
        state = requests.get(f"{server.url}/sandbox/", timeout=10).json()
        assert state == held(server)
        assert requests.get(f"{server.url}/sandbox/journal", timeout=10).json()["calls"] == []


@pytest.mark.parametrize("name", [*vendors.names(), vendors.EXAMPLE])
def test_p41_what_a_sandbox_has_saved_it_reads_again(name: str, tmp_path: Path) -> None:
    options = Options(state_file=tmp_path / "state.json", shipments=2)
    with vendors.vendor(name).start(0, options) as server:
        requests.post(f"{server.url}/sandbox/reset", timeout=10)
        saved = held(server)
    with vendors.vendor(name).start(0, options) as server:
        assert held(server) == saved


def test_p41_the_example_keeps_whole_units_and_the_fields_it_names_and_reads_them_again(tmp_path: Path) -> None:
    options, key = Options(state_file=tmp_path / "state.json"), {"X-Api-Key": example_shop.API_KEY}
    with example_shop.VENDOR.start(0, options) as server:
        address = f"{server.url}{example_shop.BASE_PATH}"

        def send(method: str, path: str, body: str) -> int:
            headers = {**key, "Content-Type": "application/json"}
            return requests.request(method, address + path, data=body, headers=headers, timeout=10).status_code

        assert send("PUT", "/stock", '[{"sku": "MUG-RED", "quantity": 1.0}]') == 400
        assert send("PUT", "/stock", '[{"sku": "MUG-RED", "quantity": 7, "shelf": 1}]') == 200
        assert send("PUT", "/products", '[{"sku": "MUG-RED", "title": "Mug", "shelf": 1}]') == 200
        shipment = '{"id": "s", "shelf": 1, "lines": [{"line_id": "1", "quantity": %s, "shelf": 1}]}'
        assert send("POST", "/orders/1001/shipments", shipment % "1e0") == 400
        assert send("POST", "/orders/1001/shipments", shipment % "1") == 200
    with example_shop.VENDOR.start(0, options) as server:
        found = held(server)
        assert (found["stock"], found["products"]["MUG-RED"]) == ({"MUG-RED": 7}, {"sku": "MUG-RED", "title": "Mug"})
        assert found["orders"]["1001"]["shipments"] == [{"id": "s", "lines": [{"line_id": "1", "quantity": 1}]}]


def test_the_usual_ports_are_those_that_the_examples_name() -> None:
    assert {name: vendors.vendor(name).port_offset for name in (*vendors.names(), vendors.EXAMPLE)} == {
        "pipe17": 0, "rally": 1, "retailops": 2, "retailrocket": 3, vendors.EXAMPLE: 4,
    }  # fmt: skip


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


def test_a_new_vendors_sandbox_is_a_folder_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "__init__.py").write_text(ACME)
    (tmp_path / "acme" / "shapes.json").write_text(ACME_SHAPES)
    monkeypatch.setattr(vendors, "__path__", [*vendors.__path__, str(tmp_path)])
    assert "acme" in vendors.names()
    assert vendors.vendor("acme").port_offset == 9
    acme, options = vendors.vendor("acme"), Options(state_file=tmp_path / "acme.json")
    try:
        with acme.start(0, options) as server:
            address = f"{server.url}/v1/orders"
            key = {"X-Key": "the-key"}
            assert requests.post(address, json={"number": "<b>7</b>"}, headers=key, timeout=10).status_code == 201
            refused = requests.post(address, json={}, headers=key, timeout=10)
            assert (refused.status_code, refused.json()) == (422, {"message": "number is required"})
            assert requests.post(address, json={"number": "8"}, timeout=10).status_code == 401
            submit(server, "fault", kind="status", times="1")
            assert requests.post(address, json={"number": "8"}, headers=key, timeout=10).status_code == 503
        with acme.start(0, options) as server:
            shown = page(server)
            assert "Acme &lt;Ltd&gt;" in shown and "&lt;b&gt;7&lt;/b&gt;" in shown
            assert "tokens: 1, not shown here" in shown and "c4nary" not in shown
            journal = requests.get(f"{server.url}/sandbox/journal", timeout=10).json()
            assert journal["calls"] == [], "the file keeps what the vendor holds; the journal is of this run"
            assert held(server)["orders"] == [{"number": "<b>7</b>"}]
            assert submit(server, "reset").status_code == 200 and held(server)["orders"] == []
        (tmp_path / "acme.json").write_text('{"settings": {}, "numbers": {}, "orders": {}}')
        with pytest.raises(ValueError):
            acme.start(0, options)
    finally:
        sys.modules.pop("app.sandbox.vendors.acme", None)


def test_p43_the_pieces_of_the_page_are_a_whole_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", (FOLDER / "extend/sandbox.md").read_text(), re.MULTILINE | re.DOTALL)
    seed, shapes = (text for kind, text in blocks if kind == "json")
    code = "\n\n".join(text for kind, text in blocks if kind == "python")
    folder = tmp_path / "acme"
    folder.mkdir()
    for name, text in ("__init__.py", code), ("seed.json", seed), ("shapes.json", shapes):
        (folder / name).write_text(text)
    monkeypatch.setattr(vendors, "__path__", [*vendors.__path__, str(tmp_path)])
    acme, options = vendors.vendor("acme"), Options(state_file=tmp_path / "acme.json")
    try:
        with acme.start(0, options) as server:

            def cancel(number: str, body: Any) -> requests.Response:
                address, key = f"{server.url}/v1/orders/{number}/cancel", {"X-Api-Key": acme.accounts[0].key}
                return requests.post(address, json=body, headers=key, timeout=10)

            assert "2 orders wait." in submit(server, "play", name="orders", count="2").text
            assert cancel("1001", {"reason": "too late"}).json()["status"] == "cancelled"
            assert cancel("1001", {"reason": " "}).json() == {"message": "reason must be a text"}
            assert cancel("1009", {"reason": "too late"}).status_code == 404
            submit(server, "settings", is_closed="on")
            assert cancel("1002", {"reason": "too late"}).headers["Retry-After"] == "60"
            saved = held(server)
            assert [order["status"] for order in saved["orders"].values()] == ["cancelled", "open", "open"]
        with acme.start(0, options) as server:
            assert held(server) == saved
    finally:
        sys.modules.pop("app.sandbox.vendors.acme", None)


def test_a_port_in_use_is_said_with_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = CliRunner().invoke(sandbox_command, ["rally", "--port", str(port)])
    assert done.exit_code == 1
    assert f"port {port} of rally is in use" in done.output and "--port 0" in done.output
