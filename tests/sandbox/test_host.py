"""Every vendor's sandbox stands on one host, and is found by its folder."""

from __future__ import annotations

import re
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner

from app.cli.sandbox import sandbox as sandbox_command
from app.docs.library import FOLDER
from app.sandbox import vendors
from app.sandbox.host import Options
from tests.sandbox.people import held, page, submit

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


def test_the_usual_ports_are_those_that_the_examples_name() -> None:
    assert {name: vendors.vendor(name).port_offset for name in (*vendors.names(), vendors.EXAMPLE)} == {
        "pipe17": 0, "rally": 1, "retailops": 2, "retailrocket": 3, vendors.EXAMPLE: 4,
    }  # fmt: skip


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
