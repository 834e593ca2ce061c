"""The control API of Pipe17's sandbox refuses what it does not understand, and then changes nothing."""

from __future__ import annotations

import requests

from app.sandbox.vendors import pipe17
from app.sandbox.vendors.pipe17 import serve_pipe17


def test_an_integration_is_changed_only_by_what_is_understood() -> None:
    with serve_pipe17(shipments=0) as server:
        address = f"{server.url}/sandbox/integrations/{pipe17.INTEGRATION_ID}"
        for body, named in (
            ({"settings": ["buffer"]}, "settings must"),
            ({"entities": {"shipments": "sideways"}}, "entities.shipments must"),
            ({"status": 5}, "status must"),
            ({"state": "disabled"}, "state is unknown"),
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
