"""Pipe17's JSON and our words, each way; names that public sources leave open stand here and nowhere else.

What is read is read tolerantly (null is absent, unknown fields and text of a wrong kind are left out),
because an order must not be lost for a field nobody needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeVar

import marshmallow
import msgspec
from marshmallow import fields

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
    """Of a fulfilment, what tells whether it is ours."""

    shipment_id: str
    ext_fulfillment_id: str
    fulfillment_id: str
    tracking_number: str
    """The first one, where there are several."""


@dataclass(frozen=True)
class Tracking:
    """A tracking number that stands beside a fulfilment (contract 3.7)."""

    tracking_id: str
    fulfillment_id: str
    number: str


class Text(fields.Field[str]):
    """Text, or a number as text; a list gives its first text; anything else is nothing."""

    def __init__(self, key: str) -> None:
        super().__init__(data_key=key, load_default="")

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if isinstance(value, list):
            value = value[0] if value else ""
        if isinstance(value, str):
            return value.strip()
        return str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else ""


class _Texts(fields.Field[tuple[str, ...]]):
    """The texts of a list."""

    def __init__(self, key: str) -> None:
        super().__init__(data_key=key, load_default=())

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> tuple[str, ...]:
        if not isinstance(value, list):
            return ()
        return tuple(item.strip() for item in value if isinstance(item, str) and item.strip())


class _Moment(fields.Field[datetime | None]):
    """An ISO-8601 time, UTC unless it says otherwise; an unreadable one is nothing."""

    def __init__(self, key: str) -> None:
        super().__init__(data_key=key, load_default=None)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime | None:
        if not isinstance(value, str):
            return None
        try:
            moment = datetime.fromisoformat(value.strip())
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError):
            return None


class _Number(fields.Field[Decimal]):
    """A quantity; the one kind of field that must be right."""

    def __init__(self, key: str) -> None:
        super().__init__(data_key=key, required=True)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Decimal:
        if isinstance(value, int | Decimal | str) and not isinstance(value, bool):
            try:
                number = Decimal(value)
            except InvalidOperation:
                number = Decimal("nan")
            if number.is_finite():
                return number
        raise marshmallow.ValidationError("must be a number")


class Reading(marshmallow.Schema):
    """Null is the same as absent, and what we do not know is left alone."""

    class Meta:
        unknown = marshmallow.EXCLUDE

    built: type[Any]

    @marshmallow.pre_load
    def _without_nulls(self, data: Any, **kwargs: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        return {name: value for name, value in data.items() if value is not None}

    @marshmallow.post_load
    def _build(self, data: Json, **kwargs: Any) -> Any:
        return self.built(**{name: tuple(v) if isinstance(v, list) else v for name, v in data.items()})


def _id(key: str) -> fields.String:
    return fields.String(data_key=key, required=True, validate=marshmallow.validate.Length(min=1))


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
    unique_id = Text("uniqueId")
    sku = Text("sku")
    name = Text("name")
    quantity = _Number("quantity")
    bundle_sku = Text("bundleSKU")


class _ShipmentSchema(Reading):
    built = Shipment
    shipment_id = _id("shipmentId")
    ext_shipment_id = Text("extShipmentId")
    ext_order_id = Text("extOrderId")
    ext_reference_id = Text("extReferenceId")
    status = Text("status")
    location_id = Text("locationId")
    fulfillment_integration_id = Text("fulfillmentIntegrationId")
    order_type = Text("orderType")
    order_source = Text("orderSource")
    order_source_type = Text("orderSourceType")
    created_at = _Moment("createdAt")
    updated_at = _Moment("updatedAt")
    order_created_at = _Moment("orderCreateTime")
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
    expected_delivery = _Moment("expectedDeliveryDate")
    expected_ship = _Moment("expectedShipDate")
    ship_by = _Moment("shipByDate")
    ship_after = _Moment("shipAfterDate")
    ship_cancel_by = _Moment("shipCancelByDate")
    hold_until = _Moment("holdUntil")
    tags = _Texts("tags")


class _LocationSchema(Reading):
    built = Location
    location_id = _id("locationId")
    name = Text("name")
    status = Text("status")
    fulfillment_integration_id = Text("fulfillmentIntegrationId")


class _FulfillmentSchema(Reading):
    built = Fulfillment
    shipment_id = Text("shipmentId")
    ext_fulfillment_id = Text(EXT_FULFILLMENT_ID)
    fulfillment_id = Text("fulfillmentId")
    tracking_number = Text(TRACKING_NUMBER)


class _TrackingSchema(Reading):
    built = Tracking
    tracking_id = _id("trackingId")
    fulfillment_id = Text("fulfillmentId")
    number = Text(TRACKING_NUMBER)


class _PaginationSchema(Reading):
    built = dict
    last = fields.Boolean(truthy={True}, falsy={False}, load_default=None)
    page_size = fields.Integer(data_key="pageSize", strict=True, load_default=0)


_SCHEMAS: Final[Mapping[type[Any], marshmallow.Schema]] = {
    Shipment: _ShipmentSchema(),
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
    is_last = pagination["last"] is True or len(rows) < count
    step = pagination["page_size"] if pagination["page_size"] > 0 else count
    return Page(rows, None if is_last else skip + step)


def has_failed(item: object) -> bool:
    """Whether a result of a bulk POST is a failure (contract 1.6); without a status it is a record."""
    return isinstance(item, dict) and (item.get(ITEM_STATUS) == ITEM_FAILED or item.get("success") is False)


def created_ms(shipment: Shipment) -> int | None:
    """Milliseconds since 1970 of the request's creation, which orders the queue."""
    at = shipment.created_at or shipment.order_created_at
    return None if at is None else to_ms(at)


def to_ms(at: datetime) -> int:
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000


def read_ms(text: str) -> int | None:
    """A time as Pipe17 writes it; None where it is unreadable or says no zone."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if at.tzinfo is None else to_ms(at)


def moment_text(at_ms: int) -> str:
    """A time as Pipe17 writes it, 2026-01-31T08:30:49.767Z."""
    return iso_ms(datetime.fromtimestamp(at_ms // 1000, UTC).replace(microsecond=at_ms % 1000 * 1000))


def iso_ms(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
