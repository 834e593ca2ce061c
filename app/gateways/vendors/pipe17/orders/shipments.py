"""A shipping request as Pipe17 states it; to RetailOps it is an order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from app.domain.moments import ms_if_any
from app.gateways.wire_objects import Figure, Id, Moment, Part, Parts, Text, Texts, wire

READY: Final = "readyForFulfillment"
SENT: Final = "sentToFulfillment"
CANCELLED: Final = frozenset({"canceled", "canceledRestock"})
SHIPPED: Final = frozenset({"fulfilled", "partialFulfillment"})
OVER: Final = frozenset({"fulfilled", "failed"})
"""A request in one of these has nothing open; `failed` may be one whose units were all refused."""

SALES: Final = frozenset({"", "sales"})
"""Values of `orderType` that are orders; anything else is a transfer (contract 5.2, row 14)."""


@dataclass(frozen=True)
class Address:
    """Where a request goes, by the names of the domain's address; privacy rules may have blanked any of it."""

    first_name: str = wire(Text("firstName"))
    last_name: str = wire(Text("lastName"))
    company: str = wire(Text("company"))
    address1: str = wire(Text("address1"))
    address2: str = wire(Text("address2"))
    city: str = wire(Text("city"))
    state_match: str = wire(Text("stateOrProvince"))
    postal_code: str = wire(Text("zipCodeOrPostalCode"))
    country_match: str = wire(Text("country"))
    email: str = wire(Text("email"))
    phone_number: str = wire(Text("phone"))


@dataclass(frozen=True)
class Line:
    """A line of a shipping request or of its fulfilment."""

    quantity: Decimal = wire(Figure("quantity", is_required=True))
    unique_id: str = wire(Id("uniqueId"))
    sku: str = wire(Id("sku"))
    name: str = wire(Text("name"))
    bundle_sku: str = wire(Id("bundleSKU"))


@dataclass(frozen=True)
class RequestState:
    """Of a request what can be read even where its form is otherwise unknown."""

    shipment_id: str = wire(Id("shipmentId", is_required=True))
    status: str = wire(Text("status"))


@dataclass(frozen=True)
class Shipment(RequestState):
    """A shipping request."""

    ext_shipment_id: str = wire(Id("extShipmentId"))
    ext_order_id: str = wire(Id("extOrderId"))
    ext_reference_id: str = wire(Id("extReferenceId"))
    location_id: str = wire(Id("locationId"))
    fulfillment_integration_id: str = wire(Id("fulfillmentIntegrationId"))
    order_type: str = wire(Text("orderType"))
    order_source: str = wire(Text("orderSource"))
    order_source_type: str = wire(Text("orderSourceType"))
    created_at: datetime | None = wire(Moment("createdAt"))
    updated_at: datetime | None = wire(Moment("updatedAt"))
    order_created_at: datetime | None = wire(Moment("orderCreateTime"))
    lines: tuple[Line, ...] = wire(Parts("lineItems", Line, must_be_right=True))
    address: Address | None = wire(Part("shippingAddress", Address))
    shipping_code: str = wire(Text("shippingCode"))
    shipping_carrier: str = wire(Text("shippingCarrier"))
    shipping_class: str = wire(Text("shippingClass"))
    shipping_price: str = wire(Text("shippingPrice"))
    currency: str = wire(Text("currency"))
    shipping_note: str = wire(Text("shippingNote"))
    gift_note: str = wire(Text("giftNote"))
    incoterms: str = wire(Text("incoterms"))
    expected_delivery_date: datetime | None = wire(Moment("expectedDeliveryDate"))
    expected_ship_date: datetime | None = wire(Moment("expectedShipDate"))
    ship_by_date: datetime | None = wire(Moment("shipByDate"))
    ship_after_date: datetime | None = wire(Moment("shipAfterDate"))
    ship_cancel_by_date: datetime | None = wire(Moment("shipCancelByDate"))
    hold_until: datetime | None = wire(Moment("holdUntil"))
    tags: tuple[str, ...] = wire(Texts("tags"))

    @property
    def is_sale(self) -> bool:
        """False for a transfer between warehouses, which is no order."""
        return self.order_type.lower() in SALES

    @property
    def created_ms(self) -> int | None:
        """Milliseconds since 1970 of the request's creation, which orders the queue."""
        return ms_if_any(self.created_at or self.order_created_at)
