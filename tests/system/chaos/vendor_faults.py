"""Vendors that are ill, are killed, and whose people and shoppers move things by themselves."""

from __future__ import annotations

import random
import time
from typing import Any

from app.sandbox.vendors.rally import BASE_PATH as RALLY_PATH
from tests.system.chaos.stockers import FACILITIES
from tests.system.chaos.storm import Scene

LATE_S = 0.8
"""How late the vendor shows what it did."""

ILLNESSES: tuple[dict[str, Any], ...] = (
    {"kind": "reset_before"},
    {"kind": "reset_after"},
    {"kind": "reset_after"},
    {"kind": "refuse"},
    {"kind": "status", "code": 500},
    {"kind": "status", "code": 502, "works": True},
    {"kind": "status", "code": 503, "retry_after": 1},
    {"kind": "status", "code": 429, "retry_after": 1},
    {"kind": "hang"},
    {"kind": "hang", "works": True},
    {"kind": "html"},
    {"kind": "html", "works": True},
    {"kind": "half_body"},
    {"kind": "truncated_json"},
    {"kind": "wrong_type"},
    {"kind": "empty"},
    {"kind": "slow", "delay_s": 0.6},
    {"kind": "slow", "delay_s": 1.4},
)
PLACES = ("", "/fulfillments", "/fulfillments", "/shipments", "/shipments", "/inventory")

RALLY_PLACES = ("/webhooks", "/webhooks/order-status-update", "/webhooks/order-update",
                "/webhooks/order-refund-create", "/webhooks/product-inventory-update")  # fmt: skip


def make_pipe17_ill(scene: Scene, rng: random.Random) -> None:
    """The next few calls of one kind fare badly."""
    rule = dict(rng.choice(ILLNESSES))
    place = rng.choice(PLACES)
    if rule["kind"] == "slow" and rule["delay_s"] > 1:
        # A level taken in after we gave up on it would be the vendor's own mistake in order.
        place = rng.choice(("/fulfillments", "/shipments"))
    match = {"path_prefix": f"/api/v3{place}"}
    if place and rng.random() < 0.5:
        match["method"] = rng.choice(("POST", "PUT") if place == "/shipments" else ("POST",))
    scene.stage.tell_vendor("faults", {**rule, "times": rng.randint(1, 6), "match": match})


def make_rally_ill(scene: Scene, rng: random.Random) -> None:
    """The same at Rally; an answer that never comes leaves a refund to a person, so fewer calls fare so."""
    rule = dict(rng.choice(ILLNESSES))
    match = {"path_prefix": f"{RALLY_PATH}{rng.choice(RALLY_PLACES)}"}
    scene.stage.at_rally("POST", "faults", {**rule, "times": rng.randint(1, 3), "match": match})


def add_orders(scene: Scene, rng: random.Random) -> None:
    scene.stage.tell_vendor("shipments", {"count": rng.randint(4, 12)})


def sell(scene: Scene, rng: random.Random) -> None:
    """An order of goods whose stock RetailOps states: the vendor commits and later subtracts it by itself."""
    chosen = rng.sample(list(scene.skus), rng.randint(1, 2))
    number = rng.randrange(10**9)
    place = scene.places[rng.choice(FACILITIES)]
    lines = [{"uniqueId": f"{at}", "sku": sku, "quantity": 1 + at} for at, sku in enumerate(chosen)]
    address = {"firstName": "Ana", "lastName": "Ruiz", "address1": "1 Elm St", "city": "Austin",
               "stateOrProvince": "TX", "zipCodeOrPostalCode": "78701", "country": "US"}  # fmt: skip
    body = {"extOrderId": f"sale-{number}", "locationId": place, "lineItems": lines, "shippingAddress": address}
    scene.stage.tell_vendor("shipments", {"shipment": {**body, "status": "readyForFulfillment"}})


def count_stock(scene: Scene, rng: random.Random) -> None:
    """Somebody at the vendor's corrects a figure by hand, rightly or wrongly."""
    body = {"locationId": scene.places[rng.choice(FACILITIES)], "onHand": rng.randint(0, 99)}
    scene.stage.tell_vendor(f"inventory/{rng.choice(list(scene.skus))}", body, "PUT")


def kill_vendor(scene: Scene, rng: random.Random) -> None:
    name, start = rng.choice((("vendor", scene.stage.start_pipe17), ("rally", scene.stage.start_rally)))
    scene.stage.note_refused_creates()
    scene.stage.kill(name)
    time.sleep(rng.uniform(0.0, 1.0))
    start()
