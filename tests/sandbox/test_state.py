"""What a sandbox holds, saved in a file and read again."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from app.sandbox import vendors
from app.sandbox.host import Options
from app.sandbox.vendors import example_shop
from tests.sandbox.people import held


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
