"""The control pages of the vendors' sandboxes say what is wrong with a body; they never break on one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from app.sandbox.server import RunningServer
from app.sandbox.vendors import pipe17, rally
from app.sandbox.vendors.pipe17 import serve_pipe17
from app.sandbox.vendors.rally import serve_rally

RULES: list[tuple[Any, str]] = [
    ({"kind": "status", "match": "fulfillments"}, "$.match"),
    ({"kind": "status", "match": {"method": 5}}, "$.match.method"),
    ({"kind": "status", "match": {"path": "/x"}}, "path"),
    ({"kind": "sulk"}, "$.kind"),
    ({"kind": "status", "times": "often"}, "$.times"),
    ({"kind": "status", "times": 0}, "times"),
    ({"kind": "status", "code": 7}, "code"),
    ({"times": 1}, "kind"),
    ([], "object"),
]


@pytest.fixture(scope="module", params=["pipe17", "rally"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    with serve_pipe17(shipments=0) if request.param == "pipe17" else serve_rally() as server:
        yield server


@pytest.mark.parametrize(("rule", "named"), RULES, ids=[named for _, named in RULES])
def test_a_fault_rule_that_is_not_understood_is_a_400_that_names_the_place(
    sandbox: RunningServer, rule: Any, named: str
) -> None:
    reply = requests.post(f"{sandbox.url}/sandbox/faults", json=rule, timeout=10)
    assert reply.status_code == 400
    assert named in reply.json()["message"]
    assert requests.get(f"{sandbox.url}/sandbox/faults", timeout=10).json() == {"faults": []}


def test_a_rule_without_a_path_is_for_the_vendors_api_only(sandbox: RunningServer) -> None:
    rule = {"kind": "status", "match": {"method": "GET", "path_prefix": ""}}
    reply = requests.post(f"{sandbox.url}/sandbox/faults", json=rule, timeout=10)
    assert reply.json()["faults"][0]["match"]["path_prefix"] in (pipe17.BASE_PATH, rally.BASE_PATH)
    requests.delete(f"{sandbox.url}/sandbox/faults", timeout=10)


def test_an_integration_is_changed_only_by_what_is_understood() -> None:
    with serve_pipe17(shipments=0) as server:
        address = f"{server.url}/sandbox/integrations/{pipe17.INTEGRATION_ID}"
        for body, named in (
            ({"settings": ["buffer"]}, "$.settings"),
            ({"entities": {"shipments": "sideways"}}, "$.entities"),
            ({"status": 5}, "$.status"),
            ({"state": "disabled"}, "state"),
        ):
            reply = requests.put(address, json=body, timeout=10)
            assert (reply.status_code, named in reply.json()["message"]) == (400, True), body
        assert requests.put(address, json={"status": "disabled"}, timeout=10).json()["integration"]["status"]


def test_p41_a_published_row_names_its_integration() -> None:
    """One without would be a 500 for whoever reads the product next."""
    with serve_pipe17(shipments=0) as server:
        address = f"{server.url}/sandbox/products"
        products = requests.get(f"{server.url}/sandbox/state", timeout=10).json()["products"]
        sku = next(row["sku"] for row in products if not row["published"])
        for row in ({"status": "published"}, {"integrationId": 5}, {"integrationId": ""}, "all"):
            reply = requests.put(f"{address}/{sku}", json={"published": row}, timeout=10)
            assert (reply.status_code, "published" in reply.json()["message"]) == (400, True), row
            made = {"sku": "NEW", "name": "New", "published": [row]}
            assert requests.post(address, json={"product": made}, timeout=10).status_code == 400, row
        assert requests.get(f"{server.url}/sandbox/state", timeout=10).json()["products"] == products
        row = {"integrationId": pipe17.INTEGRATION_ID, "status": "published"}
        changed = requests.put(f"{address}/{sku}", json={"published": row}, timeout=10).json()["product"]
        assert changed["published"] == [row]


def test_p41_a_refused_reset_clears_nothing() -> None:
    with serve_pipe17(shipments=1) as server:
        address = f"{server.url}/sandbox/state"
        before = requests.get(address, timeout=10).json()
        for body in ('{"shipments": 12.0}', '{"seed": 1.0}', '{"shipments": -1}', '{"seed": "x"}', "[]"):
            reply = requests.post(f"{server.url}/sandbox/reset", data=body, timeout=10)
            assert reply.status_code == 400, body
            assert requests.get(address, timeout=10).json() == before, body


def test_a_sandbox_says_what_time_it_is_as_real_servers_do(sandbox: RunningServer) -> None:
    assert requests.get(f"{sandbox.url}/sandbox/faults", timeout=10).headers["Date"].endswith("GMT")
