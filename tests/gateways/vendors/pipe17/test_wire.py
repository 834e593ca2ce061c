"""Pipe17's objects: what is declared of each field holds for reading and for writing, and what was read is kept."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from app.deadline import Deadline
from app.gateways.calls import Call
from app.gateways.vendors.pipe17.connection.api import KEPT_S
from app.gateways.vendors.pipe17.connection.integration_record import IntegrationRecord
from app.gateways.vendors.pipe17.fulfilments import Fulfillment, Tracking
from app.gateways.vendors.pipe17.orders.shipments import Line, RequestState, Shipment
from app.gateways.vendors.pipe17.products.product_cache import MISSING_KEPT_S, ProductCache
from app.gateways.vendors.pipe17.returns import GoodsLine, Return
from app.gateways.vendors.pipe17.stock.held_stock import StockRecord
from app.gateways.vendors.pipe17.stock.ingest import Ingest
from app.gateways.wire_objects import encode, read, read_all, write

AT = datetime(2026, 11, 29, 8, 30, 49, 767000, UTC)


@pytest.mark.parametrize(
    "item",
    [
        Fulfillment("s1", "s1-7", lines=(Line(Decimal(2), "1", "MUG"),), tracking_number="1Z", shipped_at=AT,
                    weight=Decimal("1.50"), weight_unit="kg"),
        Tracking(tracking_number="1Z", carrier="UPS", shipped_at=AT),
        Return("", "s1-7", "o1", "received", "l1", (GoodsLine("MUG", Decimal(1), "1", "too red"),)),
        Ingest(0, 0, None, "MUG", "l1", "ingest"),
    ],
    ids=lambda item: type(item).__name__,
)  # fmt: skip
def test_what_is_written_reads_back_and_says_nothing_else(item: Any) -> None:
    written = write(item)
    assert read(type(item), written) == item
    assert not [name for name, value in written.items() if value in (None, "", [])]


def test_a_figure_of_nothing_is_written_and_a_fraction_stays_as_it_is() -> None:
    assert write(Ingest(0, None, None, "MUG", "l1", "ingest")) == {
        "event": "ingest", "sku": "MUG", "locationId": "l1", "onHand": 0,
    }  # fmt: skip
    assert encode(write(Fulfillment("s1", "s1-7", weight=Decimal("1.50")))).endswith(b'"weight":1.50}')
    assert write(Fulfillment(tracking_number="1Z"))["trackingNumber"] == ["1Z"]


def test_only_what_must_be_there_costs_an_object() -> None:
    row: dict[str, Any] = {"shipmentId": "s1", "status": None, "createdAt": "yesterday", "tags": "red", "surprise": {}}
    shipment = read(Shipment, row)
    assert shipment is not None and (shipment.status, shipment.created_at, shipment.tags) == ("", None, ())
    for broken in (
        {**row, "shipmentId": None}, {**row, "shipmentId": {}}, {**row, "lineItems": {}},
        {**row, "lineItems": [{"uniqueId": "1"}]}, {**row, "lineItems": [{"quantity": "many"}]},
        {**row, "shippingAddress": "here"},
    ):  # fmt: skip
        assert read(Shipment, broken) is None
    assert read(RequestState, {**row, "lineItems": {}}) == RequestState("s1", "")
    assert read_all(RequestState, [row, 7, {}]) == (RequestState("s1", ""),) and read_all(RequestState, row) == ()
    lines = read(Fulfillment, {"lineItems": [{"uniqueId": "1", "quantity": "2"}, {"uniqueId": "2"}, None]})
    assert lines is not None and lines.units == {"1": Decimal(2)}


def test_of_a_stock_record_only_whole_numbers_are_figures() -> None:
    record = read(StockRecord, {"sku": 7, "onHand": True, "unavailable": Decimal("1.5"), "future": 3})
    assert record == StockRecord(None, None, 3, "7")


def test_an_integration_in_any_form_is_read_as_far_as_it_goes() -> None:
    record = read(IntegrationRecord, {"status": "connected", "settings": [], "entities": {"shipments": "in"}})
    assert record is not None and (record.values, record.entities) == ({}, {})
    settings = {"fields": [{"path": "a", "value": [1]}, {"value": 2}, 3]}
    entities = [{"name": " x ", "direction": " In "}, {"direction": "in"}]
    record = read(IntegrationRecord, {"settings": settings, "entities": entities})
    assert record is not None and (record.values, record.entities) == ({"a": [1]}, {"x": "in"})


class Shown:
    """What Pipe17 shows of products, and how often it was asked."""

    def __init__(self) -> None:
        self.at = 1000.0
        self.integration_id = "i1"
        self.asked: list[str] = []
        self.skus = {"MUG"}
        self.meanwhile = lambda: None

    def now(self) -> float:
        return self.at

    def pages(self, path: str, params: dict[str, str], call: Call) -> list[list[dict[str, str]]]:
        self.asked.append(params["sku"])
        self.meanwhile()
        return [[{"productId": sku, "sku": sku} for sku in params["sku"].split(",") if sku in self.skus]]


@pytest.fixture
def shown() -> Shown:
    return Shown()


@pytest.fixture
def cache(shown: Shown) -> ProductCache:
    return ProductCache(shown)  # type: ignore[arg-type]


CALL = Call(Deadline.in_s(5), "r1", "fact")


def test_a_product_is_believed_longer_than_that_there_is_none(shown: Shown, cache: ProductCache) -> None:
    for _ in range(2):
        found = cache.find(["MUG", "TEE"], CALL)
        assert found["MUG"] is not None and found["TEE"] is None
    assert shown.asked == ["MUG,TEE"]
    shown.at += MISSING_KEPT_S
    cache.find(["MUG", "TEE"], CALL)
    assert shown.asked == ["MUG,TEE", "TEE"]
    shown.at += KEPT_S - MISSING_KEPT_S
    cache.find(["MUG"], CALL)
    assert shown.asked == ["MUG,TEE", "TEE", "MUG"]


def test_an_answer_is_as_old_as_its_question(shown: Shown, cache: ProductCache) -> None:
    """A webhook that comes while Pipe17 is asked outdates what it answers."""

    def outdate() -> None:
        shown.at += 86_400.0

    shown.meanwhile = outdate
    cache.find(["MUG"], CALL)
    cache.find(["MUG"], CALL)
    assert shown.asked == ["MUG", "MUG"]


def test_what_was_written_to_meanwhile_is_asked_again(shown: Shown, cache: ProductCache) -> None:
    shown.meanwhile = lambda: cache.forget(["MUG"])
    cache.find(["MUG"], CALL)
    shown.meanwhile = lambda: None
    cache.find(["MUG"], CALL)
    assert shown.asked == ["MUG", "MUG"]
    cache.find(["MUG"], CALL, is_fresh=True)
    assert len(shown.asked) == 3
    cache.keep([SimpleNamespace(sku="TEE")], shown.at)  # type: ignore[list-item]
    assert cache.find(["TEE"], CALL)["TEE"] is not None and len(shown.asked) == 3
