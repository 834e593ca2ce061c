"""What Pipe17's JSON says of requests, locations, fulfilments and lists; what it is sent stands in `bodies`.

It is read tolerantly, because an order must not be lost for a field nobody needs.  Names that public sources
leave open stand in these two modules and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeVar

import marshmallow
import msgspec
from marshmallow import fields

from app.gateways.vendors.pipe17.connection.moments import to_ms
from app.gateways.vendors.pipe17.connection.reading import Figure, Id, Moment, Number, Reading, Text, Texts

T = TypeVar("T")
Json = dict[str, Any]

encode = msgspec.json.Encoder(decimal_format="number").encode

READY: Final = "readyForFulfillment"
SENT: Final = "sentToFulfillment"
CANCELLED: Final = frozenset({"canceled", "canceledRestock"})
SHIPPED: Final = frozenset({"fulfilled", "partialFulfillment"})
OVER: Final = frozenset({"fulfilled", "failed"})
"""A request in one of these has nothing open; `failed` may be one whose units were all refused."""

SALES: Final = frozenset({"", "sales"})
"""Values of `orderType` that are orders; anything else is a transfer (contract 5.2, row 14)."""

# Contract 3.6 and 2.4: guessed names, see UNVERIFIED.md.
EXT_FULFILLMENT_ID: Final = "extFulfillmentId"
TRACKING_NUMBER: Final = "trackingNumber"
CARRIER: Final = "shippingCarrier"
CARRIER_CLASS: Final = "shippingClass"
SHIP_DATE: Final = "actualShipDate"
WEIGHT: Final = "weight"
WEIGHT_UNIT: Final = "weightUnit"
KILOGRAM: Final = "kg"
ITEM_STATUS: Final = "status"
ITEM_FAILED: Final = "failed"

# What is read


@dataclass(frozen=True)
class Address:
    """Where a request goes; privacy rules may have blanked any of it."""

    first_name: str
    last_name: str
    company: str
    address1: str
    address2: str
    city: str
    state: str
    postal_code: str
    country: str
    email: str
    phone: str


@dataclass(frozen=True)
class Line:
    """A line of a shipping request."""

    unique_id: str
    sku: str
    name: str
    quantity: Decimal
    bundle_sku: str


@dataclass(frozen=True)
class Shipment:
    """A shipping request: to RetailOps it is an order."""

    shipment_id: str
    ext_shipment_id: str
    ext_order_id: str
    ext_reference_id: str
    status: str
    location_id: str
    fulfillment_integration_id: str
    order_type: str
    order_source: str
    order_source_type: str
    created_at: datetime | None
    updated_at: datetime | None
    order_created_at: datetime | None
    lines: tuple[Line, ...]
    address: Address | None
    shipping_code: str
    carrier: str
    carrier_class: str
    shipping_price: str
    currency: str
    shipping_note: str
    gift_note: str
    incoterms: str
    expected_delivery: datetime | None
    expected_ship: datetime | None
    ship_by: datetime | None
    ship_after: datetime | None
    ship_cancel_by: datetime | None
    hold_until: datetime | None
    tags: tuple[str, ...]

    @property
    def is_sale(self) -> bool:
        """False for a transfer between warehouses, which is nobody's order."""
        return self.order_type.lower() in SALES


@dataclass(frozen=True)
class Location:
    """A place Pipe17 routes to."""

    location_id: str
    name: str
    status: str
    fulfillment_integration_id: str

    @property
    def is_active(self) -> bool:
        """False for one nothing is routed to."""
        return self.status.lower() == "active"


@dataclass(frozen=True)
class Fulfillment:
    """Of a fulfilment, what tells whether it is ours, and what of a package it says."""

    shipment_id: str
    ext_fulfillment_id: str
    fulfillment_id: str
    tracking_number: str
    """The first one, where there are several."""
    carrier: str
    carrier_class: str
    shipped_at: datetime | None
    weight: Decimal | None
    weight_unit: str
    units: Mapping[str, Decimal]
    """Quantity by the line's uniqueId."""


@dataclass(frozen=True)
class Tracking:
    """What was said of a fulfilment's way after it was made (contract 3.7)."""

    tracking_id: str
    fulfillment_id: str
    number: str
    carrier: str
    shipped_at: datetime | None


class _AddressSchema(Reading):
    built = Address
    first_name = Text("firstName")
    last_name = Text("lastName")
    company = Text("company")
    address1 = Text("address1")
    address2 = Text("address2")
    city = Text("city")
    state = Text("stateOrProvince")
    postal_code = Text("zipCodeOrPostalCode")
    country = Text("country")
    email = Text("email")
    phone = Text("phone")


class _LineSchema(Reading):
    built = Line
    unique_id = Id("uniqueId")
    sku = Id("sku")
    name = Text("name")
    quantity = Number("quantity")
    bundle_sku = Id("bundleSKU")


class _ShipmentSchema(Reading):
    built = Shipment
    shipment_id = Id("shipmentId", is_required=True)
    ext_shipment_id = Id("extShipmentId")
    ext_order_id = Id("extOrderId")
    ext_reference_id = Id("extReferenceId")
    status = Text("status")
    location_id = Id("locationId")
    fulfillment_integration_id = Id("fulfillmentIntegrationId")
    order_type = Text("orderType")
    order_source = Text("orderSource")
    order_source_type = Text("orderSourceType")
    created_at = Moment("createdAt")
    updated_at = Moment("updatedAt")
    order_created_at = Moment("orderCreateTime")
    lines = fields.List(fields.Nested(_LineSchema), data_key="lineItems", load_default=())
    address = fields.Nested(_AddressSchema, data_key="shippingAddress", load_default=None)
    shipping_code = Text("shippingCode")
    carrier = Text("shippingCarrier")
    carrier_class = Text("shippingClass")
    shipping_price = Text("shippingPrice")
    currency = Text("currency")
    shipping_note = Text("shippingNote")
    gift_note = Text("giftNote")
    incoterms = Text("incoterms")
    expected_delivery = Moment("expectedDeliveryDate")
    expected_ship = Moment("expectedShipDate")
    ship_by = Moment("shipByDate")
    ship_after = Moment("shipAfterDate")
    ship_cancel_by = Moment("shipCancelByDate")
    hold_until = Moment("holdUntil")
    tags = Texts("tags")


class _LocationSchema(Reading):
    built = Location
    location_id = Id("locationId", is_required=True)
    name = Text("name")
    status = Text("status")
    fulfillment_integration_id = Id("fulfillmentIntegrationId")


class _Units(fields.Field[Mapping[str, Decimal]]):
    """Quantities of a list of lines; a line that cannot be read is left out."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Mapping[str, Decimal]:
        lines = [read(Line, row) for row in value] if isinstance(value, list) else []
        return {line.unique_id: line.quantity for line in lines if line is not None and line.unique_id}


class _FulfillmentSchema(Reading):
    built = Fulfillment
    shipment_id = Id("shipmentId")
    ext_fulfillment_id = Id(EXT_FULFILLMENT_ID)
    fulfillment_id = Id("fulfillmentId")
    tracking_number = Id(TRACKING_NUMBER)
    carrier = Text(CARRIER)
    carrier_class = Text(CARRIER_CLASS)
    shipped_at = Moment(SHIP_DATE)
    weight = Figure(WEIGHT)
    weight_unit = Text(WEIGHT_UNIT)
    units = _Units(data_key="lineItems", load_default=dict)


class _TrackingSchema(Reading):
    built = Tracking
    tracking_id = Id("trackingId", is_required=True)
    fulfillment_id = Id("fulfillmentId")
    number = Id(TRACKING_NUMBER)
    carrier = Text(CARRIER)
    shipped_at = Moment(SHIP_DATE)


class _PaginationSchema(Reading):
    built = dict
    last = fields.Boolean(truthy={True}, falsy={False}, load_default=None)
    page_size = fields.Integer(data_key="pageSize", strict=True, load_default=0)


_SCHEMAS: Final[Mapping[type[Any], marshmallow.Schema]] = {
    Shipment: _ShipmentSchema(),
    Line: _LineSchema(),
    Location: _LocationSchema(),
    Tracking: _TrackingSchema(),
    Fulfillment: _FulfillmentSchema(),
}
_PAGINATION: Final = _PaginationSchema()


def read(kind: type[T], row: object) -> T | None:
    """One object of Pipe17's, or None when it is not of the form it must have."""
    try:
        found: T = _SCHEMAS[kind].load(row)  # type: ignore[arg-type]  # load() itself refuses what is no object.
    except marshmallow.ValidationError:
        return None
    return found


@dataclass(frozen=True)
class Page:
    """One page of a list: its rows as they came, and where the next page begins (None after the last)."""

    rows: list[Any]
    next_skip: int | None


def read_page(body: Mapping[str, Any], key: str, *, skip: int, count: int) -> Page | None:
    """A list's answer (contract 1.5), or None when it holds no such list."""
    rows = body.get(key)
    if not isinstance(rows, list):
        return None
    try:
        pagination = _PAGINATION.load(body.get("pagination") or {})
    except marshmallow.ValidationError:
        pagination = {"last": None, "page_size": 0}
    # A vendor that gives fewer rows than asked for says so in `pageSize`: its short pages are not the last ones.
    step = pagination["page_size"] if pagination["page_size"] > 0 else count
    is_last = pagination["last"] is True or len(rows) < min(step, count)
    return Page(rows, None if is_last else skip + step)


def has_failed(item: object) -> bool:
    """Whether a result of a bulk POST is a failure (contract 1.6); without a status it is a record."""
    return isinstance(item, dict) and (item.get(ITEM_STATUS) == ITEM_FAILED or item.get("success") is False)


def created_ms(shipment: Shipment) -> int | None:
    """Milliseconds since 1970 of the request's creation, which orders the queue."""
    at = shipment.created_at or shipment.order_created_at
    return None if at is None else to_ms(at)
